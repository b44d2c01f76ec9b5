"""`Model.get_model_path` for entry scripts: where a registered model is in this container."""

from __future__ import annotations

import os

MODELS = "azureml-models"


class ModelNotFoundException(Exception):  # noqa: N818 - the original's name
    """The model of this name and version is not in this container."""


class Model:
    """The part of the original's class that entry scripts use."""

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: object = None) -> str:
        """Returns the file or folder of a model: of this version, else of the highest; else that name in the working folder."""
        if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
            raise TypeError(f"version has to be an int, not {version!r}")
        versions = os.path.join(os.environ.get("AML_APP_ROOT", ""), MODELS, model_name)
        found = _highest(versions) if version is None else version
        if found is not None and os.path.isdir(os.path.join(versions, str(found))):
            return _only_entry(os.path.join(versions, str(found)))
        if os.path.exists(model_name):
            return model_name
        what = model_name if version is None else f"{model_name}:{version}"
        raise ModelNotFoundException(f"the model {what} is neither in {versions} nor in the working folder")


def _highest(folder: str) -> int | None:
    """Returns the highest version below a folder, or None."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=None)


def _only_entry(folder: str) -> str:
    entries = sorted(os.listdir(folder))
    if len(entries) != 1:
        raise ModelNotFoundException(f"expected one file or folder in {folder}, found {len(entries)}")
    return os.path.join(folder, entries[0])
