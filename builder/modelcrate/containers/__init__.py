"""Images started without any container engine: unpacked, run, stopped, their logs read. On Linux alone, which containers are made of."""

import sys

from modelcrate_layers.errors import MachineError

if sys.platform != "linux":
    raise MachineError(
        "containers are started on Linux alone",
        why=f"this is {'Windows' if sys.platform == 'win32' else sys.platform}; all that makes and moves images works here",
        hint="push the image, and start it on Linux (WSL 2 and a virtual machine are that); -o docker:NAME gives it to an engine here",
    )

from modelcrate.containers.attach import attach
from modelcrate.containers.container import Container, containers, find
from modelcrate.containers.options import Port, RunOptions, Volume, container_name
from modelcrate.containers.ready import log_since, wait_ready
from modelcrate.containers.starting import start, start_again

__all__ = [
    "Container",
    "Port",
    "RunOptions",
    "Volume",
    "attach",
    "container_name",
    "containers",
    "find",
    "log_since",
    "start",
    "start_again",
    "wait_ready",
]
