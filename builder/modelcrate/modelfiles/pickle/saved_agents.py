"""The pickles in an agent that Stable-Baselines3 has saved, which are unpickled when the agent is loaded.

It is a zip, whose member `data` is JSON with what cloudpickle wrote, in base64 (stable_baselines3/common/save_util.py).
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from modelcrate_layers.errors import IntegrityError

MEMBER = "data"
"""How the member of the zip is called."""

SERIALIZED = ":serialized:"
"""The key of a pickle in the object of an attribute."""


def pickles_in(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the names of attributes and their pickles; nothing for what is no such JSON.

    Raises:
        IntegrityError: It can't be read here, or a pickle is no base64.
    """
    from modelcrate.modelfiles.configured_code import json_values
    from modelcrate.modelfiles.named_code import objects_in

    if not data.lstrip().startswith(b"{") or (SERIALIZED.encode() not in data and b"\\u" not in data):
        return
    for found in (each for value in json_values(data) for each in objects_in(value)):
        for name, value in found.items():
            packed = value.get(SERIALIZED) if isinstance(value, dict) else None
            try:
                if isinstance(packed, str):
                    yield name, b64decode(packed)
            except ValueError:
                raise IntegrityError(f"has no base64 where the pickle of {name[:60]!r} should be") from None
