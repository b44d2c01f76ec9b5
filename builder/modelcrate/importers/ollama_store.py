"""A model in Ollama's own store on this disk: its GGUF file, and what stands in its Modelfile, as instructions.

A manifest names the layers, each a file of `blobs`: `manifests/registry.ollama.ai/library/NAME/TAG`, as of an image.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelcrate.environment import read_config
from modelcrate.importers.modelfile_lines import ROLES, Instruction
from modelcrate_layers.content import Descriptor, parse_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import MAX_NAMED, read_named_file
from modelcrate_layers.patterns import compile_later

HOST, LIBRARY = "registry.ollama.ai", "library"
SERVICE = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama keeps models on Linux, if it runs as a service."""

_KIND = "application/vnd.ollama.image."
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
_NAME = compile_later(rf"(?:(?:({_PART})/)?({_PART})/)?({_PART})(?::({_PART}))?")


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of the store: its file, what that is called in a project, and the instructions that the model has besides."""

    file: Path
    name: str
    lines: tuple[Instruction, ...]


def find_stored(name: str, line: int) -> StoredModel | None:
    """Returns a model of the store by its name in Ollama's library; None where it is not there, or not whole, or is no single GGUF file.

    Args:
        name: [[HOST/]NAMESPACE/]MODEL[:TAG].
        line: The line that names it, for its instructions.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        return None
    host, space, model, tag = parts.groups()
    for store in _stores():
        try:
            place = store / "manifests" / (host or HOST) / (space or LIBRARY) / model / (tag or "latest")
            manifest = parse_object(read_named_file(place, MAX_NAMED))
            layers = [Descriptor.parse(each) for each in manifest["layers"]]
            (weights,) = (each for each in layers if each.media_type == f"{_KIND}model")
            file = _blob(store, weights)
            with file.open("rb") as handle:
                if handle.read(4) != b"GGUF" or file.stat().st_size != weights.size:
                    continue
            lines = tuple(each for layer in layers for each in _instructions(store, layer, line))
            return StoredModel(file, f"{model}-{tag}.gguf" if tag and tag != "latest" else f"{model}.gguf", lines)
        except (OSError, CrateError, KeyError, TypeError, ValueError):
            continue
    return None


def _stores() -> Iterator[Path]:
    environment = read_config().environment
    if named := environment.get("OLLAMA_MODELS"):
        yield Path(named)
    if home := environment.get("HOME"):
        yield Path(home) / ".ollama" / "models"
    yield SERVICE


def _blob(store: Path, layer: Descriptor) -> Path:
    return store / "blobs" / f"{layer.digest.algorithm}-{layer.digest.hex}"


def _instructions(store: Path, layer: Descriptor, line: int) -> Iterator[Instruction]:
    """Yields what a layer says, as the lines that `ollama show --modelfile` prints."""
    kind = layer.media_type.removeprefix(_KIND)
    if kind in ("template", "license", "system"):
        yield Instruction(kind, "", read_named_file(_blob(store, layer), MAX_NAMED).decode("utf-8", "replace"), line)
    elif kind == "params":
        for name, value in parse_object(read_named_file(_blob(store, layer), MAX_NAMED)).items():
            for each in value if isinstance(value, list) else [value]:
                yield Instruction("parameter", name, str(each), line)
    elif kind == "messages":
        for each in parse_json(read_named_file(_blob(store, layer), MAX_NAMED)):
            if each["role"] in ROLES:
                yield Instruction("message", each["role"], str(each["content"]), line)
    elif kind == "projector":
        yield Instruction("from", "", str(_blob(store, layer)), line)
    elif kind == "adapter":
        yield Instruction("adapter", "", str(_blob(store, layer)), line)
