"""Which backend an address means."""

from __future__ import annotations

from pathlib import Path

from modelcrate.images.reference import Reference
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import REPOSITORY, WorkspaceBackend
from modelcrate.workspace.folder import FolderBackend
from modelcrate_layers.errors import UserError


def open_workspace(address: str, connections: Connections, folder: Path = Path()) -> WorkspaceBackend:
    """The workspace at an address: a registry's `HOST[:PORT]/PREFIX` (or `registry:...`), else a folder, which may not exist yet.

    A relative folder is below `folder`. What has a dot or a colon in its first part is a registry, unless it begins with a dot or
    there is such a folder.
    """
    kind, colon, rest = address.partition(":")
    if kind == "registry" and colon:
        return _registry(rest, connections)
    if kind == "folder" and colon:
        return FolderBackend(folder / rest)
    first, slash, _ = address.partition("/")
    hosted = bool(slash) and not first.startswith(".") and ("." in first or ":" in first or first == "localhost")
    if hosted and not (folder / address).is_dir():
        return _registry(address, connections)
    if not address.strip():
        raise UserError("a workspace has no address", hint="expected a folder, or HOST/PREFIX of a registry")
    return FolderBackend(folder / address)


def _registry(text: str, connections: Connections) -> WorkspaceBackend:
    from modelcrate.workspace.registry import RegistryBackend

    reference = Reference.parse(text if "/" in text else f"{text}/{REPOSITORY}")
    if reference.tag or reference.digest:
        raise UserError(f"not a workspace: {text!r}", hint="a registry and a prefix, without tag and digest")
    return RegistryBackend(text.rstrip("/"), connections)
