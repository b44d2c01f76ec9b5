"""The oracle for eStargz layers: their rules (stargz-snapshotter, docs/estargz.md), by the bytes alone. It trusts no code of ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

DIGEST = "containerd.io/snapshot/stargz/toc.digest"
SIZE = "io.containers.estargz.uncompressed-size"

_FOOTER = re.compile(rb"\x1f\x8b\x08\x04\0{5}\xff\x1a\0SG\x16\0([0-9a-f]{16})STARGZ\x01\0\0\xff\xff\0{8}", re.DOTALL)
_TYPES = {tarfile.REGTYPE: "reg", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink"}


def assert_valid_estargz(blob: bytes, annotations: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The table of a layer by name, after the footer, the table, every chunk, and a plain reader have said the same of it."""
    footer = _FOOTER.fullmatch(blob[-51:])
    assert footer, "no footer of 51 bytes"
    table, rest = _member(blob[int(footer[1], 16) :])
    assert rest == blob[-51:], "the table and the tar's end are one member"
    with tarfile.open(fileobj=io.BytesIO(table), mode="r:") as archive:
        (only,) = archive
        body = archive.extractfile(only)
        assert body is not None
        data = body.read()
    assert only.name == "stargz.index.json"
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == annotations[DIGEST]
    toc = json.loads(data)
    assert toc["version"] == 1
    entries: list[dict[str, Any]] = toc["entries"]
    assert all({"name", "type", "mode", "uid", "gid"} <= set(each) for each in entries)
    tar = gzip.decompress(blob)
    assert len(tar) == int(annotations[SIZE])
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        members = archive.getmembers()
        assert members[-1].name == "stargz.index.json", "it is the last entry"
        assert [_line(each, archive) for each in members[:-1]] == [_told(each) for each in entries]
    offsets = set()
    for each in entries:
        if each["type"] == "reg" and each.get("size"):
            assert each["offset"] not in offsets, "an offset stands twice"
            offsets.add(each["offset"])
            chunk, _ = _member(blob[each["offset"] :])
            assert len(chunk) == each["size"], "a file is not all of its member"
            assert each["chunkDigest"] == each["digest"] == f"sha256:{hashlib.sha256(chunk).hexdigest()}"
        else:
            assert "offset" not in each
    marks = [each for each in entries if each["name"] in (".prefetch.landmark", ".no.prefetch.landmark")]
    assert [each["size"] for each in marks] == [1]
    assert _member(blob[marks[0]["offset"] :])[0] == b"\x0f"
    return {each["name"]: each for each in entries}


def _member(data: bytes) -> tuple[bytes, bytes]:
    unpack = zlib.decompressobj(31)
    plain = unpack.decompress(data)
    assert unpack.eof, "no gzip member begins here"
    return plain, unpack.unused_data


def _line(member: tarfile.TarInfo, archive: tarfile.TarFile) -> tuple[object, ...]:
    body = archive.extractfile(member) if member.isreg() and member.size else None
    digest = hashlib.sha256(body.read()).hexdigest() if body is not None else ""
    name = member.name + "/" * member.isdir()
    return name, _TYPES[member.type], member.mode, member.uid, member.gid, member.linkname, digest


def _told(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        entry["name"],
        entry["type"],
        entry["mode"],
        entry["uid"],
        entry["gid"],
        entry.get("linkName", ""),
        entry.get("digest", "").removeprefix("sha256:"),
    )
