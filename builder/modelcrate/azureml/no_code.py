"""Models that need no inference config: exactly one, of a framework that is known, or that its own files tell."""

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
"""What a framework's version, said when the model was registered, is the version of. The first two are the original's names; it knows
TensorFlow and Multi as well, for which it starts another server (TensorFlow Serving, Triton)."""


def detect_dependencies(records: list[ModelRecord]) -> Dependencies:
    """What was said of exactly one model when it was registered; its files say the rest. Else a UserError."""
    if len(records) != 1:
        raise UserError(
            f"{len(records)} models and no inference config",
            hint="exactly one model can do without; give the others an InferenceConfig",
        )
    (record,) = records
    if record.framework and record.framework not in PACKAGES:
        raise UserError(
            f"the model {record.id} needs an inference config",
            why=f"its framework is {record.framework}; an entry script is at hand for {', '.join(PACKAGES)}",
            hint="Model.package(ws, [model], InferenceConfig(entry_script='score.py', environment=...))",
        )
    if not record.framework_version:
        return Dependencies()
    return Dependencies((f"{PACKAGES[record.framework]}=={record.framework_version}",))
