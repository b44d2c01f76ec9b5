"""YAML of other tools as plain data: what they wrote (conda's environments, MLflow's models, pixi's locks), and what they shall read."""

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
        raise UserError(
            f"has more than {limit} bytes", where=where, hint="name the right file; real ones are smaller by far"
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(data, Loader=loader)  # noqa: S506 - both loaders are safe ones
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        raise UserError(
            "is not YAML",
            where=where,
            why=str(fault)[:300],
            hint="mend the line; indentation is by spaces, and a colon is followed by one",
        ) from None


def dump_yaml(*documents: Any) -> str:
    """Returns plain data as YAML: members in their own order, long lines unbroken, equal values written out."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    texts = (yaml.dump(each, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1 << 20) for each in documents)
    return "---\n".join(texts)
