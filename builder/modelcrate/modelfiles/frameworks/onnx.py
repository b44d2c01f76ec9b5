"""ONNX: the file states inputs and outputs; its IR version and its operator sets decide which ONNX Runtime it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.pickle.findings import StatedVersion

NAME = "Onnx"
IDENTIFIED_BY = "an ONNX model (.onnx)"
TEMPLATE = "onnx_model.py"

RUNTIMES = (
    ("1.15.0", 9, 19, 3),
    ("1.17.0", 9, 20, 4),
    ("1.18.0", 10, 21, 5),
    ("1.21.0", 10, 22, 5),
    ("1.23.0", 11, 23, 5),
    ("1.24.1", 13, 25, 5),
    ("1.25.0", 13, 26, 5),
    ("1.32.0", 14, 28, 5),
)
"""The ONNX Runtime that first took an IR version, and a version of `ai.onnx` and of `ai.onnx.ml`.

Measured with a model of one node against every minor release from 1.15 (the first with wheels for Python 3.11) to 1.32.
"""


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    return files.with_format("onnx")


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the oldest ONNX Runtime that reads the model."""
    facts = files.facts(name)
    least, why = oldest(facts.facts)
    if least:
        yield StatedVersion("onnxruntime", least, f"{files.where(name)}: {why}")


def oldest(facts: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the oldest ONNX Runtime for a model, and the reason; "" for one that is newer than the table."""
    ir, opsets = int(facts.get("ir_version", 0)), facts.get("opsets", {})
    core, ml = int(opsets.get("ai.onnx", 0)), int(opsets.get("ai.onnx.ml", 0))
    why = f"IR version {ir}, {', '.join(f'{domain} {version}' for domain, version in opsets.items())}"
    for version, ir_taken, core_taken, ml_taken in RUNTIMES:
        if ir <= ir_taken and core <= core_taken and ml <= ml_taken:
            return version, why
    return "", why


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model."""
    facts = files.sound(name).facts
    least, why = oldest(facts)
    if least:
        line, assumed = f"onnxruntime>={least}", [f"{name} names no ONNX Runtime; its {why} need {least} or newer"]
    else:
        line, assumed = (
            "onnxruntime",
            [f"{name} has {why}, newer than any ONNX Runtime known here; the newest is taken"],
        )
    strange = sorted(
        set(facts["opsets"])
        - {"ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.training", "ai.onnx.preview.training"}
    )
    if strange:
        assumed.append(f"{name} uses operators of {', '.join(strange)}, which plain ONNX Runtime doesn't have")
    inputs = {port["name"]: request_schemas.array(port["type"], port["shape"]) for port in facts["inputs"]}
    outputs = {port["name"]: request_schemas.array(port["type"], port["shape"]) for port in facts["outputs"]}
    takes = request_schemas.mapping({"inputs": request_schemas.mapping(inputs, tuple(inputs))}, ("inputs",))
    return FrameworkModel(
        NAME,
        TEMPLATE,
        name,
        (line, "numpy"),
        takes,
        request_schemas.mapping({"outputs": request_schemas.mapping(outputs)}),
        tuple(assumed),
    )
