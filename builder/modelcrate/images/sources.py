"""The sources beside an image: a plain tar with its project file, its lock and the files that it was made of. `pipeline/sources.py` makes it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from modelcrate.images.artifact import Artifact
from modelcrate.images.image import Image
from modelcrate.images.reading import Found
from modelcrate.images.unpack import unpack
from modelcrate_layers.content import Blob, Digest, parse_object
from modelcrate_layers.errors import IntegrityError, LockedError, SourceError, UserError
from modelcrate_layers.frozen import dataclass

KIND = "application/vnd.modelcrate.sources.v1"
"""The type of the artifact. Its only layer is a plain tar."""

PROJECT_FILE, MADE_BY = "io.modelcrate.sources.project", "io.modelcrate.sources.version"
"""Annotations of the artifact: the name of the project file, and the version of modelcrate that made the image."""

_FILE = re.compile(r"[^/\x00-\x1f\x7f-\x9f\u2028\u2029]{1,255}")
"""The name of a project file; a message has it in one line."""

MAX_SOURCES = 16 << 30
"""Bytes of sources that are unpacked."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources beside an image: their artifact, the name of the project file, the version that made the image, and the tar."""

    digest: Digest
    file: str
    version: str
    blob: Blob

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
    """Returns the sources beside an image, which may have several.

    Raises:
        IntegrityError: An artifact is damaged.
    """
    subject = image.manifest.descriptor.digest
    listed = found.about(subject, lambda entry: entry.rest.get("artifactType") == KIND)
    return tuple(map(_parsed, (each for each in listed if each.subject == subject)))


def _parsed(artifact: Artifact) -> Sources:
    notes: Mapping[str, object] = parse_object(artifact.manifest.data).get("annotations") or {}
    file = str(notes.get(PROJECT_FILE, ""))
    if not _FILE.fullmatch(file) or file in (".", "..") or len(artifact.layers) != 1:
        raise IntegrityError("sources of an image that name no project file, or have no layer")
    return Sources(artifact.manifest.descriptor.digest, file, str(notes.get(MADE_BY, ""))[:80], artifact.blobs[-1])
