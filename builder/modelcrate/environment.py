"""The one place that reads this process's environment."""

from __future__ import annotations

import os

from modelcrate.config import Config


def read_config(offline: bool = False) -> Config:
    """Returns the configuration of this process, from its environment's variables."""
    return Config.of(os.environ, os.getuid(), offline)
