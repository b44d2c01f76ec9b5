"""XGBoost: boosters in JSON, UBJSON, or the binary format that ended with version 3.1."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.pickle.findings import StatedVersion

NAME = "XGBoost"
IDENTIFIED_BY = "an XGBoost model (.json, .ubj, or binary)"
TEMPLATE = "xgboost_model.py"

FIRST_CPU = (2, 1, 1)
"""The first release of `xgboost-cpu`, which is the same library without CUDA: 6 MB, where `xgboost` needs NVIDIA's NCCL of 200 to 300 MB
on amd64 to do the same on a machine without such a card."""

LAST_BINARY = "3.1"
"""The release that no longer reads the binary format."""


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    return files.with_format("xgboost")


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the package versions that the model's file names."""
    facts = files.facts(name).facts
    if version := facts.get("version"):
        yield StatedVersion("xgboost", version, f"{files.where(name)}: its field version")


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model."""
    facts = files.sound(name).facts
    version = str(facts.get("version", ""))
    numbers = tuple(int(part) for part in version.split(".")) if version else ()
    package = "xgboost" if numbers and (*numbers, 1)[:3] < FIRST_CPU else "xgboost-cpu"
    binary = facts["encoding"] == "binary"
    line = f"{package}=={version}" if len(numbers) == 3 else f"{package}>={version}" if version else package
    line += ("," if version else "") + f"<{LAST_BINARY}" if binary else ""
    assumed = []
    if binary:
        assumed.append(f"{name} is in the binary format, which XGBoost {LAST_BINARY} no longer reads; save it as .ubj")
    if not version:
        assumed.append(f"{name} names no version of XGBoost")
    if package == "xgboost-cpu":
        assumed.append("xgboost-cpu serves it, without CUDA; name xgboost in the dependencies to have that")
    assumed.append(f"the answer is what Booster.predict gives for {facts.get('objective', 'its objective')}")
    takes = request_schemas.mapping({"data": request_schemas.rows(int(facts.get("features", 0)))}, ("data",))
    gives = request_schemas.mapping({"predict": {"type": "array", "items": {}}})
    return FrameworkModel(NAME, TEMPLATE, name, (line,), takes, gives, tuple(assumed))
