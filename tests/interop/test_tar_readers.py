"""Our tars, read by GNU tar, bsdtar, Python and umoci: one tree of everything odd, and the same files at the end."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.images.image import ImageLayer, assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutOutput
from modelcrate_layers.content import Platform
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Kind, Tree, file
from modelcrate_layers.tar.writer import MTIME, Tar, header
from support.trees import Claimed, odd_tree
from support.validator import assert_valid_layout

pytestmark = pytest.mark.interop

GIB = 1 << 30


@dataclass(frozen=True)
class Seen:
    """One path on a disk."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime: int
    content: bytes


def expected(tree: Tree) -> dict[bytes, Seen]:
    """What an unpacked tree has to look like, from the entries alone."""
    entries = {entry.path: entry for entry in tree.entries}
    out = {}
    for path, entry in entries.items():
        real = entries[entry.link] if entry.kind is Kind.HARD_LINK else entry
        content = read(real.source) if real.source is not None else real.link
        owner = (real.uid, real.gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        out[path] = Seen(real.kind.name, real.mode, owner, MTIME, content)
    return out


def seen(root: Path) -> dict[bytes, Seen]:
    top = os.fsencode(root)
    out = {}
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            kind = {stat.S_IFDIR: "DIRECTORY", stat.S_IFLNK: "SYMLINK"}.get(stat.S_IFMT(status.st_mode), "FILE")
            content = b""
            if kind == "SYMLINK":
                content = os.readlink(path)
            elif kind == "FILE":
                with open(path, "rb") as handle:
                    content = handle.read()
            key = os.path.relpath(path, top)
            mode = 0o777 if kind == "SYMLINK" else stat.S_IMODE(status.st_mode)
            out[key] = Seen(kind, mode, (status.st_uid, status.st_gid), int(status.st_mtime), content)
    return out


def timeless(found: dict[bytes, Seen], links: bool) -> dict[bytes, Seen]:
    """The same without the times of links, which Python does not set."""
    return {path: replace(each, mtime=0) if links and each.kind == "SYMLINK" else each for path, each in found.items()}


def packed(folder: Path, tree: Tree) -> Path:
    path = folder / "layer.tar"
    with path.open("wb") as out:
        out.writelines(Tar(tree.entries))
    return path


def gnu_tar(archive: Path, into: Path) -> None:
    run("tar", "-x", "-p", "--xattrs", "--numeric-owner", "-f", archive, "-C", into)


def bsdtar(archive: Path, into: Path) -> None:
    run("bsdtar", "-x", "-p", "--numeric-owner", "-f", archive, "-C", into)


def python(archive: Path, into: Path) -> None:
    with tarfile.open(archive, errors="surrogateescape", encoding="utf-8") as opened:
        opened.extractall(into, numeric_owner=True, filter="fully_trusted")


def run(*argv: object) -> bytes:
    if shutil.which(str(argv[0])) is None:
        pytest.skip(f"{argv[0]} is not installed")
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run([os.fspath(each) for each in argv], capture_output=True, env=env)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return bytes(done.stdout)


@pytest.mark.parametrize("unpack", [gnu_tar, bsdtar, python])
def test_every_reader_unpacks_the_same(tmp_path: Path, unpack: Callable[[Path, Path], None]) -> None:
    tree, into = odd_tree(), tmp_path / "out"
    into.mkdir()
    unpack(packed(tmp_path, tree), into)
    assert timeless(seen(into), unpack is python) == timeless(expected(tree), unpack is python)
    assert (into / "plain.txt").stat().st_ino == (into / "plain.txt.hard").stat().st_ino


@pytest.mark.parametrize("name", ["none", "stored", "spliced", "gzip"])
def test_umoci_unpacks_the_same(tmp_path: Path, name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("umoci applies owners as root only")
    tree = odd_tree()
    recipe = Recipe(tree, codec.named(name))
    layer = measure(recipe)
    image = assemble(
        Platform("linux", "amd64"),
        {},
        [ImageLayer("model", "odd", layer, RecipeBlob(recipe, layer))],
        RunSpec(),
    )
    LayoutOutput(tmp_path / "layout", "x").deliver(image, Connections(Config(tmp_path / "home")), lambda event: None)
    assert assert_valid_layout(tmp_path / "layout").members == len(tree.entries)
    run("umoci", "unpack", "--image", f"{tmp_path / 'layout'}:x", tmp_path / "bundle")
    assert seen(tmp_path / "bundle" / "rootfs") == expected(tree)
    assert json.loads((tmp_path / "bundle" / "config.json").read_bytes())["ociVersion"]


@pytest.mark.parametrize("size", [8 * GIB - 1, 8 * GIB, 100 * GIB + 7])
@pytest.mark.parametrize("argv", [("tar", "-tvf"), ("bsdtar", "-tvf")])
def test_a_file_of_more_than_8_gib_is_listed_with_its_size(tmp_path: Path, argv: tuple[str, str], size: int) -> None:
    """The body is a hole in the file: a reader that seeks finds the entry behind it where the size says."""
    behind = Tree.of([file(b"z-behind", Claimed(3))])
    head = header(file(b"model/weights.bin", Claimed(size)))
    path = tmp_path / "large.tar"
    with path.open("wb") as out:
        out.write(head)
        out.seek(len(head) + size + -size % 512)
        out.writelines(Tar(behind.entries))
    listed = run(*argv, path).decode().splitlines()
    assert [line.split()[-1] for line in listed] == ["model/weights.bin", "z-behind"]
    assert str(size) in listed[0].split()


@pytest.mark.parametrize("argv", [("tar", "--quoting-style=literal", "-t", "-f"), ("bsdtar", "-t", "-f")])
def test_every_name_is_listed(tmp_path: Path, argv: tuple[str, ...]) -> None:
    tree = Tree.of(entry for entry in odd_tree().entries if entry.path.isascii() and entry.path.isalnum())
    listed = run(*argv, packed(tmp_path, tree)).split(b"\n")
    assert [name.rstrip(b"/") for name in listed if name] == [entry.path for entry in tree.entries]
