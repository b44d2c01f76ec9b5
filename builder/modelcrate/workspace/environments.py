"""Registered environments: a definition under a name and a version, as an OCI artifact beside the models."""

from __future__ import annotations

from typing import Any

from modelcrate.events import Emit
from modelcrate.images.artifact import EMPTY, make_document
from modelcrate.workspace.backend import ENVIRONMENTS, VersionExists, WorkspaceBackend, format_tag
from modelcrate.workspace.find import list_versions, small_blob, versions_by_name
from modelcrate.workspace.record import check_name
from modelcrate_layers.content import Descriptor, Literal, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError, RegistryError, SourceError
from modelcrate_layers.frozen import dataclass

ARTIFACT = "application/vnd.modelcrate.environment.v1+json"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class RegisteredEnvironment:
    """One version of an environment. `definition` is the JSON that was registered."""

    name: str
    version: int
    definition: bytes


def register_environment(
    workspace: WorkspaceBackend, name: str, facts: dict[str, Any], emit: Emit
) -> RegisteredEnvironment:
    """Registers a definition under the next version of a name. An equal one that is the latest is not registered again.

    Args:
        workspace: The workspace.
        name: The name.
        facts: The definition, as data for JSON.
        emit: Gets the events of the transfer.

    Raises:
        UserError: The name is not valid.
        RegistryError: Others keep registering this name.
    """
    check_name(name)
    backend, definition = workspace.beside(ENVIRONMENTS), canonical_json(facts)
    with backend.writing(name, emit) as writing:
        for _ in range(_TRIES):
            version = max(list_versions(backend.tags(), name), default=0)
            if version and (latest := _read(backend, name, version)).definition == definition:
                return latest
            try:
                documents = _documents(name, version + 1, definition)
                writing.publish(format_tag(name, version + 1), documents, (), new=True)
            except VersionExists:
                continue
            return RegisteredEnvironment(name, version + 1, definition)
    raise RegistryError(f"others keep registering {name}", where=workspace.address, hint="try again")


def get_environment(workspace: WorkspaceBackend, name: str, version: int | None = None) -> RegisteredEnvironment:
    """Returns an environment, by default its latest version.

    Raises:
        SourceError: There is no such environment or version.
        UserError: The name is not valid.
    """
    check_name(name)
    backend = workspace.beside(ENVIRONMENTS)
    known = list_versions(backend.tags(), name)
    if not known or (version is not None and version not in known):
        have = f"it has the versions {', '.join(map(str, known))}" if known else ""
        raise SourceError(
            f"there is no environment {name}" + (f" of version {version}" if version is not None else ""),
            where=workspace.address,
            why=have or f"it has: {', '.join(_names(backend)) or 'no environments'}",
            hint="register one: Environment.from_conda_specification(name, file).register(ws); the cloud's own are not here: "
            "az ml environment show writes their files",
        )
    return _read(backend, name, known[-1] if version is None else version)


def list_environments(workspace: WorkspaceBackend) -> list[RegisteredEnvironment]:
    """Returns the latest version of every environment, by name."""
    backend = workspace.beside(ENVIRONMENTS).snapshot()
    return [_read(backend, name, versions[-1]) for name, versions in versions_by_name(backend.tags()).items()]


def _names(backend: WorkspaceBackend) -> list[str]:
    return list(versions_by_name(backend.tags()))


def _documents(name: str, version: int, definition: bytes) -> tuple[Literal, ...]:
    layer = Literal(definition, "application/json")
    notes = {"org.opencontainers.image.title": name, "org.opencontainers.image.version": str(version)}
    return (EMPTY, layer, make_document(ARTIFACT, EMPTY.descriptor, [layer.descriptor], notes))


def _read(backend: WorkspaceBackend, name: str, version: int) -> RegisteredEnvironment:
    where = f"{backend.address} environment {name}:{version}"
    manifest = backend.manifest(format_tag(name, version))
    document = parse_object(manifest or b"{}", where)
    layers = document.get("layers")
    if document.get("artifactType") != ARTIFACT or not isinstance(layers, list) or len(layers) != 1:
        raise IntegrityError("is not a registered environment", where=where)
    return RegisteredEnvironment(name, version, small_blob(backend, Descriptor.parse(layers[0]), where))
