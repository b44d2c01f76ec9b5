"""Whatever is done to the files of MODELCRATE_HOME: a build gives the right image or refuses and names the file, and never gives another.

Cases are drawn by seed. Each one changes one file, mostly with the times that it had, and often after the remembered layers are gone, so
that packages are used again. A build after the file was removed gives the right image in any case.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.pipeline.session import Session
from modelcrate.resolve.debian import DebianWanted, resolve_debian
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.atomic import remove
from modelcrate_layers.errors import CrateError
from modelcrate_layers.records import MARKER
from support.debian_mirror import NOW, ROOTS, Mirror, new_key, serve
from support.locked import locked_project
from support.small_projects import served, wait_until_trusted

SEEDS, CASES = 12, 30

ACTIONS = ("flip", "flip", "cut", "another", "longer", "empty", "gone", "folder", "link", "fifo", "newer")


@dataclass(frozen=True)
class Place:
    """A locked project, and the home that it is built with."""

    project: Path
    home: Path

    def build(self, output: Path) -> str:
        """The digest of the image; its layout has every blob, with the right bytes."""
        remove(output)
        with Session(Config(self.home)) as session:
            request = session.read(self.project)
            built = session.build(replace(request, outputs=(LayoutOutput(output, "x"), StoreOutput("tampered"))))
        for path in (output / "blobs" / "sha256").iterdir():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        (named,) = json.loads((output / "index.json").read_bytes())["manifests"]
        assert named["digest"] == str(built.receipt.image.digest)
        return str(named["digest"])


def tamper(victim: Path, others: list[Path], chance: random.Random) -> str:
    """Changes a file, and says how."""
    action, before, status = chance.choice(ACTIONS), victim.read_bytes(), victim.stat()
    at = chance.randrange(len(before)) if before else 0
    changed = {
        "flip": before[:at] + bytes([before[at] ^ 1 << chance.randrange(8)]) + before[at + 1 :] if before else b"x",
        "cut": before[:at],
        "another": chance.choice(others).read_bytes(),
        "longer": before + chance.randbytes(chance.choice([1, 512, 5000])),
        "empty": b"",
        "newer": before.replace(b'"version":1', b'"version":9').replace(b'"lock-version": 1', b'"lock-version": 9')
        or b"9",
    }
    if action in changed:
        if chance.random() < 0.3:
            victim.unlink()
        victim.write_bytes(changed[action])
        if chance.random() < 0.7:
            os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
        return action
    victim.unlink()
    if action == "folder":
        victim.mkdir()
        (victim / "x").write_bytes(b"x")
    elif action == "fifo":
        os.mkfifo(victim)
    elif action == "link":
        victim.symlink_to(chance.choice(others))
    return action


def forget(home: Path, chance: random.Random) -> str:
    """Removes what is remembered, so that packages are used again."""
    what = chance.choice(
        [(), ("memo",), ("memo", "store"), ("store",), ("memo", "checked"), ("gates", "projects", "readings")]
    )
    for name in what:
        remove(home / name)
    return "+".join(what)


def files(home: Path) -> list[Path]:
    return sorted(path for path in home.rglob("*") if path.is_file() and not path.is_symlink())


def one_of_a_kind(home: Path, chance: random.Random) -> tuple[Path, list[Path]]:
    """A file, each kind as likely as another, and the others of its kind."""
    kinds: dict[str, list[Path]] = {}
    for path in files(home):
        parts = path.relative_to(home).parts
        kinds.setdefault("/".join(parts[: 2 if parts[0] in ("cache", "store") else 1]) + path.suffix, []).append(path)
    group = kinds[chance.choice(sorted(kinds))]
    return chance.choice(group), group


def refusal(place: Place, output: Path, right: str, case: str) -> str:
    """What a build says that refuses; empty where it gives the right image. Nothing else may happen."""
    try:
        assert place.build(output) == right, case
    except CrateError as fault:
        return str(fault)
    return ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, str]]:
    folder = tmp_path_factory.mktemp("tampered")
    with serve(Mirror(new_key())) as mirror:
        made = Place(locked_project(folder, mirror), folder / "home")
        yield made, made.build(folder / "out")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_change_of_the_home_gives_another_image(place: tuple[Place, str], seed: int, tmp_path: Path) -> None:
    made, right = place
    chance, refused = random.Random(seed), 0
    for number in range(CASES):
        victim, others = one_of_a_kind(made.home, chance)
        forgotten = forget(made.home, chance) if chance.random() < 0.7 else ""
        if not victim.exists():
            continue
        how = tamper(victim, others if len(others) > 1 else files(made.home), chance)
        case = f"case {seed}.{number}: {how} {victim.relative_to(made.home)}, forgotten: {forgotten}"
        if fault := refusal(made, tmp_path / "out", right, case):
            refused += 1
            assert str(made.home) in fault, f"{case}: {fault}"
            remove(victim)
            assert not refusal(made, tmp_path / "out", right, case), case
        if victim.is_symlink() or not victim.is_file():
            remove(victim)  # what does no harm today may do some with the next case
    assert refused <= CASES // 5, (
        "nearly all damage heals: what does not is the index of the store, and places that can't be written"
    )


def test_no_file_of_the_home_that_is_a_fifo_stops_a_build(place: tuple[Place, str], tmp_path: Path) -> None:
    """Whoever opens one waits for ever, and a folder that others can write has one in no time. One of each kind of file is tried."""
    made, right = place
    kinds = {f"{path.relative_to(made.home).parts[:2]}{path.suffix}": path for path in files(made.home)}
    for path in kinds.values():
        if not path.exists():
            continue
        path.unlink()
        os.mkfifo(path)
        fault = refusal(made, tmp_path / "out", right, str(path))
        assert not fault or str(path) in fault
        remove(path)
        assert not refusal(made, tmp_path / "out", right, str(path))


@pytest.mark.parametrize("seed", range(6))
def test_no_change_of_the_indexes_gives_other_debian_packages(seed: int, tmp_path: Path) -> None:
    chance, cache = random.Random(seed), tmp_path / "cache"
    with serve(Mirror(new_key())) as mirror:
        for name, members in ROOTS.items():
            mirror.add(name, members)
        mirror.publish()

        def resolve(*, offline: bool) -> tuple[PinnedDeb, ...]:
            with Downloader(HttpConfig(offline=offline)) as fetcher:
                return resolve_debian(DebianWanted("bookworm", "amd64"), mirror.mirrors, fetcher, cache, NOW)

        right = resolve(offline=False)
        for number in range(10):
            victim, others = one_of_a_kind(tmp_path, chance)
            how = tamper(victim, others, chance)
            if chance.random() < 0.5:
                remove(cache / "debian" / "answers")
            case = f"case {seed}.{number}: {how} {victim.relative_to(tmp_path)}"
            try:
                assert resolve(offline=chance.random() < 0.3) == right, case
            except CrateError as fault:
                message = str(fault)
                assert str(cache) in message or "--offline" in message, f"{case}: {message}"
                remove(victim)
            assert resolve(offline=False) == right, case


@pytest.mark.parametrize("seed", range(3))
def test_no_change_of_what_uv_keeps_gives_another_image(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    made = Place(served(tmp_path / "project"), tmp_path / "home")
    wait_until_trusted(made.project)
    right = made.build(tmp_path / "out")
    for number in range(8):
        kept = [path for path in files(made.home / "cache" / "uv") if path.stat().st_size]
        victim = chance.choice(kept)
        case = f"case {seed}.{number}: {tamper(victim, kept, chance)} {victim.relative_to(made.home)}"
        if refusal(made, tmp_path / "out", right, case):
            remove(made.home / "cache" / "uv")
        assert not refusal(made, tmp_path / "out", right, case), case


def test_a_home_that_came_from_another_machine_saves_downloads_and_decides_nothing(
    place: tuple[Place, str], tmp_path: Path
) -> None:
    """As a cache of a CI service is: copied, and perhaps written by others, who know what records and layers look like."""
    made, right = place
    made.build(tmp_path / "out")
    copy = Place(made.project, tmp_path / "home")
    shutil.copytree(made.home, copy.home, symlinks=True, copy_function=shutil.copy2)
    forge_records(copy.home / "memo", os.stat(made.home / "memo" / MARKER))
    downloads = sorted((copy.home / "cache").glob("*s/*"))
    assert copy.build(tmp_path / "out") == right
    assert sorted((copy.home / "cache").glob("*s/*")) == downloads


def forge_records(folder: Path, marker: os.stat_result) -> None:
    """Gives every layer the record of the largest one, with checksums that were right on the machine of the `marker`."""
    records = list(folder.rglob("*.json"))
    data = max((path.read_bytes() for path in records), key=len).partition(b"\n")[2]
    for path in records:
        bound = f"{marker.st_ino} {marker.st_ctime_ns} {path.relative_to(folder)}\n".encode()
        path.write_bytes(hashlib.sha256(bound + data).hexdigest().encode() + b"\n" + data)
