"""The same project gives the same manifest digest, whoever builds it, where, when, and with which Python.

Every build has a store of its own, so that nothing is remembered from the one before.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uv

from support.debian_mirror import ROOTS, Mirror, new_key, serve
from support.offline import copy_in_another_order, environment, write_project
from support.sources import REPOSITORY
from support.validator import assert_valid_layout

NOBODY = 65534
START = """
import os, sys
umask, uid, folder, *argv = sys.argv[1:]
os.umask(int(umask, 8))
os.chdir(folder)
if int(uid):
    os.setgid(int(uid))
    os.setuid(int(uid))
os.execv(argv[0], argv)
"""


@dataclass(frozen=True)
class Builder:
    """Who builds, and in what surroundings."""

    umask: str = "022"
    uid: int = 0
    elsewhere: bool = False
    another_order: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


BUILDERS = {
    "another home": Builder(),
    "umask 077": Builder(umask="077"),
    "umask 000": Builder(umask="000"),
    "another working folder": Builder(elsewhere=True),
    "Kathmandu": Builder(env={"TZ": "Asia/Kathmandu", "LANG": "ne_NP.UTF-8"}),
    "no locale": Builder(env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONHASHSEED": "1"}),
    "Turkish": Builder(env={"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "4294967295"}),
    "another order, other times and modes": Builder(another_order=True),
    "another user": Builder(uid=NOBODY),
    "all at once": Builder("077", NOBODY, True, True, {"TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONHASHSEED": "7"}),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that other users may enter."""
    with tempfile.TemporaryDirectory(prefix="modelcrate-determinism-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def project(place: Path) -> Path:
    return write_project(place / "project")


def build(builder: Builder, project: Path, folder: Path, python: str = sys.executable, *more: str) -> dict[str, Any]:
    """One build in a process of its own; the receipt. The image is judged as well."""
    folder.mkdir(exist_ok=True)
    if builder.another_order:
        project = copy_in_another_order(project, folder / "another-name")
    home, work = folder / "home", folder / "work"
    for each in (home, work):
        each.mkdir(exist_ok=True)
    if builder.uid:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, builder.uid, builder.uid, follow_symlinks=False)
    env = environment(home / "modelcrate", HOME=str(home), **builder.env)
    if python.startswith("/usr/bin/"):
        env["PYTHONPATH"] += "".join(os.pathsep + each for each in sys.path if each.endswith("site-packages"))
    output = f"oci:{work / 'out'}"
    argv = [python, "-m", "modelcrate", "build", str(project), "--json", "-o", output, *(more or ("--offline",))]
    start = [sys.executable, "-c", START, builder.umask, str(builder.uid), str(work if builder.elsewhere else folder)]
    done = subprocess.run([*start, *argv], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert assert_valid_layout(work / "out").images
    receipt: dict[str, Any] = json.loads(done.stdout)
    return receipt


@pytest.fixture(scope="module")
def first(project: Path, place: Path) -> dict[str, Any]:
    return build(Builder(), project, place / "first")


@pytest.mark.parametrize("name", BUILDERS)
def test_the_manifest_digest_is_the_same(name: str, first: dict[str, Any], project: Path, place: Path) -> None:
    builder = BUILDERS[name]
    if builder.uid and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    python = _open_to_others() if builder.uid else sys.executable
    again = build(builder, project, place / name.replace(" ", "-").replace(",", ""), python)
    assert [layer["diff_id"] for layer in again["layers"]] == [layer["diff_id"] for layer in first["layers"]]
    assert again["digest"] == first["digest"]
    assert all(layer["origin"] != "known" for layer in again["layers"])


def test_a_second_build_knows_every_layer_and_gives_the_same(first: dict[str, Any], project: Path, place: Path) -> None:
    again = build(Builder(), project, place / "first")
    assert again["digest"] == first["digest"]
    assert {layer["origin"] for layer in again["layers"] if layer["role"] != "base"} == {"known"}


def test_the_codec_decides_the_manifest_and_not_the_image_id(first: dict[str, Any], project: Path, place: Path) -> None:
    found = {}
    for codec in ("gzip", "none"):
        folder = place / f"stored-{codec}"
        copy_in_another_order(project, folder)
        with (folder / "modelcrate.yaml").open("a") as text:
            text.write(f"codec: {codec}\n")
        found[codec] = build(Builder(), folder, place / f"by-{codec}")
    assert {each["id"] for each in found.values()} == {first["id"]}
    assert len({first["digest"], *(each["digest"] for each in found.values())}) == 3


def test_a_debian_base_is_the_same_whatever_order_the_mirror_lists_it_in(place: Path) -> None:
    digests = []
    for at, names in enumerate((list(ROOTS), list(ROOTS)[::-1])):
        mirror = Mirror(new_key())
        for name in names:
            mirror.add(name, ROOTS[name])
        mirror.publish()
        with serve(mirror):
            folder = place / f"debian-{at}"
            project = write_project(folder, f"{{from: debian, mirror: '{mirror.address}/debian'}}")
            digests.append(_debian_layers(project, mirror, place / f"home-{at}"))
    assert digests[0] == digests[1]


def _debian_layers(project: Path, mirror: Mirror, home: Path) -> list[str]:
    """The base's layer, resolved by our own steps: the command line pins the real archive's keys, which sign no test mirror."""
    from modelcrate.net.config import HttpConfig
    from modelcrate.net.download import Downloader
    from modelcrate.resolve.debian import DebianWanted, fetch_debs, resolve_debian
    from modelcrate_layers.kinds.debian import DebianLayer
    from modelcrate_layers.tar import codec
    from modelcrate_layers.tar.recipe import Recipe, measure
    from support.debian_mirror import NOW

    with Downloader(HttpConfig({})) as fetcher:
        pinned = resolve_debian(DebianWanted("bookworm", "amd64"), mirror.mirrors, fetcher, home, NOW)
        debs = fetch_debs(pinned, mirror.mirrors, fetcher, home)
    layer = DebianLayer("bookworm", "3.11", debs)
    return [str(layer.key()), str(measure(Recipe(layer.tree(), codec.zstd())).descriptor.digest)]


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("python", ["3.12", "3.13", "3.14"])
def test_every_python_gives_the_same(python: str, first: dict[str, Any], project: Path, place: Path) -> None:
    again = build(Builder(), project, place / f"python-{python}", _environment_of(python))
    assert again["digest"] == first["digest"]


def _environment_of(python: str) -> str:
    """An environment of that Python with the packages that we have here, in the same versions; kept between runs."""
    cache = os.environ.get("MODELCRATE_TEST_CACHE")
    if not cache:
        pytest.skip("MODELCRATE_TEST_CACHE names no folder to keep environments of other Pythons in")
    pyenv = (Path.home() / ".pyenv" / "versions").glob(f"{python}.*/bin/python{python}")
    candidates = [str(each) for each in (shutil.which(f"python{python}"), *sorted(pyenv)) if each]
    found = next((each for each in candidates if _starts(each)), None)  # a shim of pyenv may lead nowhere
    if found is None:
        pytest.skip(f"there is no Python {python} here")
    folder = Path(cache) / f"python-{python}"
    program, done = folder / "bin" / "python", folder / "modelcrate-is-ready"
    wanted = "\n".join(f"{name}=={version(name)}" for name in _needed())
    if not done.exists() or done.read_text() != wanted:
        made = [uv.find_uv_bin(), "venv", "--quiet", "--clear", "--python", found, str(folder)]
        subprocess.run(made, check=True, capture_output=True)
        argv = [uv.find_uv_bin(), "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(program)]
        installed = subprocess.run([*argv, *wanted.split()], capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"the packages can't be had for Python {python}: {installed.stderr[-300:]}")
        done.write_text(wanted)
    return str(program)


def _starts(program: str) -> bool:
    return subprocess.run([program, "-c", ""], capture_output=True).returncode == 0


def _needed() -> list[str]:
    """Our own requirements, by name."""
    import re
    import tomllib

    lines = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    return [re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines]


def _open_to_others() -> str:
    """An interpreter of our version that another user may start: ours, or the system's, which is given our packages."""

    def is_open(place: Path) -> bool:
        return all(each.stat().st_mode & 0o001 for each in (place, *place.parents))

    packages = [Path(each) for each in sys.path if each.endswith("site-packages")]
    if not all(is_open(each) for each in (REPOSITORY / "builder", *packages)):
        pytest.skip("another user may not read the sources or the packages here")
    for program in (sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"):
        if Path(program).exists() and is_open(Path(program).resolve()):
            return program
    pytest.skip("another user may not start an interpreter of this version here")
