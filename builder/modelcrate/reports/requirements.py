"""Which package is there for whose sake: what would vanish from an image without a package.

A package that only one other needs vanishes with that one: it is dominated by it, in the words of graphs. What several need belongs to
none of them, and stays. The sum over all that a package dominates is what nix calls its added size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from modelcrate.reports.listing import PackageFiles
from modelcrate_layers.content import Platform
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from packaging.requirements import Requirement

MAX_PACKAGES = 3_000
"""Packages of an image for which it is computed. The largest public images have about half of it."""

MAX_REQUIREMENTS = 20_000
"""Requirements of all wheels that are read."""

MAX_ROUNDS = 20
"""How often requirements are looked through for extras that others ask for."""

Name = tuple[str, str]
"""The kind and the name of a package."""

_WORD = compile_later(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_PYTHON = compile_later(r".*python([0-9]+\.[0-9]+)/(?:site|dist)-packages/.*")


def keepers(packages: Mapping[Name, PackageFiles], platform: Platform) -> dict[Name, Name]:
    """Returns, for each package that vanishes with another, the nearest one that it vanishes with.

    Args:
        packages: The packages of an image.
        platform: Its platform, for requirements that hold on some only.
    """
    return dominators(_edges(packages, platform))


def dominators(edges: Mapping[Name, Sequence[Name]]) -> dict[Name, Name]:
    """Returns the immediate dominators in a graph; what nothing or several independent nodes lead to has none.

    Nodes that nothing leads to are the roots. Of a circle that no root leads to, the first node by name is one.

    Args:
        edges: What each node leads to. All nodes are keys.
    """
    order, before = _ordered(edges)
    number = {name: at for at, name in enumerate(order)}
    above = [-1] * len(
        order
    )  # numbers grow from dominators to dominated (Cooper, Harvey and Kennedy); 0 is the common root
    above[0] = 0
    changed = True
    while changed:
        changed = False
        for at in range(1, len(order)):
            new = -1
            for each in before[order[at]]:
                other = number[each]
                if above[other] >= 0:
                    new = other if new < 0 else _common(new, other, above)
            if new >= 0 and new != above[at]:
                above[at], changed = new, True
    return {order[at]: order[above[at]] for at in range(1, len(order)) if above[at] > 0}


_TOP: Name = ("", "")


def _common(one: int, other: int, above: list[int]) -> int:
    while one != other:
        if one > other:
            one = above[one]
        else:
            other = above[other]
    return one


def _ordered(edges: Mapping[Name, Sequence[Name]]) -> tuple[list[Name], dict[Name, list[Name]]]:
    """Returns the nodes below a common root in reverse postorder, and what leads to each."""
    before: dict[Name, list[Name]] = {name: [] for name in edges}
    for name, targets in edges.items():
        for each in targets:
            before[each].append(name)
    roots = [name for name in sorted(edges) if not before[name]]
    order: list[Name] = []
    seen: set[Name] = set()
    for root in [*roots, *sorted(edges)]:
        if root in seen:
            continue
        if before[root]:
            roots.append(root)
        seen.add(root)
        stack = [(root, iter(sorted(edges[root])))]
        while stack:
            name, rest = stack[-1]
            following = next((each for each in rest if each not in seen), None)
            if following is None:
                stack.pop()
                order.append(name)
            else:
                seen.add(following)
                stack.append((following, iter(sorted(edges[following]))))
    for root in roots:
        before[root].append(_TOP)
    return [_TOP, *reversed(order)], before


def _edges(packages: Mapping[Name, PackageFiles], platform: Platform) -> dict[Name, list[Name]]:
    """Returns what each package requires of the others."""
    provided = {
        ("deb", found[0]): name
        for name, each in packages.items()
        if each.kind == "deb"
        for text in each.requires
        if text.startswith("Provides: ") and (found := _WORD.findall(text[10:]))
    }
    edges = {name: set[Name]() for name in packages}
    for name, each in packages.items():
        if each.kind == "conda":
            edges[name] |= {("conda", text.split()[0]) for text in each.requires if text.strip()}
        elif each.kind == "deb":
            edges[name] |= {
                met for text in each.requires if (met := _alternative(text, packages, provided)) is not None
            }
    for name, target in _of_wheels(packages, platform):
        edges[name].add(target)
    return {name: [each for each in targets if each in packages and each != name] for name, targets in edges.items()}


def _alternative(text: str, packages: Mapping[Name, PackageFiles], provided: Mapping[Name, Name]) -> Name | None:
    """Returns the first installed alternative of a dependency of a Debian package."""
    for each in text.split("|") if not text.startswith("Provides: ") else ():
        words = _WORD.findall(each)
        name = ("deb", words[0]) if words else ("", "")
        if name in packages or name in provided:
            return name if name in packages else provided[name]
    return None


def _of_wheels(packages: Mapping[Name, PackageFiles], platform: Platform) -> Iterable[tuple[Name, Name]]:
    """Yields the requirements between wheels. One that belongs to an extra holds where some package asks for that extra."""
    from packaging.requirements import InvalidRequirement, Requirement

    world = _world(packages, platform)
    parsed: dict[Name, list[Requirement]] = {}
    told = ((name, text) for name, each in packages.items() if each.kind == "wheel" for text in each.requires)
    for name, text in islice(told, MAX_REQUIREMENTS):
        with suppress(InvalidRequirement):
            parsed.setdefault(name, []).append(Requirement(text))
    extras: dict[Name, set[str]] = {name: {""} for name in parsed}
    found: set[tuple[Name, Name]] = set()
    for _ in range(MAX_ROUNDS):
        grown = False
        for name, requirements in parsed.items():
            for required in requirements:
                if not any(_holds(required, {**world, "extra": word}) for word in extras[name]):
                    continue
                target = ("wheel", normalise_name(required.name))
                asked = extras.get(target, required.extras)
                grown = grown or (name, target) not in found or not required.extras <= asked
                found.add((name, target))
                if target in extras:
                    extras[target] |= required.extras
        if not grown:
            break
    return found


def _holds(requirement: Requirement, world: Mapping[str, str]) -> bool:
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    try:
        return requirement.marker is None or requirement.marker.evaluate(dict(world))
    except (UndefinedComparison, UndefinedEnvironmentName, ValueError):
        return True


def _world(packages: Mapping[Name, PackageFiles], platform: Platform) -> dict[str, str]:
    """Returns the variables of markers in the image. None is this machine's."""
    paths = (path for each in packages.values() if each.kind == "wheel" for path in each.files[:20])
    python = next((match[1] for path in paths if (match := _PYTHON.fullmatch(path))), "3.12")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.architecture, platform.architecture)
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
