"""MLmodel of MLflow: the folder around it as a model that needs no entry script.

https://mlflow.org/docs/latest/ml/model/ has the keys.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from modelcrate.importers.imported import Imported
from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import FOR_READERS, MAX_NAME, free_name, take_python
from modelcrate.importers.reading import Reading
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.framework_reading import describe_model
from modelcrate.modelfiles.frameworks.mlflow import FLAVORS
from modelcrate.project.conda import package_name, parse_conda
from modelcrate.project.values import Dependencies, GoldenTest, Model, Project, project_name
from modelcrate_layers.errors import CrateError, SourceError, UserError
from modelcrate_layers.named_file import read_source

TOOL = "MLflow"
NAMES = ("MLmodel",)

_OF_THE_RUN = f"it is about the run that made the model; {FOR_READERS}"
_OTHERS = {
    **dict.fromkeys(
        ("artifact_path", "model_uuid", "model_id", "run_id", "utc_time_created", "model_size_bytes", "prompts"),
        _OF_THE_RUN,
    ),
    "metadata": FOR_READERS,
    "databricks_runtime": "the image has a Python of its own",
    "resources": "they are Databricks' own, and the model calls them when it runs: it needs the network and their logins then",
    "auth_policy": "it is about Databricks; logins are given at the start: modelcrate run -e NAME",
    "env_vars": "their values are given at the start: modelcrate run -e NAME",
    **dict.fromkeys(
        ("is_signature_from_type_hint", "type_hint_from_example"), "MLflow reads it when it loads the model"
    ),
}


def recognises(data: Mapping[str, object]) -> bool:
    """Returns whether a mapping is that of an MLmodel file."""
    return isinstance(data.get("flavors"), Mapping)


def read(file: Path) -> Imported:
    """Reads an MLmodel file. The project file is written above the model's folder, for a model has no project file in it.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults, or no flavour that can be served.
    """
    reading = Reading(file, TOOL)
    keys = reading.keys(reading.load(), unknown="MLflow has no such key that this version of modelcrate knows")
    top = Path(os.path.abspath(file)).parent
    folder = top.parent
    if folder == top:
        raise UserError("is in the root of the file system", where=str(file), hint="move the model into a folder")
    python = _flavors(keys)
    of_conda = (top / "conda.yaml").is_file() and not (top / "requirements.txt").is_file()
    try:
        served = describe_model(ModelFiles.of(top, top.name))
    except SourceError as fault:
        reading.missing.append(fault.sentence)
    else:  # with conda.yaml the project names the packages, and what would be taken without it is of no interest
        reading.notices += () if of_conda else served.assumed
    keys.value("mlflow_version")
    keys.take("mlflow_version", "the version of mlflow-skinny that serves it")
    keys.value("signature")
    keys.take("signature", "the description at /swagger.json")
    tests = _example(keys, top)
    keys.leave_all(_OTHERS)
    needs = Dependencies()
    if of_conda:
        needs = Dependencies(Path(top.name, "conda.yaml"))
        reading.notices.append(f"the packages are those of {top.name}/conda.yaml, for there is no requirements.txt")
    else:
        _conda(reading, top)
    name = project_name(top.name) or "model"
    model = Model(Path(top.name), free_name(top.name, ()))
    reading.notices.append("the server answers as `mlflow models serve` does, at /score on port 5001")
    return reading.finish(Project(name, None, (model,), python, dependencies=needs, tests=tests), folder=folder)


def _flavors(keys: Keys) -> str | None:
    """Returns the Python of the flavour that is served."""
    flavors = keys.mapping("flavors")
    if flavors is None:
        keys.reading.fault("names no flavors", "log the model again with MLflow")
        return None
    served = next((each for each in FLAVORS if each in flavors.data), "")
    python = None
    for name in list(flavors.data):
        if name != served:
            flavors.leave(name, f"{served or 'nothing here'} serves the model")
            continue
        section = flavors.mapping(name)
        if section is None:
            continue
        python = take_python(section, "python_version")
        for key in section.data:
            section.value(key)
            section.take(key, "MLflow reads it when it loads the model")
    return python


def _example(keys: Keys, top: Path) -> tuple[GoldenTest, ...]:
    """Returns the saved example as a golden request, where it is in the form of a request."""
    section = keys.mapping("saved_input_example_info")
    if section is None:
        return ()
    named = section.text("serving_input_path")
    tests: tuple[GoldenTest, ...] = ()
    if named and len(named.encode()) <= MAX_NAME and Path(named).name == named and (top / named).is_file():
        tests = (GoldenTest(f"{top.name}/{named}"),)
        section.take("serving_input_path", "tests: a golden request, which build --test sends")
    section.leave("serving_input_path", "it is not there")
    section.leave_all(
        dict.fromkeys(
            ("artifact_path", "type", "pandas_orient", "format", "example_params_path"), "the file of a request has it"
        )
    )
    for key in list(section.data):
        section.leave(key, "the file of a request has it")
    return tests


def _conda(reading: Reading, top: Path) -> None:
    """Notes packages of conda, which requirements.txt does not have."""
    file = top / "conda.yaml"
    if not file.is_file():
        return
    try:
        found = parse_conda(read_source(file), str(file))
    except CrateError as fault:
        reading.notices.append(fault.sentence)
        return
    for each in found.packages:
        if package_name(each) not in ("mlflow", "mlflow-skinny"):
            reading.leave(
                "conda.yaml", each, "a package of conda: dependencies: {conda: [...]}, or its name on an index"
            )
