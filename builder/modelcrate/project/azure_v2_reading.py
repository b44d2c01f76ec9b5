"""Reads the YAML of Azure Machine Learning's CLI v2 (deployments, models, environments): a file in, values or all faults out.

What the original's schema does not know is refused, as the original does. What it knows and no image can have is kept as a list for the user.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from modelcrate.project.azure_v2 import AssetReference, V2Deployment, V2Environment, V2Model, V2Route
from modelcrate.project.azure_v2_keys import BUILD, CODE, DEPLOYMENT, ENVIRONMENT, MODEL, Section, kind
from modelcrate.project.conda import unread_keys
from modelcrate.project.foreign_yaml import load_yaml, place_hint
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.named_file import read_source
from modelcrate_layers.patterns import compile_later

Asset = TypeVar("Asset", V2Model, V2Environment)

_ASSET = compile_later(r"azureml:(?P<name>[^:@/]+)(?::(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")
_REGISTRY = compile_later(
    r"azureml://registries/(?P<registry>[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)(?:/(?P<what>versions|labels)/(?P<which>[^/]+))?"
)


def read_v2(file: Path) -> V2Deployment:
    """Reads the YAML of a deployment, a model or an environment.

    Raises:
        SourceError: A file is not there.
        UserError: It is none of these, or has faults; `also` has the others.
    """
    data = _mapping(file)
    reader = _Reader(file)
    match kind(data):
        case "deployment":
            found = reader.deployment(data)
        case "model":
            model = reader.model(data, "")
            found = V2Deployment(file, reader.text(data, "name"), model=model, alone=True)
        case "environment":
            environment = reader.environment(data, "")
            found = V2Deployment(file, reader.text(data, "name"), environment=environment, alone=True)
        case other:
            raise _other(file, other, data)
    reader.raise_faults()
    return replace(found, not_taken=tuple(reader.not_taken))


class _Reader:
    """Reads one file, and collects its faults and what an image can't have of it, so it is not a value."""

    def __init__(self, file: Path) -> None:
        self.file, self.faults, self.not_taken = file, list[UserError](), list[str]()

    def deployment(self, data: Mapping[str, Any]) -> V2Deployment:
        self._look_over(DEPLOYMENT, data, "")
        code, script = self._code(data.get("code_configuration"))
        return V2Deployment(
            self.file,
            self.text(data, "name"),
            self.text(data, "endpoint_name"),
            self._asset(data.get("model"), "model", _Reader.model),
            self._asset(data.get("environment"), "environment", _Reader.environment),
            code,
            script,
            self._variables(data.get("environment_variables")),
            self.text(data, "model_mount_path"),
        )

    def raise_faults(self) -> None:
        if self.faults:
            first, *rest = self.faults
            first.also = tuple(rest)
            raise first

    def _asset(
        self, value: object, what: str, read: Callable[[_Reader, Mapping[str, Any], str], Asset | None]
    ) -> Asset | AssetReference | None:
        """Reads a model or an environment: a reference, a file of its own (`file:PATH`), or a mapping."""
        if value is None:
            return None
        if isinstance(value, Mapping):
            return read(self, value, f"{what}.")
        if not isinstance(value, str):
            self._fault(f"{what!r} is a mapping or a reference", f"expected azureml:NAME:VERSION, or {what}: {{...}}")
            return None
        if not value.startswith("file:"):
            return self._reference(value, what)
        other = _Reader(self._beside(value.removeprefix("file:")))
        found = read(other, _mapping(other.file), f"{what}.")
        self.faults += other.faults
        self.not_taken += other.not_taken
        return found

    def model(self, data: Mapping[str, Any], above: str) -> V2Model | None:
        self._look_over(MODEL, data, above)
        path = self.text(data, "path", needed=True)
        if path.startswith(("azureml:", "runs:", "https:", "wasbs:")):
            self._fault(
                f"the model's path is in the cloud: {path[:100]}", "download it, and name the folder: path: FOLDER"
            )
            return None
        if not path:
            return None
        place = self._beside(path)
        if not place.exists():
            self._missing(f"the model {path}", path, place)
        kind_of = self.text(data, "type") or "custom_model"
        return V2Model(place, self.text(data, "name"), self.text(data, "version"), kind_of)

    def environment(self, data: Mapping[str, Any], above: str) -> V2Environment | None:
        self._look_over(ENVIRONMENT, data, above)
        if str(data.get("os_type") or "linux").lower() != "linux":
            self._fault("os_type is not Linux", "images are made for Linux")
        image = self.text(data, "image")
        if hint := place_hint(image):
            self._fault(f"the image {image[:100]} is not complete", hint)
        conda, conda_path = self._conda(data.get("conda_file"))
        liveness, scoring = self._routes(data.get("inference_config"))
        dockerfile = self._dockerfile(data.get("build"))
        return V2Environment(self.text(data, "name"), image, conda, conda_path, dockerfile, liveness, scoring)

    def _conda(self, value: object) -> tuple[Mapping[str, Any] | None, Path | None]:
        if value is None:
            return None, None
        if isinstance(value, Mapping):
            conda, path = value, None
        else:
            path = self._beside(str(value).removeprefix("file:"))
            if not path.is_file():
                self._missing(f"the conda file {value}", str(value), path)
                return None, None
            conda = _mapping(path)
        self.not_taken += (f"conda_file: {each}" for each in unread_keys(conda))
        return conda, path

    def _dockerfile(self, value: object) -> Path | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or not value.get("path") or "://" in str(value["path"]):
            self._fault("'build' needs the path of a folder here", "build: {path: FOLDER}")
            return None
        self._look_over(BUILD, value, "environment.build.")
        path = self._beside(str(value["path"])) / str(value.get("dockerfile_path") or "Dockerfile")
        if not path.is_file():
            self._missing("the Dockerfile of 'build'", str(value["path"]), path)
            return None
        return path

    def _routes(self, value: object) -> tuple[V2Route | None, V2Route | None]:
        if value is None:
            return None, None
        if not isinstance(value, Mapping):
            self._fault("'inference_config' is a mapping", "liveness_route, readiness_route and scoring_route")
            return None, None
        found = []
        for key in ("liveness_route", "readiness_route", "scoring_route"):
            route = value.get(key)
            if not (
                isinstance(route, Mapping) and isinstance(route.get("port"), int) and isinstance(route.get("path"), str)
            ):
                self._fault(f"'inference_config' lacks a port and a path of {key}", f"{key}: {{port: 8080, path: /}}")
            else:
                found.append(V2Route(int(route["port"]), "/" + str(route["path"]).lstrip("/")))
        return (found[0], found[-1]) if len(found) == 3 else (None, None)

    def _code(self, value: object) -> tuple[Path | None, str]:
        if value is None:
            return None, ""
        if not isinstance(value, Mapping) or not value.get("scoring_script"):
            self._fault(
                "'code_configuration' lacks the scoring script",
                "code_configuration: {code: src, scoring_script: score.py}",
            )
            return None, ""
        self._look_over(CODE, value, "code_configuration.")
        code, script = self.text(value, "code") or ".", self.text(value, "scoring_script")
        if code.startswith(("azureml:", "git+", "http:", "https:")):
            self._fault(f"the code is not here: {code[:100]}", "fetch it, and name the folder: code: FOLDER")
            return None, ""
        folder = self._beside(code)
        if script and not (folder / script).is_file():
            self._missing(f"the scoring script {script}", f"{code}/{script}", folder / script)
        return folder, script

    def _variables(self, value: object) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._fault("'environment_variables' is a mapping", "environment_variables: {NAME: value}")
            return {}
        for key, each in value.items():
            if isinstance(each, Mapping | list):
                self._fault(f"the variable {key} is no text", "a variable is a text or a number")
        return {str(key): "" if each is None else str(each) for key, each in value.items()}

    def _reference(self, text: str, kind: str) -> AssetReference | None:
        if hint := place_hint(text):
            self._fault(f"the {kind} {text[:100]} is not complete", hint)
            return None
        if match := _REGISTRY.fullmatch(text):
            label, which = match["what"] == "labels", match["which"] or ""
            return AssetReference(
                text, match["name"], "" if label else which, which if label else "", match["registry"]
            )
        if match := _ASSET.fullmatch(text):
            return AssetReference(text, match["name"], match["version"] or "", match["label"] or "")
        if text.startswith("azureml:"):
            hint = f"expected azureml:NAME:VERSION, azureml:NAME@latest, or azureml://registries/NAME/{kind}s/NAME/versions/VERSION"
        else:
            hint = f"did you mean {f'file:{text}' if re.fullmatch(r'.*[.]ya?ml', text) else f'azureml:{text}'}?"
        self._fault(
            f"not a reference to {'an' if kind == 'environment' else 'a'} {kind}: {text[:100]!r}",
            hint,
        )
        return None

    def _look_over(self, section: Section, data: Mapping[str, Any], above: str) -> None:
        """Notes the keys that nobody knows, and those that an image can't have."""
        for what, hint in section.unknown(data):
            self._fault(what, hint)
        self.not_taken += section.not_taken(data, above)

    def text(self, data: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
        value = data.get(key)
        if value is None:
            if needed:
                self._fault(f"{key!r} is missing", f"{key}: ...")
            return ""
        if isinstance(value, Mapping | list):
            self._fault(f"{key!r} is no text", f"write one text behind it: {key}: ...")
            return ""
        return str(value)

    def _beside(self, path: str) -> Path:
        """Returns a path as it is meant in this file."""
        if "\0" in path:
            self._fault("a path has a NUL in it", "name a file or a folder")
        return Path(os.path.abspath(os.path.join(self.file.absolute().parent, path.replace("\0", ""))))

    def _missing(self, what: str, named: str, place: Path) -> None:
        self._fault(f"{what} is not there", place_hint(named) or f"looked for it at {place}")

    def _fault(self, what: str, hint: str) -> None:
        self.faults.append(UserError(what, where=str(self.file), hint=hint))


_OTHERS = {
    "modelversionpackage": (
        "the package of a model that its command names",
        "write the YAML of an online deployment with model, environment and code_configuration",
    ),
    "batch deployment": (
        "a batch deployment",
        "name the YAML of an online deployment; a job that reads a folder and ends is an image by `command: [python, batch.py]` in modelcrate.yaml",
    ),
    "online endpoint": (
        "an online endpoint, which names its deployments",
        "name the YAML of an online deployment; the endpoint itself is the address of a container here",
    ),
}
"""What other files are, and what to do."""


def _other(file: Path, found: str, data: Mapping[str, Any]) -> UserError:
    what, hint = _OTHERS.get(found, (found or f"a file with the keys {', '.join(map(str, list(data)[:6]))}", ""))
    return UserError(
        f"is {what}, and no image follows from it",
        where=str(file),
        hint=hint or "name the YAML of an online deployment, a model or an environment",
    )


def _mapping(file: Path) -> Mapping[str, Any]:
    data = load_yaml(read_source(file), str(file))
    if not isinstance(data, Mapping):
        raise UserError("is no mapping", where=str(file), hint="name the YAML of an online deployment")
    return data
