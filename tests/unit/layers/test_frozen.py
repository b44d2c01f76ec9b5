"""A value is a frozen dataclass with slots, like the standard library's, and costs less to declare."""

from __future__ import annotations

import builtins
import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, get_type_hints
from typing import NamedTuple as StandardNamedTuple

import pytest

from modelcrate_layers.frozen import FEW, NamedTuple, dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Quick:
    """Every sort of field."""

    name: str
    size: int = 3
    seen: list[int] = field(default_factory=list)
    told: str = field(default="", compare=False, repr=False)
    more: dict[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Checked:
    """Looks at itself when it is made."""

    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("less than nothing")

    def __repr__(self) -> str:
        return "checked"


@dataclass(frozen=True, slots=True, order=True)
class Ordered:
    """Has an order."""

    major: int
    minor: int = 0


class Quickly(NamedTuple):
    """Three fields, a method and a property."""

    name: str
    size: int = 3
    seen: tuple[int, ...] = ()

    @property
    def double(self) -> int:
        """Twice the size."""
        return 2 * self.size

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Empty:
    """Has no field."""


def standard(cls: type) -> Any:
    """The same class, by the standard library."""
    names = {each.name: (each.name, each.type, each) for each in dataclasses.fields(cls)}
    return dataclasses.make_dataclass(
        cls.__name__, list(names.values()), frozen=True, slots=True, order=issubclass(cls, Ordered)
    )


MAKES: list[Callable[[Any], Any]] = [
    lambda cls: cls("a"),
    lambda cls: cls("a", 4, [1], told="x", more={"b": 1}),
    lambda cls: cls(name="a", size=4),
]


@pytest.mark.parametrize("make", MAKES)
def test_it_has_the_fields_and_the_text_of_the_standard_one(make: Callable[[Any], Any]) -> None:
    theirs = make(standard(Quick))
    for ours in [make(Quick) for _ in range(FEW + 2)]:  # the first are made in another way than the others
        assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
        assert repr(ours) == repr(theirs)
    assert Quick.__match_args__ == type(theirs).__match_args__


WRONG: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    (("a", 1, [], "", {}, 6), {}),
    (("a",), {"name": "b"}),
    (("a",), {"nme": "b"}),
    ((), {"size": 1}),
]


@pytest.mark.parametrize("made_before", [0, FEW + 1])
@pytest.mark.parametrize(("words", "named"), WRONG)
def test_wrong_arguments_are_refused_in_the_same_words(
    words: tuple[Any, ...], named: dict[str, Any], made_before: int
) -> None:
    @dataclass(frozen=True, slots=True)
    class Fresh:
        name: str
        size: int = 3
        seen: list[int] = field(default_factory=list)
        told: str = ""
        more: dict[str, int] = field(default_factory=dict)

    for _ in range(made_before):
        Fresh("a")
    said = []
    for cls in (Fresh, standard(Fresh)):
        with pytest.raises(TypeError) as fault:
            cls(*words, **named)
        said.append(str(fault.value).replace(f"{cls.__qualname__}.", ""))
    assert said[0] == said[1]


def test_equality_looks_at_what_is_compared_and_at_the_class() -> None:
    assert Quick("a", told="x") == Quick("a", told="y")
    assert Quick("a") != Quick("b")
    assert Quick("a") != standard(Quick)("a")
    assert Empty() == Empty()
    assert Checked(1) != 1


def test_equal_values_have_one_hash() -> None:
    assert len({Ordered(1, 2), Ordered(1, 2), Ordered(2)}) == 2
    assert len({Checked(1), Checked(1), Empty(), Empty()}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        {Quick("a")}


def test_no_two_have_the_same_default_list() -> None:
    one, other = Quick("a"), Quick("a")
    one.seen.append(1)
    assert other.seen == []


def test_it_can_not_be_changed_and_has_no_room_for_more() -> None:
    for name in ("name", "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(Quick("a"), name, "b")
    with pytest.raises(dataclasses.FrozenInstanceError):
        del Quick("a").name
    assert not hasattr(Quick("a"), "__dict__")


def test_it_is_replaced_copied_and_pickled() -> None:
    value = Quick("a", 7, [1], "told", {"b": 2})
    for change in (dataclasses.replace, replace):
        assert change(value, size=8) == Quick("a", 8, [1], "told", {"b": 2})
        with pytest.raises(TypeError, match="other"):
            change(value, other=8)
    assert replace(standard(Quick)("a"), size=8).size == 8
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert dataclasses.asdict(other) == dataclasses.asdict(value)
    assert copy.deepcopy(value).seen is not value.seen


def test_it_looks_at_itself_and_keeps_its_own_words() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        Checked(-1)
    with pytest.raises(ValueError, match="less than nothing"):
        dataclasses.replace(Checked(1), size=-1)
    assert repr(Checked(1)) == "checked"


def test_it_has_an_order_where_one_is_asked_for() -> None:
    assert sorted([Ordered(2), Ordered(1, 5), Ordered(1)]) == [Ordered(1), Ordered(1, 5), Ordered(2)]
    assert Ordered(1) <= Ordered(1) >= Ordered(1)
    with pytest.raises(TypeError):
        max(Quick("a"), Quick("b"))  # type: ignore[type-var]
    with pytest.raises(TypeError):
        max(Ordered(1), (1, 0))  # type: ignore[type-var]


def test_nothing_is_compiled_before_there_are_many_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    execute = exec

    def counting(source: str, *spaces: Any) -> None:
        compiled.append(source)
        execute(source, *spaces)

    monkeypatch.setattr(builtins, "exec", counting)

    @dataclass(frozen=True, slots=True)
    class New:
        """Just made."""

        size: int

    assert [New(each).size for each in range(FEW)] == list(range(FEW))
    assert compiled == []
    assert [New(3).size, New(4).size] == [3, 4]
    assert sum("def __init__(self" in each for each in compiled) == 1


def test_help_shows_the_fields_before_and_after_the_first_instance() -> None:
    @dataclass(frozen=True, slots=True)
    class Shown:
        name: str
        sizes: tuple[int, ...] = ()
        notes: dict[str, str] = field(default_factory=dict)

    expected = "(name: 'str', sizes: 'tuple[int, ...]' = (), notes: 'dict[str, str]' = <factory>)"
    assert str(inspect.signature(Shown)) == expected
    Shown("x")
    assert str(inspect.signature(Shown)) == expected


@dataclass(frozen=True, slots=True)
class Kinded:
    """Has an attribute of the class beside its field."""

    kind: ClassVar[str] = "kinded"
    size: int = 1


def test_what_belongs_to_the_class_is_no_field() -> None:
    assert [each.name for each in dataclasses.fields(Kinded)] == ["size"]
    assert (Kinded.kind, Kinded(2).kind) == ("kinded", "kinded")
    assert Kinded.__slots__ == ("size",)


def test_another_class_may_have_its_fields_and_more() -> None:
    @dataclass(frozen=True, slots=True)
    class More(Ordered):
        patch: int = 0

    @dataclasses.dataclass
    class Theirs(Ordered):
        patch: int = 0

    assert repr(More(1, 2, 3)).endswith("More(major=1, minor=2, patch=3)")
    assert dataclasses.replace(More(1), patch=4) == More(1, 0, 4)
    assert [each.name for each in dataclasses.fields(Theirs)] == ["major", "minor", "patch"]
    assert not hasattr(More(1), "__dict__")


def test_threads_that_ask_for_the_fields_first_get_the_same() -> None:
    for _ in range(50):

        @dataclass(frozen=True, slots=True)
        class Asked:
            name: str
            seen: list[int] = field(default_factory=list)

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _, cls=Asked: dataclasses.fields(cls), range(4)))
        assert all(each == found[0] for each in found)
        assert Asked("a").seen == []
        assert type(vars(Asked)["__dataclass_fields__"]) is dict, "what was made late is no longer looked for"


@dataclass(slots=True)
class Counted:
    """Changes."""

    name: str
    count: int = 0


def test_one_that_is_not_frozen_changes_and_has_no_hash() -> None:
    one = Counted("a")
    one.count += 1
    assert one == Counted("a", 1) != Counted("a")
    assert repr(one) == "Counted(name='a', count=1)"
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(AttributeError):
        setattr(one, "other", 1)  # noqa: B010 - a type checker minds the plain way


def test_a_field_of_the_standard_library_is_not_taken_for_a_default() -> None:
    with pytest.raises(TypeError, match="seen"):

        @dataclass(frozen=True, slots=True)
        class Mixed:
            seen: list[int] = dataclasses.field(default_factory=list)


def test_the_standard_library_is_not_asked_before_somebody_needs_it() -> None:
    code = "import sys; from modelcrate_layers.frozen import dataclass; import modelcrate_layers.content; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "modelcrate_layers.content" in loaded
    assert not {"dataclasses", "inspect", "ast"} & set(loaded)


def standard_tuple(cls: Any) -> Any:
    """The same named tuple, by the standard library."""
    own = {name: vars(cls)[name] for name in ("__annotations__", "__doc__", "__module__", "__str__", "double")}
    return types.new_class(
        cls.__name__, (StandardNamedTuple,), exec_body=lambda space: space.update(own | cls._field_defaults)
    )


def test_a_named_tuple_is_that_of_the_standard_library() -> None:
    slowly = standard_tuple(Quickly)
    for cls in (Quickly, slowly):
        assert (cls("a"), str(cls("a", 2)), cls("a", 2).double) == (("a", 3, ()), "a", 4)
        assert repr(cls("a")) == "Quickly(name='a', size=3, seen=())"
        assert cls("a")._replace(size=5) == cls._make(["a", 5, ()]) == ("a", 5, ())
        assert copy.copy(cls("a")) == cls("a")
        with pytest.raises(TypeError):
            cls()
    assert pickle.loads(pickle.dumps(Quickly("a"))) == Quickly("a")
    for name in ("__doc__", "__module__", "_fields", "_field_defaults", "__match_args__", "__slots__"):
        assert getattr(Quickly, name, None) == getattr(slowly, name, None), name
    assert get_type_hints(Quickly) == get_type_hints(slowly)
    assert inspect.signature(Quickly).parameters.keys() == inspect.signature(slowly).parameters.keys()
    assert Quickly.__qualname__ == "Quickly"
