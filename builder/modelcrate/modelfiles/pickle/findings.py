"""What is seen in a pickle: the names in it, the objects it makes of them, and how far it could be followed. Pure."""

from __future__ import annotations

from dataclasses import field

from modelcrate_layers.frozen import dataclass

COMPUTED = "?"
"""In the place of a name that is not a literal text: the file hides what it calls."""


JOBLIB = ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle")
"""Where joblib's wrappers of arrays are: its own module, and the copy that scikit-learn brought until 0.22."""


@dataclass(frozen=True, slots=True, order=True)
class NamedObject:
    """A thing that a pickle names and can have called: `module` and `name`, and how it is first used."""

    module: str
    name: str
    use: str = field(compare=False, default="named")

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Description:
    """A version that a file names: of which package, and where in the file, in words for people."""

    package: str
    version: str
    where: str


@dataclass(slots=True)
class MadeObject:
    """An object that a pickle has made by calling something. It changes: BUILD gives it its state later."""

    what: object
    arguments: tuple[object, ...] = ()
    state: object = None


@dataclass(frozen=True, slots=True)
class PickleFindings:
    """All that a pickle names, in the order of names; whether it came to its end (STOP); and what was wrong with it."""

    names: tuple[NamedObject, ...]
    whole: bool
    faults: tuple[str, ...] = ()
    protocol: int = 0
    arrays: bool = False
    """Whether joblib's arrays stand between the opcodes."""
    said: tuple[Description, ...] = ()
    """The versions that the pickled objects say they are of; each once."""
    features: int = 0
    """How many features the pickled estimators were fitted with; 0 where they don't say, or not all the same."""
    framed: bool = False
    """Whether one of them was fitted on a frame, and keeps the names of its columns."""


def is_named(value: object, module: str, name: str) -> bool:
    """Whether a value is this very name."""
    return isinstance(value, NamedObject) and (value.module, value.name) == (module, name)
