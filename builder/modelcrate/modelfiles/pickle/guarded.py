"""Functions that are harmless in some uses, which say all about it, and not in others: what the uses are. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from modelcrate.modelfiles.pickle.findings import MadeDict, MadeObject, NamedObject, is_named
from modelcrate.modelfiles.pickle.loaded_bytes import ending_loaded_by
from modelcrate.modelfiles.pickle.opcodes import OPAQUE

ATTRIBUTE = ("builtins", "getattr")
"""What takes an attribute of a class: pickles of time zones name a method of their class by it."""

PARTIAL = ("functools", "partial")
"""What keeps a function for later, with arguments. It calls nothing by itself, as long as it is stored, and no argument of anything."""

MAX_DEPTH = 8
"""How deep names are looked for in arguments."""

ARRAY_MAKERS = frozenset({"dill._dill._create_array", "jax._src.array._reconstruct_array"})
"""What calls the first of its arguments with the second, and gives the third to what comes out as its state: numpy's own way to make an array anew."""

_RECONSTRUCT = frozenset(f"numpy.{each}.multiarray._reconstruct" for each in ("core", "_core"))


def is_guarded(name: NamedObject) -> bool:
    """Returns whether a name is one of these. It is rated by its uses."""
    return (name.module, name.name) in (ATTRIBUTE, PARTIAL) or str(name) in ARRAY_MAKERS or ending_loaded_by(name) != ""


def array_parts(what: NamedObject, given: tuple[object, ...]) -> tuple[object, object, object] | None:
    """Returns how an array is made anew by a call with these arguments: numpy's function, its arguments, and the state; None for anything else."""
    if (
        str(what) in ARRAY_MAKERS
        and len(given) > 2
        and isinstance(given[0], NamedObject)
        and str(given[0]) in _RECONSTRUCT
    ):
        return given[0], given[1], given[2]
    return None


def is_partial(value: object) -> TypeGuard[MadeObject]:
    """Returns whether a value is an instance of `partial`."""
    return isinstance(value, MadeObject) and is_named(value.what, *PARTIAL)


def holds_partial(given: tuple[object, ...]) -> bool:
    """Returns whether a `partial` is among some arguments, or in a container among them."""
    return any(is_partial(each) for each in _parts(given, (tuple, list, dict)))


def names_in(value: object) -> list[NamedObject]:
    """Returns the names in a tuple or dict of arguments, each as often as it stands there."""
    return [each for each in _parts(value, (tuple, dict)) if isinstance(each, NamedObject)]


def _parts(value: object, containers: tuple[type, ...]) -> Iterator[object]:
    """Yields what is in containers in each other, up to MAX_DEPTH deep. A container that stands in several places is looked into once."""
    level, seen = [value], set[int]()
    for _ in range(MAX_DEPTH + 2):
        below: list[object] = []
        for each in level:
            if not isinstance(each, containers):
                yield each
            elif id(each) not in seen:
                seen.add(id(each))
                below += each.values() if isinstance(each, dict) else each  # type: ignore[arg-type]  # one of the containers
        level = below


def kept_function(partial: MadeObject) -> tuple[object, tuple[object, ...] | None]:
    """Returns the function that a `partial` keeps, and its first arguments, None where they are not known. A call of it is a call of this function."""
    state = (
        (*(partial.arguments or (None,))[:1], (partial.arguments or ())[1:]) if not partial.builds else partial.state
    )
    if not isinstance(state, tuple) or len(state) < 2:
        return OPAQUE, None
    return state[0], state[1] if isinstance(state[1], tuple) else None


def shows_all(state: object) -> bool:
    """Returns whether all is known that the state of a `partial` sets: its function, its arguments, those with a key."""
    if not isinstance(state, tuple) or len(state) != 4 or not isinstance(state[0], NamedObject):
        return False
    return isinstance(state[1], tuple) and all(
        each is None or (isinstance(each, MadeDict) and each.complete) for each in state[2:]
    )


def attribute(given: tuple[object, ...]) -> NamedObject | None:
    """Returns the name that `getattr` of these arguments is; None where it is none of a class, nor a method of an instance.

    A method of an instance is called `Class().method`. Nothing but what is made in this very pickle, and has its class still, has such.
    """
    owner, name = given if len(given) == 2 else (None, None)
    if not isinstance(name, str):
        return None
    if isinstance(owner, NamedObject):
        return NamedObject(owner.module, f"{owner.name}.{name}")
    if not isinstance(owner, MadeObject) or not isinstance(owner.what, NamedObject) or not name.isidentifier():
        return None
    plain = not owner.builds or (owner.builds == 1 and isinstance(owner.state, MadeDict))
    if name.startswith("__") or not plain:
        return None  # a state that is a pair may set any attribute, `__class__` among them
    return NamedObject(owner.what.module, f"{owner.what.name}().{name}")
