"""Finds models in a workspace: one by name and version, or all with some tags and properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelcrate.workspace.backend import WorkspaceBackend, format_tag, parse_tag
from modelcrate.workspace.deleting import is_tombstone
from modelcrate.workspace.manifest import decode, read_config_descriptor
from modelcrate.workspace.record import ModelRecord, check_name
from modelcrate_layers.content import Descriptor, verified
from modelcrate_layers.errors import IntegrityError, SourceError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds.ready import ReadyLayer

MAX_CONFIG = 4 << 20


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Conditions that a model has to meet.

    Attributes:
        name: Its name; None for any.
        tags: Its tags. With the value None the tag has to exist, with any value.
        properties: Its properties, like tags.
        framework: Its framework; None for any.
        latest: Whether only the latest version of each name that fits is wanted.
    """

    name: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    properties: Mapping[str, str | None] = field(default_factory=dict, hash=False)
    framework: str | None = None
    latest: bool = False

    def fits(self, record: ModelRecord) -> bool:
        """Returns whether a model has the tags, properties and framework."""
        return (
            self.framework in (None, record.framework)
            and _has(record.tags, self.tags)
            and _has(record.properties, self.properties)
        )


def get_model(backend: WorkspaceBackend, name: str, version: int | None = None) -> ModelRecord:
    """Returns a model, by default its latest version.

    Raises:
        SourceError: There is no such model or version. The message lists what exists.
        UserError: The name is not valid.
    """
    check_name(name)
    wanted = reversed(list_versions(backend.tags(), name)) if version is None else (version,)
    for each in wanted:
        record = read_model(backend, name, each)
        if record is not None:
            return record
    known = ", ".join(str(each.version) for each in reversed(list_models(backend, ModelQuery(name))))
    raise SourceError(
        f"there is no model {name}" + (f" of version {version}" if version else ""),
        where=backend.address,
        why=f"it has the versions {known}" if known else f"it has: {', '.join(list_names(backend)) or 'no models'}",
        hint="modelcrate model list shows what is registered",
    )


def read_model(backend: WorkspaceBackend, name: str, version: int) -> ModelRecord | None:
    """Returns the model with this name and version, or None if there is none, or it was deleted.

    Raises:
        IntegrityError: The model is damaged, or has another name or version.
    """
    tag = format_tag(name, version)
    manifest = backend.manifest(tag)
    where = f"{backend.address} {name}:{version}"
    if manifest is None or is_tombstone(manifest, where):
        return None
    config = read_config_descriptor(manifest, where)
    record = decode(manifest, small_blob(backend, config, where), where)
    if (record.name, record.version) != (name, version):
        raise IntegrityError(f"is the model {record.id}", where=where)
    return record


def list_models(backend: WorkspaceBackend, wanted: ModelQuery) -> list[ModelRecord]:
    """Returns the models that meet the conditions, ordered by name, the newest version first."""
    if wanted.name is not None:
        check_name(wanted.name)
    seen, found = backend.snapshot(), []
    for name, versions in versions_by_name(seen.tags()).items():
        for version in reversed(versions) if wanted.name in (None, name) else ():
            record = read_model(seen, name, version)
            if record is not None and wanted.fits(record):
                found.append(record)
                if wanted.latest:
                    break
    return found


def list_names(backend: WorkspaceBackend) -> list[str]:
    """Returns the names of all models, sorted."""
    return [record.name for record in list_models(backend, ModelQuery(latest=True))]


def list_versions(tags: Iterable[str], name: str) -> list[int]:
    """Returns the versions of a name, ascending."""
    found = map(parse_tag, tags)
    return sorted(each[1] for each in found if each is not None and each[0] == name)


def versions_by_name(tags: Iterable[str]) -> dict[str, list[int]]:
    """Returns the versions of every name, ascending, by name in alphabetical order."""
    found: dict[str, list[int]] = {}
    for name, version in sorted(each for each in map(parse_tag, tags) if each is not None):
        found.setdefault(name, []).append(version)
    return found


def open_layers(backend: WorkspaceBackend, record: ModelRecord) -> tuple[ReadyLayer, ...]:
    """Returns the layers of a model as layers for an image."""
    return tuple(
        ReadyLayer("model", each.name, each.layer, backend.blob(each.layer.descriptor), record.gates)
        for each in record.layers
    )


def _has(texts: Mapping[str, str], wanted: Mapping[str, str | None]) -> bool:
    return all(key in texts and value in (None, texts[key]) for key, value in wanted.items())


def small_blob(backend: WorkspaceBackend, descriptor: Descriptor, where: str) -> bytes:
    """Returns a document of a workspace, verified; an IntegrityError where it is larger than documents are."""
    if descriptor.size > MAX_CONFIG:
        raise IntegrityError(f"has a config of {descriptor.size} bytes; the limit is {MAX_CONFIG}", where=where)
    return b"".join(verified(backend.blob(descriptor).chunks(), descriptor, where))
