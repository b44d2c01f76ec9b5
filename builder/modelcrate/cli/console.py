"""What a verb talks to: words and progress on standard error, results on standard output."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import field
from typing import Any

from modelcrate import environment
from modelcrate.cli.progress import Progress, choose
from modelcrate.events import Emit
from modelcrate.home.settings import Settings
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Console:
    """Use it in a `with`: leaving it takes the progress off the screen."""

    settings: Settings
    progress: Progress = field(repr=False)
    as_json: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> Console:
        return cls(environment.settings(args.offline), choose(args.progress, sys.stderr), args.json)

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *exc: object) -> None:
        self.progress.clear()

    @property
    def emit(self) -> Emit:
        return self.progress.emit

    def say(self, text: str) -> None:
        """Words for people."""
        self.progress.clear()
        print(text, file=sys.stderr, flush=True)

    def result(self, value: Any, text: str) -> None:
        """The result: as JSON on standard output where that was asked for, else as words there."""
        self.progress.clear()
        print(json.dumps(value, indent=2, ensure_ascii=False) if self.as_json else text, flush=True)

    def fail(self, fault: CrateError) -> int:
        """Say what went wrong, and give the exit code of its class."""
        self.progress.clear()
        count = fault.faults
        number = f"{count} faults, " if count > 1 else ""
        done = f"done before that: {', '.join(self.progress.done)}" if self.progress.done else "nothing was changed"
        print(f"{fault}\n{number}{done} (exit {fault.exit_code})", file=sys.stderr, flush=True)
        return fault.exit_code
