"""Unpacked layers that several containers share."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.containers import layer_trees
from modelcrate.containers.layer_trees import make_root, remove_root
from modelcrate.images.root_folder import ContainerRoot
from modelcrate_layers.content import Literal, MediaType
from modelcrate_layers.errors import IntegrityError
from support.rootfs import layer, member

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount an overlay")

DIRECTORY = tarfile.DIRTYPE
BASE = layer(
    member("etc", kind=DIRECTORY),
    member("etc/name", b"base"),
    member("etc/gone", b"x"),
    member("opt", kind=DIRECTORY, mode=0o750),
    member("opt/a", b"a"),
    member("opt/deep", kind=DIRECTORY),
    member("opt/deep/b", b"b"),
)
CHANGE = layer(
    member("etc/name", b"change"),
    member("etc/.wh.gone"),
    member("opt/deep/.wh..wh..opq"),
    member("opt/deep/c", b"c"),
    member("opt/new", b"n"),
)


class CountedLayer:
    """A layer that counts how often it is read."""

    def __init__(self, literal: Literal) -> None:
        self.literal, self.descriptor, self.reads = literal, literal.descriptor, 0

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        self.reads += 1
        return self.literal.chunks(start)


@pytest.fixture
def trees(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "trees"
    for each in tmp_path.glob("*/rootfs"):
        remove_root(each.parent)
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def container(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_a_root_of_trees_is_what_unpacking_gives(trees: Path, tmp_path: Path) -> None:
    plain, mounted = container(tmp_path, "plain"), container(tmp_path, "mounted")
    make_root([BASE, CHANGE], plain, None)
    make_root([BASE, CHANGE], mounted, trees)
    assert (mounted / "rootfs").is_mount()
    assert not (plain / "rootfs").is_mount()
    assert contents(mounted / "rootfs") == contents(plain / "rootfs")
    assert contents(plain / "rootfs") == {"etc/name": "change", "opt/a": "a", "opt/deep/c": "c", "opt/new": "n"}
    assert (mounted / "rootfs/opt").stat().st_mode & 0o7777 == 0o750


LOWER = layer(
    *(member(name, kind=DIRECTORY) for name in ("a", "a/b", "a/b/c", "a/shut")),
    *(member(f"{name}/file", b"x") for name in ("a", "a/b", "a/b/c", "a/shut")),
    member("a/shut", kind=DIRECTORY, mode=0),
)


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ([member(".wh.a")], {}),
        ([member("a", b"now a file")], {"a": "now a file"}),
        ([member("a", kind=tarfile.SYMTYPE, linkname="/nowhere")], {}),
        ([member(".wh..wh..opq"), member("n", b"n")], {"n": "n"}),
        ([member("a/new", b"n"), member("a/.wh..wh..opq")], {"a/new": "n"}),
        ([member("a/b/new", b"n"), member(".wh.a")], {"a/b/new": "n"}),
        ([member("a/b/.wh.c")], {"a/file": "x", "a/b/file": "x", "a/shut/file": "x"}),
    ],
)
def test_folders_within_folders_of_lower_layers_go(
    trees: Path, tmp_path: Path, change: list[tuple[tarfile.TarInfo, bytes]], left: dict[str, str]
) -> None:
    """The kernel moves no folder of a lower layer of an overlay (EXDEV)."""
    plain, mounted = container(tmp_path, "plain"), container(tmp_path, "mounted")
    make_root([LOWER, layer(*change)], plain, None)
    make_root([LOWER, layer(*change)], mounted, trees)
    assert (mounted / "rootfs").is_mount()
    assert contents(mounted / "rootfs") == contents(plain / "rootfs") == left


def test_a_place_in_a_lower_layer_is_replaced(trees: Path, tmp_path: Path) -> None:
    folder = container(tmp_path, "one")
    make_root([LOWER], folder, trees)
    with ContainerRoot(folder / "rootfs") as root:
        assert root.mount_point((b"a",), is_file=True) == ((b"a",), True)
    assert contents(folder / "rootfs") == {"a": ""}


def test_a_tree_is_on_the_disk_before_it_is_believed(
    trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: str) -> None:
        raise OSError(5, "the disk is gone")

    monkeypatch.setattr(layer_trees.linux, "sync_file_system", cut)
    with pytest.raises(OSError, match="the disk is gone"):
        make_root([BASE], container(tmp_path, "one"), trees)
    assert list(trees.iterdir()) == []
    monkeypatch.undo()
    make_root([BASE], container(tmp_path, "two"), trees)
    assert contents(tmp_path / "two/rootfs")["etc/name"] == "base"


def test_a_second_start_reads_no_layer_and_images_share_lower_layers(trees: Path, tmp_path: Path) -> None:
    base, change = CountedLayer(BASE), CountedLayer(CHANGE)
    for name in ("one", "two"):
        make_root([base, change], container(tmp_path, name), trees)
    make_root([base, layer(member("other", b"o"))], container(tmp_path, "three"), trees)
    assert (base.reads, change.reads) == (1, 1)
    assert sum(path.is_dir() for path in trees.iterdir()) == 3


def test_what_a_container_writes_is_its_own(trees: Path, tmp_path: Path) -> None:
    one, two = container(tmp_path, "one"), container(tmp_path, "two")
    for folder in (one, two):
        make_root([BASE], folder, trees)
    (one / "rootfs/etc/name").write_text("mine")
    (one / "rootfs/opt/a").unlink()
    assert (two / "rootfs/etc/name").read_text() == "base"
    remove_root(one)
    assert list(one.iterdir()) == []
    assert contents(two / "rootfs")["opt/a"] == "a"


def test_a_layer_with_other_bytes_than_its_digest_is_kept_by_no_name(trees: Path, tmp_path: Path) -> None:
    forged = CountedLayer(CHANGE)
    forged.descriptor = BASE.descriptor
    with pytest.raises(IntegrityError):
        make_root([forged], container(tmp_path, "one"), trees)
    assert list(trees.iterdir()) == []
    damaged = Literal(BASE.data + b"behind the end", MediaType.LAYER)
    longer = CountedLayer(damaged)
    longer.descriptor = BASE.descriptor
    with pytest.raises(IntegrityError, match="size"):
        make_root([longer], container(tmp_path, "two"), trees)
    assert list(trees.iterdir()) == []


def test_a_tree_that_came_with_a_copy_of_the_home_is_unpacked_again(trees: Path, tmp_path: Path) -> None:
    """Whoever may write to a cache of a CI service would else decide what runs in the container."""
    make_root([BASE], container(tmp_path, "one"), trees)
    remove_root(tmp_path / "one")
    copy = tmp_path / "copy"
    shutil.copytree(trees, copy, copy_function=shutil.copy2)
    (tree,) = (path for path in copy.iterdir() if path.is_dir())
    (tree / "etc/name").write_text("hostile")
    (tree / "etc/more").write_text("hostile")
    make_root([BASE], container(tmp_path, "two"), copy)
    assert contents(tmp_path / "two/rootfs")["etc/name"] == "base"
    assert "etc/more" not in contents(tmp_path / "two/rootfs")


def test_a_foreign_tree_that_is_mounted_stays_and_is_not_used(trees: Path, tmp_path: Path) -> None:
    make_root([BASE], container(tmp_path, "one"), trees)
    for record in trees.glob("*.made"):
        record.unlink()
    make_root([BASE], container(tmp_path, "two"), trees)
    assert (tmp_path / "one/rootfs").is_mount()
    assert not (tmp_path / "two/rootfs").is_mount()
    assert contents(tmp_path / "one/rootfs") == contents(tmp_path / "two/rootfs")


def test_where_no_overlay_can_be_mounted_the_layers_are_unpacked(
    trees: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = container(tmp_path, "a,b:c")
    make_root([BASE, CHANGE], folder, tmp_path / "trees,too")
    assert not (folder / "rootfs").is_mount()
    assert contents(folder / "rootfs")["etc/name"] == "change"
    monkeypatch.setattr(layer_trees, "_MAX_OPTIONS", 10)
    longer = container(tmp_path, "longer")
    make_root([BASE, CHANGE], longer, trees)
    assert contents(longer / "rootfs") == contents(folder / "rootfs")
    assert [path.name for path in trees.iterdir() if path.name.startswith(".new")] == []


def test_what_a_killed_process_was_unpacking_is_removed(trees: Path, tmp_path: Path) -> None:
    left = trees / ".new-4194999-1000000001"
    (left / "root").mkdir(parents=True)
    (left / "root/half").write_text("x")
    make_root([BASE], container(tmp_path, "one"), trees)
    assert not left.exists()
