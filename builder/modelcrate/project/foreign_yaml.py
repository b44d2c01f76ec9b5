"""YAML that other tools wrote (conda's environments, MLflow's models, pixi's locks), as plain data."""

from __future__ import annotations

from typing import Any

from modelcrate_layers.errors import UserError

MAX_BYTES = 1 << 20
"""Bytes of such a file; real ones have a few thousand."""


def load_yaml(data: bytes, where: str, limit: int = MAX_BYTES) -> Any:
    """Returns the data of a YAML text, by a loader that makes nothing but plain values.

    Raises:
        UserError: It has more than `limit` bytes, or is not YAML.
    """
    import yaml

    if len(data) > limit:
        raise UserError(f"has more than {limit} bytes", where=where)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(data, Loader=loader)  # noqa: S506 - both loaders are safe ones
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        raise UserError("is not YAML", where=where, why=str(fault)[:300]) from None
