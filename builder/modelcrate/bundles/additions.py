"""What a bundle has beside images and the documents about them, so that they can be built over there: packages, bases, modelcrate itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from modelcrate.bundles.notes import tool_name
from modelcrate.events import Emit
from modelcrate.images.artifact import Artifact
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.images.sources import KIND as SOURCES
from modelcrate.images.sources import Sources, blamed_on_sources, read_sources
from modelcrate.inspect.golden_requests import KIND as GOLDEN
from modelcrate.project.opening import open_project
from modelcrate.project.values import RegistryBase
from modelcrate.resolve.declared.files import declared_files
from modelcrate.resolve.existing_base import find_base
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import read_lock
from modelcrate.resolve.locked_packages import provide_packages
from modelcrate.resolve.pinned import Pinned
from modelcrate.security.sbom import cyclonedx, spdx
from modelcrate.security.signing.statements import CYCLONEDX, SIGNED, SPDX
from modelcrate.transports.connections import Connections
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import Descriptor, Digest
from modelcrate_layers.errors import SourceError, UserError, unreadable
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.store import FileBlob

_PREDICATE = "dev.sigstore.bundle.predicateType"

BESIDE: Mapping[str, tuple[Callable[[Artifact], bool], str, str]] = {
    "lock": (lambda each: each.kind == SOURCES, "are no lock and sources", "build it with --sources"),
    "sbom": (
        lambda each: (
            each.kind in (spdx.MEDIA_TYPE, cyclonedx.MEDIA_TYPE)
            or each.descriptor.annotations.get(_PREDICATE) in (SPDX, CYCLONEDX)
        ),
        "is no bill of materials",
        "build it with --sbom",
    ),
    "signatures": (
        lambda each: each.tag.endswith(".sig") or each.descriptor.annotations.get(_PREDICATE) == SIGNED,
        "is no signature",
        "modelcrate sign",
    ),
    "golden": (lambda each: each.kind == GOLDEN, "are no golden requests", "name some in its project: tests"),
}
"""What goes along if it is there, and what makes it. One that is asked for has to be there."""

PACKAGES = {"wheels": "wheel", "debs": "deb", "conda": "conda"}
"""Words for packages, and their kinds in a lock."""

BASE, TOOL = "base", "modelcrate"


@dataclass(frozen=True, slots=True)
class Additions:
    """What a bundle is to have: some words of BESIDE and PACKAGES, `base`, and a file of modelcrate."""

    words: frozenset[str] = frozenset()
    tool: Path | None = None

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Additions:
        """Reads `lock,wheels` and `modelcrate=FILE`.

        Raises:
            UserError: A word is none of them, or the file has a name that a bundle can't have.
        """
        words = [word.strip() for text in texts for word in text.split(",") if word.strip()]
        tools = [word.partition("=")[2] for word in words if word.startswith(f"{TOOL}=")]
        plain = frozenset(word for word in words if not word.startswith(f"{TOOL}="))
        known = (*BESIDE, *PACKAGES, BASE)
        if unknown := sorted(plain - set(known)):
            raise UserError(
                f"a bundle is not made with {unknown[0][:80]!r}", hint=f"expected {', '.join(known)}, {TOOL}=FILE"
            )
        if len(tools) > 1 or any(not tool_name(Path(each).name) for each in tools):
            raise UserError(
                "a bundle has one file of modelcrate, with a plain name", hint=f"for instance {TOOL}=modelcrate.pex"
            )
        return cls(plain, Path(tools[0]) if tools else None)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of packages that are wanted."""
        return frozenset(PACKAGES[word] for word in self.words if word in PACKAGES)

    def check(self, name: str, attached: Iterable[Artifact]) -> None:
        """Refuses an image that lacks what has to be beside it.

        Raises:
            SourceError: It lacks something.
        """
        needs_lock = {"lock"} if self.kinds or BASE in self.words else set()
        held = tuple(attached)
        for word in (word for word in BESIDE if word in self.words | needs_lock):
            fits, lacking, way = BESIDE[word]
            if not any(map(fits, held)):
                raise SourceError(f"there {lacking} beside {name}", hint=f"{way}; or leave {word} out of --with")

    def tool_blob(self) -> tuple[str, FileBlob] | None:
        """Returns the file of modelcrate, with its name in the bundle.

        Raises:
            SourceError: It can't be read.
        """
        if self.tool is None:
            return None
        path = self.tool.absolute()
        stamp, sha256 = hash_file(path)
        return path.name, FileBlob(path, Descriptor("application/octet-stream", Digest("sha256", sha256), stamp.size))


@dataclass(frozen=True, slots=True)
class Gathered:
    """Packages that are in the cache, and bases by the names that they get."""

    packages: Mapping[str, Pinned[Package]]
    bases: Mapping[str, Found]


def gather(images: Mapping[str, Found], wanted: Additions, connections: Connections, emit: Emit) -> Gathered:
    """Returns what the locks of images name: packages, which are fetched where they are not in the cache, and bases in registries.

    Args:
        images: The images by their names, each with sources beside it.
        wanted: What is wanted of that.
        connections: The open connections.
        emit: Gets the progress.
    """
    packages: dict[str, Pinned[Package]] = {}
    bases: dict[str, Found] = {}
    if not wanted.kinds and BASE not in wanted.words:
        return Gathered(packages, bases)
    for found in images.values():
        for sources in _all_sources(found):
            with scratch_folder() as scratch:
                sources.unpack(scratch, LOCK_NAME)
                # nobody has to have signed the sources: they get no variables of this machine, and no credentials
                foreign = replace(connections.config, foreign=True)
                with blamed_on_sources(scratch):
                    project, lock = (
                        open_project(scratch / sources.file, foreign.home),
                        read_lock(scratch / LOCK_NAME),
                    )
                    for _ in declared_files(project.dependencies, scratch, foreign.file_variables):
                        pass  # a variable that they want is told before anything is fetched
                assert lock is not None, "it was asked for"
                if wanted.kinds:
                    with Connections(foreign, emit, connections.logins) as own:
                        pins = provide_packages(project, scratch, lock, wanted.kinds, own, emit)
                    packages |= {pin.sha256: pin for pin in pins}
                if BASE in wanted.words and isinstance(project.base, RegistryBase):
                    reference = Reference.parse(project.base.reference)
                    digests = [pins.base for pins in lock.pins.values() if pins.base is not None]
                    bases |= {
                        str(reference.at(digest)): find_base(project.base, scratch, connections, digest)
                        for digest in digests
                    }
    return Gathered(packages, bases)


def _all_sources(found: Found) -> Iterator[Sources]:
    """Yields the sources beside an image; of an index, those beside its first image, which are the same."""
    yield from read_sources(found, found.read().images[0])


def stored(package: Pinned[Package], connections: Connections) -> FileBlob:
    """Returns a package of the cache."""
    path = package.place(connections.config.cache)
    try:
        size = path.stat().st_size
    except OSError as fault:
        raise unreadable(fault, path) from None
    return FileBlob(path, Descriptor("application/octet-stream", Digest("sha256", package.sha256), size))
