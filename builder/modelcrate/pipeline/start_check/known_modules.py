"""The modules that an image has: those of its Python, of its packages, of the project, and of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.pipeline.compose import import_roots
from modelcrate.pipeline.start_check.import_graph import Sources
from modelcrate.project.conda import as_requirement
from modelcrate.project.values import DebianBase, Project
from modelcrate.resolve.import_names import GONE, is_namespace, prefixes, provides
from modelcrate.resolve.standard_library import DEBIAN_APART, standard_library
from modelcrate.resolve.world import Resolved
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ROOT
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import show
from modelcrate_server.compat_imports import STAND_INS


@dataclass(frozen=True, slots=True)
class KnownModules:
    """What an image has, for one platform."""

    standard: frozenset[str]
    distributions: Mapping[str, Path | None]
    sources: Sources
    own: frozenset[str]
    """What is there in any case, with all that is below it."""
    stand_ins: frozenset[str]
    """The names of others under which the server has something: these alone, for below them are packages that the image may lack."""
    gone: frozenset[str]
    """Modules that packages of the image no longer have."""
    apart: Mapping[str, str]
    """Modules of the standard library that the base lacks, with the Debian package that has them; empty for none."""

    @classmethod
    def of(
        cls, project: Project, folder: Path, entry: EntryLayer | None, resolved: Resolved, python: str, cache: Path
    ) -> KnownModules:
        """Returns the modules of the image of a project.

        Args:
            project: The project.
            folder: The folder of the project.
            entry: The layer of its sources; None for none.
            resolved: The base and the packages of the image.
            python: Its Python, such as 3.11.
            cache: The cache, with the wheels that have been fetched.
        """
        top = len(ROOT) + 1
        places = {
            show(each.path[top:]): Path(each.source.path)
            for each in (entry.sources.entries if entry is not None else ())
            if isinstance(each.source, FileRange)
        }
        distributions: dict[str, Path | None] = {each.name: each.place(cache) for each in resolved.pins.wheels}
        for each in resolved.pins.conda:
            distributions |= dict.fromkeys((normalise_name(each.name), normalise_name(as_requirement(each.name))))
        served = project.command is None
        return cls(
            standard_library(python),
            distributions,
            Sources.of(places, import_roots(project), folder),
            frozenset({"__main__", *(("modelcrate_server",) if served else ())}),
            frozenset(STAND_INS if served else ()),
            frozenset(
                module
                for module, (package, version) in GONE.items()
                if any(each.name == package and _not_before(each.version, version) for each in resolved.pins.wheels)
            ),
            _apart(project, resolved, "setuptools" in distributions),
        )

    def importing_from(self, roots: Sequence[str]) -> KnownModules:
        """Returns the same with more folders of the project from which its modules are imported."""
        return replace(self, sources=replace(self.sources, roots=tuple(dict.fromkeys((*roots, *self.sources.roots)))))

    def has(self, module: str) -> bool:
        """Returns whether a module can be imported."""
        top = module.partition(".")[0]
        return top not in self.gone and (
            (top in self.standard and self.apart.keys().isdisjoint(prefixes(module)))
            or top in self.own
            or module in self.stand_ins
            or self.sources.imported(module) is not None
            or provides(module, self.distributions)
        )

    def is_part_of_namespace(self, module: str) -> bool:
        """Returns whether what is imported from a package can be nothing but a module, because the package is a namespace of the image's packages."""
        above = module.rpartition(".")[0]
        return (
            self.sources.imported(above) is None
            and above not in self.standard
            and is_namespace(above, self.distributions)
        )


def _apart(project: Project, resolved: Resolved, setuptools: bool) -> Mapping[str, str]:
    """Returns what the base lacks of its Python's library: Debian packages some of it apart. setuptools has a distutils of its own."""
    if resolved.own_python:
        return {}
    if not isinstance(project.base, DebianBase):
        return dict.fromkeys(resolved.below.lacking, "")
    there = {each.name for each in resolved.pins.debs}
    return {
        module: package
        for module, package in DEBIAN_APART.items()
        if package not in there and not (setuptools and module.startswith("distutils"))
    }


def _not_before(version: str, bound: str) -> bool:
    from packaging.version import Version

    return Version(version) >= Version(bound)
