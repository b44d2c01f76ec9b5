"""The sources beside an image: a plain tar with its project file, its lock and the files that it was made of. `pipeline/sources.py` makes it.

An image that was made of another one, with another base or another model, has the same tar beside it. What was changed stands in the artifact's
annotation CHANGES, and is done to the project and its lock when they are used (`pipeline/changed_sources.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelcrate.images.artifact import Artifact, make_referrer, read_artifact
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.images.unpack import unpack
from modelcrate_layers.content import (
    Blob,
    Descriptor,
    Digest,
    canonical_json,
    expect_natural,
    expect_text,
    parse_json,
    parse_object,
)
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

KIND = "application/vnd.modelcrate.sources.v1"
"""The type of the artifact. Its only layer is a plain tar."""

PROJECT_FILE, MADE_BY = "io.modelcrate.sources.project", "io.modelcrate.sources.version"
"""Annotations of the artifact: the name of the project file, and the version of modelcrate that made the image."""

CHANGES = "io.modelcrate.sources.changes"
"""Annotation of the artifact: what the image has instead of what its sources say."""

MAX_CHANGES = 64 << 10
"""Bytes of that annotation."""

_FILE = compile_later(r"[^/\x00-\x1f\x7f-\x9f\u2028\u2029]{1,255}")
"""The name of a project file; a message has it in one line."""

MAX_SOURCES = 16 << 30
"""Bytes of sources that are unpacked."""


@dataclass(frozen=True, slots=True)
class NewBase:
    """Another base than that of the sources.

    Attributes:
        name: Its name, as a project has it.
        digests: Its manifests by platform; none where no project can name it, for only its lowest layers were taken.
    """

    name: str
    digests: Mapping[str, Digest] = field(hash=False)


@dataclass(frozen=True, slots=True)
class NewModel:
    """Another model than one of the sources.

    Attributes:
        goes: The model of the sources, NAME:VERSION.
        name: The name of the new one.
        version: Its version.
        layers: The diff ids of its layers.
    """

    goes: str
    name: str
    version: int
    layers: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What an image has instead of what its sources say: another base, other models."""

    base: NewBase | None = None
    models: tuple[NewModel, ...] = ()

    def then(self, later: Changes) -> Changes:
        """Returns these changes and later ones as one. A model that came and went again is left out."""
        came = {f"{each.name}:{each.version}": each.goes for each in self.models}
        models = {each.goes: each for each in self.models}
        for each in later.models:
            first = came.get(each.goes, each.goes)
            models[first] = NewModel(first, each.name, each.version, each.layers)
        return Changes(later.base or self.base, tuple(models.values()))

    def json(self) -> dict[str, Any]:
        """Returns them as the annotation has them."""
        base = self.base and {
            "name": self.base.name,
            "digests": {name: str(each) for name, each in self.base.digests.items()},
        }
        models = [
            {"goes": each.goes, "name": each.name, "version": each.version, "layers": list(map(str, each.layers))}
            for each in self.models
        ]
        return {**({"base": base} if base else {}), **({"models": models} if models else {})}

    @classmethod
    def parse(cls, text: str) -> Changes:
        """Reads the annotation, which is untrusted.

        Raises:
            IntegrityError: It is malformed.
        """
        try:
            value = parse_json(text.encode(), limit=MAX_CHANGES)
            base, models = value.get("base"), value.get("models", [])
            return cls(
                NewBase(
                    expect_text(base["name"]),
                    {expect_text(name): Digest.parse(each) for name, each in base["digests"].items()},
                )
                if base is not None
                else None,
                tuple(
                    NewModel(
                        expect_text(each["goes"]),
                        expect_text(each["name"]),
                        expect_natural(each["version"]),
                        tuple(map(Digest.parse, each["layers"])),
                    )
                    for each in models
                ),
            )
        except (CrateError, KeyError, TypeError, ValueError, AttributeError):
            raise IntegrityError("sources of an image that do not tell what was changed") from None


UNCHANGED = Changes()


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources beside an image.

    Attributes:
        digest: That of their artifact.
        file: The name of the project file.
        version: The version of modelcrate that made the image.
        blob: The tar.
        changes: What the image has instead.
    """

    digest: Digest
    file: str
    version: str
    blob: Blob
    changes: Changes = UNCHANGED

    def unpack(self, folder: Path, *needed: str) -> None:
        """Writes them into a folder, which they can't leave. `needed` are files that have to be among them, beside the project file.

        Raises:
            IntegrityError: They are damaged or not whole, or a link among them leads out of the folder.
        """
        unpack([self.blob], folder, MAX_SOURCES)
        check_links(folder)
        for name in (self.file, *needed):
            if not (folder / name).is_file():
                raise IntegrityError(f"the sources have no {name}")


def check_links(folder: Path) -> None:
    """Refuses a project with a link that leads out of it.

    Raises:
        IntegrityError: There is one.
    """
    root = os.path.realpath(folder)
    for path in folder.rglob("*"):
        if path.is_symlink() and not os.path.realpath(path).startswith(root + os.sep):
            raise IntegrityError(f"the sources have a link that leads out of them: {path.name[:200]!r}")


@contextmanager
def blamed_on_sources(folder: Path) -> Iterator[None]:
    """Turns faults of the files in an unpacked project into faults of the sources; the name of the folder is left out.

    Raises:
        IntegrityError: A file is not what a project has, or has no use.
    """
    try:
        yield
    except (UserError, SourceError, LockedError) as fault:
        why = str(fault).replace(f"{folder}{os.sep}", "").replace(str(folder), "the sources")
        raise IntegrityError("the sources beside the image can't be used", why=why) from None


def read_sources(found: Found, image: Image) -> tuple[Sources, ...]:
    """Returns the sources beside an image, which may have several; those that are damaged are left out, if there are others.

    Raises:
        IntegrityError: All of them are damaged.
    """
    subject = image.manifest.descriptor.digest
    listed: list[Descriptor] = []

    def listed_only(entry: Descriptor) -> bool:
        if is_sources(entry):
            listed.append(entry)
        return False

    found.about(subject, listed_only)
    read: list[Sources] = []
    faults: list[CrateError] = []
    for entry in listed:
        try:
            artifact = read_artifact(entry, found.collection.read(entry), found.collection.blob)
            if artifact.subject == subject:
                read.append(parse_sources(artifact))
        except CrateError as fault:
            faults.append(fault)
    if faults and not read:
        raise faults[0]
    return tuple(read)


def require_sources(found: Found, image: Image) -> tuple[Sources, ...]:
    """Returns the sources beside an image.

    Raises:
        SourceError: There are none.
        IntegrityError: All of them are damaged.
    """
    beside = read_sources(found, image)
    if not beside:
        raise SourceError(
            "there are no sources beside the image",
            where=found.collection.where,
            why="a build puts its lock and its sources beside an image where it is asked to",
            hint="build it with --sources; or verify its project: modelcrate verify PROJECT --against IMAGE",
        )
    return beside


def make_sources(subject: Descriptor, file: str, version: str, blob: Blob, changes: Changes = UNCHANGED) -> Artifact:
    """Returns the artifact with the sources of an image; the arguments are as in `Sources`."""
    told = changes.json()
    more = {CHANGES: canonical_json(told).decode()} if told else {}
    return make_referrer(subject, KIND, blob, {PROJECT_FILE: file, MADE_BY: version, **more})


def is_sources(entry: Descriptor) -> bool:
    """Returns whether an artifact is sources, by its entry in a list."""
    return entry.rest.get("artifactType") == KIND


def parse_sources(artifact: Artifact) -> Sources:
    """Reads the artifact of sources.

    Raises:
        IntegrityError: It is damaged.
    """
    notes: Mapping[str, object] = parse_object(artifact.manifest.data).get("annotations") or {}
    file = str(notes.get(PROJECT_FILE, ""))
    if not _FILE.fullmatch(file) or file in (".", "..") or len(artifact.layers) != 1:
        raise IntegrityError("sources of an image that name no project file, or have no layer")
    changes = Changes.parse(str(notes[CHANGES])) if CHANGES in notes else UNCHANGED
    digest, version = artifact.manifest.descriptor.digest, str(notes.get(MADE_BY, ""))[:80]
    return Sources(digest, file, version, artifact.blobs[-1], changes)
