"""`bytecode: true` of a project, built whole: which layers there are, and that nothing else of the image changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.project.reading import read_project
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.debian.releases import RELEASES
from modelcrate.resolve.lock import Lock, Pins, write_lock
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.pinned import PinnedWheel
from modelcrate_layers.errors import UserError
from support.compilers import compiler_debs, needs_compiler, system_python
from support.debian_mirror import ROOTS
from support.debs import keep_deb
from support.validator import assert_valid_layout
from support.wheels import make_wheel

PROJECT = """\
name: program
python: "{python}"
platforms: [linux/{architecture}]
dependencies: [pack==1.0]
command: [python, app.py]
source: src
"""


def write(place: Path, more: str = "") -> tuple[Path, Config]:
    """A program on a base of this machine's own Python, locked, with its packages in the cache of a home."""
    needs_compiler()
    python = system_python()
    if python not in {each.python for each in RELEASES.values()}:
        pytest.skip(f"no release has Python {python}")
    folder, settings = place / "project", Config(place / "home", {"HOME": str(place)})
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "app.py").write_text("import pack\n")
    cache = settings.cache / "debs"
    debs = [
        *compiler_debs(cache),
        *(keep_deb(cache, name, files, architecture="all") for name, files in ROOTS.items() if name != "python3.11"),
    ]
    architecture = next(each.architecture for each in debs if each.package == "libc6")
    (folder / "modelcrate.yaml").write_text(PROJECT.format(python=python, architecture=architecture) + more)
    wheel = make_wheel(place / "made", "pack", files={"pack.py": b"answer = 2 ** 0.5\n"})
    pin = PinnedWheel(wheel.name, wheel.version, wheel.filename, wheel.sha256, wheel.size)
    pin.place(settings.cache).parent.mkdir(parents=True)
    Path(wheel.path).rename(pin.place(settings.cache))
    pinned = tuple(
        PinnedDeb(each.package, each.version, each.architecture, "debian", each.pool, each.sha256, each.size)
        for each in debs
    )
    project = read_project(folder / "modelcrate.yaml")
    platform = str(project.platforms[0])
    pins = Pins(None, tuple(sorted(pinned, key=lambda each: each.package)), (pin,))
    write_lock(folder / "modelcrate.lock", Lock(lock_inputs(project, folder, ()), {platform: pins}))
    return folder, settings


def test_it_adds_layers_beside_those_that_have_modules_and_changes_no_other(tmp_path: Path) -> None:
    without = modelcrate.build(write(tmp_path / "without")[0], settings=Config(tmp_path / "without/home"))
    folder, settings = write(tmp_path / "with", "bytecode: true\n")
    built = modelcrate.build(folder, settings=settings)
    kinds = [(each.role, each.name.startswith("bytecode of ")) for each in built.layers]
    assert kinds == [
        ("base", False),
        ("base", True),
        ("dependencies", False),
        ("dependencies", False),
        ("dependencies", True),
        ("entry", False),
        ("entry", True),
    ]
    plain = [each.layer for each in built.layers if not each.name.startswith("bytecode of ")]
    assert plain == [each.layer for each in without.layers]
    built.save(f"oci:{tmp_path / 'out'}:x")
    assert assert_valid_layout(tmp_path / "out").layers == 7


def test_two_machines_make_the_same_image_of_it(tmp_path: Path) -> None:
    one, other = (write(tmp_path / name, "bytecode: true\n") for name in ("one", "other"))
    assert modelcrate.build(one[0], settings=one[1]).id == modelcrate.build(other[0], settings=other[1]).id


def test_a_changed_script_moves_its_own_two_layers(tmp_path: Path) -> None:
    folder, settings = write(tmp_path, "bytecode: true\n")
    before = modelcrate.build(folder, settings=settings)
    (folder / "src" / "app.py").write_text("import pack  # and more\nx = 1\n")
    after = modelcrate.build(folder, settings=settings)
    moved = [one.role for one, two in zip(before.layers, after.layers, strict=True) if one.layer != two.layer]
    assert moved == ["entry", "entry"]


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("rootfs:base.tar", "'bytecode' is for a Debian base only"),
        ("{from: debian, interpreter: /usr/local/bin/python3.11}", "the Python of the base's release alone"),
    ],
)
def test_a_python_that_is_not_the_releases_own_compiles_nothing(tmp_path: Path, base: str, why: str) -> None:
    folder, settings = write(tmp_path)
    text = (folder / "modelcrate.yaml").read_text()
    (folder / "modelcrate.yaml").write_text(f"{text}bytecode: true\nbase: {base}\n")
    (folder / "modelcrate.lock").unlink()
    project = folder / "modelcrate.yaml"
    if "rootfs" not in base:  # what a lock says of the base counts, and no mirror is asked
        asked = read_project(project)
        old = write(tmp_path / "again")[0] / "modelcrate.lock"
        from modelcrate.resolve.lock import read_lock

        lock = read_lock(old)
        assert lock is not None
        write_lock(folder / "modelcrate.lock", Lock(lock_inputs(asked, folder, ()), lock.pins))
    with pytest.raises(UserError) as raised:
        modelcrate.build(folder, settings=settings)
    assert why in str(raised.value)
