"""Packages that another tool's lock file pins: which of them an image needs, as exact requirements with their hashes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelcrate.resolve.requirements import Hashes, raise_together
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One package of a lock file.

    Attributes:
        name: The normalised name.
        hashes: SHA-256 of its files, in hex.
        marker: When it is needed (PEP 508); empty: always.
        source: Where it comes from, if that is no index.
        dependencies: PEP 508 lines, for a lock whose markers don't show what each package is needed for.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str = ""
    source: str = ""
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LockedPackages:
    """The packages of a lock file.

    Attributes:
        where: The file.
        roots: PEP 508 lines from which the dependencies are followed; None: every package whose marker holds is needed.
        extras: Extras of the project, for markers that name them.
    """

    where: str
    packages: tuple[LockedPackage, ...]
    roots: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()

    def select(self, environment: Mapping[str, str]) -> tuple[LockedPackage, ...]:
        """Returns the packages that are needed where these markers' values hold, by name.

        Raises:
            UserError: One of them has no hash, is not from an index, or is locked in two versions.
        """
        found = self._by_markers(environment) if self.roots is None else self._by_dependencies(self.roots, environment)
        chosen: dict[str, LockedPackage] = {}
        faults: list[CrateError] = []
        for each in found:
            other = chosen.setdefault(each.name, each)
            if other.version != each.version:
                what = f"{each.name} is locked as {other.version} and as {each.version} for the same platform"
                faults.append(UserError(what, where=self.where, hint="lock again with the tool that wrote the file"))
        faults += [fault for each in chosen.values() if (fault := self._fault(each)) is not None]
        raise_together(faults, self.where)
        return tuple(sorted(chosen.values(), key=lambda each: each.name))

    def _by_markers(self, environment: Mapping[str, str]) -> Iterator[LockedPackage]:
        return (each for each in self.packages if marker_holds(each.marker, environment, self.extras))

    def _by_dependencies(self, roots: Sequence[str], environment: Mapping[str, str]) -> Iterator[LockedPackage]:
        """Follows the dependencies, as the tool does that installs from this lock."""
        from packaging.requirements import Requirement
        from packaging.utils import canonicalize_name

        waiting: list[tuple[str, tuple[str, ...]]] = [(line, ("",)) for line in roots]
        visited: set[tuple[str, tuple[str, ...]]] = set()
        while waiting:
            line, extras = waiting.pop()
            if (line, extras) in visited:
                continue
            visited.add((line, extras))
            wanted = Requirement(line)
            if not marker_holds(str(wanted.marker or ""), environment, extras):
                continue
            for each in self.packages:
                if each.name != canonicalize_name(wanted.name) or not wanted.specifier.contains(each.version, True):
                    continue
                if marker_holds(each.marker, environment, ()):
                    yield each
                    waiting += [(inner, tuple(sorted(wanted.extras)) or ("",)) for inner in each.dependencies]

    def _fault(self, package: LockedPackage) -> UserError | None:
        name = f"{package.name} {package.version}".rstrip()
        if package.source:
            from modelcrate.resolve.requirement_faults import place_of, refuse_elsewhere

            return refuse_elsewhere(name, package.source, place_of(self.where, package.name), "lock it from there")
        if not package.version:
            return UserError(
                f"{package.name} has no version", where=self.where, hint="lock again, on a machine like the image's"
            )
        if not package.hashes:
            return UserError(f"{name} has no sha256", where=self.where, hint="lock again with hashes")
        return None


def exact_lines(packages: Sequence[LockedPackage]) -> tuple[str, ...]:
    """Returns a requirement for each package that means exactly its version."""
    return tuple(f"{each.name}=={each.version}" for each in packages)


def hashes_of(packages: Sequence[LockedPackage]) -> Hashes:
    """Returns the hashes of the packages by name."""
    return {each.name: frozenset(each.hashes) for each in packages}


def marker_holds(marker: str, environment: Mapping[str, str], extras: Sequence[str] = ()) -> bool:
    """Returns whether a marker holds in an environment for any of these extras.

    Raises:
        UserError: It is no marker (PEP 508).
    """
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

    if not marker:
        return True
    try:
        parsed = Marker(marker)
    except InvalidMarker as fault:
        raise UserError(
            f"not a marker of PEP 508: {marker[:200]!r}",
            why=str(fault).splitlines()[0],
            hint="make the lock anew with the tool that wrote it",
        ) from None
    for extra in extras or ("",):
        try:
            if parsed.evaluate({**environment, "extra": extra}):
                return True
        except (UndefinedComparison, UndefinedEnvironmentName):
            return True
    return False
