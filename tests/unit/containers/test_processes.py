"""Processes that are never mistaken for others."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace

from modelcrate.containers.processes import ProcessId
from support.waiting import HANG


def test_a_living_process_is_waited_for_and_signalled() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        process = ProcessId.of(child.pid)
        assert process.alive()
        assert not process.wait(timeout=0.01)
        assert process.signal(signal.SIGTERM)
        assert process.wait(timeout=HANG)
        assert not process.alive()  # a zombie
        assert not process.signal(signal.SIGTERM)


def test_a_number_given_again_is_somebody_else() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        other = replace(ProcessId.of(child.pid), started="some-boot:1")
        assert not other.alive()
        assert not other.signal(signal.SIGKILL)
        assert other.wait(timeout=HANG)
        assert child.poll() is None
        child.kill()


def test_what_is_gone_is_gone() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert not ProcessId.of(child.pid).alive()
    assert ProcessId.of(child.pid).wait()
    assert ProcessId.own().pid == os.getpid()
    assert ProcessId.own().alive()
