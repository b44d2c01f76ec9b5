"""What an HDF5 file can make its library, Keras or PyTables do: pickles and code in configurations, bytes of other files, filters from other libraries.

The structure is followed as the HDF5 File Format Specification (version 3.0) describes it: superblock, object headers, groups of both styles,
attributes, heaps. The bytes of datasets are passed over. What is stored in a way that is not followed here raises an IntegrityError; a file
that the library would not open at all is none to this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from modelcrate.modelfiles.beginnings import MAX_CONFIG
from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.hdf5_heap import DenseStorage
from modelcrate.modelfiles.hdf5_reading import Cursor, Hdf5Bytes, Span
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_OBJECTS = 1_000_000
"""Objects, blocks and messages that are followed; Keras' largest models have some ten thousand."""

_CONFIGS = ("model_config", "training_config")
"""The attributes from which Keras makes layers, optimizers and losses."""

_PICKLED_ROWS = ("PSEUDOATOM", b"object")
"""The attribute of a dataset whose rows PyTables unpickles."""

_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""Filters that the library or h5py brings: deflate, shuffle, fletcher32, szip, nbit, scaleoffset, LZF. Others are loaded as plugins."""

_LINK_INFO, _LINK, _EXTERNAL_FILES, _LAYOUT, _FILTERS_USED = 0x02, 0x06, 0x07, 0x08, 0x0B
_ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE, _ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15
_KNOWN = frozenset({*range(0x10), _CONTINUATION, _SYMBOL_TABLE, 0x12, 0x13, 0x14, _ATTRIBUTE_INFO, 0x16, 0x18})
_SHARED = 2
"""The flag of a message that lies elsewhere."""


@dataclass(frozen=True, slots=True)
class Hdf5:
    """What was found: the texts of Keras' configurations, the other files that are read, and the numbers of filters from plugins.

    `ended` are the names and values of attributes that end as a pickle does: PyTables unpickles them.
    """

    configs: tuple[tuple[str, bytes], ...]
    outside: tuple[str, ...]
    plugins: tuple[int, ...]
    virtual: bool
    """Whether a dataset is put together from others, which may lie in any file."""
    ended: tuple[tuple[str, bytes], ...]
    rows: bool
    """Whether PyTables unpickles rows of a dataset."""


def superblock_at(file: BinaryIO, size: int) -> int | None:
    """Returns where the superblock of a file is, which is 0, 512, 1024, 2048 and so on; None for a file that the library would not open."""
    at = 0
    while at + 9 + 4 <= size:
        file.seek(at)
        head = file.read(16)
        if head.startswith(SIGNATURE):
            version = head[8]
            sizes = head[13:15] if version < 2 else head[9:11]
            return at if version <= 3 and all(each in (2, 4, 8) for each in sizes) else None
        at = at * 2 or 512
    return None


def read(file: BinaryIO, size: int) -> Hdf5 | None:
    """Returns what was found in a file; None for one that the library would not open.

    Raises:
        IntegrityError: It can't be followed to its end, or has bytes behind it.
    """
    start = superblock_at(file, size)
    return None if start is None else _Walk.over(file, start, size).run()


@dataclass(slots=True)  # not frozen: it collects what it finds
class _Walk:
    """The objects that are still to be read, and what was found. It is not a value."""

    at: Hdf5Bytes
    todo: list[int]
    seen: set[int] = field(default_factory=set)
    left: int = MAX_OBJECTS
    configs: list[tuple[str, bytes]] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)
    plugins: set[int] = field(default_factory=set)
    virtual: bool = False
    ended: list[tuple[str, bytes]] = field(default_factory=list)
    rows: bool = False

    @classmethod
    def over(cls, file: BinaryIO, start: int, size: int) -> _Walk:
        """Reads the superblock."""
        file.seek(start)
        head = Cursor(file.read(128))
        head.take(8)
        version = head.uint(1)
        if version < 2:
            head.take(4)
        offsets, lengths = head.uint(1), head.uint(1)
        head.take({0: 1 + 8, 1: 1 + 12}.get(version, 1))
        base = head.uint(offsets)
        other = head.uint(offsets)  # free space, or the superblock's extension
        end = head.uint(offsets)
        if version < 2:
            head.take(2 * offsets)
        root = head.uint(offsets)
        undefined = (1 << 8 * offsets) - 1
        if base != start or end > size:
            raise IntegrityError("is cut short, or its end is not where it says")
        file.seek(end)
        if not ByteReader(file).ends_in_padding():
            raise IntegrityError(f"has {size - end} bytes behind its end")
        more = [other] if version >= 2 and other != undefined else []
        return cls(Hdf5Bytes(file, start, size, offsets, lengths), [root, *more])

    def run(self) -> Hdf5:
        """Follows every object."""
        while self.todo:
            if (address := self.todo.pop()) not in self.seen:
                self.seen.add(address)
                for kind, body in self._messages(address):
                    self._spend()
                    if (act := _ACTIONS.get(kind)) is not None:
                        act(self, body)
        outside, plugins = tuple(sorted(self.outside)), tuple(sorted(self.plugins))
        return Hdf5(tuple(self.configs), outside, plugins, self.virtual, tuple(self.ended), self.rows)

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise IntegrityError(f"has more than {MAX_OBJECTS} objects and messages")

    def _messages(self, address: int) -> Iterator[tuple[int, Cursor]]:
        """Yields the messages of an object header, of its continuations as well."""
        head = self.at.read(address, 12)
        new = head.startswith(b"OHDR")
        if new:
            if head[4] != 2:
                raise IntegrityError("has an object header of an unknown version")
            flags = head[5]
            start = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 3)
            size = int.from_bytes(self.at.read(address + start, width), "little")
            blocks = [(address + start + width, size)]
            ordered = bool(flags & 4)
        elif head[0] == 1:
            blocks, ordered = [(address + 16, int.from_bytes(head[8:12], "little"))], False
        else:
            raise IntegrityError(f"has no object header at byte {address}")
        done: set[int] = set()
        while blocks:
            start, size = blocks.pop()
            if start in done:
                raise IntegrityError("has an object header that goes round in circles")
            done.add(start)
            for kind, flags, body in _split(self.at.read(start, size), new, ordered):
                self._spend()
                if kind == _CONTINUATION:
                    place, length = body.uint(self.at.offsets), body.uint(self.at.lengths)
                    blocks.append((place + 4, length - 8) if new else (place, length))
                    if new and self.at.read(place, 4) != b"OCHK":
                        raise IntegrityError(f"has no continuation at byte {place}")
                    continue
                if kind not in _KNOWN:
                    raise IntegrityError(f"has messages of the unknown type {kind}")
                if flags & _SHARED and kind in (_ATTRIBUTE, _LAYOUT, _EXTERNAL_FILES, _LINK, _FILTERS_USED):
                    raise IntegrityError("has messages that several objects share")
                yield kind, body

    def link_info(self, body: Cursor) -> None:
        """A group whose links may be in a heap."""
        body.take(1)
        if body.uint(1) & 1:
            body.take(8)
        heap, names = body.uint(self.at.offsets), body.uint(self.at.offsets)
        if heap != self.at.undefined:
            for record in self._dense(heap, names):
                self.link(Cursor(record))

    def attribute_info(self, body: Cursor) -> None:
        """An object whose attributes may be in a heap."""
        body.take(1)
        if body.uint(1) & 1:
            body.take(2)
        heap, names = body.uint(self.at.offsets), body.uint(self.at.offsets)
        if heap != self.at.undefined:
            for record in self._dense(heap, names):
                self.attribute(Cursor(record))

    def _dense(self, heap: int, names: int) -> Iterator[bytes]:
        for record in DenseStorage.open(self.at, heap).records(names):
            self._spend()
            yield record

    def link(self, body: Cursor) -> None:
        """A link of the newer style: to an object, to a path, or into another file."""
        body.take(1)
        flags = body.uint(1)
        kind = body.uint(1) if flags & 8 else 0
        body.take((8 if flags & 4 else 0) + (1 if flags & 0x10 else 0))
        body.take(body.uint(1 << (flags & 3)))
        if kind == 0:
            self.todo.append(body.uint(self.at.offsets))
        elif kind == 64:
            value = body.take(body.uint(2))[1:]
            self.outside.add(_shown(value.partition(b"\0")[0]))
        elif kind != 1:
            raise IntegrityError(f"has links of the unknown type {kind}")

    def symbol_table(self, body: Cursor) -> None:
        """A group of the older style: a tree of nodes with entries."""
        nodes = [body.uint(self.at.offsets)]
        seen: set[int] = set()
        while nodes:
            address = nodes.pop()
            self._spend()
            if address in seen:
                raise IntegrityError("has a tree that goes round in circles")
            seen.add(address)
            mark = self.at.read(address, 4)
            if mark == b"TREE":
                nodes += self._children(address)
            elif mark == b"SNOD":
                self._entries(address)
            else:
                raise IntegrityError(f"has no node of a group at byte {address}")

    def _children(self, address: int) -> Iterator[int]:
        o, n = self.at.offsets, self.at.lengths
        head = self.at.read(address, 8)
        if head[4] != 0:
            raise IntegrityError("has a group whose tree is none of a group")
        used = int.from_bytes(head[6:8], "little")
        body = Cursor(self.at.read(address + 8 + 2 * o, used * (n + o)))
        for _ in range(used):
            body.take(n)
            yield body.uint(o)

    def _entries(self, address: int) -> None:
        o = self.at.offsets
        count = int.from_bytes(self.at.read(address + 6, 2), "little")
        body = Cursor(self.at.read(address + 8, count * (2 * o + 24)))
        for _ in range(count):
            body.take(o)
            header, kind = body.uint(o), body.uint(4)
            body.take(20)
            if kind != 2:  # a path has no object
                self.todo.append(header)

    def attribute(self, body: Cursor) -> None:
        """An attribute: Keras' configurations are kept, and what may be a pickle."""
        version, flags = body.uint(1), body.uint(1)
        name_size, type_size, space_size = body.uint(2), body.uint(2), body.uint(2)
        if version == 3:
            body.take(1)
        padded: Callable[[int], int] = (lambda size: -(-size // 8) * 8) if version == 1 else (lambda size: size)
        if version not in (1, 2, 3):
            raise IntegrityError("has an attribute of an unknown version")
        name = body.take(padded(name_size))[:name_size].rstrip(b"\0").decode("utf-8", "replace")
        kind, space = body.take(padded(type_size)), body.take(padded(space_size))
        if name not in _CONFIGS:
            if kind or flags & 1:
                self._value(name, kind, body, one=space[1:2] == b"\0", shared=bool(flags & 1))
            return
        if flags or len(kind) < 8:
            raise IntegrityError(f"has its {name} of a type that lies elsewhere")
        self.configs.append((name, self._text(name, kind, body)))

    def _value(self, name: str, kind: bytes, body: Cursor, one: bool, shared: bool) -> None:
        """Keeps the value of an attribute if PyTables would unpickle it: a text, of a fixed length or of any, with a pickle's end."""
        value = b""
        if shared:  # its type, and so its length, lies elsewhere
            rest = body.take(body.left)
            value = rest[: rest.rfind(b".") + 1]
        elif kind[0] & 15 == 3:
            value = body.take(min(int.from_bytes(kind[4:8], "little"), body.left)).rstrip(b"\0")
        elif one and kind[0] & 15 == 9 and kind[1] & 15 == 1 and body.left >= 8 + self.at.offsets:
            length, heap, index = body.uint(4), body.uint(self.at.offsets), body.uint(4)
            value = self.at.in_global_heap(heap, index)[:length] if 2 < length <= MAX_CONFIG else b""
        if value.endswith(b".") and len(value) > 2:
            self.ended.append((name, value))
        self.rows = self.rows or (name, value) == _PICKLED_ROWS

    def _text(self, name: str, kind: bytes, body: Cursor) -> bytes:
        size = int.from_bytes(kind[4:8], "little")
        if kind[0] & 15 == 3 and size <= MAX_CONFIG:
            return body.take(size).rstrip(b"\0")
        if kind[0] & 15 == 9 and kind[1] & 15 == 1:
            length, heap, index = body.uint(4), body.uint(self.at.offsets), body.uint(4)
            if length <= MAX_CONFIG:
                return self.at.in_global_heap(heap, index)[:length]
        raise IntegrityError(f"has its {name} in a way that is not read")

    def layout(self, body: Cursor) -> None:
        """Where a dataset's bytes are. A virtual dataset is put together from others, which may lie in other files."""
        version = body.uint(1)
        kind = body.data[1 + (1 if version < 3 else 0)] if len(body.data) > 2 else 255
        if version > 5 or kind > 3:
            raise IntegrityError("has a dataset stored in an unknown way")
        if kind == 3:
            self.virtual = True

    def external_files(self, body: Cursor) -> None:
        """A dataset whose bytes are in other files, named in a local heap."""
        body.take(8)
        heap = body.uint(self.at.offsets)
        self.outside |= {_shown(each) for each in self.at.local_heap(heap).split(b"\0") if each} or {"another file"}

    def filters(self, body: Cursor) -> None:
        """The filters of a dataset."""
        version, count = body.uint(1), body.uint(1)
        body.take(6 if version == 1 else 0)
        for _ in range(count):
            number = body.uint(2)
            name = body.uint(2) if version == 1 or number >= 256 else 0
            body.take(2)
            values = body.uint(2)
            body.take(-(-name // 8) * 8 if version == 1 else name)
            body.take(4 * (values + (values & 1 if version == 1 else 0)))
            if number not in _FILTERS:
                self.plugins.add(number)


_ACTIONS: dict[int, Callable[[_Walk, Cursor], None]] = {
    _LINK_INFO: _Walk.link_info,
    _LINK: _Walk.link,
    _EXTERNAL_FILES: _Walk.external_files,
    _LAYOUT: _Walk.layout,
    _FILTERS_USED: _Walk.filters,
    _ATTRIBUTE: _Walk.attribute,
    _SYMBOL_TABLE: _Walk.symbol_table,
    _ATTRIBUTE_INFO: _Walk.attribute_info,
}
"""What a message does, by its type."""


def _split(data: bytes, new: bool, ordered: bool) -> Iterator[Span]:
    """Yields type, flags and body of each message in a block of an object header."""
    block = Cursor(data)
    prefix = (6 if ordered else 4) if new else 8
    while block.left >= prefix:
        kind = block.uint(1 if new else 2)
        size, flags = block.uint(2), block.uint(1)
        block.take((2 if ordered else 0) if new else 3)
        yield kind, flags, Cursor(block.take(size))


def _shown(name: bytes) -> str:
    return name[:200].decode("utf-8", "replace")
