"""The record of a registered model as a frozen value, and the rules for names and texts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Self

from modelcrate_layers.content import Digest, parse_natural
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.recipe import Layer

FRAMEWORKS = ("Custom", "TensorFlow", "ScikitLearn", "Onnx", "TfKeras", "PyTorch", "Multi")
"""The frameworks that Azure's SDK has names for. Other texts are accepted too."""

MAX_VERSION = 999_999_999
MAX_TEXT = 1 << 16
"""Characters of all tags, or of all properties: they are part of a manifest, and registries accept manifests up to 4 MiB."""

_NAME = compile_later(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True, slots=True)
class ModelTar:
    """One layer of a registered model, and its name in an image."""

    name: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A registered model.

    Its tags and its description may change, and properties may be added. Nothing else changes.

    Attributes:
        name: The name.
        version: The version, from 1 on.
        layers: The layers with its files.
        created: The time of registration.
        tags: Texts by key.
        properties: Texts by key; a key keeps its value.
        description: A text for people.
        framework: The name of the framework, or an empty text.
        framework_version: The version of the framework, or an empty text.
        resources: The machine that it needs: `cpu`, `memory_in_gb`, `gpu`.
        gates: The version of the gates that it passed without a finding when it was registered; 0 for none.
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
    gates: int = 0

    @property
    def id(self) -> str:
        """`NAME:VERSION`."""
        return f"{self.name}:{self.version}"

    @property
    def size(self) -> int:
        """The stored size of its layers in bytes."""
        return sum(each.layer.descriptor.size for each in self.layers)

    @property
    def digest(self) -> Digest:
        """The digest of its content: the same for the same files at the same paths, with any tags."""
        return Digest.of("".join(f"{each.layer.diff_id}\n" for each in self.layers).encode())

    def tagged(self, add: Mapping[str, str], remove: tuple[str, ...] = ()) -> Self:
        """Returns the record with other tags.

        Raises:
            UserError: A tag to remove does not exist, or a tag is not valid.
        """
        for key in remove:
            if key not in self.tags:
                raise UserError(f"the model {self.id} has no tag {key!r}", hint="its tags are in `tags`")
        kept = {key: value for key, value in self.tags.items() if key not in remove}
        return replace(self, tags=check_texts({**kept, **add}, "tag"))

    def with_properties(self, add: Mapping[str, str]) -> Self:
        """Returns the record with more properties.

        Raises:
            UserError: A property exists with another value, or is not valid.
        """
        for key, value in add.items():
            if self.properties.get(key, value) != value:
                raise UserError(
                    f"the model {self.id} has the property {key!r} already", hint="properties don't change; use a tag"
                )
        return replace(self, properties=check_texts({**self.properties, **add}, "property"))


def check_name(name: str) -> str:
    """Returns a model's name, if it follows Azure's rule.

    Raises:
        UserError: It does not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UserError(
            f"not a model name: {str(name)[:80]!r}",
            why="a name is 1 to 255 letters, digits, dashes, dots and underscores, a letter or digit first",
        )
    return name


def parse_model_id(text: str) -> tuple[str, int | None]:
    """Returns the name and version of `NAME[:VERSION]`. Without a version it is None, which means the latest.

    Raises:
        UserError: The text is malformed.
    """
    name, colon, version = text.partition(":")
    number = parse_version(version) if colon else None
    if colon and number is None:
        raise UserError(f"not a version of a model: {version[:40]!r}", hint="expected NAME or NAME:1")
    return check_name(name), number


def parse_version(text: str) -> int | None:
    """Returns a version of a model, from 1 to MAX_VERSION; None for any other text."""
    number = parse_natural(text)
    return number if number is not None and 1 <= number <= MAX_VERSION else None


def check_texts(texts: Mapping[str, str], what: str) -> dict[str, str]:
    """Returns tags or properties, if they are valid.

    Args:
        texts: The tags or properties.
        what: `tag` or `property`, for messages.

    Raises:
        UserError: A key or value is not a text, or all together are longer than MAX_TEXT.
    """
    for key, value in texts.items():
        if not isinstance(key, str) or not isinstance(value, str) or not key:
            raise UserError(f"not a {what}: {key!r:.60}: {value!r:.60}", hint="keys and values are texts")
    if sum(len(key) + len(value) for key, value in texts.items()) > MAX_TEXT:
        raise UserError(
            f"the texts of a {what} are longer than {MAX_TEXT} characters together",
            hint="keep long texts in a file of the model",
        )
    return dict(texts)
