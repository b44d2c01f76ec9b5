"""The interpreter that enters containers: a copy that nobody can write, and that a hostile command line does not imitate."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from modelcrate.containers.interpreter import module_arguments, start_module
from modelcrate.containers.processes import process_of_module
from support.waiting import until


def test_the_executable_is_a_sealed_copy() -> None:
    """The module ends at once for lack of arguments; while it waits for its input its executable can be looked at."""
    reader, writer = os.pipe()
    process = start_module("enter", "/nowhere", str(reader), "1", pass_fds=(reader,), stdout=subprocess.DEVNULL)
    try:
        exe = f"/proc/{process.pid}/exe"
        assert "memfd:python" in os.readlink(exe)
        with open(exe, "rb") as theirs, open("/proc/self/exe", "rb") as ours:
            assert theirs.read() == ours.read()
        with pytest.raises(OSError):
            os.open(exe, os.O_WRONLY)
        until(
            lambda: process_of_module("enter", "/nowhere"),
            "a command line, which a process lacks for a moment after exec",
        )
        found = process_of_module("enter", "/nowhere")
        assert found is not None
        assert found.pid == process.pid
        assert process_of_module("enter", "/elsewhere") is None
        assert process_of_module("supervisor", "/nowhere") is None
    finally:
        os.close(reader)
        os.close(writer)
        process.wait()


def test_a_sealed_copy_stays_as_it_is_when_nothing_runs_it() -> None:
    from modelcrate.containers import interpreter

    copy = interpreter._sealed_copy()
    try:
        with pytest.raises(PermissionError):
            os.write(copy, b"x")
        with pytest.raises(PermissionError):
            os.truncate(copy, 0)
        again = os.open(f"/proc/self/fd/{copy}", os.O_WRONLY) if os.geteuid() == 0 else -1
        if again >= 0:
            with pytest.raises(PermissionError):
                os.write(again, b"x")
            os.close(again)
    finally:
        os.close(copy)


def test_command_lines() -> None:
    held = [os.fsencode(sys.executable), b"-P", b"-m", b"modelcrate.containers.supervisor", b"/folder", b"5", b""]
    assert module_arguments(held, "supervisor") == [b"/folder", b"5", b""]
    assert module_arguments(held, "enter") is None
    assert module_arguments([], "supervisor") is None
