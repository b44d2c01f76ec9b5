"""What is known of a registered model, as a frozen value, and the rules of its names. Nothing here reads or writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Self

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.recipe import Layer

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")
"""The names that Azure's SDK has for frameworks; any other text is taken as well."""

MAX_VERSION = 999_999_999
MAX_TEXT = 1 << 16
"""Characters of all tags, or of all properties: they live in a manifest, of which registries take 4 MiB."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class ModelTar:
    """One layer of a registered model, under the name that it has in an image."""

    name: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model. Its tags, description and properties may change, properties only by new keys; nothing else does.

    `resources` are what it asks of a machine (`cpu`, `memory_in_gb`, `gpu`).
    """

    name: str
    version: int
    layers: tuple[ModelTar, ...]
    created: datetime
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    properties: Mapping[str, str] = field(default_factory=dict, hash=False)
    description: str = ""
    framework: str = ""
    framework_version: str = ""
    resources: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def id(self) -> str:
        """`NAME:VERSION`, by which it can be asked for."""
        return f"{self.name}:{self.version}"

    @property
    def size(self) -> int:
        """Bytes of its layers, as they are stored."""
        return sum(each.layer.descriptor.size for each in self.layers)

    @property
    def digest(self) -> Digest:
        """Of its content: equal for equal files in equal places, whatever its tags are."""
        return Digest.of("".join(f"{each.layer.diff_id}\n" for each in self.layers).encode())

    def tagged(self, add: Mapping[str, str], remove: tuple[str, ...] = ()) -> Self:
        """The same with other tags. Taking away a tag that isn't there is a UserError."""
        for key in remove:
            if key not in self.tags:
                raise UserError(f"the model {self.id} has no tag {key!r}")
        kept = {key: value for key, value in self.tags.items() if key not in remove}
        return replace(self, tags=check_texts({**kept, **add}, "tag"))

    def with_properties(self, add: Mapping[str, str]) -> Self:
        """The same with more properties. They are only ever added: another value for a known key is a UserError."""
        for key, value in add.items():
            if self.properties.get(key, value) != value:
                raise UserError(
                    f"the model {self.id} has the property {key!r} already", hint="properties don't change; use a tag"
                )
        return replace(self, properties=check_texts({**self.properties, **add}, "property"))


def check_name(name: str) -> str:
    """A model's name by Azure's rule."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            f"not a model name: {str(name)[:80]!r}",
            why="a name is 1 to 255 letters, digits, dashes, dots and underscores, a letter or digit first",
        )
    return name


def parse_model_id(text: str) -> tuple[str, int | None]:
    """`NAME[:VERSION]`; without a version None, which stands for the latest."""
    name, colon, version = text.partition(":")
    if colon and not (version.isascii() and version.isdigit() and 1 <= int(version) <= MAX_VERSION):
        raise UserError(f"not a version of a model: {version[:40]!r}", hint="expected NAME or NAME:1")
    return check_name(name), int(version) if colon else None


def check_texts(texts: Mapping[str, str], what: str) -> dict[str, str]:
    """Tags or properties: texts by text, not too many."""
    for key, value in texts.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise UserError(f"not a {what}: {key!r:.60}: {value!r:.60}", hint="keys and values are texts")
    if sum(len(key) + len(value) for key, value in texts.items()) > MAX_TEXT:
        raise UserError(f"the texts of a {what} are longer than {MAX_TEXT} characters together")
    return dict(texts)
