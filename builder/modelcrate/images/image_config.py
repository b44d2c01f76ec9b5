"""The image config: read from others under its types, and made for our images (config.md of the OCI image specification 1.1). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from modelcrate_layers.content import Digest, Platform, parse_natural
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass, field

EPOCH = datetime(1980, 1, 1, 0, 0, 1, tzinfo=UTC)
"""The creation time of an image when none is set: no clock, and no zero, which upsets old loaders."""

_HISTORY_OF_BASE = frozenset(
    {"container", "container_config", "docker_version", "parent", "id", "created", "rootfs", "history"}
)
"""Members of a base's config that tell how the base itself was made, and would be untrue of the image on it."""


BASE_NAME, BASE_DIGEST = "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest"
"""Annotations of an image with its base (annotations.md)."""

HEALTH_LABEL = "io.modelcrate.health"
"""The label of an image with the path that answers with 2xx once its server is ready."""


def health_path(config: Mapping[str, Any]) -> str | None:
    """Returns the path that tells whether a container is ready, by its image's config; None where the image names none."""
    labels = (config.get("config") or {}).get("Labels") or {}
    return labels.get(HEALTH_LABEL)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What the container does when it starts; laid over the base's settings (config.md, "config")."""

    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    ports: tuple[int, ...] = ()
    user: str = ""
    folder: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    stop_signal: str = ""


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_set(value: object) -> bool:
    return isinstance(value, dict) and all(each is None or isinstance(each, dict) for each in value.values())


def _is_map_of_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_steps(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, dict)
        and isinstance(step.get("empty_layer") or False, bool)
        and all(isinstance(step.get(name) or "", str) for name in ("created", "created_by", "author", "comment"))
        for step in value
    )


_Types = Mapping[str, tuple[str, Callable[[object], bool]]]

_TEXT = ("a text", _is_text)
_TEXTS = ("a list of texts", _is_texts)
_SET = ("an object whose values are empty objects", _is_set)

_MEMBERS: _Types = {
    "architecture": _TEXT,
    "author": _TEXT,
    "config": ("an object", _is_object),
    "created": _TEXT,
    "history": ("a list of objects with texts", _is_steps),
    "os": _TEXT,
    "os.features": _TEXTS,
    "os.version": _TEXT,
    "rootfs": ("an object", _is_object),
    "variant": _TEXT,
}
"""The members of an image config, in words and as checks. Unknown members may be anything, and null is an absent member."""

_RUN_MEMBERS: _Types = {
    "ArgsEscaped": ("true or false", lambda value: isinstance(value, bool)),
    "Cmd": _TEXTS,
    "Entrypoint": _TEXTS,
    "Env": ("a list of NAME=VALUE texts", _is_texts),
    "ExposedPorts": _SET,
    "Healthcheck": ("an object", _is_object),
    "Labels": ("an object whose values are texts", _is_map_of_texts),
    "OnBuild": _TEXTS,
    "Shell": _TEXTS,
    "StopSignal": _TEXT,
    "StopTimeout": ("a number", _is_number),
    "User": _TEXT,
    "Volumes": _SET,
    "WorkingDir": _TEXT,
}
"""The same for the object `config`: those of the specification, and those that Docker adds."""


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Checks the types of all known members of a foreign image config, once, when it is read.

    Raises:
        IntegrityError: A member has another type; the error names all such members.
    """
    faults = [*_wrong(config, _MEMBERS, "")]
    if isinstance(run := config.get("config"), dict):
        faults += _wrong(run, _RUN_MEMBERS, "config.")
    if faults:
        raise IntegrityError(
            "has an image config with members of the wrong type",
            where=where,
            why="\n".join(faults),
            hint="the tool that wrote this image is at fault: build the image again with another one",
        )


def _wrong(found: Mapping[str, Any], types: _Types, prefix: str) -> list[str]:
    return [
        f"{prefix}{name} has to be {words}, and is {found[name]!r:.60}"
        for name, (words, fits) in types.items()
        if found.get(name) is not None and not fits(found[name])
    ]


def exposed_ports(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """Returns the TCP ports that the settings of a container expose (`80`, `80/tcp`); what is none is passed over, as engines do."""
    named = (text.partition("/") for text in settings.get("ExposedPorts") or {})
    numbers = (parse_natural(port, digits=5) for port, _, protocol in named if protocol in ("", "tcp"))
    return tuple(number for number in numbers if number)


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Returns the variables that an image config sets; lines without a name are passed over, as engines do."""
    lines = (config.get("config") or {}).get("Env") or []
    return {name: value for name, _, value in (line.partition("=") for line in lines) if name}


def timestamp(moment: datetime) -> str:
    """Returns a time as RFC 3339 has it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_config(
    platform: Platform,
    base: Mapping[str, Any],
    diff_ids: Sequence[Digest],
    steps: Sequence[str],
    run: RunSpec,
    created: datetime,
) -> dict[str, Any]:
    """Returns the config of an image.

    Args:
        platform: The platform of the image.
        base: The config of the base; its unknown members are kept.
        diff_ids: Those of all layers, the base's first.
        steps: A line of history for each layer of ours, which are the last ones.
        run: The container's settings, which are laid over the base's.
        created: The time of the image and of its new lines of history.
    """
    when = timestamp(created)
    return {
        **{name: value for name, value in base.items() if name not in _HISTORY_OF_BASE and value is not None},
        **platform.json(),
        "created": when,
        "config": _run_settings(base.get("config") or {}, run),
        "rootfs": {"type": "layers", "diff_ids": [str(each) for each in diff_ids]},
        "history": [
            *_history(base, len(diff_ids) - len(steps)),
            *({"created": when, "created_by": step} for step in steps),
        ],
    }


def _run_settings(base: Mapping[str, Any], run: RunSpec) -> dict[str, Any]:
    """Lays our settings over the base's. A new entry point clears the base's command, as Docker does."""
    out = {name: value for name, value in base.items() if value is not None}
    env = environment({"config": base}) | dict(run.env)
    if env:
        out["Env"] = [f"{name}={value}" for name, value in env.items()]
    if run.command:
        out["Entrypoint"] = list(run.command)
        out.pop("Cmd", None)
    if run.ports:
        out["ExposedPorts"] = {**(base.get("ExposedPorts") or {}), **{f"{port}/tcp": {} for port in run.ports}}
    if run.labels:
        out["Labels"] = {**(base.get("Labels") or {}), **run.labels}
    settings = (("User", run.user), ("WorkingDir", run.folder), ("StopSignal", run.stop_signal))
    return {**out, **{name: value for name, value in settings if value}}


def _history(base: Mapping[str, Any], count: int) -> list[Any]:
    """Returns the base's history if it has as many layers as there are, else a line for each layer: tools count them."""
    history = base.get("history")
    if isinstance(history, list) and sum(not step.get("empty_layer") for step in history) == count:
        return history
    return [{"created_by": "base"}] * count
