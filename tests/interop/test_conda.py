"""Conda packages as we link them, held to what rattler (the installer of pixi) makes of the same channel."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.project.values import Conda
from modelcrate.resolve.conda import channel_urls, fetch_conda, lock_conda
from modelcrate.resolve.pinned import python_of
from modelcrate_layers.content import Platform
from modelcrate_layers.kinds.conda import CondaLayer
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Entry, Kind
from support import conda
from support.azure import environment
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
    prefix, channel = folder / "p", folder / "channel"
    old = {
        path.replace("native", "older"): each
        for path, each in native().files.items()
        if not each.link and not each.hard
    }
    older = Recipe("older", files=old, old=True, ending=".tar.bz2")
    conda.write_channel(channel, [greeting(), native(), older, real_python()])
    wanted = ["greeting", "native", "older"]
    installed(channel, prefix, wanted, folder / "theirs")
    return prefix, linked(folder, channel, prefix, wanted)


def installed(channel: Path, prefix: Path, wanted: list[str], cache: Path) -> set[str]:
    """What rattler puts there, and its paths, but for what says when and by what it was made."""

    async def install() -> None:
        place = rattler.Channel(channel.as_uri())
        parts = [part for part in ("linux-64", "noarch") if (channel / part / "repodata.json").exists()]
        lists = [rattler.SparseRepoData(place, part, str(channel / part / "repodata.json")) for part in parts]
        records = await rattler.solve_with_sparse_repodata(wanted, lists)
        await rattler.install(records, str(prefix), cache_dir=str(cache))

    asyncio.run(install())
    return {path.relative_to(prefix).as_posix() for path in prefix.rglob("*")} - THEIRS_ONLY


def linked(folder: Path, channel: Path, prefix: Path, wanted: list[str]) -> dict[str, Entry]:
    """Our entries for the same place, by their paths in it."""
    asked = Conda(tuple(wanted), (str(channel),))
    urls = channel_urls(asked, folder)
    with Downloader(HttpConfig({}, offline=True)) as fetcher:
        pinned = lock_conda(asked, None, Platform("linux", "amd64"), (2, 36), urls, fetcher).pinned
        fetch_conda(pinned, urls, folder / "cache", fetcher)
    packages = tuple(each.as_package(folder / "cache", each.size or 0) for each in pinned)
    tree = CondaLayer(packages, python_of(pinned), str(prefix)).tree()
    root = str(prefix)[1:] + "/"
    return {path.removeprefix(root): each for each in tree.entries if (path := each.path.decode()) + "/" != root}


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


ASSEMBLE = """
import sys
from pathlib import Path
from rattler_build import ArchiveType, assemble_package

staged, channel = Path(sys.argv[1]), Path(sys.argv[2])
for name, kind, platform, noarch in (
    ("theirs", ArchiveType.Conda, "linux-64", None),
    ("theirs-old", ArchiveType.TarBz2, "linux-64", None),
    ("theirs-pure", ArchiveType.Conda, "noarch", "python"),
):
    (channel / platform).mkdir(parents=True, exist_ok=True)
    needs = ["python"] if noarch else []
    assemble_package(
        name, "1.2.3", platform, "h123_0", channel / platform, files_dir=staged / name, depends=needs,
        noarch=noarch, archive_type=kind, license="MIT",
    )
"""
"""Packages that no code of ours has written."""


@pytest.mark.network
def test_packages_of_their_packer_in_a_channel_of_their_indexer() -> None:
    builder = environment("rattler-build", "py-rattler-build==0.73.0")
    with short_folder() as folder:
        staged, channel, prefix = folder / "staged", folder / "channel", folder / "p"
        for name in ("theirs", "theirs-old"):
            stage(staged / name)
        pure = staged / "theirs-pure" / "site-packages" / "theirs_pure"
        pure.mkdir(parents=True)
        (pure / "__init__.py").write_text("answer = 42\n")
        call(builder, "-c", ASSEMBLE, staged, channel)
        conda.write_package(channel / "linux-64", conda.fake_python())
        asyncio.run(rattler.index.index_fs(channel))
        wanted = ["theirs", "theirs-old", "theirs-pure"]
        ours = linked(folder, channel, prefix, wanted)
        their_tree = installed(channel, prefix, wanted, folder / "theirs")
        assert {path for path in their_tree if "__pycache__" not in path.split("/")} == set(ours)
        for path, entry in ours.items():
            if entry.kind is Kind.SYMLINK:
                assert os.readlink(prefix / path) == entry.link.decode(), path
            elif entry.source is not None and not path.startswith("conda-meta/"):
                assert (prefix / path).read_bytes() == read(entry.source), path


def stage(folder: Path) -> None:
    name = folder.name
    files = {f"bin/{name}": b"#!/bin/sh\n", f"lib/{name}.bin": bytes(range(256)), f"share/{name}/plain.txt": b"plain\n"}
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "bin" / name).chmod(0o755)
    (folder / "lib" / f"{name}.link").symlink_to(f"{name}.bin")
