"""LightGBM: boosters in its text format, which names its own version and no library's."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.pickle.findings import StatedVersion

NAME = "LightGBM"
IDENTIFIED_BY = "a LightGBM text model"
TEMPLATE = "lightgbm_model.py"

FIRST = {"v2": "2.1.0", "v3": "2.2.2", "v4": "4.0.0"}
"""The first library of each format; all later ones read it, too."""


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    return files.with_format("lightgbm")


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the oldest LightGBM that reads the model's format."""
    written = str(files.facts(name).facts.get("version", ""))
    if written in FIRST:
        yield StatedVersion("lightgbm", FIRST[written], f"{files.where(name)}: format {written}, in its second line")


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model."""
    facts = files.sound(name).facts
    least = FIRST.get(str(facts.get("version", "")), "")
    line = f"lightgbm>={least}" if least else "lightgbm"
    assumed = [
        f"{name} names no version of LightGBM, only its format {facts.get('version', '(none)')}: {line} reads it"
    ]
    takes = request_schemas.mapping({"data": request_schemas.rows(int(facts.get("features", 0)))}, ("data",))
    gives = request_schemas.mapping({"predict": {"type": "array", "items": {}}})
    return FrameworkModel(NAME, TEMPLATE, name, (line,), takes, gives, tuple(assumed))
