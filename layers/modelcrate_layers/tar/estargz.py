"""A row of gzip members with a table of its files: an eStargz layer, of which a runtime fetches a file when a program opens it.

The row of `splice` is nearly that already: each file is a gzip member. What is added (stargz-snapshotter, docs/estargz.md):

| piece                  | what it is                                                                                               |
|------------------------|----------------------------------------------------------------------------------------------------------|
| LANDMARK               | the first file of the tar: nothing is worth to be fetched before it is asked for                         |
| INDEX                  | the last file, in one member with its header: name, mode, offset and digest of every other entry, as JSON |
| footer                 | an empty member whose extra field says where the member of INDEX begins                                  |
| notes of the descriptor| the digest of INDEX, by which all else is verified, and the size of the tar                              |

Both files are in the tar, so the diff id is another than under every other codec. Nothing is compressed here either: a large file is one chunk, since
its stream can't be cut, and INDEX is stored. Making INDEX reads every file once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar import splice, writer
from modelcrate_layers.tar.codec import INDEX, INDEX_DIGEST, TAR_SIZE, gather
from modelcrate_layers.tar.sources import Bytes, read, sha256
from modelcrate_layers.tar.table import describe
from modelcrate_layers.tar.tree import Entry, Tree, file, show

LANDMARK = b".no.prefetch.landmark"


def with_index(tree: Tree) -> Tree:
    """Returns the tree with LANDMARK and INDEX. Every file of it is read.

    Raises:
        SourceError: A path sorts behind INDEX, which has to be the last of the tar, or is no UTF-8, as INDEX is.
    """
    entries = (file(LANDMARK, Bytes(b"\x0f"), 0o644), *tree.entries)
    if tree.entries and tree.entries[-1].path >= INDEX:
        raise SourceError(f"{show(tree.entries[-1].path)} can't be in an eStargz layer, whose table comes last")
    table = canonical_json({"version": 1, "entries": list(_lines(entries))})
    return Tree((*entries, file(INDEX, Bytes(table), 0o644)), tree.roots)


def stream(entries: Sequence[Entry], start: int = 0) -> Iterator[bytes]:
    """Yields the layer from byte `start` on, in pieces of about CHUNK. Files before it are not read.

    Args:
        entries: Those of a tree `with_index`.
        start: The first byte.
    """
    return gather(_row(entries, start))


def notes(tree: Tree) -> dict[str, str]:
    """Returns the annotations of the layer of a tree `with_index`."""
    source = tree.entries[-1].source
    assert source is not None, "INDEX is a file"
    return {INDEX_DIGEST: str(Digest.of(read(source))), TAR_SIZE: str(writer.Tar(tree.entries).size)}


def _row(entries: Sequence[Entry], start: int) -> Iterator[bytes]:
    *own, index = entries
    assert index.path == INDEX, "`with_index` has made the tree"
    source = index.source
    assert source is not None, "it is a file"
    before = list(splice.pieces(own, b""))
    table = Bytes(b"%b%b%b%b" % (writer.header(index), read(source), bytes(-source.size % writer.BLOCK), writer.END))
    begins = sum(map(splice.length, before))
    yield from splice.members([*before, table], start)
    yield _footer(begins)[max(0, start - begins - splice.length(table)) :]


def _footer(begins: int) -> bytes:
    """The last 51 bytes: an empty gzip member that says where INDEX begins."""
    extra = b"SG\x16\0%016xSTARGZ" % begins
    return b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x1a\0%b\1\0\0\xff\xff%b" % (extra, bytes(8))


def _lines(entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    offsets = _offsets(entries)
    for entry in entries:
        line, source = describe(entry), entry.source
        if source is not None and source.size:
            digest = f"sha256:{sha256(source)}"
            line |= {"size": source.size, "offset": next(offsets), "digest": digest, "chunkDigest": digest}
        yield line


def _offsets(entries: Sequence[Entry]) -> Iterator[int]:
    """Where the member of each file begins that is not empty."""
    at = 0
    for piece in splice.pieces(entries, b""):
        if not isinstance(piece, bytes):
            yield at
        at += splice.length(piece)
