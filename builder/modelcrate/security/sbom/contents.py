"""The contents of a layer, as values and as JSON: packages with licences, files of models with their facts, files of the project."""

from __future__ import annotations

from typing import Any

from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

_HEX = compile_later(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of the project or of a model.

    Attributes:
        path: Its path in the image.
        size: Bytes.
        sha256: In hex.
        model: `name:version`; empty for a file of the project.
        format: The format of a model's file; empty if it is unknown.
        facts: Facts from the file's header, such as inputs and outputs.
        verdict: The verdict on its pickles, or "damaged".
        licence: The SPDX expression of a model card.
    """

    path: str
    size: int
    sha256: str
    model: str = ""
    format: str = ""
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    verdict: str = ""
    licence: str = ""

    def json(self) -> dict[str, Any]:
        """Returns the value as JSON."""
        return {name: getattr(self, name) for name in _FILE}


@dataclass(frozen=True, slots=True)
class LayerContents:
    """The contents of one layer.

    Attributes:
        parts: Its packages.
        files: Files of models and of the project.
        copyrights: Licences of Debian packages by package name.
        unlisted: The number of further files of each model (`name:version`). They were read too and have no facts.
    """

    parts: tuple[InstalledPackage, ...] = ()
    files: tuple[ModelFile, ...] = ()
    copyrights: dict[str, str] = field(default_factory=dict, hash=False)
    unlisted: dict[str, int] = field(default_factory=dict, hash=False)

    def json(self) -> dict[str, Any]:
        """Returns the value as JSON. Written out, because `asdict` copies everything and a layer may have 10,000s of files."""
        parts, files = (
            [{name: getattr(each, name) for name in _PART} for each in self.parts],
            map(ModelFile.json, self.files),
        )
        more = {"unlisted": self.unlisted} if self.unlisted else {}
        return {"parts": parts, "files": list(files), "copyrights": self.copyrights, **more}

    @classmethod
    def parse(cls, value: object) -> LayerContents:
        """Parses what `json` returned. The value is untrusted.

        Raises:
            IntegrityError: It is malformed.
        """
        try:
            if isinstance(value, dict) and value.keys() - {"unlisted"} == {"parts", "files", "copyrights"}:
                parts = tuple(InstalledPackage(**_texts(each)) for each in value["parts"])
                files, copyrights = tuple(map(_parsed_file, value["files"])), _texts(value["copyrights"])
                return cls(parts, files, copyrights, _counts(value.get("unlisted", {})))
        except (TypeError, KeyError, AttributeError):
            pass
        raise IntegrityError(f"malformed contents of a layer: {value!r:.80}")


_PART, _FILE = InstalledPackage.__match_args__, ModelFile.__match_args__


def _texts(value: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in value.items()):
        raise TypeError("not strings")
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
