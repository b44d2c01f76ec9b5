"""Opens the workspace at an address."""

from __future__ import annotations

from pathlib import Path

from modelcrate.images.reference import Reference, is_drive
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import records_of
from modelcrate.workspace.backend import REPOSITORY, WorkspaceBackend
from modelcrate.workspace.folder import FolderBackend
from modelcrate.workspace.moving import current_place, named_workspace
from modelcrate_layers.errors import UserError


def open_workspace(address: str, connections: Connections, folder: Path = Path()) -> WorkspaceBackend:
    """Returns the workspace at an address.

    An address whose first part has a dot or a colon means a registry, unless it begins with a dot or such a folder exists.

    Args:
        address: `HOST[:PORT]/PREFIX` of a registry (or `registry:...`), or a folder (or `folder:...`), which may not exist yet.
        connections: The open connections.
        folder: The folder that relative paths start from.

    Raises:
        UserError: The address is empty, or has a tag or digest.
    """
    kind, colon, rest = address.partition(":")
    if kind == "registry" and colon:
        return _registry(rest, connections)
    if kind == "folder" and colon:
        return _folder(folder / rest, connections)
    first, slash, _ = address.partition("/")
    hosted = (
        bool(slash)
        and not is_drive(first.removesuffix(":"))
        and not first.startswith(".")
        and ("." in first or ":" in first or first == "localhost")
    )
    if hosted and not (folder / address).is_dir():
        return _registry(address, connections)
    if not address.strip():
        raise UserError("a workspace has no address", hint="expected a folder, or HOST/PREFIX of a registry")
    return _folder(folder / address, connections)


VARIABLE = "MODELCRATE_WORKSPACE"
DEFAULT = "default"


def open_usual(address: str, connections: Connections) -> WorkspaceBackend:
    """Returns the workspace at an address; without one, that of MODELCRATE_WORKSPACE, and else the workspace `default` in the user's data.

    Args:
        address: The address, as `open_workspace` takes it, or nothing.
        connections: The open connections.
    """
    named = address or connections.config.environment.get(VARIABLE, "")
    return open_workspace(named, connections) if named else open_named(DEFAULT, connections)


def open_named(name: str, connections: Connections) -> WorkspaceBackend:
    """Returns the workspace with this name in the user's data.

    Args:
        name: A name that can be that of a folder.
        connections: The open connections.
    """
    return _backend(named_workspace(name, connections.config, connections.emit), connections)


def _folder(path: Path, connections: Connections) -> FolderBackend:
    return _backend(current_place(path, connections.config, connections.emit), connections)


def _backend(root: Path, connections: Connections) -> FolderBackend:
    return FolderBackend(root, records=records_of(root, connections.config))


def _registry(text: str, connections: Connections) -> WorkspaceBackend:
    from modelcrate.workspace.registry import RegistryBackend

    reference = Reference.parse(text if "/" in text else f"{text}/{REPOSITORY}")
    if reference.tag or reference.digest:
        raise UserError(f"not a workspace: {text!r}", hint="a registry and a prefix, without tag and digest")
    return RegistryBackend(text.rstrip("/"), connections)
