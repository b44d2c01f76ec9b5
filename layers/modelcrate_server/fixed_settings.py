"""Gunicorn's settings, each looked up once: its own object searches for them anew at every access, twenty times a request."""

from __future__ import annotations

from typing import Any


class FixedSettings:
    """Has the attributes of gunicorn's configuration, as they were when they were first asked for.

    Args:
        cfg: Gunicorn's configuration.
    """

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._cfg, name)
        self.__dict__[name] = value
        return value
