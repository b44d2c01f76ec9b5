"""MLflow's folders: MLmodel with the flavours python_function or sklearn, and the requirements that were written beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.mlmodel import FILE_NAME, Column, MLmodel, Tensor, parse_mlmodel
from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

NAME = "MLflow"
IDENTIFIED_BY = "an MLflow folder (MLmodel)"
TEMPLATE = "mlflow_model.py"

FLAVORS = ("python_function", "sklearn")
"""What can be served; with both, python_function is, as MLflow's own server does."""

REQUIREMENTS = "requirements.txt"
_MLFLOW = compile_later(r"mlflow(?:\[[^\]]*\])?(?![\w-])\s*(.*)")


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    return (".",) if FILE_NAME in files.names else ()


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the package versions that MLmodel names."""
    facts = _read(files)
    if version := facts.flavors.get("sklearn", {}).get("sklearn_version"):
        yield StatedVersion("scikit-learn", version, f"{files.where(FILE_NAME)}: flavors: sklearn: sklearn_version")
    if facts.mlflow_version:
        yield StatedVersion("mlflow", facts.mlflow_version, f"{files.where(FILE_NAME)}: mlflow_version")


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model.

    Raises:
        UserError: MLmodel is not valid, or has no flavour that can be served without an entry script.
    """
    facts = _read(files)
    flavor = next((each for each in FLAVORS if each in facts.flavors), None)
    if flavor is None:
        raise UserError(
            f"no flavour that can be served without an entry script: {', '.join(facts.flavors) or 'it names none'}",
            where=files.where(FILE_NAME),
            why=f"looked for {' and '.join(FLAVORS)}",
            hint="write an entry script: entry: score.py",
        )
    lines, assumed = _requirements(files, facts)
    gives = request_schemas.mapping({"predictions": {"type": "array", "items": {}}})
    return FrameworkModel(
        NAME, TEMPLATE, ".", tuple(lines), _takes(facts), gives, tuple(assumed), ".".join(facts.python.split(".")[:2])
    )


def _requirements(files: ModelFiles, facts: MLmodel) -> tuple[list[str], list[str]]:
    """The lines of requirements.txt, with MLflow's small distribution for its large one, and pandas, which serving needs."""
    assumed: list[str] = []
    lines: list[str] = []
    if REQUIREMENTS in files.names:
        texts = files.text(REQUIREMENTS).decode("utf-8", "replace").splitlines()
        plain = [re.sub(r"(^|\s)#.*", "", line).strip() for line in texts]
        lines = [line for line in plain if line and not line.startswith("-")]
        if dropped := [line for line in plain if line.startswith("-")]:
            assumed.append(f"{REQUIREMENTS} has options that mean nothing here: {', '.join(dropped)[:200]}")
    else:
        sklearn = facts.flavors.get("sklearn", {}).get("sklearn_version")
        lines = [f"scikit-learn=={sklearn}" if sklearn else "scikit-learn"] if "sklearn" in facts.flavors else []
        assumed.append(f"there is no {REQUIREMENTS}, so the packages are those of the flavour")
    small = [f"mlflow-skinny{match[1]}" if (match := _MLFLOW.fullmatch(line)) else line for line in lines]
    if small != lines:
        assumed.append("mlflow-skinny serves it instead of mlflow: the same code without its tracking server")
    if not any(re.match(r"mlflow-skinny\b", line) for line in small):
        small.append(f"mlflow-skinny=={facts.mlflow_version}" if facts.mlflow_version else "mlflow-skinny")
    if not any(re.match(r"pandas\b", line) for line in small):
        small.append("pandas")
        assumed.append("it names no version of pandas, which MLflow needs to serve; the newest is taken")
    return small, assumed


def _takes(facts: MLmodel) -> request_schemas.Schema:
    """Returns the schema of one of the forms of MLflow's own server: a table where the model has columns, or names nothing; else its arrays."""
    tensors = [each for each in facts.inputs if isinstance(each, Tensor)]
    named = {each.name: request_schemas.array(each.kind, each.shape) for each in tensors}
    form = "inputs" if named else "dataframe_records"
    given = request_schemas.table({each.name: each.kind for each in facts.inputs if isinstance(each, Column)})
    if named:
        given = named[""] if list(named) == [""] else request_schemas.mapping(named, tuple(named))
    return request_schemas.mapping({form: given, "params": {"type": "object"}}, (form,))


def _read(files: ModelFiles) -> MLmodel:
    return parse_mlmodel(files.text(FILE_NAME), files.where(FILE_NAME))
