"""Files that two packages own: refused, or the last one's; and what nothing imports stands in nobody's way."""

from __future__ import annotations

from itertools import chain

import pytest

from modelcrate_layers.errors import UserError
from modelcrate_layers.packages.conflicts import ENVIRONMENT, LayerPaths, Owned, are_apart, check, merge, owned_paths
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import PROGRAM_MODE, directory, file, symlink

SITE = b"opt/modelcrate/lib/python3.11/site-packages/"


def owned(owner: str, *paths: str, data: bytes = b"", mode: int = 0o664) -> list[Owned]:
    return [Owned(owner, file(SITE + path.encode(), Bytes(data or owner.encode()), mode)) for path in paths]


def test_the_same_bytes_are_one_file_executable_if_one_of_them_is() -> None:
    merged = merge([*owned("one", "x.py", data=b"1"), *owned("two", "x.py", data=b"1", mode=PROGRAM_MODE)])
    assert merged.files[SITE + b"x.py"].entry.mode == PROGRAM_MODE
    assert merged.covered == {}


def test_other_bytes_are_refused_and_the_message_names_both_and_the_setting() -> None:
    with pytest.raises(UserError) as fault:
        check([*owned("one 1.0", "cv2/__init__.py"), *owned("two 2.0", "cv2/__init__.py")])
    assert "one 1.0 and two 2.0 both own /opt/modelcrate/lib/python3.11/site-packages/cv2/__init__.py" in str(
        fault.value
    )
    assert "on-conflict: last" in fault.value.hint


def test_the_last_one_counts_where_the_project_allows_it_and_it_is_said() -> None:
    packages = [*owned("one", "a.py", "b.py", "c.py"), *owned("two", "b.py", "c.py"), *owned("three", "c.py")]
    merged = merge(packages, "last")
    assert [merged.files[SITE + name].owner for name in (b"a.py", b"b.py", b"c.py")] == ["one", "two", "three"]
    assert check(packages, "last") == (
        f"one and two both own /{SITE.decode()}b.py and 1 more files: taken from two, which comes last",
        "two and three both own /opt/modelcrate/lib/python3.11/site-packages/c.py: taken from three, which comes last",
    )


@pytest.mark.parametrize(
    "path", ["tests/__init__.py", "test/a/b.py", "docs/conf.py", "examples/x.py", "LICENSE", "README.md"]
)
def test_what_nothing_imports_is_no_reason_to_refuse(path: str) -> None:
    (notice,) = check([*owned("one", path), *owned("two", path)])
    assert notice.startswith("one and two both own")
    assert "taken from two" in notice


@pytest.mark.parametrize("path", ["tests.py", "testing/a.py", "numpy/tests/a.py", "readme.py", "license_tool/x.py"])
def test_and_all_else_is(path: str) -> None:
    with pytest.raises(UserError):
        check([*owned("one", path), *owned("two", path)])


@pytest.mark.parametrize("rule", ["refuse", "last"])
def test_neither_the_environment_nor_a_folder_is_ever_replaced(rule: str) -> None:
    link = Owned(ENVIRONMENT, symlink(b"opt/modelcrate/bin/python", b"/usr/bin/python3.11"))
    evil = Owned("evil", file(b"opt/modelcrate/bin/python", Bytes(b"mine")))
    for pair in (
        [link, evil],
        [*owned("one", "tests"), *owned("two", "tests/a.py")],
        [*owned("one", "x"), *owned("one", "x", data=b"2")],
    ):
        with pytest.raises(UserError):
            check(pair, rule)  # type: ignore[arg-type]


def test_folders_and_links_that_are_equal_are_one() -> None:
    both = [directory(SITE + b"d"), symlink(SITE + b"l", b"d")]
    assert len(merge(chain.from_iterable([Owned(name, each) for each in both] for name in ("one", "two"))).files) == 2


@pytest.mark.parametrize(
    ("paths", "apart"),
    [
        (["a/x.py"], True),
        (["b/x.py"], False),
        (["b"], False),
        (["b/x.py/y"], False),
        (["b/"], True),
        (["b/x.py/"], False),
    ],
)
def test_layers_that_are_not_here_are_apart_where_no_path_is_in_two(paths: list[str], apart: bool) -> None:
    there = LayerPaths(1, owned_paths(owned("one", "b/x.py", "c/z.py")))
    here = [
        Owned("two", directory(path[:-1]) if path.endswith(b"/") else file(path, Bytes(b"")))
        for path in (SITE + each.encode() for each in paths)
    ]
    assert are_apart(here, [there]) is apart
    if apart is False:  # what is here and what is there change places
        assert not are_apart(owned("one", "b/x.py"), [LayerPaths(0, owned_paths(here))])


def test_layers_that_were_checked_together_are_not_checked_again() -> None:
    one, two = (LayerPaths(number, frozenset([b"v/__init__.py"])) for number in (0, 1))
    assert are_apart([], [one, one._replace(paths=one.paths | {b"v/more.py"})])
    assert not are_apart([], [one, two])
