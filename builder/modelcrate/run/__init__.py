"""Images started without any container engine: unpacked, run, stopped, their logs read."""

from modelcrate.run.attach import attach
from modelcrate.run.container import Container, containers, find, start
from modelcrate.run.options import Port, RunOptions
from modelcrate.run.ready import wait_ready

__all__ = ["Container", "Port", "RunOptions", "attach", "containers", "find", "start", "wait_ready"]
