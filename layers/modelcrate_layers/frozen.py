"""Dataclasses and named tuples that cost little to declare: what they are made of is written when it is first needed.

The standard library compiles six functions for every frozen dataclass, about a millisecond each class, and imports the means to read
Python's grammar first. A build that has nothing to do imports two hundred of them and would spend a third of its time on that. Here one
function, `__init__`, is compiled, and only for classes that come to have many instances; the others are the same for all classes. To
who uses or checks them they are the standard ones.
"""

from __future__ import annotations

import threading
from collections import namedtuple
from collections.abc import Callable
from functools import cache, partial
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import NamedTuple as NamedTuple
else:

    class _NamedTuples(type):
        """Makes a class of a named tuple where one is declared."""

        def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, space)
            kinds = space["__annotations__"]
            defaults = [space[each] for each in kinds if each in space]
            made = namedtuple(name, kinds, defaults=defaults, module=space["__module__"])
            for each, value in space.items():
                if each not in kinds and each != "__module__":
                    setattr(made, each, value)
            return made

    class NamedTuple(metaclass=_NamedTuples):
        """As `typing.NamedTuple`, which compiles the text of every annotation."""

    def dataclass(*, slots: bool, frozen: bool = False, order: bool = False) -> Callable[[type], type]:
        """As `dataclasses.dataclass`. A class always has slots, as it says."""
        return partial(_declared, _METHODS | (_FROZEN if frozen else _CHANGING) | (_ORDER if order else {}))

    def field(**options: Any) -> Any:
        """As `dataclasses.field`, but for options that no class here has."""
        return _Given(**options)

    def replace(value: Any, /, **changes: Any) -> Any:
        """As `dataclasses.replace`, for a value of any dataclass."""
        fields = type(value).__dict__.get(_OWN)
        if fields is None:
            import dataclasses

            return dataclasses.replace(value, **changes)
        return type(value)(**{each.name: getattr(value, each.name) for each in fields} | changes)


class _Absent:
    """A marker: there is no default; or, in a signature, the default is made anew for every instance."""

    def __repr__(self) -> str:
        return "<factory>"


_ABSENT: Any = _Absent()


class _Given:
    """What `field` was given."""

    __slots__ = ("compare", "default", "default_factory", "hash", "repr")

    def __init__(
        self,
        *,
        default: Any = _ABSENT,
        default_factory: Any = _ABSENT,
        compare: bool = True,
        hash: bool | None = None,  # noqa: A002 - the standard library's word
        repr: bool = True,  # noqa: A002 - the standard library's word
    ) -> None:
        self.default, self.default_factory = default, default_factory
        self.compare, self.hash, self.repr = compare, hash, repr

    def standard(self) -> Any:
        """Returns the same of the standard library."""
        import dataclasses

        defaults = {name: getattr(self, name) for name in ("default", "default_factory")}
        given = {name: value for name, value in defaults.items() if value is not _ABSENT}
        return dataclasses.field(compare=self.compare, hash=self.hash, repr=self.repr, **given)


class _Field(NamedTuple):
    """A field of a class."""

    name: str
    default: Any
    factory: Any
    uses: frozenset[str]


_PLAIN = frozenset({"equality", "hash", "text"})
"""What a field counts for, if nothing else was said."""

_OWN, _FIELDS, _PARAMETERS = "__own_fields__", "__dataclass_fields__", "__dataclass_params__"
"""The attribute with our fields, and what makes a class a dataclass to the standard library."""


def _field(name: str, given: Any) -> _Field:
    if not isinstance(given, _Given):
        if type(given).__module__ == "dataclasses":
            raise TypeError(
                f"{name}: a field of the standard library; import `field` from where `dataclass` comes from"
            )
        return _Field(name, given, _ABSENT, _PLAIN)
    counts = {"equality": given.compare, "text": given.repr}
    counts["hash"] = given.compare if given.hash is None else given.hash
    return _Field(name, given.default, given.default_factory, frozenset(use for use, yes in counts.items() if yes))


def _declared(methods: dict[str, Any], cls: type) -> type:
    kinds = cls.__annotations__.items()
    names = [name for name, kind in kinds if not str(kind).startswith(("ClassVar", "typing.ClassVar"))]
    inherited = {each.name: each for base in reversed(cls.__mro__) for each in base.__dict__.get(_OWN, ())}
    space, standard = cls.__dict__, _Standard(cls)
    fields = inherited | {name: _field(name, space.get(name, _ABSENT)) for name in names}
    left_out = {*names, "__dict__", "__weakref__"}
    own = methods | {name: value for name, value in space.items() if name not in left_out}
    own |= {_FIELDS: _Later(standard, _FIELDS), _PARAMETERS: _Later(standard, _PARAMETERS)}
    own |= {_OWN: tuple(fields.values()), "__match_args__": tuple(fields), "__signature__": _SIGNATURE}
    own |= {"__slots__": tuple(name for name in names if name not in inherited), "__qualname__": cls.__qualname__}
    made: Any = type(cls)(cls.__name__, cls.__bases__, own)
    made.__init__ = _first_init(made)
    return made  # type: ignore[no-any-return]


class _Standard:
    """A class as it was declared, which is made a dataclass by the standard library once."""

    def __init__(self, declared: type) -> None:
        self._declared, self._made, self._lock = declared, False, threading.Lock()

    def get(self, name: str) -> Any:
        with self._lock:
            if not self._made:
                import dataclasses

                given = {each: value for each, value in vars(self._declared).items() if isinstance(value, _Given)}
                for each, value in given.items():
                    setattr(self._declared, each, value.standard())
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
        import inspect
        from dataclasses import fields

        kind, none = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty
        parameters = []
        for each, standard in zip(getattr(owner, _OWN), fields(owner), strict=True):
            default = none if each.name in _needed(owner) else each.default
            parameters.append(inspect.Parameter(each.name, kind, default=default, annotation=standard.type))
        return inspect.Signature(parameters)


_SIGNATURE = _Signature()


@cache
def _needed(cls: Any) -> frozenset[str]:
    """The names of the fields that have no default."""
    return frozenset(each.name for each in getattr(cls, _OWN) if each.default is each.factory)


FEW = 8
"""Instances of a class from which on its `__init__` is compiled. Below, that takes longer than what it saves."""


def _first_init(cls: Any) -> Callable[..., None]:
    """An `__init__` for the first instances, which puts the compiled one into its own place then. Two threads may both do it, and do the same."""
    count = 0

    def first(self: Any, *args: Any, **named: Any) -> None:
        nonlocal count
        count += 1
        names, needed = cls.__match_args__, _needed(cls)
        given = dict(zip(names, args, strict=False)) | named
        right = len(given) == len(args) + len(named) and needed <= given.keys() <= {*names}
        if count > FEW or not right:  # Python refuses wrong arguments better than we could
            cls.__init__ = _compiled_init(cls)
            cls.__init__(self, *args, **named)
            return
        for name, default, factory, _ in getattr(cls, _OWN):
            value = given[name] if name in given else default if factory is _ABSENT else factory()
            object.__setattr__(self, name, value)
        if hasattr(cls, "__post_init__"):
            self.__post_init__()

    return first


def _compiled_init(cls: Any) -> Callable[..., None]:
    """The `__init__` that the standard library would have written."""
    known: dict[str, Any] = {"_set": object.__setattr__, "_absent": _ABSENT}
    words, lines = ["self"], []
    for name, default, factory, _ in getattr(cls, _OWN):
        value, word = name, name
        if factory is not _ABSENT:
            known[f"_{name}"], word = factory, f"{name}=_absent"
            value = f"_{name}() if {name} is _absent else {name}"
        elif default is not _ABSENT:
            known[f"_{name}"], word = default, f"{name}=_{name}"
        words.append(word)
        lines.append(f" _set(self, {name!r}, {value})")
    lines += [" self.__post_init__()"] if hasattr(cls, "__post_init__") else []
    exec(f"def __init__({', '.join(words)}):\n" + "\n".join(lines or [" pass"]), known)  # noqa: S102 - names of fields only
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


_GETTERS: dict[tuple[type, str], Callable[[Any], Any]] = {}


def _values(self: Any, use: str) -> Any:
    """The values of the fields that count for a use: a tuple, or the only one."""
    cls = type(self)
    getter = _GETTERS.get((cls, use))
    if getter is None:
        names = [each.name for each in getattr(cls, _OWN) if use in each.uses]
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
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in getattr(self, _OWN) if "text" in each.uses)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in getattr(self, _OWN)]


def _setstate(self: Any, state: list[Any]) -> None:
    for each, value in zip(getattr(self, _OWN), state, strict=True):
        object.__setattr__(self, each.name, value)


_METHODS: dict[str, Any] = {"__eq__": _eq, "__replace__": replace, "__repr__": _repr}
_CHANGING: dict[str, Any] = {"__hash__": None}
_FROZEN: dict[str, Any] = {
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
_ORDER = {f"__{compare.__name__}__": _ordered(compare) for compare in (lt, le, gt, ge)}
