"""Models that need no entry script: the framework brings one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from modelcrate.models.record import ModelRecord
from modelcrate_layers.errors import UserError


@dataclass(frozen=True, slots=True)
class NoCode:
    """The entry script's template, the package that reads such a model, and what it needs beside."""

    template: str
    package: str
    beside: tuple[str, ...]


KNOWN = {
    "ScikitLearn": NoCode("scikit_learn_model.py", "scikit-learn", ("joblib",)),
    "Onnx": NoCode("onnx_model.py", "onnxruntime", ("numpy",)),
}
"""The original knows TensorFlow and Multi as well, for which it starts another server (TensorFlow Serving, Triton)."""


def no_code(records: list[ModelRecord]) -> tuple[Path, tuple[str, ...]]:
    """The entry script and the requirements for exactly one model of a framework that we know; else a UserError."""
    if len(records) != 1:
        raise UserError(
            f"{len(records)} models and no inference config",
            hint="exactly one model can do without; give the others an InferenceConfig",
        )
    (record,) = records
    known = KNOWN.get(record.framework)
    if known is None:
        said = f"its framework is {record.framework}" if record.framework else "it was registered without a framework"
        raise UserError(
            f"the model {record.id} needs an inference config",
            why=f"{said}; an entry script is at hand for {' and '.join(KNOWN)}",
            hint="Model.package(ws, [model], InferenceConfig(entry_script='score.py', environment=...))",
        )
    pinned = f"{known.package}=={record.framework_version}" if record.framework_version else known.package
    return template(known.template), (pinned, *known.beside)


def template(name: str) -> Path:
    """Where a template is: modelcrate is installed as files, not as an archive."""
    return Path(str(files("modelcrate_layers") / "serving" / "entry_templates" / name))
