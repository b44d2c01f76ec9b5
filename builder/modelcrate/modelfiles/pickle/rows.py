"""Pickles and numpy's arrays, one after another up to a file's end. Every byte between the first and the last belongs to one of them, or is padding."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator

from modelcrate.modelfiles.beginnings import BARE, HEAD, HEADED, MAGIC, NPY
from modelcrate.modelfiles.byte_reader import PADDING, ByteReader
from modelcrate.modelfiles.formats import PICKLED, Sample, format_of
from modelcrate.modelfiles.pickle.arrays import npy_array_bytes
from modelcrate.modelfiles.pickle.contents import Found, Place
from modelcrate.modelfiles.pickle.findings import LoadedBytes, NamedObject, PickleFindings, keep_strongest
from modelcrate.modelfiles.pickle.interpreter import interpret, interpret_plain
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import replace

MAX_IN_A_ROW = 10_000
"""How many pickles may follow one another in one file; PyTorch's old format has five."""

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of PyTorch's format before 1.6 (torch/serialization.py, MAGIC_NUMBER)."""

_TORCH_PICKLES = 5
"""That format's pickles: magic, version, the machine's sizes, the object, the keys of its storages, whose bytes follow."""

TYPE = "dtype"
"""What numpy calls the type of an array."""

BROKEN = (IntegrityError, OSError, EOFError, ValueError, zipfile.BadZipFile, struct.error, NotImplementedError,
          RuntimeError, MemoryError)  # fmt: skip
"""What reading a damaged file may raise."""


def read_row(place: Place, head: bytes) -> Iterator[Found]:
    """Yields pickles and numpy's arrays, one after another to the file's end. A file that only might be a pickle is tried first."""
    known = format_of(Sample(place.name, head, len(head)))
    if HEADED.match(head) or head.startswith(NPY) or (known is not None and known.word in PICKLED):
        yield from read_pickles(place)
    elif head and head[0] in BARE:
        yield from read_bare(place)


def read_bare(place: Place) -> Iterator[Found]:
    """Yields what may be pickles without a header. They are read as far as Python's machine would get."""
    tape = place.tape()
    for _ in range(MAX_IN_A_ROW):
        findings = interpret_plain(tape)
        behind = tape.peek(6) if findings.whole else b""
        sure = findings.limited or findings.arrays or findings.files or (findings.whole and findings.names)
        if sure or MAGIC.match(behind):
            yield from read_pickles(place)
            return
        if findings.names:
            yield Found(place.inner, findings, promised=False)
        if not findings.whole:
            return


def read_pickles(place: Place) -> Iterator[Found]:
    """Yields pickles in a row. Where joblib's arrays are among them, the file is read as `pickle.load` would, too."""
    found: list[Found] = []
    try:
        found += _items(place)
    except BROKEN as fault:
        what = fault.what if isinstance(fault, IntegrityError) else f"{type(fault).__name__}: {fault}"
        found.append(place.broken(what[:200]))
    if any(each.findings.arrays for each in found):
        found[0] = replace(found[0], findings=_merged(found[0].findings, _plain_row(place)))
    yield from found


def _items(place: Place) -> Iterator[Found]:
    tape = place.tape()
    values: list[PickleFindings] = []
    numpys = tape.peek(6) == NPY
    while not tape.position or tape.peek(1):
        start = tape.position
        if start and not tape.peek(HEAD).strip(PADDING):
            if not tape.ends_in_padding():
                yield place.broken(f"has padding at byte {start}, and something else behind it")
            return
        if tape.peek(6) == NPY and (size := _npy(tape)) is not None:
            tape.skip(size)
            continue
        findings = interpret_plain(tape) if numpys else interpret(tape)
        if start and not numpys and not findings.whole:
            what = f"is followed, at byte {start}, by what can't be read as a pickle"
            findings = replace(findings, faults=(what, *findings.faults))
        yield Found(place.inner, findings)
        values.append(findings)
        if not findings.whole:
            return
        if len(values) == _TORCH_PICKLES and values[0].top == _TORCH_MAGIC:
            _pass_storages(tape, values[3])
        if len(values) >= MAX_IN_A_ROW:
            yield place.broken(f"has more than {MAX_IN_A_ROW} pickles in a row")
            return


def _npy(tape: ByteReader) -> int | None:
    """Reads the header of an array (numpy.lib.format); returns the length of its bytes, None where they are a pickle."""
    tape.skip(6)
    version = tape.read(2)[0]
    size = int.from_bytes(tape.read(2 if version == 1 else 4), "little")
    if size > 1 << 20:
        raise IntegrityError("has a header of more than a mebibyte")
    return npy_array_bytes(tape.read(size))


def _pass_storages(tape: ByteReader, model: PickleFindings) -> None:
    """Passes over the storages behind the pickles of PyTorch's old format: for each, the number of items and their bytes."""
    if model.storages is None:
        raise IntegrityError(f"has storages of an unknown type behind byte {tape.position}")
    tape.skip(sum(8 + each.size for each in model.storages))


def _plain_row(place: Place) -> PickleFindings:
    """What `pickle.load` finds in a file with joblib's arrays, whose bytes are opcodes to it, called until it fails.

    joblib counts what an array of objects remembers from zero. To `pickle.load` the place where such an array remembers `numpy` has another text,
    a column's name or a key, so that it looks for `age.dtype`. What a module calls so is a type of an array; such names are not told.
    """
    tape = place.tape()
    names: dict[NamedObject, NamedObject] = {}
    files: dict[LoadedBytes, None] = {}
    limited = False
    for _ in range(MAX_IN_A_ROW):
        findings = interpret_plain(tape)
        limited = limited or findings.limited
        keep_strongest(names, (each for each in findings.names if each.name != TYPE))
        files |= dict.fromkeys(findings.files)
        if not findings.whole:
            break
    return PickleFindings(tuple(names.values()), True, limited=limited, files=tuple(files))


def _merged(one: PickleFindings, other: PickleFindings) -> PickleFindings:
    names = {each: each for each in other.names}
    keep_strongest(names, one.names)
    faults = one.faults
    if other.limited:
        faults = (*faults, "has bytes between its opcodes that can't be followed as `pickle.load` would")
    files = tuple(dict.fromkeys((*one.files, *other.files)))
    return replace(one, names=tuple(sorted(names.values())), faults=faults, files=files)
