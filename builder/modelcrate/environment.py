"""The one place that looks at this process's environment."""

from __future__ import annotations

import os

from modelcrate.home.settings import Settings


def settings(offline: bool = False) -> Settings:
    """The settings of this run, from the environment's variables."""
    return Settings.of(os.environ, os.getuid(), offline)
