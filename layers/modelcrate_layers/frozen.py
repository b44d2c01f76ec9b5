"""Frozen dataclasses that cost little to declare: what they are made of is written when it is first needed.

The standard library compiles six functions for every frozen dataclass, about a millisecond each class. A build that has nothing to do
imports a hundred of them and would spend a third of its time on that. Here one function, `__init__`, is compiled, and only for
classes that come to have an instance; the others are the same for all classes. To who uses or checks them they are the standard ones.
"""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections.abc import Callable
from functools import partial
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, slots: bool, frozen: bool = False, order: bool = False) -> Callable[[type], type]:
        """As `dataclasses.dataclass`; what is not frozen is the standard one."""
        if not frozen:
            return dataclasses.dataclass(slots=slots)
        return partial(_declared, _METHODS | (_ORDER if order else {}))


def _declared(methods: dict[str, Callable[..., Any]], cls: type) -> type:
    if any(hasattr(each, _FIELDS) for each in cls.__bases__):  # it has their fields, too
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    else:
        made = _with_slots(cls)
    for name, method in methods.items():
        if name not in cls.__dict__:
            setattr(made, name, method)
    setattr(made, "__signature__", _SIGNATURE)  # noqa: B010 - as below
    setattr(made, "__init__", _first_init(made))  # noqa: B010 - a type checker minds the plain way
    return made  # type: ignore[no-any-return]


def _with_slots(cls: type) -> type:
    """Returns the class anew, with slots for its fields. What else the standard library adds is made when somebody asks for it."""
    kinds = {name: str(kind).removeprefix("typing.") for name, kind in cls.__annotations__.items()}
    names = tuple(name for name, kind in kinds.items() if not kind.startswith("ClassVar"))
    own = {name: value for name, value in cls.__dict__.items() if name not in {*names, "__dict__", "__weakref__"}}
    standard = _Standard(cls)
    own |= {_FIELDS: _Later(standard, _FIELDS), _PARAMETERS: _Later(standard, _PARAMETERS)}
    own |= {"__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__}
    return type(cls)(cls.__name__, cls.__bases__, own)


class _Standard:
    """A class as it was declared, which is made a dataclass by the standard library once."""

    def __init__(self, declared: type) -> None:
        self._declared, self._made, self._lock = declared, False, threading.Lock()

    def get(self, name: str) -> Any:
        with self._lock:
            if not self._made:
                dataclasses.dataclass(init=False, repr=False, eq=False)(self._declared)
                self._made = True
        return getattr(self._declared, name)


class _Later:
    """An attribute of a class that the standard library makes, and that takes the place of this then."""

    def __init__(self, standard: _Standard, name: str) -> None:
        self._standard, self._name = standard, name

    def __get__(self, instance: object, owner: Any) -> Any:
        made = self._standard.get(self._name)
        for each in owner.__mro__:
            if each.__dict__.get(self._name) is self:
                setattr(each, self._name, made)
        return made


class _Signature:
    """The signature that `help` and `inspect.signature` show: the fields, as in the standard library. It is made when it is needed."""

    def __get__(self, instance: object, owner: Any) -> inspect.Signature:
        return inspect.Signature(
            [
                inspect.Parameter(
                    each.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=_default(each), annotation=each.type
                )
                for each in dataclasses.fields(owner)
            ]
        )


class _Made:
    """A marker for a default that is made anew for every instance."""

    def __repr__(self) -> str:
        return "<factory>"


def _default(of: dataclasses.Field[Any]) -> Any:
    if of.default is not dataclasses.MISSING:
        return of.default
    return inspect.Parameter.empty if of.default_factory is dataclasses.MISSING else _MADE


_MADE, _SIGNATURE = _Made(), _Signature()
_FIELDS, _PARAMETERS = "__dataclass_fields__", "__dataclass_params__"
"""What makes a class a dataclass to the standard library."""


def _first_init(cls: Any) -> Callable[..., None]:
    """An `__init__` that puts the compiled one into its own place. Two threads may both do it, and do the same."""

    def first(self: Any, *args: Any, **named: Any) -> None:
        cls.__init__ = _compiled_init(cls)
        cls.__init__(self, *args, **named)

    return first


def _compiled_init(cls: Any) -> Callable[..., None]:
    """The `__init__` that the standard library would have written."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_absent": _ABSENT}
    words, lines = ["self"], []
    for each in dataclasses.fields(cls):
        value, word = each.name, each.name
        if each.default is not dataclasses.MISSING:
            known[f"_{each.name}"], word = each.default, f"{each.name}=_{each.name}"
        elif each.default_factory is not dataclasses.MISSING:
            known[f"_{each.name}"], word = each.default_factory, f"{each.name}=_absent"
            value = f"_{each.name}() if {each.name} is _absent else {each.name}"
        words.append(word)
        lines.append(f" _set(self, {each.name!r}, {value})")
    lines += [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    exec(f"def __init__({', '.join(words)}):\n" + "\n".join(lines or [" pass"]), known)  # noqa: S102 - names of fields only
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


_ABSENT = object()

_COUNTING: dict[str, Callable[[dataclasses.Field[Any]], bool]] = {
    "equality": lambda each: each.compare,
    "hash": lambda each: each.compare if each.hash is None else each.hash,
    "state": lambda each: True,
}
"""Which fields count for what."""

_GETTERS: dict[tuple[type, str], Callable[[Any], Any]] = {}


def _values(self: Any, use: str) -> Any:
    """The values of the fields that count for a use: a tuple, or the only one."""
    cls = type(self)
    getter = _GETTERS.get((cls, use))
    if getter is None:
        names = [each.name for each in dataclasses.fields(cls) if _COUNTING[use](each)]
        getter = _GETTERS[cls, use] = attrgetter(*names) if names else (lambda _: ())
    return getter(self)


def _eq(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return self is other or _values(self, "equality") == _values(other, "equality")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if type(other) is not type(self):
            return NotImplemented
        return compare(_values(self, "equality"), _values(other, "equality"))

    return method


def _hash(self: Any) -> int:
    return int(_values(self, "hash").__hash__())


def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


_METHODS: dict[str, Callable[..., Any]] = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__replace__": dataclasses.replace,
    "__repr__": _repr,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
_ORDER = {f"__{compare.__name__}__": _ordered(compare) for compare in (lt, le, gt, ge)}
