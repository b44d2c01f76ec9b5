"""The keys of Azure's YAML: those that become something of an image, and what to do for each of the others. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from modelcrate.project.foreign_yaml import shown
from modelcrate.project.pages import page
from modelcrate_layers.frozen import dataclass, field

_NOW = {"local_path": "path", "docker": "image"}
"""Keys of the CLI's preview, and what took their places."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the YAML: its name in messages, the keys that are read, and what to do for those that say nothing of an image."""

    what: str
    read: frozenset[str]
    others: Mapping[str, str] = field(default_factory=dict, hash=False)

    def unknown(self, data: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Yields the fault of each key that the original's schema does not know, and what to do."""
        known = {*self.read, *self.others}
        for key in data:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                other = next((each.what for each in _SECTIONS if key in each.read), "")
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
                hint = f"it is a key of {other}" if other else hint
                hint = f"the CLI's preview of 2021 had it; now it is {_NOW[key]!r}" if key in _NOW else hint
                yield f"unknown key {key!r:.60} in {self.what}", hint

    def not_taken(self, data: Mapping[str, object], above: str = "") -> Iterator[str]:
        """Yields each key that is there and says nothing of an image: the key, its value, and what to do."""
        for key, value in data.items():
            if key in self.others and value is not None:
                yield f"{above}{key}: {shown(value)}; {self.others[key]}"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _keys(names: str, what_to_do: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), what_to_do)


_LABELS = "the image has labels: labels: {team: x}"
_SERVICES = "Azure's service wrote it: nothing to do"

DEPLOYMENT = Section(
    "a deployment",
    _words(
        "$schema name endpoint_name type model environment environment_variables code_configuration model_mount_path"
    ),
    {
        **_keys(
            "instance_type instance_count scale_settings resources egress_public_network_access private_network_connection",
            f"where it runs decides: {page('next-steps/kubernetes')}",
        ),
        "request_settings": "in the project file: server: {timeout: 5s, threads: 2}",
        **_keys("liveness_probe readiness_probe", "ask the container: GET / on port 5001"),
        "app_insights_enabled": page("next-steps/monitoring"),
        "data_collector": page("next-steps/collect-data"),
        **_keys("tags properties description", f"it is about the deployment, and {_LABELS}"),
        **_keys("id provisioning_state creation_context", _SERVICES),
    },
)
MODEL = Section(
    "a model",
    _words("$schema name version path type"),
    {
        **_keys("tags properties description", f"modelcrate model register keeps them with a model, and {_LABELS}"),
        "flavors": "the file MLmodel has them, and is read",
        "stage": "it is about the registered model: modelcrate model tag",
        **_keys(
            "id utc_time_created creation_context job_name latest_version datastore intellectual_property system_metadata "
            "default_deployment_template allowed_deployment_templates",
            _SERVICES,
        ),
    },
)
ENVIRONMENT = Section(
    "an environment",
    _words("$schema name version image conda_file build inference_config os_type"),
    {
        **_keys("tags description", f"it is about the environment, and {_LABELS}"),
        **_keys(
            "id creation_context latest_version auto_delete_setting datastore intellectual_property properties",
            _SERVICES,
        ),
    },
)
CODE = Section("code_configuration", _words("code scoring_script"))
BUILD = Section("build", _words("path dockerfile_path"))
_SECTIONS = (ENVIRONMENT, CODE, DEPLOYMENT, MODEL)


def kind(data: Mapping[str, object]) -> str:
    """Returns what a file describes, by its schema, else by its keys: `deployment`, `model`, `environment`, or another word.

    Some name a page of the documentation as the schema, which the original passes over.
    """
    name = str(data.get("$schema") or "").rpartition("/")[2].lower()
    schema = name.removesuffix(".schema.json") if name.endswith(".schema.json") else ""
    if "batch" in schema or {"mini_batch_size", "output_action"} & set(data):
        return "batch deployment"
    if schema:
        short = schema.removeprefix("managed").removeprefix("kubernetes")
        return {"onlinedeployment": "deployment", "onlineendpoint": "online endpoint"}.get(short, schema)
    if {"endpoint_name", "code_configuration", "instance_type"} & set(data):
        return "deployment"
    if "auth_mode" in data:
        return "online endpoint"
    if {"image", "conda_file", "build"} & set(data):
        return "environment"
    return "model" if "path" in data else ""
