"""What is in a layer, as values and as JSON: packages of Debian and of Python with their licences, models with what they say, the project's files."""

from __future__ import annotations

import re
from dataclasses import field, fields
from typing import Any

from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of the project or of a model: `model` is `name:version`. `facts` are what a model's file says of itself."""

    path: str
    size: int
    sha256: str
    model: str = ""
    format: str = ""
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    verdict: str = ""
    licence: str = ""

    def json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FILE}


@dataclass(frozen=True, slots=True)
class LayerContents:
    """What one layer holds. `copyrights` are the licences of Debian packages by name."""

    parts: tuple[InstalledPackage, ...] = ()
    files: tuple[ModelFile, ...] = ()
    copyrights: dict[str, str] = field(default_factory=dict, hash=False)
    unlisted: dict[str, int] = field(default_factory=dict, hash=False)
    """How many more files of a model (`name:version`) there are, which were looked at and say nothing of themselves."""

    def json(self) -> dict[str, Any]:
        """As JSON has it. By hand, for a layer may have ten thousands of files, and `asdict` copies all that it meets."""
        parts, files = (
            [{name: getattr(each, name) for name in _PART} for each in self.parts],
            map(ModelFile.json, self.files),
        )
        more = {"unlisted": self.unlisted} if self.unlisted else {}
        return {"parts": parts, "files": list(files), "copyrights": self.copyrights, **more}

    @classmethod
    def parse(cls, value: object) -> LayerContents:
        """What `json` gave, out of anybody's hands; anything malformed is an IntegrityError."""
        try:
            if isinstance(value, dict) and value.keys() - {"unlisted"} == {"parts", "files", "copyrights"}:
                parts = tuple(InstalledPackage(**_texts(each)) for each in value["parts"])
                files, copyrights = tuple(map(_parsed_file, value["files"])), _texts(value["copyrights"])
                return cls(parts, files, copyrights, _counts(value.get("unlisted", {})))
        except (TypeError, KeyError, AttributeError):
            pass
        raise IntegrityError(f"not the contents of a layer: {value!r:.80}")


_PART, _FILE = (tuple(each.name for each in fields(kind)) for kind in (InstalledPackage, ModelFile))


def _texts(value: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in value.items()):
        raise TypeError("not texts")
    return value


def _counts(value: dict[str, Any]) -> dict[str, int]:
    if not all(isinstance(key, str) and type(count) is int and count > 0 for key, count in value.items()):
        raise TypeError("not counts")
    return value


def _parsed_file(value: dict[str, Any]) -> ModelFile:
    size, facts = value["size"], value["facts"]
    texts = _texts({key: text for key, text in value.items() if key not in ("size", "facts")})
    if type(size) is not int or not isinstance(facts, dict) or not _HEX.fullmatch(texts["sha256"]):
        raise TypeError("not a file")
    for key in ("inputs", "outputs"):
        if any(not {"name", "type", "shape"} <= port.keys() for port in facts.get(key, ())):
            raise TypeError("not a port of a model")
    return ModelFile(size=size, facts=facts, **texts)
