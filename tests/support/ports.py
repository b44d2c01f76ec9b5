"""Ports for servers of tests: free ones, of which each worker of a run has its own, below those that the kernel gives to clients."""

from __future__ import annotations

import os
import random
import socket

FIRST, PER_WORKER = 12_000, 2_000
"""A port that was free a moment ago may be another server's: of another test, which would then be asked instead."""


def free_port() -> int:
    """Returns a port of 127.0.0.1 that nobody listens on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 10
    first = FIRST + worker * PER_WORKER
    for port in random.sample(range(first, first + PER_WORKER), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
