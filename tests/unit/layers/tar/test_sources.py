"""Where bytes come from: a file that is not what it was when it was listed is named, and never hands over a wrong end."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.tar import sources
from modelcrate_layers.tar.sources import Bytes, FileRange, Source, Stamp, ZipMember
from support.images import noise


def taken(source: Source) -> bytes:
    return b"".join(source.chunks())


def test_bytes_come_in_pieces() -> None:
    data = noise(2 * CHUNK + 7)
    assert [len(chunk) for chunk in Bytes(data).chunks()] == [CHUNK, CHUNK, 7]
    assert taken(Bytes(data)) == data
    assert list(Bytes(b"").chunks()) == []


def test_a_file_is_read_whole_or_in_part(tmp_path: Path) -> None:
    path, data = tmp_path / "f", noise(CHUNK + 100)
    path.write_bytes(data)
    whole = FileRange.of_file(str(path))
    assert whole.size == len(data)
    assert taken(whole) == data
    for offset, size in ((0, 1), (5, 0), (CHUNK - 1, 2), (len(data) - 1, 1)):
        assert taken(FileRange(str(path), whole.stamp, offset, size)) == data[offset : offset + size]


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrunk(path: Path) -> None:
    os.truncate(path, 2 * CHUNK)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def rewritten(path: Path) -> None:
    path.write_bytes(noise(3 * CHUNK, seed=9))


def renamed_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


def became_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def became_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def vanished(path: Path) -> None:
    path.unlink()


CHANGES = [grown, shrunk, emptied, rewritten, renamed_over, became_a_pipe, became_a_folder, vanished]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_since_it_was_listed_is_named(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, data = tmp_path / "model.bin", noise(3 * CHUNK)
    path.write_bytes(data)
    source = FileRange.of_file(str(path))
    change(path)
    got = b""
    with pytest.raises(SourceError) as refused:
        for chunk in source.chunks():
            got += chunk
    assert refused.value.where == str(path)
    assert len(got) < len(data), "all bytes were handed over before the change was found"


@pytest.mark.parametrize("change", [grown, shrunk, emptied, rewritten])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path, data = tmp_path / "model.bin", noise(3 * CHUNK)
    path.write_bytes(data)
    chunks = FileRange.of_file(str(path)).chunks()
    got = len(next(chunks))
    change(path)
    with pytest.raises(SourceError, match="changed while it was being packed"):
        for chunk in chunks:
            got += len(chunk)
    assert got < len(data)


def test_an_empty_file_that_is_no_longer_empty_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    source = FileRange.of_file(str(path))
    assert taken(source) == b""
    grown(path)
    with pytest.raises(SourceError, match="0 bytes then, 4 now"):
        taken(source)


def test_a_touched_file_counts_as_changed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    source = FileRange.of_file(str(path))
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceError, match="same size, other content"):
        taken(source)


def test_the_same_file_on_another_device_number_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    source = FileRange.of_file(str(path))
    moved = source._replace(stamp=source.stamp._replace(inode=source.stamp.inode + 1))
    with pytest.raises(SourceError, match="changed"):
        taken(moved)


def test_what_is_no_file_is_refused_when_it_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="can't be read"):
        FileRange.of_file(str(tmp_path / "nothing"))
    with pytest.raises(SourceError, match="not a regular file"):
        FileRange.of_file(str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="not a regular file"):
        FileRange.of_file(str(tmp_path / "pipe"))


def test_digest_and_bytes_of_a_source() -> None:
    assert sources.read(Bytes(b"abc")) == b"abc"
    assert sources.sha256(Bytes(b"abc")).startswith("ba7816bf")


def zipped(folder: Path, data: bytes, method: int = zipfile.ZIP_DEFLATED) -> ZipMember:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("first", b"something else")
        archive.writestr("m", data)
        info = archive.getinfo("m")
    path = folder / "a.whl"
    path.write_bytes(out.getvalue())
    return ZipMember(
        str(path),
        FileRange.of_file(str(path)).stamp,
        "m",
        info.header_offset,
        method,
        info.compress_size,
        len(data),
        info.CRC,
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "data", [b"", b"abc", noise(3 * CHUNK), bytes(5 * CHUNK)], ids=["none", "few", "noise", "zeros"]
)
def test_a_member_of_a_zip_is_its_bytes_in_small_pieces(tmp_path: Path, data: bytes, method: int) -> None:
    chunks = list(zipped(tmp_path, data, method).chunks())
    assert b"".join(chunks) == data
    assert max(map(len, chunks), default=0) <= CHUNK


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ({"crc": 1}, "checksum"),
        ({"size": 2}, "size or checksum"),
        ({"size": 4}, "size or checksum"),
        ({"offset": 1}, "not where the archive says"),
        ({"offset": 1 << 20}, "not where the archive says"),
        ({"packed": 1 << 20, "method": zipfile.ZIP_STORED}, "size or checksum|cut short"),
    ],
)
def test_a_member_that_is_not_what_the_directory_says_is_refused(
    tmp_path: Path, member: dict[str, int], why: str
) -> None:
    with pytest.raises(IntegrityError, match=why):
        taken(replace(zipped(tmp_path, b"abc"), **member))  # type: ignore[arg-type]


def test_a_member_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    member = zipped(tmp_path, noise(3000))
    data = Path(member.path).read_bytes()
    Path(member.path).write_bytes(data[: member.offset + 1000])
    with pytest.raises(IntegrityError, match="cut short"):
        taken(member)


def test_damaged_deflate_data_is_refused(tmp_path: Path) -> None:
    member = zipped(tmp_path, noise(3000))
    data = bytearray(Path(member.path).read_bytes())
    names, extra = struct.unpack_from("<2H", data, member.offset + 26)
    data[member.offset + 30 + names + extra] = 0x07  # a block type that there is not
    Path(member.path).write_bytes(data)
    with pytest.raises(IntegrityError, match="is damaged"):
        taken(replace(member, stamp=FileRange.of_file(member.path).stamp))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_an_archive_that_was_changed_since_is_refused(tmp_path: Path, method: int) -> None:
    member = zipped(tmp_path, noise(3000), method)
    data = Path(member.path).read_bytes()
    Path(member.path).unlink()
    Path(member.path).write_bytes(data)
    with pytest.raises(SourceError, match="changed while it was being packed"):
        taken(member)


@pytest.mark.parametrize(
    ("recorded", "right"),
    [
        ("sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", True),
        ("sha256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa1", False),
        ("sha384=ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP_W-2AhgcroefMI1i67KE0yCWn", True),
        ("sha512=" + "A" * 86, False),
    ],
)
def test_a_member_is_held_to_the_hash_of_its_record(tmp_path: Path, recorded: str, right: bool) -> None:
    member = replace(zipped(tmp_path, b"abc"), hash=recorded)
    if right:
        assert taken(member) == b"abc"
        return
    with pytest.raises(IntegrityError, match="not the file that the wheel's RECORD lists"):
        taken(member)


def test_a_bomb_is_left_at_its_claimed_size(tmp_path: Path) -> None:
    member = zipped(tmp_path, bytes(64 * CHUNK))
    got = 0
    with pytest.raises(IntegrityError, match="size or checksum"):
        for chunk in replace(member, size=CHUNK).chunks():
            got += len(chunk)
    assert got <= 2 * CHUNK


def test_an_archive_that_is_gone_is_named(tmp_path: Path) -> None:
    member = zipped(tmp_path, b"abc")
    Path(member.path).unlink()
    with pytest.raises(SourceError) as refused:
        taken(member)
    assert refused.value.where == member.path


def test_a_stamp_is_what_the_file_system_says(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    status = path.stat()
    assert Stamp.of(status) == Stamp(status.st_dev, status.st_ino, 3, status.st_mtime_ns, status.st_ctime_ns)
