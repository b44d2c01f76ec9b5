"""Stand-ins for the wheels of a wheelhouse: uv chooses by them, and what it says is about the real ones."""

from __future__ import annotations

import os
import time
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from uv import find_uv_bin

from modelcrate.net.config import HttpConfig
from modelcrate.resolve import stand_ins
from modelcrate.resolve.index import Index
from modelcrate.resolve.stand_ins import stand_in_house
from modelcrate.resolve.target import Target
from modelcrate.resolve.uv import Uv
from modelcrate.resolve.wheels import Requirements, check_local_wheels, lock_wheels
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.packages import checked
from modelcrate_layers.tar.sources import FileRange
from support.wheels import make_wheel

LARGE = os.urandom(3 << 20)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    place = tmp_path / "wheel house ü"
    make_wheel(place, "large", "1.0", {"large.bin": LARGE}, requires=["small>=2"])
    make_wheel(place, "small", "2.0+local.1")
    make_wheel(place, "small", "3.0", tag="cp311-cp311-musllinux_1_2_x86_64")
    return place


def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "cache", HttpConfig(environment=os.environ, offline=True))


def test_the_lock_names_the_real_wheels(tmp_path: Path, house: Path) -> None:
    found = lock_wheels(Requirements(lines=("large",)), Target("3.11"), Index(wheelhouse=house), uv(tmp_path))
    wheels = {
        each.name: each for each in (make_wheel(house, "large", "1.0", {"large.bin": LARGE}, requires=["small>=2"]),)
    }
    large, small = found
    assert (large.name, large.sha256, large.size) == ("large", wheels["large"].sha256, wheels["large"].size)
    assert large.urls == ((house / large.filename).as_uri(),)
    assert (small.version, small.urls) == ("2.0+local.1", ((house / small.filename).as_uri(),))


def test_nothing_is_unpacked_or_kept_for_it(tmp_path: Path, house: Path) -> None:
    lock_wheels(Requirements(lines=("large",)), Target("3.11"), Index(wheelhouse=house), uv(tmp_path))
    assert not (tmp_path / "cache").exists()


def test_a_stand_in_is_small_whatever_the_wheel_holds(tmp_path: Path, house: Path) -> None:
    made = stand_in_house(house, tmp_path / "out")
    assert {each.name for each in made.folder.iterdir()} == {each.name for each in house.iterdir()}
    assert sum(each.stat().st_size for each in made.folder.iterdir()) < 5000
    assert set(made.wheels.values()) == set(house.iterdir())


def test_a_hash_that_is_demanded_is_that_of_the_real_wheel(tmp_path: Path, house: Path) -> None:
    real = make_wheel(house, "plain", "1.0")
    asked = f"plain --hash=sha256:{real.sha256}"
    index = Index(wheelhouse=house)
    (found,) = lock_wheels(Requirements(lines=(asked,)), Target("3.11"), index, uv(tmp_path))
    assert found.sha256 == real.sha256
    with pytest.raises(IntegrityError, match="no wheel of plain"):
        lock_wheels(Requirements(lines=(f"plain --hash=sha256:{'0' * 64}",)), Target("3.11"), index, uv(tmp_path))


def test_a_fault_is_told_of_the_wheelhouse(tmp_path: Path, house: Path) -> None:
    with pytest.raises(UserError) as refused:
        lock_wheels(Requirements(lines=("absent",)), Target("3.11"), Index(wheelhouse=house), uv(tmp_path))
    assert "wheels/" not in str(refused.value)


def test_a_wheel_that_is_none_is_left_to_uv(tmp_path: Path, house: Path) -> None:
    (house / "broken-1.0-py3-none-any.whl").write_bytes(b"no zip")
    (house / "readme.txt").write_text("not a wheel")
    made = stand_in_house(house, tmp_path / "out")
    assert (made.folder / "broken-1.0-py3-none-any.whl").is_symlink()
    with pytest.raises(CrateError, match="broken"):
        lock_wheels(Requirements(lines=("broken",)), Target("3.11"), Index(wheelhouse=house), uv(tmp_path))


def test_a_wheel_that_no_build_takes_is_not_locked(tmp_path: Path, house: Path) -> None:
    """A method of compression that wheels don't have: its papers could be read, and the build would refuse it."""
    [wheel] = house.glob("small-2*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = {each: archive.read(each) for each in archive.infolist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_LZMA) as archive:
        for each, data in members.items():
            archive.writestr(each.filename, data)
    with pytest.raises(CrateError, match="compressed by a method") as caught:
        lock_wheels(Requirements(lines=("small",)), Target("3.11"), Index(wheelhouse=house), uv(tmp_path))
    assert str(wheel) in str(caught.value)


def choose(
    tmp_path: Path, house: Path, line: str = "large", program: str = "", *, prereleases: bool = False
) -> list[str]:
    index = Index(wheelhouse=house, prereleases=prereleases)
    asked = replace(uv(tmp_path), program=program)
    return [
        f"{each.name} {each.version}" for each in lock_wheels(Requirements(lines=(line,)), Target("3.11"), index, asked)
    ]


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    """uv, which writes down that it was started."""
    real = Uv(tmp_path, HttpConfig())._program()
    program, log = tmp_path / "uv", tmp_path / "starts"
    program.write_text(f"#!/bin/sh\necho >> '{log}'\nexec '{real}' \"$@\"\n")
    program.chmod(0o755)
    log.touch()
    return program


def starts(counted: Path) -> int:
    return counted.with_name("starts").read_text().count("\n")


def test_nothing_changed_and_uv_is_not_started(tmp_path: Path, house: Path, counted: Path) -> None:
    time.sleep(0.2)  # younger files could change without a trace
    one = choose(tmp_path, house, program=str(counted))
    assert choose(tmp_path, house, program=str(counted)) == one == ["large 1.0", "small 2.0+local.1"]
    assert starts(counted) == 1


def test_what_decides_the_choice_asks_uv_again(tmp_path: Path, house: Path, counted: Path) -> None:
    time.sleep(0.2)
    choose(tmp_path, house, program=str(counted))
    assert choose(tmp_path, house, "small<3", program=str(counted)) == ["small 2.0+local.1"]
    assert starts(counted) == 2
    choose(tmp_path, house, program=str(counted), prereleases=True)
    assert starts(counted) == 3
    make_wheel(house, "small", "4.0")
    assert choose(tmp_path, house, program=str(counted)) == ["large 1.0", "small 4.0"]
    assert starts(counted) == 4


def test_a_wheel_that_was_just_written_is_not_remembered(tmp_path: Path, house: Path, counted: Path) -> None:
    for _ in range(2):
        (house / "small-3.0-cp311-cp311-musllinux_1_2_x86_64.whl").touch()
        choose(tmp_path, house, program=str(counted))
    assert starts(counted) == 2


def test_a_fault_is_found_again(tmp_path: Path, house: Path, counted: Path) -> None:
    time.sleep(0.2)
    for _ in range(2):
        with pytest.raises(UserError):
            choose(tmp_path, house, "none-such", program=str(counted))
    assert starts(counted) == 2


@pytest.mark.parametrize(
    ("member", "data", "what"),
    [
        ("../outside.py", b"x = 1", "outside"),
        (
            "small-2.0+local.1.dist-info/METADATA",
            b"Metadata-Version: 2.1\nName: small\nVersion: 7\n",
            "can't be installed",
        ),
        ("other-1.dist-info/RECORD", b"", "dist-info"),
    ],
)
def test_a_wheel_with_a_member_that_no_build_takes_is_not_locked(
    tmp_path: Path, house: Path, member: str, data: bytes, what: str
) -> None:
    [wheel] = house.glob("small-2*.whl")
    with warnings.catch_warnings(), zipfile.ZipFile(wheel, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(member, data)
    for index in (Index(wheelhouse=house), Index(find_links=(str(house),), no_index=True)):
        with pytest.raises(CrateError) as caught:
            pinned = lock_wheels(Requirements(lines=("small",)), Target("3.11"), index, uv(tmp_path))
            check_local_wheels(pinned, tmp_path)
        assert what in str(caught.value)
        assert wheel.name in str(caught.value)


def test_uv_looks_at_our_python_once_and_before_it_resolves(tmp_path: Path, house: Path) -> None:
    """To start a Python takes it longer than to resolve, and can be done while something else is."""
    log, program = tmp_path / "log", tmp_path / "uv.sh"
    program.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {find_uv_bin()} "$@"\n')
    program.chmod(0o755)
    real = uv(tmp_path)
    logged = Uv(real.cache, real.network, str(program))
    for _ in range(2):
        with logged.meet_python():
            pass
    assert log.read_text().split() == ["python"]
    (met,) = real.cache.glob("interpreter-*")
    before = {each: each.stat().st_mtime_ns for each in met.rglob("*") if each.is_file()}
    assert before
    lock_wheels(Requirements(lines=("large",)), Target("3.11"), Index(wheelhouse=house), logged)
    assert {each: each.stat().st_mtime_ns for each in met.rglob("*") if each.is_file()} == before


def test_what_fails_meanwhile_ends_the_look(tmp_path: Path) -> None:
    program = tmp_path / "uv.sh"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    begin = time.monotonic()
    with pytest.raises(UserError), Uv(tmp_path / "cache", HttpConfig(), str(program)).meet_python():
        raise UserError("no such base")
    assert time.monotonic() - begin < 30
    with Uv(tmp_path / "cache", HttpConfig(), "/nowhere/uv").meet_python():
        pass


def test_what_is_hashed_while_uv_chooses_is_hashed_once(
    tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    original = checked.sha256

    def counting(source: FileRange) -> str:
        hashed.append(Path(source.path).name)
        return original(source)

    monkeypatch.setattr(checked, "sha256", counting)
    made = stand_in_house(house, tmp_path / "stand-ins")
    hashed.clear()
    with made.hashed_meanwhile():
        pass
    made.real(" ".join(made.wheels))
    assert sorted(hashed) == sorted(each.name for each in made.wheels.values())


def test_a_large_wheel_is_hashed_only_when_it_is_chosen(
    tmp_path: Path, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stand_in_house(house, tmp_path / "stand-ins")
    monkeypatch.setattr(stand_ins, "MAX_AHEAD", 0)
    hashed: list[Path] = []
    monkeypatch.setattr(stand_ins, "hash_file", hashed.append)
    with made.hashed_meanwhile():
        time.sleep(0.05)
    assert hashed == []
