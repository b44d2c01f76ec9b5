"""Conda packages as we link them, held to what rattler (the installer of pixi) makes of the same channel."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.project.values import Conda
from modelcrate.registry.fetch import Fetcher, Network
from modelcrate.resolve.conda import channel_urls, fetch_conda, lock_conda
from modelcrate.resolve.pinned import python_of
from modelcrate_layers.content import Platform
from modelcrate_layers.kinds.conda import CondaLayer
from modelcrate_layers.sources import read
from modelcrate_layers.tree import Entry, Kind
from support import conda
from support.conda import Recipe, greeting, native, real_python
from support.engines import short_folder
from support.tools import call

pytestmark = pytest.mark.interop

rattler = pytest.importorskip("rattler", reason="rattler is missing, which is part of the extra modelcrate[conda]")

THEIRS_ONLY = {"CACHEDIR.TAG", "conda-meta/history"}
"""What says when and by what an environment was made."""


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Path, dict[str, Entry]]]:
    """A folder that rattler has filled, and our entries for the same place, by their paths in it.

    Its name is short, for the prefix of the Python that is packed leaves no room for a long one.
    """
    with short_folder() as folder:
        yield made(folder)


def made(folder: Path) -> tuple[Path, dict[str, Entry]]:
    prefix = folder / "p"
    old = {
        path.replace("native", "older"): each
        for path, each in native().files.items()
        if not each.link and not each.hard
    }
    older = Recipe("older", files=old, old=True, ending=".tar.bz2")
    conda.write_channel(folder / "channel", [greeting(), native(), older, real_python()])
    wanted = Conda(("greeting", "native", "older"), (str(folder / "channel"),))
    urls = channel_urls(wanted, folder)
    with Fetcher(Network({}, offline=True)) as fetcher:
        pinned = lock_conda(wanted, None, Platform("linux", "amd64"), (2, 36), urls, fetcher).pinned
        fetch_conda(pinned, urls, folder / "cache", fetcher)

    async def install() -> None:
        lists = [
            rattler.SparseRepoData(rattler.Channel(urls[0]), part, str(folder / "channel" / part / "repodata.json"))
            for part in ("linux-64", "noarch")
        ]
        records = await rattler.solve_with_sparse_repodata(list(wanted.packages), lists)
        await rattler.install(records, str(prefix), cache_dir=str(folder / "theirs"))

    asyncio.run(install())
    packages = tuple(each.package(folder / "cache", each.size or 0) for each in pinned)
    tree = CondaLayer(packages, python_of(pinned), str(prefix)).tree()
    root = str(prefix)[1:] + "/"
    return prefix, {
        path.removeprefix(root): each for each in tree.entries if (path := each.path.decode()) + "/" != root
    }


def test_the_same_paths(both: tuple[Path, dict[str, Entry]]) -> None:
    """But for bytecode, which they compile, and a diary."""
    prefix, ours = both
    theirs = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*")} - THEIRS_ONLY
    assert {path for path in theirs if "__pycache__" not in path.split("/")} == set(ours)


def test_the_same_bytes_links_and_rights(both: tuple[Path, dict[str, Entry]]) -> None:
    prefix, ours = both
    compared = 0
    for name, entry in ours.items():
        path = prefix / name
        if entry.kind is Kind.SYMLINK:
            assert os.readlink(path) == entry.link.decode(), name
        elif entry.source is not None and not name.startswith("conda-meta/") and name != "bin/greet":
            assert path.read_bytes() == read(entry.source), name
            assert bool(path.stat().st_mode & 0o100) == bool(entry.mode & 0o100), name
            compared += 1
    assert compared > 500


def test_launchers_do_the_same(both: tuple[Path, dict[str, Entry]], tmp_path: Path) -> None:
    prefix, ours = both
    source = ours["bin/greet"].source
    assert source is not None
    (tmp_path / "greet").write_bytes(read(source))
    (tmp_path / "greet").chmod(0o755)
    assert call(tmp_path / "greet") == call(prefix / "bin/greet") == "hello from greet\n"
    assert subprocess.run([prefix / "bin/greet-script"], capture_output=True).stdout == b"script\n"


def test_they_read_our_notes_of_what_is_installed(both: tuple[Path, dict[str, Entry]], tmp_path: Path) -> None:
    _, ours = both
    for name in ("greeting-1.0-0", "native-2.1-h1_0"):
        source = ours[f"conda-meta/{name}.json"].source
        assert source is not None
        (tmp_path / f"{name}.json").write_bytes(read(source))
        record = rattler.PrefixRecord.from_path(str(tmp_path / f"{name}.json"))
        assert f"{record.name.normalized}-{record.version}-{record.build}" == name
        assert {str(path) for path in record.files} <= set(ours)
