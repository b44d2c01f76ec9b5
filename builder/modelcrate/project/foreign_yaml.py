"""YAML that other tools wrote (conda's environments, MLflow's models), as plain data."""

from __future__ import annotations

from typing import Any

from modelcrate_layers.errors import UserError

MAX_BYTES = 1 << 20
"""Bytes of such a file; real ones have a few thousand."""


def load_yaml(data: bytes, where: str) -> Any:
    """What a safe loader makes of it; a UserError for a file that is too large or no YAML."""
    import yaml

    if len(data) > MAX_BYTES:
        raise UserError(f"is larger than {MAX_BYTES} bytes", where=where)
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        raise UserError("is not YAML", where=where, why=str(fault)[:300]) from None
