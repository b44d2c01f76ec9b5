"""Where folders of this machine are mounted in a root folder: real places, each its own, and none that an engine or an image can redirect."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from modelcrate.containers.options import Volume
from modelcrate.images.root_folder import MOUNT_POINTS, ContainerRoot, Parts, parts_of
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import replace


def make_places(root: ContainerRoot, volumes: Sequence[Volume], notes: list[str]) -> tuple[Volume, ...]:
    """Makes a place in the root for each volume.

    Args:
        root: the root folder.
        volumes: as the user named them; the image's links lead on from there.
        notes: gets a line for each thing of the image that was replaced.

    Returns:
        The volumes by their real paths, those that others lie in first.

    Raises:
        IntegrityError: the image leads a volume to a folder of the engine, to another volume, or to a name that is no text.
        UserError: a volume lies within another that has no such place.
    """
    placed: dict[Parts, Volume] = {}
    for volume in volumes:
        is_file = volume.host.is_file()
        real, replaced = root.mount_point(parts_of(os.fsencode(volume.container)), is_file)
        where = _text(real, volume)
        if real[:1] in MOUNT_POINTS:
            raise IntegrityError(f"{volume.container} of the image leads to {where}, a folder that the engine makes")
        if real in placed:
            other = placed[real].container
            raise IntegrityError(f"{volume.container} and {other} are the same place of the image", where=where)
        if replaced:
            kind = "file; it was replaced by an empty one" if is_file else "folder; it was replaced by one"
            notes.append(f"{where} of the image was no {kind}")
        placed[real] = replace(volume, container=where)
    for real, volume in placed.items():
        _check_outer(real, volume, placed)
    return tuple(placed[real] for real in sorted(placed, key=len))


def check_working_folder(real: Parts, volumes: Sequence[Volume]) -> None:
    """Checks that a working folder within a volume is there: a runtime would make it on this machine. UserError otherwise."""
    held = {parts_of(os.fsencode(each.container)): each for each in volumes}
    for up in range(len(real) + 1):
        if volume := held.get(real[: len(real) - up]):
            if not _has(volume, real[len(real) - up :], is_file=False):
                hint = "make the folder there, or name another one with --workdir"
                raise UserError(f"the working folder is no folder of what is mounted on {volume.container}", hint=hint)
            return


def _check_outer(real: Parts, volume: Volume, placed: dict[Parts, Volume]) -> None:
    for up in range(1, len(real)):
        if outer := placed.get(real[:-up]):
            if not _has(outer, real[-up:], volume.host.is_file()):
                kind = "file" if volume.host.is_file() else "folder"
                inner = os.fsdecode(b"/".join(real[-up:]))
                raise UserError(
                    f"{volume.container} lies in {outer.container}, which is mounted too and has no such {kind}",
                    where=str(outer.host / inner),
                    hint=f"make the {kind} first",
                )
            return


def _has(volume: Volume, parts: Parts, is_file: bool) -> bool:
    """Whether a volume has this file or folder. A link counts as none: it would mean another place in the container than here."""
    path = os.fsencode(volume.host)
    mode = os.stat(path).st_mode
    for part in parts:
        path = os.path.join(path, part)
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            return False
        if stat.S_ISLNK(mode):
            return False
    return stat.S_ISREG(mode) if is_file else stat.S_ISDIR(mode)


def _text(real: Parts, volume: Volume) -> str:
    path = b"/" + b"/".join(real)
    try:
        return path.decode()
    except UnicodeDecodeError:
        what = f"{volume.container} of the image leads to a name that is not UTF-8"
        raise IntegrityError(what, where=path.decode(errors="backslashreplace")) from None
