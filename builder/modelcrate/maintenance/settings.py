"""The settings of an image, moved from one base to another: what the image set stays, and what came from the old base is the new one's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelcrate.images.image_config import environment
from modelcrate_layers.content import Digest

_MAPS = ("ExposedPorts", "Labels", "Volumes")
_OF_BASE = frozenset({"config", "rootfs", "history", "created"})


def move_settings(
    config: Mapping[str, Any],
    old: Mapping[str, Any] | None,
    new: Mapping[str, Any],
    diff_ids: Sequence[Digest],
    below: tuple[int, int],
) -> dict[str, Any]:
    """Returns the config of an image on its new base.

    Args:
        config: The image's config.
        old: The config of its base; None if that can't be had: then all settings count as the image's own.
        new: The config of the new base.
        diff_ids: Those of all layers of the result.
        below: How many layers the old and the new base have.
    """
    before, after = (dict((each or {}).get("config") or {}) for each in (old, new))
    own = dict(config.get("config") or {})
    settings = {name: value for name, value in after.items() if name not in (*_MAPS, "Env") and value is not None}
    settings |= {
        name: value for name, value in own.items() if name not in (*_MAPS, "Env") and value != before.get(name)
    }
    if own.get("Entrypoint") != before.get("Entrypoint") and not own.get("Cmd"):
        settings.pop("Cmd", None)  # a new entry point has cleared the base's command
    for name in _MAPS:
        first, moved = before.get(name) or {}, dict(after.get(name) or {})
        moved |= {key: value for key, value in (own.get(name) or {}).items() if first.get(key, ...) != value}
        if moved:
            settings[name] = moved
    variables = _move_variables(environment(config), environment(old or {}), environment(new))
    if variables:
        settings["Env"] = [f"{name}={value}" for name, value in variables.items()]
    rest = {name: value for name, value in new.items() if name not in _OF_BASE and value is not None}
    return {
        **rest,
        **{name: config[name] for name in ("architecture", "os", "variant", "created") if config.get(name)},
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [str(each) for each in diff_ids]},
        "history": _move_history(config, new, len(diff_ids), *below),
    }


def _move_variables(own: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    moved = dict(new)
    for name, value in own.items():
        if name not in old:
            moved[name] = value
        elif name == "PATH":
            moved[name] = _move_path(value, old[name], new.get(name, ""))
        elif value != old[name]:
            moved[name] = value
    return moved


def _move_path(own: str, old: str, new: str) -> str:
    """Returns a PATH in which the folders of the old base are the new one's, and those that the image added stay in front."""
    added = [folder for folder in own.split(":") if folder not in old.split(":")]
    return ":".join(dict.fromkeys(filter(None, [*added, *new.split(":")])))


def _move_history(config: Mapping[str, Any], new: Mapping[str, Any], count: int, before: int, after: int) -> list[Any]:
    """Returns the steps of the new base, and those of the image's own layers; a line for each layer where they do not fit (config.md)."""
    own, base = config.get("history") or [], new.get("history") or []
    made = [step for step in own if not step.get("empty_layer")]
    below = [step for step in base if not step.get("empty_layer")]
    mine = made[before:] if len(made) - before == count - after else [{"created_by": "layer"}] * (count - after)
    return [*(base if len(below) == after else [{"created_by": "base"}] * after), *mine]
