"""Downloads a registered model: its files are unpacked from its layers into a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from modelcrate.images.unpack import unpack
from modelcrate.workspace.backend import WorkspaceBackend
from modelcrate.workspace.find import open_layers
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.kinds.model import folder
from modelcrate_layers.store import as_machine_error


def download(backend: WorkspaceBackend, record: ModelRecord, target: Path, *, exist_ok: bool = False) -> Path:
    """Writes the files of a model. Nothing is changed before all of them have arrived.

    Args:
        backend: The workspace.
        record: The model.
        target: The folder; it is created if it does not exist.
        exist_ok: Whether an existing file or folder of the model's name is replaced.

    Returns:
        The path of the model's file or folder.

    Raises:
        UserError: The path exists, and `exist_ok` is false.
        IntegrityError: A layer is damaged.
    """
    with as_machine_error(target):
        target.mkdir(parents=True, exist_ok=True)
        with scratch_folder(target, ".modelcrate-incoming-") as incoming:
            unpack([layer.blob for layer in open_layers(backend, record)], incoming)
            inner = incoming / os.fsdecode(folder(record.name, record.version))
            tops = sorted(inner.iterdir()) if inner.is_dir() else []
            if len(tops) != 1:
                raise IntegrityError(f"the model {record.id} has {len(tops)} files at its top instead of one")
            return _move(tops[0], target / tops[0].name, record, exist_ok=exist_ok)


def _move(source: Path, path: Path, record: ModelRecord, *, exist_ok: bool) -> Path:
    if os.path.lexists(path):
        if not exist_ok:
            raise UserError(
                f"{path} exists already",
                why=f"the model {record.id} was not downloaded",
                hint="choose another folder, or allow it to be replaced (exist_ok)",
            )
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    os.replace(source, path)
    return path
