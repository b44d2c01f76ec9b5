"""The oracle for SOCI indexes: the format of soci-snapshotter (docs/soci-index-manifest-v2.md, soci/soci_convert.go, ztoc/), by the bytes alone.

It trusts no code of ours: tarfile, gzip and zlib judge, as the snapshotter's reader would read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelcrate.images.manifests import Collection
from modelcrate_layers.content import Descriptor

SOCI = "application/vnd.amazon.soci.index.v2+json"
_NOTE = "com.amazon.soci."
_TYPES = {
    tarfile.REGTYPE: b"reg",
    tarfile.AREGTYPE: b"reg",
    tarfile.CONTTYPE: b"reg",
    tarfile.DIRTYPE: b"dir",
    tarfile.SYMTYPE: b"symlink",
    tarfile.LNKTYPE: b"hardlink",
    tarfile.CHRTYPE: b"char",
    tarfile.BLKTYPE: b"block",
    tarfile.FIFOTYPE: b"fifo",
}
SCHEMA = """
namespace ztoc;
table Xattr { key : string; value : string; }
table FileMetadata { name : string; type : string; uncompressed_offset : long; uncompressed_size : long; linkname : string; mode : long;
  uid : uint32; gid : uint32; uname : string; gname : string; mod_time : string; devmajor : long; devminor : long; xattrs : [Xattr]; }
enum CompressionAlgorithm : byte { Gzip = 1, Uncompressed }
table CompressionInfo { compression_algorithm : CompressionAlgorithm = Gzip; max_span_id : int; span_digests : [string]; checkpoints : [ubyte]; }
table TOC { metadata : [FileMetadata]; }
table Ztoc { version : string; build_tool_identifier : string; compressed_archive_size : long; uncompressed_archive_size : long; toc : TOC;
  compression_info : CompressionInfo; }
root_type Ztoc;
"""
"""The format's own names, for flatc."""


@dataclass
class Table:
    """A table of a FlatBuffer (flatbuffers.dev, "FlatBuffer internals"); every number stands at a multiple of its size."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def _place(self, slot: int) -> int:
        shape = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        assert shape % 2 == 0
        length, whole = struct.unpack_from("<HH", self.data, shape)
        assert self.at + whole <= len(self.data)
        if 4 + 2 * slot >= length:
            return 0
        offset: int = struct.unpack_from("<H", self.data, shape + 4 + 2 * slot)[0]
        assert offset < whole
        return offset and self.at + offset

    def number(self, slot: int, code: str = "q", default: int = 0) -> int:
        place = self._place(slot)
        assert place % struct.calcsize("<" + code) == 0
        return struct.unpack_from("<" + code, self.data, place)[0] if place else default

    def _named(self, slot: int) -> int:
        place = self._place(slot)
        assert place % 4 == 0
        target: int = place and place + struct.unpack_from("<I", self.data, place)[0]
        assert target % 4 == 0
        return target

    def octets(self, slot: int, end: bytes = b"") -> bytes:
        return _octets(self.data, self._named(slot), end)

    def text(self, slot: int) -> bytes:
        return self.octets(slot, b"\0")

    def table(self, slot: int) -> Table:
        return Table(self.data, self._named(slot))

    def _items(self, slot: int) -> list[int]:
        at = self._named(slot)
        if not at:
            return []
        count = struct.unpack_from("<I", self.data, at)[0]
        places = range(at + 4, at + 4 + 4 * count, 4)
        return [place + struct.unpack_from("<I", self.data, place)[0] for place in places]

    def tables(self, slot: int) -> list[Table]:
        return [Table(self.data, at) for at in self._items(slot)]

    def texts(self, slot: int) -> list[bytes]:
        return [_octets(self.data, at, b"\0") for at in self._items(slot)]


def _octets(data: bytes, at: int, end: bytes) -> bytes:
    if not at:
        return b""
    length = struct.unpack_from("<I", data, at)[0]
    found = data[at + 4 : at + 4 + length]
    assert len(found) == length
    assert data[at + 4 + length : at + 4 + length + len(end)] == end
    return found


@dataclass
class Checked:
    """What a table says: entries, spans, and how many members of gzip the largest span reaches over."""

    entries: int
    spans: int
    members: int


def assert_valid_ztoc(blob: bytes, data: bytes) -> Checked:
    """A table fits its layer: its entries are the tar's, and each span has its digest and, read alone, the right bytes."""
    root = Table.root(data)
    assert root.text(0) == b"0.9"
    assert root.text(1)
    info = root.table(5)
    packed = info.number(0, "b", 1) == 1
    tar = gzip.decompress(blob) if packed else blob
    assert (root.number(2), root.number(3)) == (len(blob), len(tar))
    digests = info.texts(2)
    assert info.number(1, "i") == len(digests) - 1
    spans, members = _gzip_spans(blob, tar, info.octets(3)) if packed else (_plain_spans(blob, info.octets(3)), 0)
    assert len(spans) == len(digests)
    for (start, end), digest in zip(spans, digests, strict=True):
        assert digest.decode() == f"sha256:{hashlib.sha256(blob[start:end]).hexdigest()}"
    return Checked(_entries(tar, root.table(4).tables(0)), len(digests), members)


def _plain_spans(blob: bytes, checkpoints: bytes) -> list[tuple[int, int]]:
    info = Table.root(checkpoints)
    assert (info.number(0, "i"), info.number(2)) == (2, len(blob))
    starts = range(0, len(blob), info.number(1))
    return [*zip(starts, [*starts[1:], len(blob)], strict=True)]


def _gzip_spans(blob: bytes, tar: bytes, checkpoints: bytes) -> tuple[list[tuple[int, int]], int]:
    """The spans, each read as the snapshotter's C code reads it; `in`, `out`, bits of the byte before `in`, and 32 KiB before."""
    count, size = struct.unpack_from("<iq", checkpoints)
    assert size > 0
    assert len(checkpoints) == 12 + count * (17 + 32768), "the second version of the format"
    points = [struct.unpack_from("<qqB", checkpoints, 12 + at * (17 + 32768)) for at in range(count)]
    windows = [checkpoints[12 + at * (17 + 32768) + 17 :][:32768] for at in range(count)]
    assert points[0][1] == 0
    gzip.GzipFile(fileobj=io.BytesIO(blob[: points[0][0]] + b"\x03\0" + bytes(8))).read()  # what is before is a header
    most, spans = 0, []
    for (start, begin, bits), window, (stop, end, _) in zip(
        points, windows, [*points[1:], (len(blob), len(tar), 0)], strict=True
    ):
        assert 0 <= bits < 8
        assert start < stop
        assert begin < end or end == len(tar)
        spans.append((start - (bits > 0), stop))
        part = blob[slice(*spans[-1])]
        if bits:  # inflatePrime: its upper bits come first
            part = (int.from_bytes(part, "little") >> 8 - bits).to_bytes(len(part), "little")
        found, members = _inflate(part, window, end - begin)
        assert found == tar[begin:end]
        most = max(most, members)
    return spans, most


def _inflate(part: bytes, window: bytes, wanted: int) -> tuple[bytes, int]:
    unpack, members = zlib.decompressobj(-15, window), 1
    found = unpack.decompress(part, wanted) if wanted else b""
    rest = unpack.unused_data[8:]
    while len(found) < wanted:
        unpack, members = zlib.decompressobj(47), members + 1
        found += unpack.decompress(rest, wanted - len(found))
        rest = unpack.unused_data
    return found, members


def _entries(tar: bytes, entries: list[Table]) -> int:
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:", errors="surrogateescape") as archive:
        members = archive.getmembers()
    assert len(members) == len(entries)
    header = 0
    for member, entry in zip(members, entries, strict=True):
        name = entry.text(0).decode("utf-8", "surrogateescape")
        assert name.rstrip("/") == member.name.rstrip("/")
        assert entry.text(1) == _TYPES[member.type]
        size = member.size if member.isreg() else 0
        assert (entry.number(2), entry.number(3)) == (member.offset_data, size)
        assert entry.text(4).decode("utf-8", "surrogateescape") == member.linkname
        assert (entry.number(5), entry.number(6, "I"), entry.number(7, "I")) == (
            member.mode & 0o7777,
            member.uid,
            member.gid,
        )
        assert datetime.fromisoformat(entry.text(10).decode()).timestamp() == member.mtime
        assert member.offset == header, "a reader looks for the header right behind the entry before"
        header = member.offset_data + size + -size % 512
        xattrs = {each.text(0): each.text(1) for each in entry.tables(13)}
        told = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
        assert xattrs == {key.encode(): value.encode("utf-8", "surrogateescape") for key, value in told.items()}
    return len(entries)


def assert_bound(collection: Collection, index: Mapping[str, Any]) -> None:
    """In an OCI index each SOCI index and its image name each other, and no image names one that is not there."""
    entries = index["manifests"]
    manifests = {
        each["digest"]: json.loads(collection.read(Descriptor.parse(each)))
        for each in entries
        if "manifest" in each["mediaType"]
    }
    named = {
        digest: notes[_NOTE + "index-digest"]
        for digest, document in manifests.items()
        if _NOTE + "index-digest" in (notes := document.get("annotations") or {})
    }
    places = {each["digest"]: at for at, each in enumerate(entries)}
    beside = {}
    for each in entries:
        if each.get("artifactType") == SOCI:
            image = each["annotations"][_NOTE + "image-manifest-digest"]
            beside[image] = each["digest"]
            assert places[image] < places[each["digest"]], "engines take the first manifest of a platform"
            assert each["platform"] == entries[places[image]]["platform"]
            assert "subject" not in manifests[each["digest"]]
            layers = [layer["digest"] for layer in manifests[image]["layers"]]
            tabled = [
                layer["annotations"][_NOTE + "image-layer-digest"] for layer in manifests[each["digest"]]["layers"]
            ]
            assert tabled
            assert [digest for digest in layers if digest in tabled] == tabled, (
                "in the order of the layers, and each once"
            )
    assert beside == named
    for digest in named:
        assert manifests[digest]["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
        assert manifests[digest]["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"


def assert_valid_soci_index(collection: Collection, document: Mapping[str, Any]) -> list[Checked]:
    """A SOCI index: all its tables fit their layers."""
    assert document["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    config = document["config"]
    assert (config["mediaType"], config["size"], config["digest"]) == (
        SOCI,
        2,
        f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
    )
    assert b"".join(collection.blob(Descriptor.parse(config)).chunks()) == b"{}"
    assert document["annotations"][_NOTE + "build-tool-identifier"]
    found = []
    for each in document["layers"]:
        assert each["mediaType"] == "application/octet-stream"
        notes = each["annotations"]
        assert int(notes[_NOTE + "span-size"]) > 0
        media_type = notes[_NOTE + "image-layer-mediaType"]
        layer = Descriptor.parse(
            {"mediaType": media_type, "digest": notes[_NOTE + "image-layer-digest"], "size": _size(collection, each)}
        )
        blob = b"".join(collection.blob(layer).chunks())
        table = b"".join(collection.blob(Descriptor.parse(each)).chunks())
        assert hashlib.sha256(table).hexdigest() == each["digest"].partition(":")[2]
        assert ("gzip" in media_type) == (Table.root(table).table(5).number(0, "b", 1) == 1)
        found.append(assert_valid_ztoc(blob, table))
    return found


def _size(collection: Collection, table: Mapping[str, Any]) -> int:
    """The size of a table's layer, which the table says: what is read is held to it."""
    return Table.root(b"".join(collection.blob(Descriptor.parse(table)).chunks())).number(2)
