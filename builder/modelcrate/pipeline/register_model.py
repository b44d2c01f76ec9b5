"""Register a model: measure its files into the layers that images will have, and put them on a backend under the next version."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.home.folder import open_store
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.images.image import ImageLayer
from modelcrate.pipeline.pack import Packer, PackTargets
from modelcrate.pipeline.plan import KnownLayers, plan
from modelcrate.project.values import DEFAULT_PLATFORM, Gates
from modelcrate.security.scan.gates import check_part
from modelcrate.security.scan.guard import VERSION, remember_registered
from modelcrate.security.scan.parts import ScanPart
from modelcrate.workspace.backend import VersionExists, WorkspaceBackend, WorkspaceWriter, format_tag, parse_tag
from modelcrate.workspace.manifest import encode
from modelcrate.workspace.record import MAX_VERSION, ModelRecord, ModelTar, check_name, check_texts
from modelcrate_layers import host
from modelcrate_layers.errors import RegistryError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.model import folder, model_layers
from modelcrate_layers.tar.listing import Listing, list_path

TRIES = 5
"""How often another registration may be faster before we give up."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What is to be registered. `children` are paths below a folder model, all of it where there are none."""

    name: str
    path: Path
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    description: str = ""
    framework: str = ""
    framework_version: str = ""
    children: tuple[str, ...] = ()
    resources: Mapping[str, float] = field(default_factory=dict, hash=False)


def register(backend: WorkspaceBackend, wanted: Registration, config: Config, now: datetime, emit: Emit) -> ModelRecord:
    """The registered model. Versions are 1, 2, 3, ...; nothing is on the backend before all of it is."""
    check(wanted)
    with shared_home_lock(config), backend.writing(wanted.name, emit) as writing:
        for _ in range(TRIES):
            try:
                return _put(writing, wanted, next_version(backend.tags(), wanted.name), config, now, emit)
            except VersionExists:
                continue
    raise RegistryError(f"others keep registering {wanted.name}", where=backend.address, hint="try again")


def check(wanted: Registration) -> None:
    """The rules of a registration, before anything is read."""
    check_name(wanted.name)
    check_texts(wanted.tags, "tag")
    check_texts(wanted.properties, "property")
    if wanted.framework_version and not wanted.framework:
        raise UserError("a framework's version without a framework", hint="name the framework as well")
    if not wanted.path.exists():
        raise SourceError(
            f"the model {wanted.name} is not there",
            where=str(wanted.path),
            hint="name the file or folder that is to be registered; a relative path starts at the current folder",
        )
    if wanted.children and not wanted.path.is_dir():
        raise UserError(
            "child paths are of a folder, and the model is a file",
            where=str(wanted.path),
            hint="register the folder that has the files, or leave the child paths out",
        )


def next_version(tags: Sequence[str], name: str) -> int:
    """Returns the version after the highest one that a model's tags have.

    Args:
        tags: All tags of the repository; those of other models and other tags are passed over.
        name: The name of the model.

    Raises:
        UserError: The highest version is MAX_VERSION already.
    """
    found = [each[1] for each in map(parse_tag, tags) if each is not None and each[0] == name]
    version = max(found, default=0) + 1
    if version > MAX_VERSION:
        raise UserError(f"{name} has no versions left after {MAX_VERSION}", hint="register it under another name")
    return version


def files_of(wanted: Registration, version: int) -> Listing:
    """The model's entries at their places in an image. Names are kept relative to the parent of the model's path."""
    path = Path(os.path.abspath(wanted.path))  # a folder such as "." has a name, too
    under = folder(wanted.name, version)
    whole = list_path(path, under)
    if not wanted.children:
        return whole
    top = under + b"/" + os.fsencode(path.name)
    places = [_child(each, path, top) for each in wanted.children]
    kept = [
        entry
        for entry in whole.entries
        if any(entry.path == place or entry.path.startswith(place + b"/") for place in places)
    ]
    return Listing(tuple(kept))


def _child(child: str, path: Path, top: bytes) -> bytes:
    inner = PurePosixPath(child)
    if inner.is_absolute():
        inner = PurePosixPath(host.inner_path(child, path))
    if ".." in inner.parts or not (path / inner).exists():
        raise SourceError(
            f"the child path {child!r} is not in the model",
            where=str(path),
            hint="child paths are relative to the model's folder",
        )
    return top if inner == PurePosixPath() else top + b"/" + os.fsencode(str(inner))


def _put(
    writing: WorkspaceWriter, wanted: Registration, version: int, config: Config, now: datetime, emit: Emit
) -> ModelRecord:
    listed = files_of(wanted, version)
    begun = time.time_ns()
    gates = _passed_gates(wanted, listed, emit)
    kinds: tuple[LayerKind, ...] = model_layers(wanted.name, version, listed)
    planned = plan(DEFAULT_PLATFORM, (), kinds, {"model": "auto"}, KnownLayers.of(config))
    (layers,) = Packer(config, open_store(config), _nothing, emit, PackTargets(writing.sink)).pack([planned])
    record = _record(wanted, version, layers, now, gates)
    artifact = encode(record)
    blobs = [layer.blob for layer in layers]
    writing.publish(format_tag(wanted.name, version), (artifact.config, artifact.manifest), blobs, new=True)
    if gates:
        digests = [each.layer.descriptor.digest for each in layers]
        remember_registered(record.id, digests, listed.entries, begun, config)
    return record


def _passed_gates(wanted: Registration, listed: Listing, emit: Emit) -> int:
    """Returns the version of the gates if they find nothing, else 0. Findings are only reported: whoever builds an image decides about them."""
    path = Path(os.path.abspath(wanted.path))
    found = check_part(ScanPart(path, listed.entries, (), True), Gates(), path)
    for text in (*(fault.sentence for fault in found.refused), *found.warned):
        emit(Notice(f"a build will look at this: {text}"))
    return 0 if found.refused or found.warned else VERSION


def _record(wanted: Registration, version: int, layers: Sequence[ImageLayer], now: datetime, gates: int) -> ModelRecord:
    return ModelRecord(
        wanted.name,
        version,
        tuple(ModelTar(layer.name, layer.layer) for layer in layers),
        now.replace(microsecond=0),
        dict(wanted.tags),
        dict(wanted.properties),
        wanted.description,
        wanted.framework,
        wanted.framework_version,
        dict(wanted.resources),
        gates,
    )


def change(backend: WorkspaceBackend, record: ModelRecord, emit: Emit) -> ModelRecord:
    """Put a record in the place of the one of its name and version; its layers are there."""
    artifact = encode(record)
    with backend.writing(record.name, emit) as writing:
        writing.publish(format_tag(record.name, record.version), (artifact.config, artifact.manifest), (), new=False)
    return record


def _nothing(kind: LayerKind) -> None:
    """A model's files need no fetching."""
