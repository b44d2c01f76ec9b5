"""Models as OCI artifacts after the CNCF ModelPack specification (github.com/modelpack/model-spec): documents, media types, names. Pure.

A manifest has this artifact type and config, and layers whose types say what is in them and how: `weight`, `weight.config`, `doc`, `code` or
`dataset`, each as `raw` (the file itself) or as a `tar`, plain or compressed. The annotation FILEPATH says where a layer's file belongs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from modelcrate.images.artifact import make_document
from modelcrate.images.image_config import timestamp
from modelcrate_layers.content import Descriptor, Digest, MediaType, canonical_json
from modelcrate_layers.content import Literal as LiteralBlob
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

ARTIFACT = "application/vnd.cncf.model.manifest.v1+json"
CONFIG = "application/vnd.cncf.model.config.v1+json"

FILEPATH = "org.cncf.model.filepath"
METADATA = "org.cncf.model.file.metadata+json"
UNTESTED = "org.cncf.model.file.mediatype.untested"
"""Annotation of a layer: `true` where its content was concluded from its name, and `false` where the bytes of the file say it."""

TITLE = "org.opencontainers.image.title"
"""The name under which ORAS and tools that build on it write a layer's file."""

Content = Literal["weight", "weight.config", "doc", "code", "dataset"]
"""What a layer has, as the media types name it."""

_FORMS = {MediaType.LAYER: "tar", MediaType.LAYER_GZIP: "tar+gzip", MediaType.LAYER_ZSTD: "tar+zstd"}

_CONFIG_NAMES = compile_later(
    r".*\.(jsonl?|json5|jsonc|ya?ml|toml|ini|cfg|conf|config|properties|xml|tiktoken|spm|vocab|merges|jinja|hparams)"
    r"|(.*tokenizer.*|spiece|sentencepiece.*)\.(model|json|txt)|(.*vocab.*|.*merges.*|added_tokens)\.txt|mlmodel"
)
_CODE_NAMES = compile_later(
    r".*\.(py|ipynb|sh|js|mjs|ts|c|cc|cpp|h|hpp|cu|cuh|go|rs|java|jl|lua|r|sql|proto|so|dll|dylib)"
    r"|.*requirements.*\.txt|makefile|dockerfile.*|pyproject\.toml|poetry\.lock|uv\.lock|python_env\.yaml|conda\.ya?ml"
)
_DOC_NAMES = compile_later(
    r".*\.(md|rst|txt|pdf|html?|tex|png|jpe?g|gif|svg|webp)|(readme|licen[cs]e|copying|notice|use_policy|changelog).*"
)
_DATASET_NAMES = compile_later(r".*\.(csv|tsv|parquet|arrow|feather)")

_BY_NAME: tuple[tuple[re.Pattern[str], Content], ...] = (
    (_CODE_NAMES, "code"),
    (_CONFIG_NAMES, "weight.config"),
    (_DOC_NAMES, "doc"),
    (_DATASET_NAMES, "dataset"),
)
"""The contents that a file's name tells, in lower case and without its folder. The first that fits counts; anything else is weights."""

_ORDER: tuple[Content, ...] = ("weight", "weight.config", "code", "dataset", "doc")
"""The contents of a layer with several files: the first of these that one of them has."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What the config of an artifact says of a model.

    Attributes:
        name: Its name.
        version: Its version as a text; empty for none.
        created: When it was made.
        format: The format of its weights, or its framework; empty where that is unknown.
    """

    name: str
    version: str
    created: datetime
    format: str = ""


def content_of_name(name: str) -> Content:
    """Returns what a file has, by its name alone. What is no configuration, code, documentation or data counts as weights."""
    lower = name.rpartition("/")[2].lower()
    return next((content for names, content in _BY_NAME if names.fullmatch(lower)), "weight")


def content_of(contents: Sequence[Content]) -> Content:
    """Returns what a layer of files with these contents counts as."""
    return next((each for each in _ORDER if each in contents), "weight")


def raw_type(content: Content) -> str:
    """Returns the media type of a layer that is a file."""
    return f"application/vnd.cncf.model.{content}.v1.raw"


def tar_type(content: Content, layer_type: str) -> str:
    """Returns the media type in an artifact of a tar that has the type `layer_type` in an image."""
    return f"application/vnd.cncf.model.{content}.v1.{_FORMS[layer_type]}"


def encode_config(model: ModelConfig, diff_ids: Sequence[Digest]) -> LiteralBlob:
    """Returns the config of an artifact. `diff_ids` are the digests of the layers' bytes without compression."""
    document: dict[str, Any] = {
        "descriptor": {"createdAt": timestamp(model.created), "name": model.name},
        "config": {"format": model.format} if model.format else {},
        "modelfs": {"type": "layers", "diffIds": list(map(str, diff_ids))},
    }
    if model.version:
        document["descriptor"]["version"] = model.version
    return LiteralBlob(canonical_json(document), CONFIG)


def encode_manifest(config: Descriptor, layers: Sequence[Descriptor], annotations: Mapping[str, str]) -> LiteralBlob:
    """Returns the manifest of an artifact."""
    return make_document(ARTIFACT, config, layers, annotations)
