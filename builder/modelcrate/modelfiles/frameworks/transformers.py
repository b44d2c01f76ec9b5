"""A folder of Hugging Face Transformers: config.json and safetensors, and a tokenizer where the model reads text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.patterns import compile_later

NAME = "Transformers"
IDENTIFIED_BY = "a Transformers folder (config.json with .safetensors)"
TEMPLATE = "transformers_model.py"

CONFIG = "config.json"
_RELEASE = compile_later(r"[0-9]{1,3}\.[0-9]{1,4}\.[0-9]{1,4}")
_TOKENIZERS = frozenset(
    {"tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model"}
)
_TASKS = {
    "SequenceClassification": "text-classification",
    "TokenClassification": "token-classification",
    "QuestionAnswering": "question-answering",
    "CausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "MaskedLM": "fill-mask",
}
"""What the last part of an architecture's name means for a pipeline over text."""


_TENSORS: tuple[tuple[frozenset[str], str, tuple[str, ...]], ...] = (
    (frozenset({"image_size", "num_channels"}), "pixel_values", ("batch", "channels", "height", "width")),
    (frozenset({"num_mel_bins"}), "input_features", ("batch", "features", "frames")),
    (frozenset({"conv_stride"}), "input_values", ("batch", "samples")),
)
"""The tensor of numbers that a model of images or sounds takes, by the settings of its config.json that tell it from one of texts."""


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    weights = any("/" not in name and name.endswith(".safetensors") for name in files.names)
    return (".",) if CONFIG in files.names and weights else ()


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the version of Transformers that config.json names."""
    version = _config(files).get("transformers_version")
    if isinstance(version, str) and re.match(r"[0-9]{1,3}\.[0-9]", version):
        yield StatedVersion("transformers", version, f"{files.where(CONFIG)}: transformers_version")


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model.

    Raises:
        UserError: config.json names no architecture, or code of its own (`auto_map`).
        SourceError: A file of weights is damaged.
    """
    config = _config(files)
    for each in files.names:
        if each.endswith(".safetensors"):
            files.sound(each)
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not architectures or not isinstance(architectures[0], str):
        raise UserError(
            "its config.json names no architecture, so nobody can say which class loads it",
            where=files.where(CONFIG),
            hint='add "architectures": ["BertForSequenceClassification"], or write an entry script',
        )
    if "auto_map" in config:
        raise UserError(
            "its config.json names code of its own (auto_map), which isn't run without being asked",
            where=files.where(CONFIG),
            hint="write an entry script that loads it with trust_remote_code=True",
        )
    version = config.get("transformers_version")
    exact = isinstance(version, str) and _RELEASE.fullmatch(version) is not None
    line = f"transformers=={version}" if exact else "transformers"
    assumed = (
        []
        if exact
        else [f"config.json names no release of Transformers ({version or 'nothing'}), so the newest is taken"]
    )
    task = next((task for ending, task in _TASKS.items() if architectures[0].endswith(ending)), "")
    if not (_TOKENIZERS & set(files.names)):
        task = ""
        assumed.append(f"there is no tokenizer, so it takes tensors by their names, such as {_tensor(config)[0]}")
    return FrameworkModel(
        NAME, TEMPLATE, ".", (line, "torch", "safetensors"), _takes(task, config), _gives(task), tuple(assumed)
    )


def _tensor(config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the name and the schema of the tensor that a model takes first."""
    for settings, name, shape in _TENSORS:
        if not settings.isdisjoint(config):
            return name, request_schemas.array("float32", shape)
    return "input_ids", request_schemas.array("int64", ("batch", "tokens"))


def _takes(task: str, config: dict[str, Any]) -> dict[str, Any]:
    texts: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    given = texts if task else request_schemas.mapping(dict([_tensor(config)]))
    return request_schemas.mapping({"inputs": given, "parameters": {"type": "object"}}, ("inputs",))


def _gives(task: str) -> dict[str, Any]:
    return request_schemas.mapping({"outputs": {"type": "array", "items": {}} if task else {"type": "object"}})


def _config(files: ModelFiles) -> dict[str, Any]:
    try:
        config = parse_json(files.text(CONFIG), files.where(CONFIG))
    except IntegrityError as fault:
        raise UserError(f"is no JSON: {fault.what}", where=files.where(CONFIG)) from None
    if not isinstance(config, dict):
        raise UserError("is no JSON object", where=files.where(CONFIG))
    return config
