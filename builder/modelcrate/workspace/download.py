"""The files of a registered model, out of its layers, into a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from modelcrate.containers.unpack import unpack
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.find import open_layers
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.kinds.model import folder
from modelcrate_layers.store import as_machine_error


def download(backend: WorkspaceBackend, record: ModelRecord, target: Path, *, exist_ok: bool = False) -> Path:
    """Write the model below `target`, and return where it is: its file, or its folder.

    What is there already is a UserError, and is replaced with `exist_ok`. Nothing is changed before all of it has arrived.
    """
    with as_machine_error(target):
        target.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target, ".modelcrate-incoming-") as beside:
            unpack([layer.blob for layer in open_layers(backend, record)], beside)
            inner = beside / os.fsdecode(folder(record.name, record.version))
            tops = sorted(inner.iterdir()) if inner.is_dir() else []
            if len(tops) != 1:
                raise IntegrityError(f"the model {record.id} has {len(tops)} files at its top instead of one")
            return _move(tops[0], target / tops[0].name, record, exist_ok=exist_ok)


def _move(source: Path, place: Path, record: ModelRecord, *, exist_ok: bool) -> Path:
    if os.path.lexists(place):
        if not exist_ok:
            raise UserError(
                f"{place} is there already",
                why=f"the model {record.id} was not downloaded",
                hint="choose another folder, or allow it to be replaced (exist_ok)",
            )
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
    os.replace(source, place)
    return place
