"""Layers onto a folder: what the image specification says about them, and what attackers have tried."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from modelcrate.images.unpack import unpack
from modelcrate_layers.content import Blob, Literal, MediaType
from modelcrate_layers.errors import IntegrityError, MachineError
from modelcrate_layers.tar import codec
from support.rootfs import layer, member

D, S, H = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with something outside that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(autouse=True)
def _nothing_outside_changes(root: Path) -> object:
    yield
    assert sorted(path.name for path in root.parent.iterdir()) == ["outside", "root"]
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret"]
    assert (root.parent / "outside" / "secret").read_text() == "secret"
    assert (root.parent / "outside" / "secret").stat().st_nlink == 1


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def apply(root: Path, *layers: Blob) -> set[str]:
    unpack(layers, root)
    return tree(root)


def test_files_folders_and_links(root: Path) -> None:
    lower = layer(
        member("a/b", b"one", mode=0o640, mtime=5),
        member("a", kind=D, mode=0o750, mtime=7),
        member("s", kind=S, linkname="a/b"),
        member("h", kind=H, linkname="a/b"),
        member("p", kind=tarfile.FIFOTYPE),
    )
    done = unpack([lower], root)
    assert (done.members, done.size, done.devices) == (5, 3, 0)
    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o640
    assert (root / "a").stat().st_mtime == 7
    assert stat.S_IMODE((root / "a").stat().st_mode) & 0o77 == 0o50
    assert (root / "h").samefile(root / "a/b")
    assert os.readlink(root / "s") == "a/b"
    assert stat.S_ISFIFO((root / "p").stat().st_mode)


def test_set_user_id_is_dropped_and_sticky_folders_stay(root: Path) -> None:
    apply(root, layer(member("su", b"x", mode=0o6755), member("t", kind=D, mode=0o1777)))
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "t").stat().st_mode) == 0o1777


def test_devices_are_left_out_and_counted(root: Path) -> None:
    done = unpack([layer(member("dev/null", kind=tarfile.CHRTYPE), member("dev/sda", kind=tarfile.BLKTYPE))], root)
    assert done.devices == 2
    assert tree(root) == set()


def test_absolute_names_are_inside_the_root(root: Path) -> None:
    assert apply(root, layer(member("/etc/x", b"1"), member("./y", b"2"))) == {"etc", "etc/x", "y"}


def test_whiteouts_hide_lower_layers_only(root: Path) -> None:
    lower = layer(
        member("a/old", b"1"), member("a/kept", b"1"), member("b/old", b"1"), member("c", b"1"), member("d/x/y", b"1")
    )
    upper = layer(
        member("a/.wh.old"),
        member("a/.wh.never"),
        member("b/new", b"2"),
        member("b/.wh..wh..opq"),
        member(".wh.c"),
        member("d/x/own", b"2"),
        member("d/.wh.x"),
        member("gone/.wh.x"),
    )
    assert apply(root, lower, upper) == {"a", "a/kept", "b", "b/new", "d", "d/x", "d/x/own"}


def test_an_opaque_whiteout_before_its_siblings(root: Path) -> None:
    lower = layer(member("b/old/deep", b"1"), member("b/s", kind=S, linkname="../../outside"))
    assert apply(root, lower, layer(member("b/.wh..wh..opq"), member("b/new", b"2"))) == {"b", "b/new"}


def test_a_folder_over_a_folder_keeps_what_is_in_it(root: Path) -> None:
    lower = layer(member("a", kind=D, mode=0o700), member("a/x", b"1"))
    assert apply(root, lower, layer(member("a", kind=D, mode=0o755))) == {"a", "a/x"}
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o755


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, S])
def test_other_kinds_replace_each_other(root: Path, kind: bytes) -> None:
    lower = layer(member("a/x/y", b"1"), member("f", b"1"))
    upper = layer(member("a", kind=kind, linkname="f" if kind == S else ""), member("f", kind=D), member("f/z", b"2"))
    assert apply(root, lower, upper) == {"a", "f", "f/z"}


def test_a_file_goes_through_a_link_of_the_base(root: Path) -> None:
    base = layer(
        member("usr/lib", kind=D), member("lib", kind=S, linkname="usr/lib"), member("abs", kind=S, linkname="/usr")
    )
    assert apply(root, base, layer(member("lib/a", b"1"), member("abs/lib/b", b"2"), member("lib/.wh.none"))) == {
        "abs", "lib", "usr", "usr/lib", "usr/lib/a", "usr/lib/b",
    }  # fmt: skip


def test_what_aufs_left_in_a_layer(root: Path) -> None:
    """Docker's AUFS driver kept files with several names in `.wh..wh.plnk`, and its layers name them from there."""
    got = apply(
        root,
        layer(member("old", b"0")),
        layer(
            member(".wh..wh.aufs", b""),
            member(".wh..wh.orph", kind=D),
            member(".wh..wh.orph/x", b"lost"),
            member(".wh..wh.plnk", kind=D),
            member(".wh..wh.plnk/1.2", b"data", mode=0o755),
            member(".wh..wh.plnk/evil", kind=S, linkname="/etc"),
            member("bin/a", kind=H, linkname=".wh..wh.plnk/1.2"),
            member("bin/b", kind=H, linkname=".wh..wh.plnk/1.2"),
            member(".wh..wh..opq", b""),
        ),
    )
    assert got == {"bin", "bin/a", "bin/b"}
    assert (root / "bin/a").read_bytes() == b"data"
    assert (root / "bin/a").samefile(root / "bin/b")
    assert stat.S_IMODE((root / "bin/a").stat().st_mode) == 0o755


def test_a_link_to_what_aufs_left_in_another_layer(root: Path) -> None:
    lower = layer(member(".wh..wh.plnk/1.2", b"data"))
    with pytest.raises(IntegrityError, match="doesn't exist"):
        unpack([lower, layer(member("a", kind=H, linkname=".wh..wh.plnk/1.2"))], root)


ESCAPES = {
    "parent in a name": [member("../outside/x", b"1")],
    "parent inside a name": [member("a/../../outside/x", b"1")],
    "hard link to parent": [member("h", kind=H, linkname="../outside/secret")],
    "hard link to nothing": [member("h", kind=H, linkname="outside/secret")],
    "hard link through a link": [
        member("s", kind=S, linkname="../outside"),
        member("h", kind=H, linkname="s/secret"),
    ],
    "hard link to a folder": [member("d", kind=D), member("h", kind=H, linkname="d")],
    "hard link to the root": [member("h", kind=H, linkname="/")],
    "hard link to itself": [member("h", b"1"), member("h", kind=H, linkname="h")],
    "hard link to what it replaces": [member("d/f", b"1"), member("d", kind=H, linkname="d/f")],
    "link cycle": [member("a", kind=S, linkname="b"), member("b", kind=S, linkname="a"), member("a/x", b"1")],
    "link to itself": [member("a", kind=S, linkname="a"), member("a/x", b"1")],
    "growing links": [member("a", kind=S, linkname="a/a/a"), member("a/x", b"1")],
    "parent is a file": [member("f", b"1"), member("f/x", b"2")],
    "whiteout of nothing": [member("a/.wh.", b"")],
    "whiteout of dot": [member(".wh..", b"")],
    "whiteout of parent": [member(".wh...", b"")],
    "whiteout of a whiteout": [member("a/.wh..wh.x", b"")],
    "whiteout as a folder": [member(".wh.a/x", b"1")],
    "whiteout outside": [member("../outside/.wh.secret", b"")],
    "empty link": [member("s", kind=S, linkname="")],
    "name too long": [member("x" * 256, b"")],
    "too deep": [member("d/" * 600 + "x", b"")],
}


@pytest.mark.parametrize("name", ESCAPES)
def test_refused(root: Path, name: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        unpack([layer(*ESCAPES[name])], root)
    assert "layer " in caught.value.where


def test_writing_through_links_stays_inside(root: Path) -> None:
    """Links that lead out lead to the same names inside, as they would after chroot."""
    outside = str(root.parent / "outside")
    got = apply(
        root,
        layer(
            member("up", kind=S, linkname="../../../../outside"),
            member("up/x", b"1"),
            member("abs", kind=S, linkname=outside),
            member("abs/y", b"2"),
            member("abs2", kind=S, linkname=outside + "/secret"),
            member("abs2", b"replaced"),
        ),
    )
    assert {"up", "outside/x", outside[1:] + "/y", "abs2"} <= got
    assert (root / "abs2").read_text() == "replaced"
    assert not (root / "abs2").is_symlink()


def test_whiteouts_through_links_stay_inside(root: Path) -> None:
    lower = layer(
        member("up", kind=S, linkname="../outside"), member("abs", kind=S, linkname=str(root.parent / "outside"))
    )
    upper = layer(
        member("up/.wh.secret"), member("abs/.wh.secret"), member("up/.wh..wh..opq"), member("abs/.wh..wh..opq")
    )
    assert apply(root, lower, upper) == {"up", "abs"}


def test_a_link_in_a_removed_folder_is_not_followed(root: Path) -> None:
    lower = layer(member("a/s", kind=S, linkname=str(root.parent / "outside")), member("a/t", b"1"))
    assert apply(root, lower, layer(member(".wh.a"))) == set()


def test_depth_through_links_is_bounded(root: Path) -> None:
    steps = [member("d/" * 300, kind=D), member("s", kind=S, linkname="d/" * 300), member("s/" + "d/" * 300, kind=D)]
    with pytest.raises(IntegrityError, match="too deep"):
        unpack([layer(*steps)], root)


def test_a_whiteout_in_the_deepest_folders_of_its_own_layer(root: Path) -> None:
    names = ["/".join(["d"] * depth) for depth in range(1, 512)]
    lower, upper = layer(member("d/old", b"1")), layer(*(member(name, kind=D) for name in names), member(".wh.d"))
    unpack([lower, upper], root)
    assert [path.name for path in (root / "d").iterdir()] == ["d"]


@pytest.mark.parametrize("whiteout", ["many/.wh..wh..opq", ".wh.many"])
def test_a_folder_is_looked_through_once_however_often_its_layer_hides_it(
    root: Path, whiteout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path=".": looked.append(path) or real(path))
    files = [member(f"many/{number}", b"") for number in range(100)]
    unpack([layer(member("many/old", b"1")), layer(*files, *(member(whiteout) for _ in range(100)))], root)
    assert len(looked) < 10
    assert sorted(real(root / "many"), key=int) == [str(number) for number in range(100)]


def test_files_of_a_deep_folder_do_not_cost_its_depth(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda *given, **rest: opened.append(given) or real(*given, **rest))
    deep = "/".join(["d"] * 500)
    unpack([layer(*(member(f"{deep}/{number}/{number}/f", b"") for number in range(100)))], root)
    assert len(opened) < 3000


@pytest.mark.parametrize("again", ["s", "above/s"])
def test_a_folder_in_the_place_of_a_link_that_was_walked(root: Path, again: str) -> None:
    entries = [member("other", kind=D), member("above", kind=D), member(again, kind=S, linkname="/other")]
    entries += [member(f"{again}/one/x", b"1"), member(again, kind=D), member(f"{again}/one/y", b"2")]
    unpack([layer(*entries)], root)
    assert (root / "other/one/x").read_text() == "1"
    assert not (root / "other/one/y").exists()
    assert (root / again / "one/y").read_text() == "2"


def test_a_bomb_is_stopped(root: Path) -> None:
    with pytest.raises(IntegrityError, match="more than the 1000 bytes"):
        unpack([layer(member("a", b"x" * 600)), layer(member("a", b"x" * 600))], root, max_bytes=1000)
    assert (root / "a").stat().st_size == 600


def test_a_layer_of_which_a_byte_stands_for_too_much_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "UNPACK_LIMIT", codec.UnpackLimit(free=4 << 20))
    plain = layer(member("zeros", bytes(32 << 20)))
    for packed in (codec.zstd(), codec.gzip()):
        bomb = Literal(b"".join(packed.encode([plain.data], None)), packed.media_type)
        with pytest.raises(IntegrityError, match="data unpacks to more than") as fault:
            unpack([bomb], root)
        assert bomb.descriptor.digest.short in fault.value.where


class Lying:
    """A blob whose bytes are not what its descriptor says; it ends as real ones do."""

    def __init__(self, blob: Literal) -> None:
        self.descriptor = blob.descriptor
        self._data = blob.data

    def chunks(self, start: int = 0) -> object:
        yield self._data[start:]
        raise IntegrityError("bytes are not what their digest says")


def test_a_lying_blob_is_noticed_at_its_very_end(root: Path) -> None:
    with pytest.raises(IntegrityError, match="not what their digest says"):
        unpack([Lying(layer(member("a", b"1")))], root)  # type: ignore[list-item]


def test_a_layer_cut_short(root: Path) -> None:
    with pytest.raises(IntegrityError, match="cut short"):
        unpack([Literal(layer(member("a", b"1" * 2000)).data[:1500], MediaType.LAYER)], root)


def test_owners_are_applied_by_root(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("owners are applied by root only")
    apply(
        root,
        layer(
            member("d", kind=D, uid=5, gid=6),
            member("d/f", b"", uid=7, gid=8),
            member("l", kind=S, linkname="x", uid=9),
        ),
    )
    assert ((root / "d").stat().st_uid, (root / "d").stat().st_gid) == (5, 6)
    assert ((root / "d/f").stat().st_uid, (root / "l").lstat().st_uid) == (7, 9)


def test_a_full_disk_is_the_machines_fault(root: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(root)], capture_output=True).returncode:
        pytest.skip("this machine allows no mounts")
    try:
        with pytest.raises(MachineError, match="can't unpack the image: No space left") as caught:
            unpack([layer(member("a", bytes(100_000)))], root)
        assert "free some space" in caught.value.hint
    finally:
        subprocess.run(["umount", str(root)], check=True)
