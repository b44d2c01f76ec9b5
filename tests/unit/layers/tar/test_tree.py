"""Trees: sorted, closed, and nothing in them that could hurt what lies below."""

from __future__ import annotations

import pytest

from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, hard_link, show, symlink

A = Bytes(b"a")


def test_a_tree_is_sorted_by_path_bytes_whatever_the_order_of_its_entries() -> None:
    tree = Tree.of([file(b"b", A), file(b"a.b", A), directory(b"a"), file(b"a/b", A), file("é".encode(), A)])
    assert [entry.path for entry in tree.entries] == [b"a", b"a.b", b"a/b", b"b", "é".encode()]


def test_missing_folders_are_added_down_to_the_roots_and_not_above() -> None:
    tree = Tree.of([file(b"var/lib/app/x/y", A)], roots=[b"var/lib"])
    assert [entry.path for entry in tree.entries] == [b"var/lib", b"var/lib/app", b"var/lib/app/x", b"var/lib/app/x/y"]
    assert all(entry.mode == 0o775 for entry in tree.entries[:-1])


def test_without_roots_every_folder_is_there() -> None:
    assert [entry.path for entry in Tree.of([file(b"a/b/c", A)]).entries] == [b"a", b"a/b", b"a/b/c"]


def test_a_folder_that_comes_twice_is_one() -> None:
    assert len(Tree.of([directory(b"a"), directory(b"a")]).entries) == 1


@pytest.mark.parametrize(
    "entries",
    [
        [file(b"a", A), file(b"a", A)],
        [directory(b"a"), directory(b"a", 0o700)],
        [directory(b"a"), file(b"a", A)],
        [symlink(b"a", b"x"), symlink(b"a", b"x")],
    ],
)
def test_anything_else_that_comes_twice_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(SourceError, match="a comes twice"):
        Tree.of(entries)


@pytest.mark.parametrize(
    "path", [b"", b"/a", b"a/", b"a//b", b".", b"a/./b", b"..", b"a/../b", b"a\0b", b"a" * 4097, b"../a"]
)
def test_a_path_that_is_not_clean_is_refused(path: bytes) -> None:
    with pytest.raises(SourceError):
        Tree((file(path, A),), roots=(path,))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (file(b".wh.a", A), "delete a file of the base"),
        (file(b"a", A, 0o4755), "mode or an owner"),
        (file(b"a", A, 0o2755), "mode or an owner"),
        (file(b"a", A, -1), "mode or an owner"),
        (Entry(b"a", Kind.DIRECTORY, 0o755, uid=-1), "mode or an owner"),
        (Entry(b"a", Kind.DIRECTORY, 0o755, gid=1 << 21), "mode or an owner"),
        (Entry(b"a", Kind.DIRECTORY, 0o755, A), "has bytes and is no file"),
        (Entry(b"a", Kind.FILE, 0o644), "has bytes and is no file"),
        (symlink(b"a", b""), "link with a target"),
        (symlink(b"a", b"x\0"), "link with a target"),
        (symlink(b"a", b"x" * 4097), "link with a target"),
        (Entry(b"a", Kind.FILE, 0o644, A, link=b"x"), "and is no link"),
        (hard_link(b"a", b"b"), "which is no earlier file"),
    ],
)
def test_an_entry_that_no_layer_may_have_is_refused_and_named(entry: Entry, why: str) -> None:
    with pytest.raises(SourceError, match=why) as refused:
        Tree((entry,))
    assert show(entry.path) in refused.value.what


def test_a_hard_link_needs_an_earlier_file_and_no_folder_or_link() -> None:
    assert len(Tree.of([file(b"a", A), hard_link(b"b", b"a")]).entries) == 2
    for entries in ([directory(b"a"), hard_link(b"b", b"a")], [symlink(b"a", b"x"), hard_link(b"b", b"a")]):
        with pytest.raises(SourceError, match="no earlier file"):
            Tree.of(entries)


def test_a_hard_link_has_the_mode_and_the_owner_of_its_file() -> None:
    real = Entry(b"a", Kind.FILE, 0o750, A, uid=7, gid=8)
    linked = Tree.of([hard_link(b"b", b"a"), real]).entries[1]
    assert (linked.mode, linked.uid, linked.gid) == (0o750, 7, 8)
    with pytest.raises(SourceError, match="with another mode or owner"):
        Tree((real, hard_link(b"b", b"a")))


def test_nothing_lies_below_what_is_no_folder() -> None:
    for above in (file(b"a", A), symlink(b"a", b"x")):
        with pytest.raises(SourceError, match="a/b has no folder above it"):
            Tree.of([above, file(b"a/b", A)])


def test_a_tree_that_is_made_directly_has_to_be_in_order() -> None:
    with pytest.raises(SourceError, match="is not in order"):
        Tree((file(b"b", A), file(b"a", A)))
    with pytest.raises(SourceError, match="stands twice"):
        Tree((file(b"a", A), file(b"a", A)))


def test_the_sticky_bit_and_the_largest_owner_pass() -> None:
    tree = Tree.of([Entry(b"tmp", Kind.DIRECTORY, 0o1777, uid=0o7777777, gid=0o7777777)])
    assert tree.entries[0].size == 0


def test_paths_are_shown_without_control_characters() -> None:
    assert show(b"a\nb\x1b[31m" + b"\xff" + "ü".encode()) == "a\\nb\\x1b[31m\\xffü"
