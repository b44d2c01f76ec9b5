"""The base from the real mirror: made, unpacked by GNU tar, and its Python run.

Downloads are kept in the folder that MODELCRATE_TEST_CACHE names, so that each file is fetched once.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.resolve.debian import DebianWanted, Freshness, choose_mirrors, fetch_debs, known_release, resolve_debian
from modelcrate.resolve.debian.releases import RELEASES
from modelcrate_layers.errors import RegistryError
from modelcrate_layers.kinds.debian import DebianLayer, environment
from modelcrate_layers.packages.compiler import NEWEST, Compiler, Module
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Kind, Tree

pytestmark = [pytest.mark.network, pytest.mark.interop]

PROOF = """
import bz2, ctypes, locale, lzma, os, pwd, sqlite3, ssl, sys, zlib, zoneinfo
locale.setlocale(locale.LC_ALL, "")
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
for name in ("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1"):
    ctypes.CDLL(name)
zoneinfo.ZoneInfo("Europe/Berlin")
assert pwd.getpwuid(10001).pw_name == "modelcrate"
print("%d.%d" % sys.version_info[:2])
"""


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("MODELCRATE_TEST_CACHE")
    return Path(named) if named else tmp_path_factory.mktemp("cache")


DEBIAN = [name for name, release in RELEASES.items() if release.distribution == "debian"]


def base(release: str, architecture: str, cache: Path, shell: bool = False) -> DebianLayer:
    mirrors = replace(choose_mirrors([], os.environ), freshness=Freshness.IGNORED)  # a mirror of testing may lag behind
    with Downloader(HttpConfig(dict(os.environ))) as fetcher:
        try:
            wanted = DebianWanted(release, architecture, shell=shell)
            pinned = resolve_debian(wanted, mirrors, fetcher, cache, datetime.now(UTC))
        except RegistryError as fault:
            pytest.skip(f"no Debian mirror can be reached: {fault}")
        debs = fetch_debs(pinned, mirrors, fetcher, cache)
    return DebianLayer(release, known_release(release).python, debs, known_release(release).distribution)


def unpacked(tree: Tree, folder: Path) -> Path:
    """The tree as GNU tar unpacks it, in a folder that any user may enter."""
    folder.mkdir(mode=0o755)
    with subprocess.Popen(["tar", "-x", "-C", str(folder)], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for chunk in writer.stream(tree.entries):
            process.stdin.write(chunk)
    assert process.returncode == 0
    return folder


@pytest.mark.parametrize("release", DEBIAN)
def test_the_python_of_the_base_runs(release: str, cache: Path, tmp_path: Path) -> None:
    layer = base(release, "arm64" if platform.machine() == "aarch64" else "amd64", cache)
    tree = layer.tree()
    assert len(layer.debs) <= 40
    assert sum(entry.size for entry in tree.entries) <= 70_000_000
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("chroot needs root")
    root = unpacked(tree, tmp_path / "root")
    done = subprocess.run(
        ["chroot", "--userspec=10001:0", str(root), f"/usr/bin/python{layer.python}", "-c", PROOF],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert (done.stdout.strip(), done.returncode) == (layer.python, 0), done.stderr
    told = subprocess.run(
        [
            "chroot",
            str(root),
            f"/usr/bin/python{layer.python}",
            "-c",
            "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))",
        ],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert told.stdout.strip() == "glibc {}.{}".format(*known_release(release).glibc)


@pytest.mark.parametrize("release", DEBIAN)
def test_a_shell_and_its_programs_run(release: str, cache: Path, tmp_path: Path) -> None:
    layer = base(release, "arm64" if platform.machine() == "aarch64" else "amd64", cache, shell=True)
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("chroot needs root")
    root = unpacked(layer.tree(), tmp_path / "root")
    line = "mkdir -p /new && cp /etc/passwd /new/ && [ $(wc -l < /new/passwd) -eq 3 ] && id -u && rm -r /new"
    done = subprocess.run(
        ["chroot", str(root), "/bin/sh", "-c", line], capture_output=True, text=True, env=environment()
    )
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_the_base_of_another_architecture_is_made_as_easily(release: str, cache: Path) -> None:
    layer = base(release, "arm64", cache)
    found = {entry.path: entry for entry in layer.tree().entries}
    assert b"usr/lib/ld-linux-aarch64.so.1" in found
    assert {each.architecture for each in layer.debs} == {"arm64", "all"}
    assert found[b"lib"].kind is Kind.SYMLINK
    assert b"lib64" not in found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


COMPILED = {"a.py": b"x = 2 ** 0.5\n", "b.py": b"def f(x):\n    return x[1:2]\n", "c.py": b"# coding: euc-jp\nx = 1\n"}


@pytest.mark.parametrize("release", [name for name in DEBIAN if _numbers(RELEASES[name].python) <= NEWEST])
def test_the_python_of_the_base_compiles_out_of_its_packages(release: str, cache: Path) -> None:
    layer = base(release, "arm64" if platform.machine() == "aarch64" else "amd64", cache)
    modules = [Module(name.encode(), Bytes(text), False) for name, text in COMPILED.items()]
    with Compiler.of(layer.python, layer.debs).run() as run:
        found = dict(run.compile(modules))
    assert list(found) == modules
