"""What would vanish without a package: immediate dominators, against their definition; requirements in the words of wheels, debs and conda."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelcrate.reports.listing import PackageFiles
from modelcrate.reports.requirements import Name, dominators, keepers
from support.layered import AMD64

NODES = [("wheel", each) for each in "abcdefgh"]
GRAPHS = st.fixed_dictionaries({each: st.lists(st.sampled_from(NODES), max_size=3, unique=True) for each in NODES})


def reached(edges: dict[Name, list[Name]], roots: list[Name], without: Name | None) -> set[Name]:
    seen: set[Name] = set()
    todo = [each for each in roots if each != without]
    while todo:
        each = todo.pop()
        if each not in seen:
            seen.add(each)
            todo += [target for target in edges[each] if target != without]
    return seen


@given(GRAPHS)
def test_they_are_dominators_by_definition(edges: dict[Name, list[Name]]) -> None:
    edges = {name: [each for each in targets if each != name] for name, targets in edges.items()}
    found = dominators(edges)
    led_to = {each for targets in edges.values() for each in targets}
    roots = [each for each in NODES if each not in led_to]
    for each in NODES:  # of a circle that nothing leads to, the first is a root
        if each not in reached(edges, roots, None):
            roots.append(each)
    for each in NODES:
        above = set()
        at: Name | None = each
        while (at := found.get(at)) is not None:  # type: ignore[arg-type]
            above.add(at)
        assert above == {other for other in NODES if other != each and each not in reached(edges, roots, other)}, (
            f"{each} vanishes with other ones"
        )


def wheel(name: str, *requires: str) -> PackageFiles:
    return PackageFiles("wheel", name, "1.0", requires, (f"opt/lib/python3.11/site-packages/{name}.py",))


def found(*packages: PackageFiles) -> dict[str, str]:
    kept = keepers({(each.kind, each.name): each for each in packages}, AMD64)
    return {one[1]: other[1] for one, other in kept.items()}


def test_what_only_one_wheel_needs_vanishes_with_it() -> None:
    assert found(
        wheel("pandas", "numpy>=1.26", "python_dateutil>=2.8"),
        wheel("sklearn", "numpy"),
        wheel("numpy"),
        wheel("python-dateutil", "six"),
        wheel("six"),
    ) == {"python-dateutil": "pandas", "six": "python-dateutil"}


def test_markers_are_those_of_the_image() -> None:
    assert found(
        wheel("a", "b; sys_platform == 'linux'", "c; sys_platform == 'win32'", "d; python_version < '3.11'"),
        wheel("b"),
        wheel("c"),
        wheel("d"),
    ) == {"b": "a"}


def test_an_extra_holds_where_it_is_asked_for() -> None:
    assert found(wheel("app", "server[fast]"), wheel("server", "loop; extra == 'fast'"), wheel("loop")) == {
        "server": "app",
        "loop": "server",
    }
    assert found(wheel("app", "server"), wheel("server", "loop; extra == 'fast'"), wheel("loop")) == {"server": "app"}


def test_debian_packages_depend_on_alternatives_and_what_is_provided() -> None:
    assert found(
        PackageFiles("deb", "python3.11", "3.11", ("libc6 (>= 2.36)", "mime-support | media-types", "awk")),
        PackageFiles("deb", "media-types", "10"),
        PackageFiles("deb", "mawk", "1", ("Provides: awk", "libc6")),
        PackageFiles("deb", "libc6", "2.36"),
    ) == {"media-types": "python3.11", "mawk": "python3.11", "libc6": "python3.11"}


def test_conda_packages_depend_on_names() -> None:
    assert found(PackageFiles("conda", "a", "1", ("b >=1,<2", "__glibc >=2.17")), PackageFiles("conda", "b", "1")) == {
        "b": "a"
    }


def test_requirements_that_can_not_be_read_are_none() -> None:
    assert found(wheel("a", "???", "b ; nonsense == 1", "c @ file:///x", "b" * 5000), wheel("b"), wheel("c")) == {
        "c": "a"
    }
