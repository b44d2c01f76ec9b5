"""Starts a second program in a running container and stands between it and our own streams, which the program never gets itself."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, Any

from modelcrate.containers.attach import forwarded
from modelcrate.containers.container import Container
from modelcrate.containers.enter import ExecRequest
from modelcrate.containers.init import read_report
from modelcrate.containers.interpreter import start_module
from modelcrate_layers.atomic import write_all
from modelcrate_layers.errors import CrateError, UserError

_PIECE = 1 << 16
_LOOK = 0.2
"""Seconds between two looks whether the program has ended, while its terminal is quiet."""

_IN, _OUT, _ERR = 0, 1, 2


def execute_in(container: Container, request: ExecRequest, interactive: bool = False, terminal: bool = False) -> int:
    """Runs a program in a container, with its output on our standard streams. Call it from the main thread.

    Args:
        container: a container that runs.
        request: the program.
        interactive: whether the program gets our standard input; else it has none.
        terminal: whether it gets a terminal of its own, as a shell wants it.

    Returns:
        The exit code, 128 + N after signal N.

    Raises:
        UserError: the container doesn't run, or is another user's, or has no such program or user.
        MachineError: it can't be entered.
    """
    if container.state().status not in ("running", "orphaned"):
        raise UserError(f"the container {container.name} does not run", hint=f"modelcrate start {container.name}")
    if container.folder.stat().st_uid != os.geteuid():
        raise UserError(
            f"the container {container.name} was started by another user of this machine",
            hint="ask as that user, or as root",
        )
    if terminal and not os.isatty(_IN):
        raise UserError("standard input is not a terminal", hint="leave out --tty")
    return _with_terminal(container, request) if terminal else _with_pipes(container, request, interactive)


def _with_pipes(container: Container, request: ExecRequest, interactive: bool) -> int:
    source = subprocess.PIPE if interactive else subprocess.DEVNULL
    process = _start(container, request, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with forwarded(process.send_signal):
        if interactive:  # a thread that may wait for a key for ever: it ends with us
            threading.Thread(target=_feed, args=(process.stdin,), daemon=True).start()
        readers = [
            threading.Thread(target=_copy, args=(source, target))
            for source, target in ((process.stdout, _OUT), (process.stderr, _ERR))
        ]
        for reader in readers:
            reader.start()
        code = process.wait()
        for reader in readers:
            reader.join()
    return code


def _with_terminal(container: Container, request: ExecRequest) -> int:
    ours, theirs = os.openpty()
    try:
        _copy_size(ours)
        process = _start(container, request, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        theirs = -1

        def resized(*_: Any) -> None:
            _copy_size(ours)
            process.send_signal(signal.SIGWINCH)

        with _raw(resized):
            _relay(ours, process.poll)
        return process.wait()
    finally:
        for fd in (ours, theirs):
            with suppress(OSError):
                os.close(fd)


def _start(container: Container, request: ExecRequest, **streams: Any) -> subprocess.Popen[bytes]:
    """Starts the process that enters, and returns it once the program runs."""
    wanted = os.memfd_create("request")  # a command line can be read by all users, and variables may be secret
    answer, report = os.pipe()
    try:
        os.write(wanted, json.dumps(asdict(request)).encode())
        os.lseek(wanted, 0, os.SEEK_SET)
        arguments = (str(container.folder.resolve()), str(wanted), str(report))
        process = start_module("enter", *arguments, pass_fds=(wanted, report), start_new_session=True, **streams)
    except BaseException:
        os.close(answer)
        raise
    finally:
        os.close(wanted)
        os.close(report)
    try:
        read_report(answer)
    except CrateError:
        process.wait()
        raise
    return process


def _feed(target: IO[bytes]) -> None:
    with suppress(OSError), target:
        while piece := os.read(_IN, _PIECE):
            target.write(piece)
            target.flush()


def _copy(source: IO[bytes], target: int) -> None:
    with source:
        while piece := os.read(source.fileno(), _PIECE):
            with suppress(OSError):  # our reader has gone; the program must not wait for us
                write_all(target, piece)


def _relay(ours: int, ended: Callable[[], int | None]) -> None:
    """Copies between our terminal and the program's, until the program has ended and all was read."""
    sources = [ours, _IN]
    while True:
        ready, _, _ = select.select(sources, [], [], _LOOK)
        if _IN in ready:
            if piece := os.read(_IN, _PIECE):
                write_all(ours, piece)
            else:
                sources.remove(_IN)
        if ours in ready:
            try:
                piece = os.read(ours, _PIECE)
            except OSError:  # EIO: no process has the other end any more
                return
            write_all(_OUT, piece)
        elif ended() is not None:
            return


def _copy_size(terminal: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, fcntl.ioctl(_IN, termios.TIOCGWINSZ, bytes(8)))


@contextmanager
def _raw(resized: Callable[..., None]) -> Iterator[None]:
    """Our terminal passes each key on as it is; afterwards it is as it was."""
    before = termios.tcgetattr(_IN)
    handler = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setraw(_IN, termios.TCSADRAIN)  # what was typed meanwhile is kept
        yield
    finally:
        termios.tcsetattr(_IN, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
