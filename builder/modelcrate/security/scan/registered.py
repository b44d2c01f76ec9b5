"""Registered models at the gates: their layers are unpacked into a temporary folder, and read as a model's folder is.

A model whose layers are on this machine is always read, once: when it is registered here, or else at its first build. One that lies in a
registry is read if nothing vouches that it passed the gates when it was registered, or if the project names keys. So packaging a registered model moves none of its bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelcrate.images.unpack import unpack
from modelcrate.project.values import Gates
from modelcrate.security.scan.gates import check_part
from modelcrate.security.scan.parts import Findings, ScanPart
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.kinds.model import folder as model_folder
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.store import FileBlob
from modelcrate_layers.tar.codec import decode
from modelcrate_layers.tar.listing import list_inside
from modelcrate_layers.tar.reader import MemberKind, read_tar


def has_to_be_read(layers: Iterable[ReadyLayer], gates: Gates, version: int) -> bool:
    """Returns whether gates of this version have to read a registered model."""
    return bool(gates.model_keys) or any(isinstance(each.blob, FileBlob) or each.gates != version for each in layers)


def check_registered(name: str, layers: Sequence[ReadyLayer], gates: Gates, folder: Path) -> Findings:
    """Reads every file of a registered model, `NAME:VERSION`; nothing of it is loaded or run. `folder` is the project's."""
    plain, _, version = name.rpartition(":")
    place = model_folder(plain, int(version))
    for layer in layers:
        _check_places(name, layer, place)
    with scratch_folder() as root:
        unpack([layer.blob for layer in layers], root)
        top = root / os.fsdecode(place)
        top.mkdir(parents=True, exist_ok=True)  # a model without files
        inner = list(top.iterdir())
        whole = inner[0] if len(inner) == 1 and inner[0].is_dir() else top
        part = ScanPart(whole, list_inside(top, b"").entries, (), True)
        found = check_part(part, gates, folder)
        return Findings(
            tuple(_renamed(fault, str(top), name) for fault in found.refused),
            tuple(line.replace(str(top), name) for line in found.warned),
        )


def _check_places(name: str, layer: ReadyLayer, place: bytes) -> None:
    """Checks that a layer has folders and files of the model's own folder: one with more would change other parts of the image."""
    for member in read_tar(decode(layer.blob.chunks()), held=True):
        path = member.name.strip(b"/")
        if member.kind is MemberKind.DIRECTORY:
            fits = (path + b"/").startswith(place + b"/") or (place + b"/").startswith(path + b"/")
        else:
            fits = member.kind is MemberKind.FILE and path.startswith(place + b"/")
        if not fits or b".." in path.split(b"/"):
            where = f"{name}, layer {layer.layer.descriptor.digest.short}"
            raise IntegrityError(f"has {os.fsdecode(path)!r:.200}, which is no file of the model's folder", where=where)


def _renamed(fault: CrateError, top: str, name: str) -> CrateError:
    fault.where = fault.where.replace(top, name)
    return fault
