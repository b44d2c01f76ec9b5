"""One look into the layers of a base that lies on this machine: that they are what they claim, and where their Python is.

The look unpacks every layer once and is remembered by the layer's digest. Layers of a base in a registry are never fetched for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from modelcrate.events import Emit, silent, watched
from modelcrate.images.image import ImageLayer
from modelcrate_layers.atomic import write_file
from modelcrate_layers.content import canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import MemberKind, read_tar
from modelcrate_layers.tar.recipe import Tally
from modelcrate_layers.tar.tree import show

_INTERPRETER = re.compile(rb"((?:usr/(?:local/)?|opt/[^/]+/|)bin/python3\.(?:[0-9]{1,3}))")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Scan:
    """What was seen in one layer: programs called python3.N by their absolute paths, and the length of the tar."""

    interpreters: tuple[str, ...]
    tar_size: int


def scan(layer: ImageLayer, cache: Path, emit: Emit = silent) -> Scan:
    """A layer looked through. Wrong digests, damage and members that lead outside are an IntegrityError."""
    path = cache / "scans" / f"{layer.layer.descriptor.digest.hex}-{layer.layer.diff_id.short}.json"
    if (seen := _remembered(path)) is not None:
        return seen
    try:
        found = _look(layer, emit)
    except IntegrityError:
        for _ in layer.blob.chunks():  # if the bytes are not those that were promised, that is what is wrong
            pass
        raise
    with as_machine_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(
            path, canonical_json({"interpreters": found.interpreters, "tar-size": found.tar_size, "version": _VERSION})
        )
    return found


def path_in_root(name: bytes, where: str) -> bytes:
    """Returns the path below the root that a member's name or a hard link's target means, empty for the root itself.

    Names that begin with `/` or `./` mean paths below the root: GNU tar -P and other builders write them.

    Raises:
        IntegrityError: The name leads outside with `..`.
    """
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise IntegrityError(
            f"has a member that leads outside of the image: {show(name[:200])}",
            where=where,
            hint="take the base from a place that you trust: no builder writes such a layer",
        )
    return b"/".join(parts)


def _look(layer: ImageLayer, emit: Emit) -> Scan:
    tally = Tally()
    where = f"layer {layer.layer.descriptor.digest.short} of the base"
    interpreters = []
    size = layer.layer.descriptor.size
    stored = watched(layer.blob.chunks(), f"look through {where}", size, emit)
    for member in read_tar(tally.passing(codecs.decode(stored))):
        path = path_in_root(member.name, where)
        if member.kind is MemberKind.HARD_LINK:
            path_in_root(member.link, where)
        if member.kind is not MemberKind.DIRECTORY and (match := _INTERPRETER.fullmatch(path)):
            interpreters.append("/" + match[1].decode())
    if tally.digest != layer.layer.diff_id:
        raise IntegrityError(
            f"{where} is not what its config says: claimed diff id {layer.layer.diff_id}, computed {tally.digest}"
        )
    return Scan(tuple(interpreters), tally.size)


def _remembered(path: Path) -> Scan | None:
    try:
        seen: dict[str, Any] = parse_object(path.read_bytes())
    except (OSError, CrateError):
        return None
    if seen.get("version") != _VERSION or not isinstance(seen.get("tar-size"), int):
        return None
    return Scan(tuple(map(str, seen.get("interpreters", ()))), seen["tar-size"])
