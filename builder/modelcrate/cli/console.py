"""The console of a command: messages and progress on standard error, results on standard output."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from modelcrate.cli.progress import Progress, choose
from modelcrate.config import Config
from modelcrate.environment import read_config
from modelcrate.events import Emit
from modelcrate.render.printable import json_text, printable
from modelcrate.transports.connections import Connections
from modelcrate_layers.errors import CrateError, MachineError

if TYPE_CHECKING:
    from modelcrate.pipeline.session import Session


class Console:
    """The console, the configuration and the connections of one command.

    It is a context manager, which ends the progress and closes the connections.
    """

    def __init__(self, config: Config, progress: Progress, as_json: bool = False) -> None:
        self.config, self.progress, self.as_json = config, progress, as_json
        self.connections = Connections(config, progress.emit)

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Console:
        """Returns the console for the common options of a command."""
        return cls(read_config(args.offline), choose(args.progress, sys.stderr), args.json)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.clear()
        self.connections.close()

    def session(self, emit: Emit | None = None) -> Session:
        """Returns a session for builds, whose events go to the console, or to `emit`. The caller opens it with `with`."""
        from modelcrate.pipeline.session import Session

        return Session(self.config, emit or self.emit)

    @property
    def emit(self) -> Emit:
        """The Emit that shows events."""
        return self.progress.emit

    def print_message(self, text: str) -> None:
        """Prints a message for the user on standard error. See `Progress.write`."""
        self.progress.clear()
        with suppress(OSError):
            print(printable(text), file=sys.stderr, flush=True)

    def print_result(self, value: Any, text: str) -> None:
        """Prints the result on standard output.

        Args:
            value: The result for `--json`.
            text: The result as text.

        Raises:
            BrokenPipeError: Nobody reads it any more.
            MachineError: It can't be written.
        """
        self.progress.clear()
        try:
            print(json_text(value) if self.as_json else printable(text), flush=True)
        except BrokenPipeError:
            raise
        except OSError as fault:
            raise MachineError(f"can't be written: {fault.strerror}", where="the standard output") from None

    def print_error(self, fault: CrateError) -> int:
        """Prints an error, and returns its exit code."""
        from modelcrate.render.colour import colour_error, wants_colour

        self.progress.clear()
        count = fault.faults
        number = f"{count} faults, " if count > 1 else ""
        done = f"done before that: {', '.join(self.progress.done)}" if self.progress.done else "nothing was changed"
        text = printable(f"{fault}\n{number}{done} (exit {fault.exit_code})")
        coloured = wants_colour(self.config.environment, sys.stderr.isatty())
        with suppress(OSError):  # where nothing can be said, the exit code still does
            print(colour_error(text) if coloured else text, file=sys.stderr, flush=True)
        return fault.exit_code
