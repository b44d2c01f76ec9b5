"""This process on its machine: the one place that reads its environment, and what the operating system refuses it, in our words."""

from __future__ import annotations

import errno
import os
import sys

from modelcrate.config import Config
from modelcrate_layers.errors import MachineError


def read_config(offline: bool = False) -> Config:
    """Returns the configuration of this process, from its environment's variables."""
    given = dict(os.environ)
    if sys.platform == "win32":
        given.setdefault("HOME", given.get("USERPROFILE", ""))  # where the files of other tools are
        return Config.of(given, None, offline)
    return Config.of(given, os.getuid(), offline)


def of_the_system(fault: OSError) -> MachineError:
    """Returns what the operating system said, as an error of ours."""
    full = fault.errno == errno.ENOSPC and not fault.filename
    hint = "the folder for temporary files (TMPDIR), MODELCRATE_HOME or the output's folder is full" if full else ""
    return MachineError(f"{fault.strerror or fault}", where=str(fault.filename or ""), hint=hint)
