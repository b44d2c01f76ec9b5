"""The findings of a reader in a pickle: its names and their use, the objects it makes, and how far it was read. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from modelcrate_layers.frozen import dataclass, field

COMPUTED = "?"
"""Stands for a name that is not a literal text: the file hides what it calls."""

JOBLIB = ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
"""The modules with joblib's wrappers of arrays: its own, and the copy in scikit-learn up to 0.22."""

OLD_JOBLIB = "joblib.numpy_pickle_compat"
FILE_WRAPPERS = ("NDArrayWrapper", "ZNDArrayWrapper")
"""Where joblib has what reads its formats before 0.10, and the classes that stand there for an array in a file of its own."""


class Use(IntEnum):
    """What a pickle does with a name; the higher value is the more that the name can do."""

    FOLLOWED = -1
    """It is called, each time in a way that says all about it, and what it does then is among the findings."""
    NAMED = 0
    """The name is stored."""
    MADE = 1
    """An instance is made without a call of its constructor, and given its state (`cls.__new__(cls)`, `__setstate__`)."""
    KEPT = 2
    """It is stored with arguments, to be called later."""
    CALLED = 3
    """It is called, or passed to something that may call it."""


@dataclass(frozen=True, slots=True, order=True)
class NamedObject:
    """An import of a pickle: `module` and `name`, and the strongest use of it."""

    module: str
    name: str
    use: Use = field(compare=False, default=Use.NAMED)

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


def keep_strongest(known: dict[NamedObject, NamedObject], names: Iterable[NamedObject]) -> None:
    """Adds names to those that are known, each once and with the strongest of its uses."""
    for each in names:
        if each not in known or known[each].use < each.use:
            known[each] = each


@dataclass(frozen=True, slots=True)
class StatedVersion:
    """A version that a file states: its package, and its place in the file, in words for people."""

    package: str
    version: str
    where: str


class MadeDict(dict[str, object]):
    """A dict that a pickle fills, as far as its keys are short texts.

    `complete` is false where it has other keys as well, or more than are kept, or one key twice.
    """

    complete = True


class MadeList(list[object]):
    """A list that a pickle fills, as far as it is kept: its first items."""


@dataclass(slots=True)
class MadeObject:
    """An object that a pickle makes by calling something. Not frozen: BUILD sets its state later."""

    what: object
    arguments: tuple[object, ...] | None = ()
    """None where they are not known."""
    use: Use = Use.CALLED
    state: object = None
    builds: int = 0
    """The number of times that BUILD gave it a state."""
    pushes: int = 0
    """The number of times that it was put on the stack."""


@dataclass(frozen=True, slots=True)
class LoadedBytes:
    """Bytes in a pickle that are loaded as a file of their own: where they begin, how many they are, and the `ending` of a name for such a file.

    `latin`: they stand there as a text in UTF-8, each character of which is one byte of the file (protocols before 3 have no bytes).
    """

    start: int
    size: int
    latin: bool
    ending: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The bytes of a tensor that PyTorch's format before 1.6 writes behind the pickles."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class PickleFindings:
    """All names of a pickle, sorted, and how it was read."""

    names: tuple[NamedObject, ...]
    whole: bool
    """Whether it was read to its end (STOP)."""
    faults: tuple[str, ...] = ()
    """What was wrong with it, in words that follow "it"."""
    tricks: tuple[str, ...] = ()
    """What it does to mislead a reader, in the same words. No honest program writes such a pickle."""
    limited: bool = False
    """Whether reading ended at a limit of ours, where another program reads on."""
    arrays: bool = False
    """Whether joblib's arrays stand between the opcodes."""
    versions: tuple[StatedVersion, ...] = ()
    """The versions that the pickled objects name; each once."""
    features: int = 0
    """The number of features that the pickled estimators were fitted with; 0 where they have no number, or differ."""
    framed: bool = False
    """Whether one of them was fitted on a frame, and keeps the names of its columns."""
    storages: tuple[Storage, ...] | None = ()
    """PyTorch's storages; None where one of them is of an unknown type."""
    files: tuple[LoadedBytes, ...] = ()
    """What is loaded out of its bytes."""
    top: object = None
    """The stand-in for the pickled value."""


def is_named(value: object, module: str, name: str) -> bool:
    """Whether a value is this very name."""
    return isinstance(value, NamedObject) and (value.module, value.name) == (module, name)


def is_array_wrapper(value: object) -> bool:
    """Whether a value is the class of joblib's wrapper of an array."""
    return isinstance(value, NamedObject) and value.name == "NumpyArrayWrapper" and value.module in JOBLIB


def is_file_wrapper(value: object) -> bool:
    """Whether a value is a class by which joblib, before 0.10, named the file of an array."""
    return isinstance(value, NamedObject) and value.name in FILE_WRAPPERS and value.module in (*JOBLIB, OLD_JOBLIB)
