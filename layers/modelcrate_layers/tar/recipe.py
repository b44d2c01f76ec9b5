"""A layer as a recipe: a tree and a codec, from which digest, diff id and size follow as facts.

Bytes are made only while they are taken. `Measuring` is one pass over a recipe that is not known yet: what drives
it (nothing, the store, or an upload) is its sink, and when it ends, the layer is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import itemgetter
from struct import Struct
from types import MappingProxyType
from typing import Any, Self

from modelcrate_layers.content import Descriptor, Digest, canonical_json, verified
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar import splice, writer
from modelcrate_layers.tar.codec import ESTARGZ, SPLICED, Codec
from modelcrate_layers.tar.sources import FileRange, Source
from modelcrate_layers.tar.tree import Entry, Tree
from modelcrate_layers.tar.writer import Tar

SAMPLE = 1 << 18
"""Bytes looked at, at each of the places that are sampled: two zstd blocks."""

WORTH = 0.1
"""The least share that compression has to save: below it, the time to unpack costs the reader more than the bytes."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What is known of a measured layer: the facts that a manifest and a config need, and how it was stored.

    `tar_size` is the length of the uncompressed tar in bytes. `inputs` say what it was made of, a few words each; they decide nothing.
    """

    descriptor: Descriptor
    diff_id: Digest
    tar_size: int
    codec: Codec
    inputs: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """Returns the layer as the layer cache writes it."""
        return {
            "codec": {"name": self.codec.name, "version": self.codec.version, "level": self.codec.level},
            "descriptor": self.descriptor.json(),
            "diff_id": str(self.diff_id),
            "inputs": list(self.inputs),
            "tar_size": self.tar_size,
        }

    @classmethod
    def parse(cls, value: Any) -> Layer:
        """Parses a layer out of JSON that may be damaged: anything malformed is an IntegrityError."""
        try:
            codec = Codec(str(value["codec"]["name"]), str(value["codec"]["version"]), int(value["codec"]["level"]))
            diff_id, tar_size = Digest.parse(value["diff_id"]), int(value["tar_size"])
            inputs = tuple(map(str, value["inputs"]))
            return cls(Descriptor.parse(value["descriptor"]), diff_id, tar_size, codec, inputs)
        except (KeyError, TypeError, ValueError) as fault:
            raise IntegrityError(f"not the record of a layer: {fault!r}") from None


_ROWS = (SPLICED, ESTARGZ)
"""The codecs whose layers are made from a tree, and not from its tar."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A tree, and how its tar is to be stored. Under ESTARGZ the tree has its table already: see `of`."""

    tree: Tree
    codec: Codec

    @classmethod
    def of(cls, tree: Tree, codec: Codec) -> Self:
        """Returns the recipe of a layer's own entries. Under ESTARGZ all files are read, for the table of the layer.

        Raises:
            SourceError: The codec has a table, and the tree a path that can't be in it.
        """
        if codec == ESTARGZ:
            from modelcrate_layers.tar import estargz

            return cls(estargz.with_index(tree), codec)
        if codec.chunked:
            from modelcrate_layers.tar import chunked

            chunked.check(tree)
        return cls(tree, codec)

    @property
    def tar(self) -> Tar:
        """The uncompressed tar of the layer."""
        return Tar(self.tree.entries)

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the stored bytes from `start` on. Where nothing is compressed, what is before `start` is not even read."""
        if self.codec.name == "none":
            return writer.stream(self.tree.entries, start)
        if self.codec == SPLICED:
            return splice.stream(self.tree.entries, start)
        if self.codec == ESTARGZ:
            from modelcrate_layers.tar import estargz

            return estargz.stream(self.tree.entries, start)
        return codecs.after(self.encode(self.tar, self.tar.size, {}), start)

    def encode(self, tar: Iterable[bytes], size: int, notes: dict[str, str]) -> Iterator[bytes]:
        """Yields the stored bytes, while the bytes of the tar are taken from a pass over it. A row takes them all first: that checks its files.

        Args:
            tar: The tar.
            size: Its length in bytes.
            notes: Gets the annotations without which others do not read the layer as what it is, once all has been yielded.
        """
        if self.codec.chunked:
            from modelcrate_layers.tar import chunked

            yield from chunked.stream(self.tree.entries, tar, self.codec.level, notes)
        elif self.codec in _ROWS:
            for _ in tar:
                pass
            yield from self.chunks()
            if self.codec == ESTARGZ:
                from modelcrate_layers.tar import estargz

                notes |= estargz.notes(self.tree)
        else:
            yield from self.codec.encode(tar, size)

    def stored(self, codec: Codec) -> Recipe:
        """Returns the same tree, stored in another way."""
        return Recipe(self.tree, codec)


@dataclass(frozen=True, slots=True)
class RecipeBlob:
    """The stored bytes of a recipe whose layer is known: made again at each call, and verified against the descriptor."""

    recipe: Recipe = field(repr=False)
    layer: Layer

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the stored layer."""
        return self.layer.descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yields the stored bytes from `start` to the end, made again. A stream from 0 is verified."""
        chunks = self.recipe.chunks(start)
        return chunks if start else verified(chunks, self.descriptor)


Encode = Callable[[Iterable[bytes]], Iterator[bytes]]
"""Takes a tar, and yields it as it is stored."""


class Measuring:
    """A pass over a tar on its way into a codec. When an iteration has ended, `layer` and `descriptor` are there.

    Not a frozen value: it is the pass itself. The tar is hashed before it is encoded and, unless the codec is none, after it. `key` is
    a name for the bytes that are to come, where they have one before they are read, and `label` is one for people.
    """

    key: str | None = None
    label: str = ""

    def __init__(
        self,
        tar_chunks: Iterable[bytes],
        codec: Codec,
        tar_size: int | None = None,
        encode: Encode | None = None,
        notes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._chunks, self.codec, self.tar_size = tar_chunks, codec, tar_size
        self._encode: Encode = encode or partial(codec.encode, size=tar_size)
        self._layer: Layer | None = None
        self._notes = notes

    @classmethod
    def of(cls, recipe: Recipe, tar: Iterable[bytes] | None = None, size: int | None = None) -> Self:
        """Returns the pass over a recipe. `tar` is its tar, where something looks at that as it passes; `size` its length, where it is known."""
        notes: dict[str, str] = {}
        size = recipe.tar.size if size is None else size
        encode = partial(recipe.encode, size=size, notes=notes)
        return cls(recipe.tar if tar is None else tar, recipe.codec, size, encode, notes)

    @property
    def length(self) -> int | None:
        """How many bytes will come, where that can be known beforehand."""
        return self.tar_size if self.codec.name == "none" else None

    @property
    def layer(self) -> Layer:
        """The measured layer, once the pass has ended."""
        assert self._layer is not None, "the pass has not ended"
        return self._layer

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the stored layer, once the pass has ended."""
        return self.layer.descriptor

    def __iter__(self) -> Iterator[bytes]:
        plain = Tally()
        stored = plain if self.codec.name == "none" else Tally()
        for chunk in self._encode(plain.passing(self._chunks)):
            if stored is not plain:
                stored.add(chunk)
            yield chunk
        descriptor = Descriptor(self.codec.media_type, stored.digest, stored.size, dict(self._notes))
        self._layer = Layer(descriptor, plain.digest, plain.size, self.codec)


def measure(recipe: Recipe) -> Layer:
    """Measures a recipe, by one pass whose bytes go nowhere."""
    measuring = Measuring.of(recipe)
    for _ in measuring:
        pass
    return measuring.layer


def evidence(tree: Tree) -> float:
    """Estimates what share compression would save, by the bytes of the largest entries: their head and, in files, middle and tail."""
    files = sorted((entry for entry in tree.entries if entry.size), key=lambda entry: (-entry.size, entry.path))[:8]
    sample = b"".join(part for entry in files if entry.source for part in _samples(entry.source))
    return codecs.gain(sample)


def _samples(source: Source) -> Iterator[bytes]:
    if isinstance(source, FileRange) and source.size > 3 * SAMPLE:
        for at in (0, source.size // 2, source.size - SAMPLE):
            yield b"".join(FileRange(source.path, source.stamp, source.offset + at, SAMPLE).chunks())
    else:
        yield _head(source.chunks())


def _head(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SAMPLE:
            break
    return head[:SAMPLE]


class Tally:
    """Digest and length of what passes."""

    def __init__(self) -> None:
        self._hashed, self.size = hashlib.sha256(), 0

    def add(self, chunk: bytes) -> None:
        """Adds the next bytes."""
        self._hashed.update(chunk)
        self.size += len(chunk)

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yields the chunks unchanged and adds each of them."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    @property
    def digest(self) -> Digest:
        """The digest of the bytes so far."""
        return Digest("sha256", self._hashed.hexdigest())


_FILE = Struct("<4L7Q")
_64_BITS = (1 << 64) - 1
"""Times are counted modulo this: file systems keep dates beyond 2262, and before 1970."""


def fingerprint(entries: Iterable[Entry]) -> str:
    """Returns the digest of what decides the bytes of entries, in any order. Files count by their stamps, and are not read."""
    return hashlib.sha256(b"".join(map(_stamped, sorted(entries, key=itemgetter(0))))).hexdigest()


def _stamped(entry: Entry) -> bytes:
    """An entry as bytes that no other has. Nearly all are files, and this is what a build that has nothing to do does most."""
    path, kind, mode, source, link, uid, gid = entry
    if isinstance(source, FileRange):
        device, inode, length, written, changed = source.stamp
        times = written & _64_BITS, changed & _64_BITS
        numbers = len(path), mode, uid, gid, source.offset, source.size, device, inode, length, *times
        return b"%b%b%b" % (b"F" if source.size < writer.OCTAL_LIMIT else b"L", _FILE.pack(*numbers), path)
    data = "" if source is None else hashlib.sha256(b"".join(source.chunks())).hexdigest()
    return repr((path, kind.name, mode, uid, gid, link, data)).encode()


def key(kind: str, inputs: Mapping[str, Any] | list[Any]) -> Digest:
    """Returns the key of a layer made from locked inputs: equal keys, equal bytes. The tar policy is part of it."""
    return Digest.of(canonical_json({"inputs": inputs, "kind": kind, "tar": writer.POLICY}))
