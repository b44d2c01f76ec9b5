"""Calls that load a file, and fail where it is not there."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import PurePosixPath

from modelcrate.project.contracts import APP_ROOT

_LOADERS = frozenset(
    {
        *(
            "open",
            "io.open",
            "joblib.load",
            "numpy.load",
            "torch.load",
            "torch.jit.load",
            "spacy.load",
            "skops.io.load",
        ),
        *("onnxruntime.InferenceSession", "onnx.load", "keras.models.load_model", "keras.saving.load_model"),
        *("tensorflow.keras.models.load_model", "tensorflow.saved_model.load", "safetensors.torch.load_file"),
        *(
            "mlflow.pyfunc.load_model",
            "mlflow.sklearn.load_model",
            "pandas.read_csv",
            "pandas.read_json",
            "pandas.read_pickle",
        ),
    }
)
"""Functions that fail where the file that is their first argument is not there."""

MODELS_FOLDER = PurePosixPath(APP_ROOT, "azureml-models")
"""The folder of the image with a folder for each model, by its name."""

_MODEL_PATHS = frozenset({"azureml.core.Model.get_model_path", "azureml.core.model.Model.get_model_path"})
"""Functions that return where a model is, by the name that is their first argument, and fail where there is none of that name."""

_LOADING_METHODS = frozenset({"load_model", "from_pretrained", "read_text", "read_bytes"})


def loaded_place(
    node: ast.Call, name: str, place: Callable[[ast.expr | None], PurePosixPath | None]
) -> PurePosixPath | None:
    """Returns the file that a call loads; None where it loads none, or none that is known.

    Args:
        node: The call.
        name: The dotted name of its function; empty where it is not known.
        place: Returns the path that an expression makes.
    """
    first = node.args[0] if node.args else None
    if name in _MODEL_PATHS:
        match first or next((each.value for each in node.keywords if each.arg == "model_name"), None):
            case ast.Constant(value=str(asked)) if "/" not in asked:
                return MODELS_FOLDER / asked
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr in _LOADING_METHODS and name not in _LOADERS:
        found = place(node.func.value if node.func.attr.startswith("read") else first)
        return found if found is not None and (found.is_absolute() or len(found.parts) > 1) else None
    if name not in _LOADERS or (name.endswith("open") and not _reads(node)):
        return None
    return place(first)


def _reads(node: ast.Call) -> bool:
    """Returns whether a call of `open` only reads."""
    given = [each.value for each in node.keywords if each.arg == "mode"] or node.args[1:2]
    return all(isinstance(each, ast.Constant) and each.value in ("r", "rb", "rt") for each in given)
