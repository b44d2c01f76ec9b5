"""An ordinary user, with an empty HOME, none at all, or one that can't be written, and a source folder that is read-only."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import SOURCES, Crate, Result, names
from support.scripted import scripted
from support.small_projects import served

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="becoming an ordinary user for a moment needs root and setpriv (Debian package util-linux)",
)

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody may look into; pytest's own are closed to other users."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def project(place: Path) -> Path:
    project = served(place / "project")
    for path in (project, *project.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return project


@pytest.fixture
def home(place: Path) -> Path:
    (place / "home").mkdir()
    os.chown(place / "home", 65534, 65534)
    return place / "home"


def python() -> tuple[str, str]:
    """A Python that everybody may start, and where it finds what ours has installed."""
    import site
    import sys

    packages = os.pathsep.join(site.getsitepackages())
    for program in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        real = Path(os.path.realpath(program))
        if real.exists() and all(above.stat().st_mode & 0o001 for above in real.parents):
            return program, packages
    pytest.skip("there is no Python of this version that an ordinary user may start (Debian package python3)")


def ordinary(home: Path | None, **environment: str) -> Crate:
    """Nobody, without MODELCRATE_HOME, in a folder that is not theirs."""
    program, packages = python()
    crate = Crate.at(home or Path("/nonexistent"), NOBODY, **environment)
    given = {**crate.environment, "PYTHONPATH": f"{SOURCES}{os.pathsep}{packages}"}
    del given["MODELCRATE_HOME"]
    if home is None:
        del given["HOME"]
    started = Crate(crate.home, given, NOBODY, Path("/"), program)
    probe = started("images")
    if "No module named" in probe.err:
        pytest.skip(f"an ordinary user can't read these sources: {probe.err[-200:]}")
    return started


def usable(done: Result) -> Result:
    done.succeeded()
    assert "Permission" not in done.err
    return done


def test_build_plan_lock_and_push_with_an_empty_home(home: Path, project: Path) -> None:
    crate = ordinary(home)
    usable(crate("plan", project))
    usable(crate("build", project))
    assert names(home / ".cache" / "modelcrate" / "store") == ["served:latest"]
    with scripted() as registry:
        usable(crate("push", "served", f"{registry.host}/a/b:1"))
        assert ("a/b", "1") in registry.manifests
        assert {name for name, _ in registry.manifests} == {"a/b"}, "the image, and what is beside it"
    crate("lock", project).failed(6, "modelcrate.lock", "Permission denied")
    assert not (project / "modelcrate.lock").exists()


def test_lock_in_a_folder_of_ones_own(home: Path, project: Path) -> None:
    copied = home / "copy"
    shutil.copytree(project, copied)
    for path in (copied, *copied.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(path, 65534, 65534)
    crate = ordinary(home)
    usable(crate("lock", copied))
    usable(crate("build", copied, "--locked"))


def test_without_home(place: Path, project: Path) -> None:
    (place / "tmp").mkdir()
    (place / "tmp").chmod(0o1777)
    usable(ordinary(None, TMPDIR=str(place / "tmp"))("build", project))
    assert names(place / "tmp" / "modelcrate-65534" / "store") == ["served:latest"]
    assert (place / "tmp" / "modelcrate-65534").stat().st_mode & 0o077 == 0, (
        "a folder in a shared place is for us alone"
    )


def test_a_folder_of_somebody_else_in_the_temporary_folder_is_not_believed(place: Path, project: Path) -> None:
    (place / "tmp" / "modelcrate-65534").mkdir(parents=True)
    (place / "tmp").chmod(0o1777)
    (place / "tmp" / "modelcrate-65534").chmod(0o777)
    ordinary(None, TMPDIR=str(place / "tmp"))("build", project).failed(6, "modelcrate-65534", "MODELCRATE_HOME")


def test_a_home_that_can_not_be_written(place: Path, project: Path) -> None:
    (place / "home").mkdir()
    failed = ordinary(place / "home")("build", project).failed(6, str(place / "home"), "MODELCRATE_HOME")
    assert "nothing was changed" in failed.err


def test_a_model_that_may_not_be_read(home: Path, project: Path) -> None:
    (project / "model.bin").chmod(0o000)
    ordinary(home)("build", project).failed(3, "model.bin", "Permission denied")
