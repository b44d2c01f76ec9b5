"""Folders as entries: the tree as it is, our modes, and nothing that does not belong in an image."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar import listing
from modelcrate_layers.tar.listing import CLUTTER, Listing, list_inside, list_path
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Kind, Tree


def paths(found: Listing) -> set[bytes]:
    return {entry.path for entry in found.entries}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    top = tmp_path / "src"
    (top / "deep" / "er").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "score.py").write_bytes(b"code")
    (top / "deep" / "er" / "x").write_bytes(b"xx")
    return top


def test_a_folder_is_listed_below_its_name(source: Path) -> None:
    found = list_path(source, b"app")
    assert paths(found) == {
        b"app/src",
        b"app/src/deep",
        b"app/src/deep/er",
        b"app/src/deep/er/x",
        b"app/src/empty",
        b"app/src/score.py",
    }
    assert found.size == 6
    assert Tree.of(found.entries, [b"app"])


def test_how_a_folder_is_called_decides_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` has items that begin with `./`; what is passed over is passed over under each of its names."""
    monkeypatch.chdir(source.parent)
    whole = paths(list_inside(source, b"app", skip=frozenset({str(source / "deep"), str(source / "score.py")})))
    assert whole == {b"app", b"app/empty"}
    assert paths(list_inside(Path("src"), b"app", skip=frozenset({"src/deep", str(source / "score.py")}))) == whole
    monkeypatch.chdir(source)
    assert paths(list_inside(Path(), b"app", skip=frozenset({"deep", "./score.py"}))) == whole


def test_what_a_folder_holds_is_listed_below_another_name(source: Path) -> None:
    assert b"app/score.py" in paths(list_inside(source, b"app"))
    assert b"src/score.py" in paths(list_path(source, b""))


def test_a_file_is_listed_by_its_name(source: Path) -> None:
    found = list_path(source / "score.py", b"models/m/1")
    assert paths(found) == {b"models/m/1/score.py"}
    assert found.entries[0].source is not None
    assert read(found.entries[0].source) == b"code"


def test_a_file_given_by_a_link_is_the_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(source / "score.py")
    (found,) = list_path(tmp_path / "named", b"").entries
    assert (found.path, found.kind) == (b"named", Kind.FILE)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_modes_are_ours_whatever_the_file_says(source: Path, mask: int) -> None:
    (source / "score.py").chmod(0o666 & ~mask)
    (source / "deep").chmod(0o700)
    (source / "run.sh").write_bytes(b"")
    (source / "run.sh").chmod(0o777 & ~mask)
    (source / "set-id").write_bytes(b"")
    (source / "set-id").chmod(0o4711)
    modes = {entry.path: entry.mode for entry in list_inside(source, b"a").entries}
    assert modes[b"a/score.py"] == 0o664
    assert modes[b"a/deep"] == 0o775
    assert modes[b"a/run.sh"] == modes[b"a/set-id"] == 0o775


def test_clutter_is_left_out_wherever_it_is(source: Path) -> None:
    for name in CLUTTER:
        (source / "deep" / name).mkdir()
        (source / "deep" / name / "file").write_bytes(b"x")
    assert not any(name.encode() in path for path in paths(list_inside(source, b"a", CLUTTER)) for name in CLUTTER)
    assert b"a/deep/.git/file" in paths(list_inside(source, b"a"))


def test_named_places_are_passed_over(source: Path) -> None:
    found = list_inside(source, b"a", skip=frozenset({str(source / "deep")}))
    assert paths(found) == {b"a", b"a/empty", b"a/score.py"}


def test_links_inside_stay_links(source: Path) -> None:
    (source / "deep" / "up").symlink_to("../score.py")
    (source / "here").symlink_to("deep")
    (source / "dangling").symlink_to("not-there")
    (source / "top").symlink_to(".")
    links = {e.path: e.link for e in list_inside(source, b"a").entries if e.kind is Kind.SYMLINK}
    assert links == {b"a/deep/up": b"../score.py", b"a/here": b"deep", b"a/dangling": b"not-there", b"a/top": b"."}


@pytest.mark.parametrize("target", ["../outside", "../../etc/passwd", "/etc/passwd", "../src-beside", "deep/../../x"])
def test_a_link_to_outside_is_named(source: Path, target: str) -> None:
    (source / "link").symlink_to(target)
    with pytest.raises(SourceError, match="outside of what is packed") as refused:
        list_inside(source, b"a")
    assert refused.value.where == str(source / "link")


def test_an_absolute_link_is_refused_even_where_it_leads_inside(source: Path) -> None:
    (source / "link").symlink_to(source / "score.py")
    with pytest.raises(SourceError, match="is a link to"):
        list_inside(source, b"a")


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device files are made by root only")


def a_block_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    except PermissionError:
        pytest.skip("device files are made by root only")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (a_socket, "a socket"),
        (os.mkfifo, "a pipe"),
        (a_device, "a character device"),
        (a_block_device, "a block device"),
    ],
)
def test_what_is_neither_file_nor_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], what: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    (tmp_path / "s").mkdir()
    make(Path("s/odd"))
    with pytest.raises(SourceError, match=what) as refused:
        list_inside(tmp_path / "s", b"a")
    assert refused.value.where == str(tmp_path / "s" / "odd")
    with pytest.raises(SourceError, match=what):
        list_path(tmp_path / "s" / "odd", b"a")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read: No such file"):
        list_path(tmp_path / "nothing", b"a")


def test_names_that_are_no_text_are_kept_byte_for_byte(tmp_path: Path) -> None:
    name = b"latin-\xfc\nline"
    (tmp_path / "s").mkdir()
    with open(os.path.join(os.fsencode(tmp_path / "s"), name), "wb"):
        pass
    assert paths(list_inside(tmp_path / "s", b"a")) == {b"a", b"a/" + name}


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "s" / "closed").mkdir(parents=True)
    (tmp_path / "s" / "closed").chmod(0)
    if os.access(tmp_path / "s" / "closed", os.R_OK):
        child = _as_nobody(tmp_path)
        assert child == f"can't be read: Permission denied {tmp_path / 's' / 'closed'}"
        return
    with pytest.raises(SourceError, match="Permission denied"):
        list_inside(tmp_path / "s", b"a")


def _as_nobody(folder: Path) -> str:
    """Root may read everything, so a child that is nobody tries."""
    for each in (folder, *folder.parents):
        if each != Path("/"):
            each.chmod(each.stat().st_mode | 0o055)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            list_inside(folder / "s", b"a")
        except SourceError as fault:
            os.write(theirs, f"{fault.what} {fault.where}".encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return text


def test_there_is_a_largest_number_of_files(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 4)
    with pytest.raises(SourceError, match="has more than 4 files"):
        list_inside(source, b"a")
