"""Serving under gunicorn: its settings, and the application that its workers load."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer

from .settings import Process

SPARE_WORKERS = 8
"""How many workers there may be beyond WORKER_COUNT, such as those that still end while others replace them."""


def options(process: Process, ports: Sequence[int]) -> dict[str, Any]:
    """Returns gunicorn's settings for this process.

    Nothing needs a writable place but the shared memory or temporary folder.
    """
    return {
        "bind": [f"{process.host}:{port}" for port in ports],
        "workers": process.workers,
        "worker_class": f"{__package__}.worker.ScriptWorker",  # by its name: before 23, gunicorn could not show a class in its log
        "timeout": process.worker_timeout,
        "graceful_timeout": 30,
        "preload_app": process.preload,
        "worker_tmp_dir": _heartbeat_folder(),
        "errorlog": "/dev/null",  # gunicorn's own handler; its logger has ours (see `logs`)
        "accesslog": None,  # the application writes the contract's line
        "control_socket_disable": True,  # it would be opened under HOME, which may not be writable
        "proc_name": "modelcrate_server",
        "pre_fork": _choose_slot,
    }


def _choose_slot(master: Any, worker: Any) -> None:
    """Gives a worker the lowest number that no living worker has (see `Metrics.join`)."""
    taken = {each.slot for each in master.WORKERS.values()}
    free = (slot for slot in range(master.num_workers + SPARE_WORKERS) if slot not in taken)
    worker.slot = next(free, 0)


def serve(make_app: Callable[[], Any], process: Process, ports: Sequence[int], grpc_port: int | None = None) -> None:
    """Serves on these ports, and on another one over gRPC if there is one, until the process is ended.

    Gunicorn decides the exit code (0 after SIGTERM, 3 when a worker can't boot).
    """
    try:
        _Application(make_app, process, ports, grpc_port).run()
    except HaltServer as halt:  # a second worker that can't boot, while gunicorn already ends because of the first
        sys.exit(halt.exit_status)


class _Application(BaseApplication):  # type: ignore[misc]  # of the image's gunicorn, which has no types here
    def __init__(
        self, make_app: Callable[[], Any], process: Process, ports: Sequence[int], grpc_port: int | None
    ) -> None:
        self.process, self.grpc_port = process, grpc_port  # for the workers, which have the application
        self._make_app, self._options = make_app, options(process, ports)
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:  # older ones have no control socket to switch off
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make_app()


def _heartbeat_folder() -> str | None:
    """Memory where there is some to write to: a worker's heartbeat must not wait for a disk."""
    shared = "/dev/shm"  # noqa: S108  # the kernel's shared memory, the usual place for this
    return shared if os.access(shared, os.W_OK) else tempfile.gettempdir()
