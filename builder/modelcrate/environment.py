"""The one place that reads this process's environment."""

from __future__ import annotations

import os
import sys

from modelcrate.config import Config
from modelcrate_layers import host


def read_config(offline: bool = False) -> Config:
    """Returns the configuration of this process, from its environment's variables."""
    given = dict(os.environ)
    if host.WINDOWS:
        given.setdefault("HOME", given.get("USERPROFILE", ""))  # where the files of other tools are
    return Config.of(given, None if sys.platform == "win32" else os.getuid(), offline)
