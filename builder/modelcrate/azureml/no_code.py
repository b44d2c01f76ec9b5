"""Models without an inference config: exactly one, of a known framework."""

from __future__ import annotations

from modelcrate.project.values import Dependencies
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.errors import UserError

PACKAGES = {
    "ScikitLearn": "scikit-learn",
    "Onnx": "onnxruntime",
    "XGBoost": "xgboost-cpu",
    "LightGBM": "lightgbm",
    "MLflow": "mlflow-skinny",
    "Transformers": "transformers",
}
"""The package of each framework, which the framework's version of a registered model is the version of. The first two names are the
original's. The original also has TensorFlow and Multi, for which it starts other servers (TensorFlow Serving, Triton)."""


def detect_dependencies(records: list[ModelRecord]) -> Dependencies:
    """Returns the dependencies of exactly one model: the framework's version with which it was registered.

    Other dependencies are detected from the files of the model.

    Raises:
        UserError: There are several models, or the framework needs an entry script.
    """
    if len(records) != 1:
        raise UserError(
            f"{len(records)} models and no entry script",
            hint="exactly one model can do without; else name one: --entry-script FILE, or an InferenceConfig",
        )
    (record,) = records
    if record.framework and record.framework not in PACKAGES:
        raise UserError(
            f"the model {record.id} needs an inference config",
            why=f"its framework is {record.framework}; modelcrate has an entry script for {', '.join(PACKAGES)}",
            hint="Model.package(ws, [model], InferenceConfig(entry_script='score.py', environment=...))",
        )
    if not record.framework_version:
        return Dependencies()
    return Dependencies((f"{PACKAGES[record.framework]}=={record.framework_version}",))
