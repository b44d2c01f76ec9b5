"""Measures layers in a process of its own: within one, the interpreter's lock lets one thread at a time go from file to file.

Recipes go in, and layers come out. They are sent as pickles: nobody else can write into the pipes of this program's own process.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Self

from modelcrate_layers.errors import CrateError
from modelcrate_layers.tar.recipe import Layer, Measuring, Recipe

_PROGRAM = "from modelcrate_layers.measuring_process import main; main()"


class MeasuringProcess:
    """A process that starts with its first recipe. Not a frozen value: it has pipes. One thread uses it at a time."""

    def __init__(self) -> None:
        self._running: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is None:
            return
        self._running.kill()  # whatever it is doing, nobody waits for it
        for pipe in (self._running.stdin, self._running.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._running.wait()

    def measure(self, recipe: Recipe, passed: Callable[[int], None]) -> Layer:
        """Measures a recipe.

        Args:
            recipe: The recipe.
            passed: Is called with the bytes of the tar that have passed since its last call.

        Returns:
            The layer that `recipe.measure` returns in this process.

        Raises:
            CrateError: As `recipe.measure` raises it.
            OSError: The process can't be started, or has ended.
        """
        if self._running is None:
            self._running = _start()
        question, answers = self._running.stdin, self._running.stdout
        assert question is not None and answers is not None  # noqa: PT018
        pickle.dump(recipe, question)
        question.flush()
        try:
            while isinstance(answer := pickle.load(answers), int):  # noqa: S301
                passed(answer)
        except (EOFError, pickle.UnpicklingError):
            raise BrokenPipeError("the process that measures layers has ended") from None
        if isinstance(answer, CrateError):
            raise answer
        assert isinstance(answer, Layer)
        return answer


class MeasuringProcesses:
    """Processes for several threads. Not a frozen value: it owns them."""

    def __init__(self, count: int) -> None:
        self._started = [MeasuringProcess() for _ in range(count)]
        self._idle: SimpleQueue[MeasuringProcess] = SimpleQueue()
        for each in self._started:
            self._idle.put(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._started:
            each.__exit__()

    def measure(self, recipe: Recipe, passed: Callable[[int], None]) -> Layer:
        """Measures a recipe in the next process that is idle, or in this one where that process can't be started or has ended.

        Args:
            recipe: The recipe.
            passed: As in `MeasuringProcess.measure`.

        Raises:
            CrateError: What is wrong with the files of the recipe.
        """
        process = self._idle.get()
        try:
            return process.measure(recipe, passed)
        except OSError:
            return _measure(recipe, passed)
        finally:
            self._idle.put(process)


def can_start() -> bool:
    """Returns whether this program can start its interpreter once more. One that is frozen into a file would start itself."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _start() -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", _PROGRAM]  # -P: nothing is imported from the folder that it runs in
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def main() -> None:
    """Answers recipes from standard input on standard output, until there are no more."""
    answers = sys.stdout.buffer

    def answer(value: int | Layer | CrateError) -> None:
        pickle.dump(value, answers)
        answers.flush()

    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            recipe = pickle.load(sys.stdin.buffer)  # noqa: S301
            try:
                answer(_measure(recipe, answer))
            except CrateError as fault:
                answer(fault)


def _measure(recipe: Recipe, passed: Callable[[int], None]) -> Layer:
    measuring = Measuring.of(recipe, _reported(recipe.tar, passed))
    for _ in measuring:
        pass
    return measuring.layer


def _reported(chunks: Iterable[bytes], passed: Callable[[int], None]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        passed(len(chunk))
