"""Deletes a version: a mark takes the place of its manifest. So its number is never given to another, and no registry has to allow deleting.

The layers stay where they are: images of the workspace share them, and a registry collects what nothing names.
"""

from __future__ import annotations

from modelcrate.events import Emit
from modelcrate.images.artifact import EMPTY, make_document
from modelcrate.workspace.backend import WorkspaceBackend, format_tag
from modelcrate_layers.content import parse_object

TOMBSTONE = "application/vnd.modelcrate.deleted.v1+json"
"""The artifact type of the mark."""


def delete(backend: WorkspaceBackend, name: str, version: int, emit: Emit) -> None:
    """Deletes one version of a name.

    Args:
        backend: The workspace.
        name: The name.
        version: The version; it has to exist.
        emit: Gets the events of the transfer.
    """
    notes = {"org.opencontainers.image.title": name, "org.opencontainers.image.version": str(version)}
    document = make_document(TOMBSTONE, EMPTY.descriptor, [EMPTY.descriptor], notes)
    with backend.writing(name, emit) as writing:
        writing.publish(format_tag(name, version), (EMPTY, document), (), new=False)


def is_tombstone(manifest: bytes, where: str) -> bool:
    """Returns whether a manifest is the mark of a deleted version."""
    return parse_object(manifest, where).get("artifactType") == TOMBSTONE
