"""The oracle for zstd:chunked layers: the rules of containers/storage (pkg/chunked) and tar-split, by the bytes alone. It trusts no code of ours."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import zstandard

NAMES = "io.github.containers.zstd-chunked."
DIGEST, PLACE, SPLIT = (f"{NAMES}{name}" for name in ("manifest-checksum", "manifest-position", "tarsplit-position"))

SUMMED = 1 << 16
"""Bytes of a file up to which its CRC-64 is computed: a byte at a time takes long."""

_TYPES = {tarfile.REGTYPE: "reg", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}


def assert_valid_chunked(blob: bytes, annotations: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The lines of each entry's name, after footer, table, chunks, tar-split and a plain reader have said the same of the layer."""
    at, length, plain, kind = map(int, annotations[PLACE].split(":"))
    split_at, split_length, split_plain = map(int, annotations[SPLIT].split(":"))
    table, split = blob[at : at + length], blob[split_at : split_at + split_length]
    numbers = at, length, plain, kind, split_at, split_length, split_plain
    frames = _skipped(table) + _skipped(split) + _skipped(struct.pack("<7Q8s", *numbers, b"GNUlInUx"))
    assert blob[at - 8 :] == frames, "table, tar-split and footer are not the end of the layer, or not where it says"
    assert kind == 1
    assert annotations[DIGEST] == _digest(table)
    toc = json.loads(_frame(table, plain))
    assert set(toc) == {"version", "entries", "tarSplitDigest"}
    assert toc["version"] == 1
    assert toc["tarSplitDigest"] == _digest(split)
    tar = _decoded(blob[: at - 8])
    assert tar == _decoded(blob), "who skips frames reads another tar"
    files = {name: list(lines) for name, lines in groupby(toc["entries"], lambda line: line["name"])}
    assert sum(map(len, files.values())) == len(toc["entries"]), "a name stands twice"
    bodies = {name: _contents(blob, lines) for name, lines in files.items()}
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        assert [_line(each, archive) for each in archive] == [(*_told(files[name][0]), bodies[name]) for name in files]
    assert b"".join(_assembled(_frame(split, split_plain), bodies, list(files))) == tar
    return files


def _contents(blob: bytes, lines: list[dict[str, Any]]) -> bytes:
    """The bytes of a file, out of its chunks. Each is one frame, and they lie one behind the other."""
    first, *others = lines
    assert all(each["type"] == "chunk" for each in others)
    if not first.get("size"):
        assert not others
        assert not {"offset", "digest"} & set(first)
        return b""
    assert first["type"] == "reg"
    ends = [*(each["offset"] for each in others), first["endOffset"]]
    assert [each["endOffset"] for each in others] == ends[1:]
    body = b""
    for each, end in zip(lines, ends, strict=True):
        size = each["chunkSize"] if others else first["size"]
        assert each.get("chunkOffset", 0) == len(body)
        data = _frame(blob[each["offset"] : end], size)
        assert each.get("chunkDigest", first["digest"]) == _digest(data)
        body += data
    assert len(body) == first["size"]
    assert first["digest"] == _digest(body)
    return body


def _assembled(split: bytes, bodies: Mapping[str, bytes], names: list[str]) -> Iterator[bytes]:
    """The tar as tar-split puts it together. Each segment has the padding of the file before it, and one header."""
    padding, met = 0, list[str]()
    lines = [json.loads(line) for line in split.splitlines()]
    assert [each["position"] for each in lines] == list(range(len(lines)))
    for each, after in zip(lines, [*lines[1:], {}], strict=True):
        payload = base64.b64decode(each["payload"] or "")
        if each["type"] == 2:
            yield payload
            assert not any(payload[:padding])
            head = tarfile.TarInfo.frombuf(payload[-512:], "utf-8", "surrogateescape") if after else None
            assert (head is None) == (after.get("type") != 1)
            continue
        assert each["type"] == 1
        body = bodies[each["name"]]
        assert each.get("size", 0) == len(body)
        if 0 < len(body) <= SUMMED:
            assert payload == crc64_bytewise(body).to_bytes(8, "big")
        assert len(payload) == (8 if body else 0)
        yield body
        met.append(each["name"])
        padding = -len(body) % 512
    assert met == names


def _line(member: tarfile.TarInfo, archive: tarfile.TarFile) -> tuple[object, ...]:
    body = archive.extractfile(member) if member.isreg() and member.size else None
    name = member.name + "/" * member.isdir()
    about = name, _TYPES[member.type], member.mode, member.uid, member.gid, member.linkname, member.mtime
    return *about, b"" if body is None else body.read()


def _told(entry: Mapping[str, Any]) -> tuple[object, ...]:
    assert entry["modtime"] == "1980-01-01T00:00:01Z"
    about = (entry[key] for key in ("name", "type", "mode", "uid", "gid"))
    return *about, entry.get("linkName", ""), 315532801


def _frame(data: bytes, size: int) -> bytes:
    unpack = zstandard.ZstdDecompressor().decompressobj()
    plain = unpack.decompress(data)
    assert unpack.eof, "not a whole frame"
    assert not unpack.unused_data, "more than a frame"
    assert len(plain) == size
    return plain


def _decoded(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def _skipped(data: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def crc64_bytewise(data: bytes) -> int:
    """hash/crc64 of Go with its table ISO, a byte at a time."""
    crc = (1 << 64) - 1
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ (1 << 64) - 1


def _step(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0xD800000000000000 if crc & 1 else 0)
    return crc


_TABLE = [_step(byte) for byte in range(256)]
