"""Which packages follow from which, out of lists written here."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from modelcrate.resolve.debian.closure import closure
from modelcrate.resolve.debian.packages import Packages
from modelcrate_layers.errors import IntegrityError, UserError
from support.debs import stanza


def listed(name: str, version: str = "1.0", **fields: str) -> str:
    rest = {"Filename": f"pool/main/{name}_{version}.deb", "Size": "10", "SHA256": "0" * 64}
    return stanza(name, version, **{**rest, **fields})


def lists(*stanzas: str, security: tuple[str, ...] = ()) -> Packages:
    return Packages([("debian", "\n".join(stanzas).encode()), ("debian-security", "\n".join(security).encode())])


def needs(index: Packages, *wanted: str, left_out: Collection[str] = ()) -> list[str]:
    return [each.name for each in closure(index, wanted, left_out)]


def test_dependencies_of_dependencies_are_taken_in_and_recommended_ones_are_not() -> None:
    index = lists(
        listed("a", Depends="b (>= 1.0), c:any", Recommends="e"),
        listed("b", Pre_Depends="d"),
        *map(listed, "cde"),
    )
    assert needs(index, "a") == ["a", "b", "c", "d"]


def test_a_circle_ends() -> None:
    index = lists(listed("a", Depends="b"), listed("b", Depends="c"), listed("c", Depends="a, c"))
    assert needs(index, "b") == ["a", "b", "c"]


def test_the_first_alternative_that_exists_is_taken() -> None:
    index = lists(listed("a", Depends="none | c | b"), listed("b"), listed("c"))
    assert needs(index, "a") == ["a", "c"]


def test_an_alternative_that_is_there_already_is_enough() -> None:
    index = lists(listed("a", Depends="c | b"), listed("b"), listed("c"))
    assert needs(index, "b", "a") == ["a", "b"]
    assert needs(index, "a", "b") == ["a", "b"]


def test_an_alternative_of_too_low_a_version_does_not_count() -> None:
    index = lists(listed("a", Depends="b (>= 2.0) | c"), listed("b"), listed("c"))
    assert needs(index, "a") == ["a", "c"]


@pytest.mark.parametrize(
    ("relation", "found"),
    [("(= 1.0-1)", True), ("(>= 1.0-1~)", True), ("(<< 1.0-1)", False), ("(>> 1.0-1)", False), ("(<= 1:0)", True)],
)
def test_relations_are_held(relation: str, found: bool) -> None:
    index = lists(listed("a", Depends=f"b {relation}"), listed("b", "1.0-1"))
    if found:
        assert needs(index, "a") == ["a", "b"]
    else:
        with pytest.raises(UserError, match="needs b"):
            needs(index, "a")


def test_the_highest_version_of_all_lists_is_the_candidate() -> None:
    index = lists(listed("a", "1.9"), listed("a", "1.10", Depends="b"), listed("b"), security=(listed("a", "1.10~1"),))
    assert [each.version for each in closure(index, ["a"], ())] == ["1.10", "1.0"]


def test_of_equal_versions_the_first_lists_counts() -> None:
    index = lists(listed("a"), security=(listed("a"),))
    assert closure(index, ["a"], ())[0].archive == "debian"


def test_a_virtual_package_is_provided_by_the_first_by_name() -> None:
    index = lists(listed("a", Depends="v"), listed("z", Provides="v"), listed("m", Provides="w, v (= 3)"))
    assert needs(index, "a") == ["a", "m"]
    assert needs(index, "a", "z") == ["a", "z"]


def test_a_provided_version_is_compared_and_none_satisfies_no_relation() -> None:
    index = lists(listed("a", Depends="v (>= 2)"), listed("b", Provides="v"), listed("c", Provides="v (= 2.1)"))
    assert needs(index, "a") == ["a", "c"]


def test_a_superseded_version_provides_nothing() -> None:
    index = lists(listed("a", Depends="v"), listed("b", "1", Provides="v"), security=(listed("b", "2"),))
    with pytest.raises(UserError, match="needs v"):
        needs(index, "a")


def test_what_is_left_out_satisfies_and_is_not_taken_unless_asked_for() -> None:
    index = lists(listed("a", Depends="debconf (>= 0.5) | debconf-2.0, b"), listed("b"), listed("debconf"))
    assert needs(index, "a", left_out={"debconf"}) == ["a", "b"]
    assert needs(index, "a", "debconf", left_out={"debconf"}) == ["a", "b", "debconf"]


def test_a_dependency_that_nobody_has_is_named() -> None:
    with pytest.raises(UserError, match=r"package a 1\.0 needs b \(>= 2\) or c, which"):
        needs(lists(listed("a", Depends="b (>= 2) | c"), listed("b")), "a")


def test_a_near_miss_is_offered() -> None:
    with pytest.raises(UserError, match="no Debian package 'libgmp1'") as caught:
        needs(lists(listed("libgomp1"), listed("zlib1g")), "libgmp1")
    assert caught.value.hint == "perhaps libgomp1"


def test_a_name_of_before_is_the_one_package_that_provides_it() -> None:
    index = lists(
        listed("a1t64", Provides="a1 (= 1.0)", Depends="c"),
        listed("b1", Provides="b"),
        listed("b2", Provides="b"),
        listed("c"),
    )
    assert needs(index, "a1") == ["a1t64", "c"]
    with pytest.raises(UserError) as raised:
        needs(index, "b")
    assert raised.value.hint == "perhaps b1, b2"


def test_a_stanza_may_begin_with_another_field() -> None:
    index = lists("Source: x\n" + listed("a"), listed("b"))
    assert needs(index, "a", "b") == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        {"Filename": "../x.deb"},
        {"Filename": "pool/../x.deb"},
        {"Filename": "https://elsewhere/x.deb"},
        {"SHA256": "0"},
        {"Size": "-1"},
        {"Size": str(1 << 39)},
        {"Version": "1 2"},
        {"Depends": "b ("},
        {"Depends": "$(b)"},
        {"Depends": "b (~ 1)"},
    ],
)
def test_a_stanza_that_says_nonsense_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(IntegrityError):
        needs(lists(listed("a", **change)), "a")


def test_a_package_without_a_name_is_no_package() -> None:
    index = lists("Version: 1\n", listed("a"), "Package: \nVersion: 1\n")
    assert needs(index, "a") == ["a"]
    with pytest.raises(UserError, match="no Debian package 'b'"):
        needs(index, "b")
