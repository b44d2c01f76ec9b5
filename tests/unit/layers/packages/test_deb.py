"""What is read of a package, and what is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.packages import deb
from modelcrate_layers.packages.pinned import Deb
from modelcrate_layers.tar.reader import MemberKind
from modelcrate_layers.tar.sources import read
from support.debs import PACKERS, Put, ar, deb_bytes, folder, hard, link, stanza, tar_of

GOOD = stanza("tiny", Depends="libc6 (>= 2.36),\n tiny-data", Description="tiny\n of no use")


def kept(folder: Path, data: bytes, digest: str = "") -> Deb:
    path = folder / "one.deb"
    path.write_bytes(data)
    return Deb("one", "1.0", "all", path, digest or hashlib.sha256(data).hexdigest(), len(data), "")


def items(folder: Path, *members: Put) -> list[deb.Item]:
    return list(deb.items(deb.unpack(kept(folder, deb_bytes(GOOD, members)))))


@pytest.mark.parametrize("suffix", [suffix for suffix in PACKERS if suffix != ".bz2"])
def test_members_are_ranges_of_the_unpacked_archive(tmp_path: Path, suffix: str) -> None:
    data = os.urandom(100_000)
    members = [folder("./usr/"), Put("./usr/a", b"first"), Put("./usr/b", data, mode=0o4755), link("./usr/c", "a")]
    tar = deb.unpack(kept(tmp_path, deb_bytes(GOOD, members, suffix)))
    found = {item.path: item for item in deb.items(tar)}
    assert list(found) == [b"usr", b"usr/a", b"usr/b", b"usr/c"]
    assert [read(item.source) for item in found.values() if item.source] == [b"first", data]
    assert (found[b"usr/b"].mode, found[b"usr/c"].kind, found[b"usr/c"].link) == (0o4755, MemberKind.SYMLINK, b"a")


def test_control_gives_fields_and_checksums(tmp_path: Path) -> None:
    path = kept(tmp_path, deb_bytes(GOOD, md5sums=b"0" * 32 + b"  usr/a\n")).path
    found = deb.control(path)
    assert found.fields["Depends"].replace("\n", " ") == "libc6 (>= 2.36), tiny-data"
    assert found.stanza == GOOD.encode()
    assert found.md5sums.endswith(b"usr/a\n")


def test_an_unpacked_archive_is_made_once_and_nothing_else_is_left(tmp_path: Path) -> None:
    package = kept(tmp_path, deb_bytes(GOOD, [Put("./a", b"1")]))
    first = os.stat(deb.unpack(package)).st_ino
    assert os.stat(deb.unpack(package)).st_ino == first
    assert sorted(each.name for each in tmp_path.iterdir()) == ["one.deb", "one.tar", "one.tar.stamp"]


def test_a_package_with_another_hash_is_not_unpacked(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="not what was pinned"):
        deb.unpack(kept(tmp_path, deb_bytes(GOOD), "0" * 64))
    assert [each.name for each in tmp_path.iterdir()] == ["one.deb"]


@pytest.mark.parametrize(
    "name", ["../evil", "./../evil", "/etc/passwd", "//etc", "./usr/../../evil", "usr//a", "./usr/./a", "usr/.."]
)
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError, match="leads outside"):
        items(tmp_path, Put(name, b"x"))


def test_a_hard_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="leads outside"):
        items(tmp_path, hard("./a", "../../etc/passwd"))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(IntegrityError, match="device or a pipe"):
        items(tmp_path, Put("./dev/null", kind=kind))


@pytest.mark.parametrize("size", [0, 7, 8, 30, 68, 71, 140, 200, -200, -20, -1])
def test_a_package_that_is_cut_short_is_refused_and_nothing_is_kept(tmp_path: Path, size: int) -> None:
    package = kept(tmp_path, deb_bytes(GOOD, [Put("./a", os.urandom(3001))])[:size])
    with pytest.raises(IntegrityError, match=r"one\.deb"):
        deb.unpack(package)
    assert [each.name for each in tmp_path.iterdir()] == ["one.deb"]


@pytest.mark.parametrize(
    "parts",
    [
        [("debian-binary", b"2.0\n"), ("control.tar", tar_of([]))],
        [("debian-binary", b"2.0\n"), ("data.tar", tar_of([])), ("data.tar.xz", b"")],
        [("debian-binary", b"2.0\n"), ("data.tar.bz2", PACKERS[".bz2"](tar_of([])))],
        [("debian-binary", b"2.0\n"), ("data.tar", b""), ("data.tar", b"")],
        [("data.tar", tar_of([])), ("debian-binary", b"2.0\n")],
        [(f"part{number}", b"") for number in range(40)],
        [],
    ],
)
def test_a_frame_that_is_no_package_is_refused(tmp_path: Path, parts: list[tuple[str, bytes]]) -> None:
    with pytest.raises(IntegrityError, match=r"one\.deb"):
        deb.unpack(kept(tmp_path, ar(parts)))


@pytest.mark.parametrize("size", [b"-5", b"0x10", b"9999999999", b" 12"])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: bytes) -> None:
    data = bytearray(deb_bytes(GOOD))
    data[8 + 48 : 8 + 58] = size.ljust(10)
    with pytest.raises(IntegrityError, match=r"one\.deb"):
        deb.unpack(kept(tmp_path, bytes(data)))


def test_a_bomb_is_stopped_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "MAX_DATA", 4 << 20)
    package = kept(tmp_path, deb_bytes(GOOD, [Put("./zeros", bytes(16 << 20))]))
    assert package.path.stat().st_size < 100_000
    with pytest.raises(IntegrityError, match="more than is ever read"):
        deb.unpack(package)
    assert [each.name for each in tmp_path.iterdir()] == ["one.deb"]


@pytest.mark.parametrize(
    "control", ["", "Package: a\nVersion: 1\n", "no field\n", "Package: a\nPackage: b\n", "Package: \xff\n"]
)
def test_control_fields_that_are_damaged_are_refused(tmp_path: Path, control: str) -> None:
    data = deb_bytes("@@@@")
    good = tar_of([Put("./control", control.encode("latin-1"))])
    parts = [("debian-binary", b"2.0\n"), ("control.tar", good), ("data.tar", b"")]
    with pytest.raises(IntegrityError):
        deb.control(kept(tmp_path, ar(parts) if data else b"").path)


def test_dpkg_reads_what_the_tests_make(tmp_path: Path) -> None:
    """The packages of these tests are packages to Debian, too, where its tool is at hand."""
    path = kept(tmp_path, deb_bytes(GOOD + "Maintainer: A <a@example.com>\n", [Put("./usr/a", b"1")])).path
    try:
        done = subprocess.run(["dpkg-deb", "--contents", str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("dpkg-deb is missing")
    assert done.returncode == 0, done.stderr
    assert "./usr/a" in done.stdout


@pytest.mark.parametrize("damage", [lambda data: data[:-3] + b"odd", lambda data: data[:-600], lambda data: b""])
@pytest.mark.parametrize("name", ["one.tar", "one.tar.stamp"])
def test_an_unpacked_archive_that_was_changed_is_unpacked_again(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    package = kept(tmp_path, deb_bytes(GOOD, [Put("./a", b"1")]))
    tar = deb.unpack(package)
    before, victim = tar.read_bytes(), tmp_path / name
    victim.write_bytes(damage(victim.read_bytes()))
    assert deb.unpack(package).read_bytes() == before


def test_an_unpacked_archive_that_came_with_a_copy_of_the_cache_is_unpacked_again(tmp_path: Path) -> None:
    package = kept(tmp_path, deb_bytes(GOOD, [Put("./a", b"1")]))
    tar = deb.unpack(package)
    before, note = tar.read_bytes(), tar.with_name("one.tar.stamp").read_bytes()
    tar.unlink()
    tar.write_bytes(before.replace(b"1", b"2"))
    tar.with_name("one.tar.stamp").write_bytes(note)
    assert deb.unpack(package).read_bytes() == before
