"""Reads the YAML of Azure Machine Learning's CLI v2 (deployments, models, environments): a file in, values or all faults out.

What the original's schema does not know is refused, as the original does. What it knows and no image can have is kept as a list for the user.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from modelcrate.project.azure_v2 import AssetReference, V2Deployment, V2Environment, V2Model, V2Route
from modelcrate.project.foreign_yaml import load_yaml
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.named_file import MAX_NAMED, read_named_file

MAX_SHOWN = 120
"""Characters of a value in a message."""

_MACHINE = "where it runs decides: docs/next-steps/kubernetes.md"
_ABOUT = "it is about the deployment, and the image has labels: labels: {team: x}"
NOT_TAKEN: Mapping[str, str] = {
    "instance_type": _MACHINE,
    "instance_count": _MACHINE,
    "scale_settings": _MACHINE,
    "resources": _MACHINE,
    "egress_public_network_access": _MACHINE,
    "private_network_connection": _MACHINE,
    "request_settings": "at the start: modelcrate run -e SCORING_TIMEOUT_MS=... -e WORKER_COUNT=...",
    "liveness_probe": "ask the container: GET / on port 5001",
    "readiness_probe": "ask the container: GET / on port 5001",
    "app_insights_enabled": "docs/next-steps/monitoring.md",
    "data_collector": "docs/next-steps/collect-data.md",
    "tags": _ABOUT,
    "properties": _ABOUT,
    "description": _ABOUT,
}
"""Keys of a deployment that say nothing about the image, and what to do for them."""

_DEPLOYMENT = frozenset(
    {*NOT_TAKEN, "$schema", "name", "endpoint_name", "id", "type", "model", "environment", "environment_variables"}
    | {"code_configuration", "model_mount_path", "provisioning_state", "creation_context"}
)
_MODEL = frozenset(
    [
        "$schema",
        "name",
        "version",
        "path",
        "type",
        "description",
        "tags",
        "properties",
        "flavors",
        "stage",
        "id",
        "utc_time_created",
        "creation_context",
        "job_name",
        "latest_version",
        "datastore",
        "intellectual_property",
        "system_metadata",
        "default_deployment_template",
        "allowed_deployment_templates",
    ]
)
_ENVIRONMENT = frozenset(
    [
        "$schema",
        "name",
        "version",
        "image",
        "conda_file",
        "build",
        "inference_config",
        "os_type",
        "description",
        "tags",
        "properties",
        "id",
        "creation_context",
        "latest_version",
        "auto_delete_setting",
        "datastore",
        "intellectual_property",
    ]
)
_ASSET = re.compile(r"azureml:(?P<name>[^:@/]+)(?::(?P<version>[^:@/]+)|@(?P<label>[^:@/]+))?")
_REGISTRY = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/(?P<kind>\w+)/(?P<name>[^/]+)(?:/(?P<what>versions|labels)/(?P<which>[^/]+))?"
)


def read_v2(file: Path) -> V2Deployment:
    """Reads the YAML of a deployment, a model or an environment.

    Raises:
        SourceError: A file is not there.
        UserError: It is none of these, or has faults; `also` has the others.
    """
    data = _mapping(file)
    kind = _kind(data, file)
    reader = _Reader(file)
    found = {"deployment": reader.deployment, "model": reader.alone, "environment": reader.alone}[kind](data)
    reader.raise_faults()
    return found


class _Reader:
    """Reads one file and collects its faults, so it is not a value."""

    def __init__(self, file: Path) -> None:
        self.file, self.faults = file, list[UserError]()

    def deployment(self, data: Mapping[str, Any]) -> V2Deployment:
        self._check_keys(data, _DEPLOYMENT, "a deployment")
        code, script = self._code(data.get("code_configuration"))
        return V2Deployment(
            self.file,
            self._text(data, "name", needed=True),
            self._text(data, "endpoint_name", needed=True),
            self._model(data.get("model")),
            self._environment(data.get("environment")),
            code,
            script,
            self._variables(data.get("environment_variables")),
            self._text(data, "model_mount_path"),
            tuple(
                f"{key}: {_shown(data[key])}; {NOT_TAKEN[key]}"
                for key in data
                if key in NOT_TAKEN and data[key] is not None
            ),
        )

    def alone(self, data: Mapping[str, Any]) -> V2Deployment:
        if _kind(data, self.file) == "model":
            return V2Deployment(self.file, self._text(data, "name"), model=self._model(data))
        return V2Deployment(self.file, self._text(data, "name"), environment=self._environment(data))

    def raise_faults(self) -> None:
        if self.faults:
            first, *rest = self.faults
            first.also = tuple(rest)
            raise first

    def _model(self, value: object) -> V2Model | AssetReference | None:
        if value is None:
            return None
        if isinstance(value, str):
            if not value.startswith("file:"):
                return self._reference(value, "model")
            other = _Reader(self._beside(value.removeprefix("file:")))
            found = other._model(_mapping(other.file))
            self.faults += other.faults
            return found
        if not isinstance(value, Mapping):
            self._fault("'model' is a mapping or a reference", "expected azureml:NAME:VERSION, or path: FOLDER")
            return None
        self._check_keys(value, _MODEL, "a model")
        path = self._text(value, "path", needed=True)
        if path.startswith("azureml:"):
            self._fault(
                f"the model's path is in the cloud: {path[:100]}", "download it, and name the folder: path: FOLDER"
            )
            return None
        if not path:
            return None
        place = self._beside(path)
        if not place.exists():
            self._fault(f"the model {path} is not there", f"looked for it at {place}")
        return V2Model(
            place, self._text(value, "name"), self._text(value, "version"), self._text(value, "type") or "custom_model"
        )

    def _environment(self, value: object) -> V2Environment | AssetReference | None:
        if value is None:
            return None
        if isinstance(value, str):
            if not value.startswith("file:"):
                return self._reference(value, "environment")
            other = _Reader(self._beside(value.removeprefix("file:")))
            found = other._environment(_mapping(other.file))
            self.faults += other.faults
            return found
        if not isinstance(value, Mapping):
            self._fault("'environment' is a mapping or a reference", "expected azureml:NAME:VERSION, or image: NAME")
            return None
        self._check_keys(value, _ENVIRONMENT, "an environment")
        if str(value.get("os_type") or "linux").lower() != "linux":
            self._fault("os_type is not Linux", "images are made for Linux")
        conda, conda_path = self._conda(value.get("conda_file"))
        liveness, scoring = self._routes(value.get("inference_config"))
        return V2Environment(
            self._text(value, "name"),
            self._text(value, "image"),
            conda,
            conda_path,
            self._dockerfile(value.get("build")),
            liveness,
            scoring,
        )

    def _conda(self, value: object) -> tuple[Mapping[str, Any] | None, Path | None]:
        if value is None:
            return None, None
        if isinstance(value, Mapping):
            return value, None
        path = self._beside(str(value).removeprefix("file:"))
        if not path.is_file():
            self._fault(f"the conda file {value} is not there", f"looked for it at {path}")
            return None, None
        return _mapping(path), path

    def _dockerfile(self, value: object) -> Path | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or not value.get("path") or "://" in str(value["path"]):
            self._fault("'build' needs the path of a folder here", "build: {path: FOLDER}")
            return None
        path = self._beside(str(value["path"])) / str(value.get("dockerfile_path") or "Dockerfile")
        if not path.is_file():
            self._fault("the Dockerfile of 'build' is not there", f"looked for it at {path}")
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
        self._check_keys(value, frozenset({"code", "scoring_script"}), "code_configuration")
        code, script = str(value.get("code") or "."), str(value["scoring_script"])
        if code.startswith(("azureml:", "git+", "http:", "https:")):
            self._fault(f"the code is not here: {code[:100]}", "fetch it, and name the folder: code: FOLDER")
            return None, ""
        folder = self._beside(code)
        if not (folder / script).is_file():
            self._fault(f"the scoring script {script} is not there", f"looked for it at {folder / script}")
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

    def _check_keys(self, data: Mapping[str, Any], known: frozenset[str], what: str) -> None:
        for key in data:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
                self._fault(f"unknown key {key!r:.60} in {what}", hint)

    def _text(self, data: Mapping[str, Any], key: str, *, needed: bool = False) -> str:
        value = data.get(key)
        if value is None:
            if needed:
                self._fault(f"{key!r} is missing", f"{key}: ...")
            return ""
        if isinstance(value, Mapping | list):
            self._fault(f"{key!r} is no text", f"{key}: ...")
            return ""
        return str(value)

    def _beside(self, path: str) -> Path:
        """Returns a path as it is meant in this file."""
        if "\0" in path:
            self._fault("a path has a NUL in it", "name a file or a folder")
        return Path(os.path.abspath(os.path.join(self.file.absolute().parent, path.replace("\0", ""))))

    def _fault(self, what: str, hint: str) -> None:
        self.faults.append(UserError(what, where=str(self.file), hint=hint))


def _kind(data: Mapping[str, Any], file: Path) -> str:
    """What a file describes, by its schema, else by its keys."""
    schema = str(data.get("$schema") or "").rpartition("/")[2].partition(".")[0].lower()
    if schema in ("managedonlinedeployment", "kubernetesonlinedeployment") or "endpoint_name" in data:
        if "batch" in schema:
            raise _other(file, "a batch deployment")
        return "deployment"
    if schema == "environment" or {"image", "conda_file", "build"} & set(data):
        return "environment"
    if schema == "model" or ("path" in data and not schema):
        return "model"
    raise _other(file, schema or f"a file with the keys {', '.join(map(str, list(data)[:6]))}")


def _other(file: Path, what: str) -> UserError:
    return UserError(
        f"is {what}, and no image follows from it",
        where=str(file),
        hint="name the YAML of an online deployment, a model or an environment",
    )


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        text = read_named_file(file, MAX_NAMED)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=str(file)) from None
    try:
        data = load_yaml(text, str(file))
    except UserError as fault:
        if b"{{" in text:
            fault.hint = "it has places to be filled in, {{...}}: put the values there first"
        raise
    if not isinstance(data, Mapping):
        raise UserError("is no mapping", where=str(file), hint="name the YAML of an online deployment")
    return data


def _shown(value: object) -> str:
    """A value as one short line. It is not walked further than the line, because aliases of YAML can make it endless."""
    text = ""
    for each in _tokens(value):
        text += each
        if len(text) > MAX_SHOWN:
            return text[:MAX_SHOWN] + "..."
    return text


def _tokens(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for number, (key, each) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{key}: "
            yield from _tokens(each)
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield ", " if number else "["
            yield from _tokens(each)
        yield "]" if value else "[]"
    else:
        yield str(value)
