"""A tar as zstd frames with a table of its files: a zstd:chunked layer, of which a runtime fetches the parts that it lacks.

The form is that of containers/storage (pkg/chunked), whose source is its specification. For all others it is a zstd layer as any other; the
tar, and so the diff id, is that of every other codec.

| piece                   | what it is                                                                                          |
|-------------------------|-----------------------------------------------------------------------------------------------------|
| headers and padding     | a frame up to the next file with bytes, and where CHUNK bytes of them are reached                   |
| a file                  | a frame for each of its chunks                                                                      |
| the table               | a skipped frame: each entry with the offsets and digests of its chunks, as JSON in zstd             |
| the tar without files   | a skipped frame: headers, padding, and a CRC-64 for each file, as tar-split has it, as JSON in zstd |
| footer                  | a skipped frame: where these two are                                                                |
| notes of the descriptor | the same, and the digest of the table, by which all else is verified                                |

A file longer than LEAST is cut behind MARKs, which are in its bytes: so what follows an insertion is cut as it was before. A chunk has LEAST to MOST
bytes, the last of a file as many as are left. All of it is made in one pass over the tar, which holds one chunk and the two tables, compressed.

The version of these rules is a part of the codec's, beside zstd's: who changes a byte raises it, moves the golden digests and says so in the changelog.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import Any

from modelcrate_layers.content import CHUNK, Digest, canonical_json
from modelcrate_layers.frozen import NamedTuple
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import codec, writer
from modelcrate_layers.tar.crc64 import crc64
from modelcrate_layers.tar.table import describe
from modelcrate_layers.tar.tree import Entry, Tree

LEAST, MOST = 1 << 20, 1 << 22
"""Bytes of a chunk."""

MARK = compile_later(rb"\x5a.\xa5", re.DOTALL)
"""Behind which a chunk may end. The bytes between its two are those of one kind in numbers of 16 and 32 bits, where all 256 values are likely."""

_SKIPPED = Struct("<4sI")
_SKIPPED_MAGIC = b"\x50\x2a\x4d\x18"
_FOOTER = Struct("<7Q8s")
_FOOTER_MAGIC = b"GNUlInUx"
_FORM = 1
"""The form of the table: that of CRFS."""

_FILE, _SEGMENT = 1, 2
"""The types of tar-split's lines."""


def check(tree: Tree) -> None:
    """Raises a SourceError, if a name of the tree can't be in a table."""
    for entry in tree.entries:
        describe(entry)


def stream(entries: Sequence[Entry], tar: Iterable[bytes], level: int, notes: dict[str, str]) -> Iterator[bytes]:
    """Yields the layer, in pieces of about CHUNK.

    Args:
        entries: The entries of a tree.
        tar: The bytes of its tar.
        level: zstd's.
        notes: Gets the annotations of the layer's descriptor, once all has been yielded.
    """
    return codec.gather(_Pass(tar, level, notes).pieces(entries))


class _Chunk(NamedTuple):
    """A chunk of a file, and where its frame is."""

    begin: int
    end: int
    before: int
    size: int
    digest: bytes

    @property
    def facts(self) -> dict[str, Any]:
        return {"chunkSize": self.size, "chunkDigest": f"sha256:{self.digest.hex()}"}


class _Pass:
    """The making of one layer. Not a frozen value: it is the pass itself."""

    def __init__(self, tar: Iterable[bytes], level: int, notes: dict[str, str]) -> None:
        self._tar, self._notes = _Taken(tar), notes
        self._pack = codec.zstd_packer(level)
        self._table, self._split = _Text(level), _Text(level)
        self._at = self._position = 0
        self._table.add(b'{"entries":[')
        self._comma = b""

    def pieces(self, entries: Sequence[Entry]) -> Iterator[bytes]:
        held = padding = 0
        for entry in entries:
            head = bytes(padding) + writer.header(entry)
            self._tell(_SEGMENT, {"payload": _base64(head)})
            held += len(head)
            if entry.size or held >= CHUNK:
                yield self._frame(b"".join(self._tar.take(held)))
                held = 0
            yield from self._file(entry)
            padding = -entry.size % writer.BLOCK
        rest = bytes(padding) + writer.END
        self._tell(_SEGMENT, {"payload": _base64(rest)})
        yield self._frame(b"".join(self._tar.take(held + len(rest))))
        self._tar.end()
        yield from self._tables()

    def _file(self, entry: Entry) -> Iterator[bytes]:
        """The chunks of a file, and its lines. Other entries have lines alone."""
        whole, crc, before = hashlib.sha256(), 0, 0
        chunks: list[_Chunk] = []
        for data in cut(self._tar.take(entry.size), entry.size):
            whole.update(data)
            crc = crc64(data, crc)
            begin = self._at
            yield self._frame(data)
            digest = hashlib.sha256(data).digest() if entry.size > LEAST else b""  # who is alone has the file's
            chunks.append(_Chunk(begin, self._at, before, len(data), digest))
            before += len(data)
        line = describe(entry)
        told: dict[str, Any] = {"name": line["name"], "payload": None}
        if chunks:
            line |= {"size": entry.size, "digest": f"sha256:{whole.hexdigest()}"}
            line |= {"offset": chunks[0].begin, "endOffset": chunks[-1].end}
            told |= {"size": entry.size, "payload": _base64(crc.to_bytes(8, "big"))}
        self._tell(_FILE, told)
        if len(chunks) > 1:
            line |= chunks[0].facts
        self._list(line)
        for each in chunks[1:]:
            places = {"offset": each.begin, "endOffset": each.end, "chunkOffset": each.before}
            self._list({"type": "chunk", "name": line["name"], **places, **each.facts})

    def _frame(self, data: bytes) -> bytes:
        frame = self._pack.compress(data)
        self._at += len(frame)
        return frame

    def _list(self, line: dict[str, Any]) -> None:
        self._table.add(self._comma + canonical_json(line))
        self._comma = b","

    def _tell(self, kind: int, line: dict[str, Any]) -> None:
        self._split.add(canonical_json({**line, "type": kind, "position": self._position}) + b"\n")
        self._position += 1

    def _tables(self) -> Iterator[bytes]:
        split = self._split.end()
        self._table.add(b'],"tarSplitDigest":"%b","version":1}' % str(Digest.of(split)).encode())
        table = self._table.end()
        at = self._at + _SKIPPED.size
        behind = at + len(table) + _SKIPPED.size
        lengths, others = (len(table), self._table.size), (len(split), self._split.size)
        footer = _FOOTER.pack(at, *lengths, _FORM, behind, *others, _FOOTER_MAGIC)
        for part in (table, split, footer):
            yield _SKIPPED.pack(_SKIPPED_MAGIC, len(part)) + part
        self._notes |= {
            codec.TABLE_DIGEST: str(Digest.of(table)),
            codec.TABLE_PLACE: ":".join(map(str, (at, *lengths, _FORM))),
            codec.SPLIT_PLACE: ":".join(map(str, (behind, *others))),
        }


class _Text:
    """Text that is compressed as it comes. Not a frozen value: it grows."""

    def __init__(self, level: int) -> None:
        self._pack, self._parts = codec.zstd_packer(level).compressobj(), list[bytes]()
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._parts.append(self._pack.compress(data))

    def end(self) -> bytes:
        return b"".join((*self._parts, self._pack.flush()))


class _Taken:
    """The bytes of a tar, as many at a time as are asked for. Not a frozen value: it is a pass."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._held = iter(chunks), memoryview(b"")

    def take(self, size: int) -> Iterator[memoryview]:
        while size:
            self._held = self._held or memoryview(next(self._chunks))
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            yield part

    def end(self) -> None:
        """Ends the pass: what counts or checks the bytes does so behind the last of them."""
        for _ in self._chunks:
            pass


def cut(pieces: Iterable[bytes | memoryview], size: int) -> Iterator[bytes]:
    """Yields the bytes of a file in chunks: wherever the pieces end, they are the same.

    Args:
        pieces: The bytes.
        size: Their number.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        size -= len(piece)
        while len(held) >= MOST or (held and not size):
            mark = MARK.search(held, LEAST, MOST)
            end = mark.end() if mark is not None else MOST
            yield bytes(held[:end])
            del held[:end]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
