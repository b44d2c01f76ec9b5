"""Images started without any container engine: unpacked, run, stopped, their logs read."""

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
