"""Finds the packages that a base needs: the wanted ones and their dependencies. Pure; the same lists give the same packages.

There is no search: every name has one candidate, its highest version over all suites, as on a Debian that is up to date. What
Debian calls essential is not taken in unless something depends on it, and what is left out on purpose is a table with reasons.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from modelcrate.resolve.debian.packages import Atom, Dependency, Package, Packages
from modelcrate.resolve.debian.versions import holds
from modelcrate_layers.errors import UserError


def closure(index: Packages, wanted: Iterable[str], left_out: Collection[str], of: str = "main") -> tuple[Package, ...]:
    """Returns the wanted packages and their dependencies (Pre-Depends and Depends), by name. `of` is what messages call the lists.

    A UserError names a wanted package that does not exist, or a dependency that nothing in the lists satisfies.
    """
    chosen: dict[str, Package] = {}
    waiting = deque(_wanted(index, name, of) for name in wanted)
    named = {package.name for package in waiting}
    left_out = frozenset(left_out) - named
    while waiting:
        package = waiting.popleft()
        if package.name in chosen:
            continue
        chosen[package.name] = package
        for dependency in package.needs:
            needed = _choose(index, dependency, named | chosen.keys(), left_out)
            if needed is None:
                raise UserError(
                    f"the Debian package {package.name} {package.version} needs {_words(dependency)}, "
                    "which no list of the mirror has",
                    hint="the mirror is incomplete or in the middle of an update; try another, or later",
                )
            waiting.extend(needed)
    return tuple(sorted(chosen.values(), key=lambda each: each.name))


def _wanted(index: Packages, name: str, of: str) -> Package:
    """Returns the package of a name, also one that has another name now and still provides the old one, as apt takes it."""
    found = index.get(name)
    if found is None:
        stands_for = index.providers(name)
        if len(stands_for) == 1:
            return stands_for[0]
        near = [each.name for each in stands_for[:5]] or get_close_matches(name, index.names, 3, 0.75)
        raise UserError(
            f"there is no Debian package {name[:80]!r} in {of}", hint=f"perhaps {', '.join(near)}" if near else ""
        )
    return found


def _choose(
    index: Packages, dependency: Dependency, chosen: Collection[str], left_out: Collection[str]
) -> tuple[Package, ...] | None:
    """Returns the packages that a dependency adds: none if it is met or left out on purpose; None if it can't be met.

    Otherwise the first alternative that exists.
    """
    met = [package for atom in dependency for package in _satisfying(index, atom) if package.name in chosen]
    if met:
        return tuple(met[:1])
    for atom in dependency:
        if atom.name in left_out:
            return ()
        if found := _satisfying(index, atom):
            return found[:1]
    return None


def _satisfying(index: Packages, atom: Atom) -> tuple[Package, ...]:
    """Returns the packages that satisfy an alternative: the one of that name first, then those that provide it."""
    real = index.get(atom.name)
    own = (real,) if real and (not atom.relation or holds(real.version, atom.relation, atom.version)) else ()
    if own:
        return own
    return tuple(each for each in index.providers(atom.name) if any(_provides(each, atom, p) for p in each.provides))


def _provides(package: Package, atom: Atom, provided: Atom) -> bool:
    """Returns whether a provided name satisfies an alternative; one without a version satisfies no relation (Debian policy 7.5)."""
    if provided.name != atom.name:
        return False
    return not atom.relation or (provided.relation == "=" and holds(provided.version, atom.relation, atom.version))


def _words(dependency: Dependency) -> str:
    return " or ".join(map(str, dependency))
