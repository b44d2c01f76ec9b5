"""Images started without any container engine: unpacked, run, stopped, their logs read."""

from modelcrate.containers.attach import attach
from modelcrate.containers.container import Container, containers, find, start
from modelcrate.containers.options import Port, RunOptions
from modelcrate.containers.ready import wait_ready

__all__ = ["Container", "Port", "RunOptions", "attach", "containers", "find", "start", "wait_ready"]
