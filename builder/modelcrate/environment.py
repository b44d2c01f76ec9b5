"""The one place that reads this process's environment."""

from __future__ import annotations

import os
import sys

from modelcrate.config import Config


def read_config(offline: bool = False) -> Config:
    """Returns the configuration of this process, from its environment's variables."""
    given = dict(os.environ)
    if sys.platform == "win32":
        given.setdefault("HOME", given.get("USERPROFILE", ""))  # where the files of other tools are
        return Config.of(given, None, offline)
    return Config.of(given, os.getuid(), offline)
