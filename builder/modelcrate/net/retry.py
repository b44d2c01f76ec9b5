"""The one retry engine: how often, how long, and with whose clock.

Waits are drawn evenly from 0 to a doubling bound ("full jitter"), so that many clients don't come back together;
`Retry-After` wins over the draw. The clock is a parameter, so tests wait for nothing.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

from modelcrate.registry.errors import ConnectionFailed, ErrorResponse, may_pass
from modelcrate.registry.events import Emit, Retrying
from modelcrate_layers.frozen import dataclass

T = TypeVar("T")


class Clock(Protocol):
    """Time and chance. `now` is seconds since 1970."""

    def now(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def draw(self) -> float: ...


class SystemClock:
    """The machine's clock and dice."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def draw(self) -> float:
        return random.random()  # noqa: S311  (spreads load; guards nothing)


@dataclass(frozen=True, slots=True)
class Patience:
    """How much is borne: attempts in all, the first and the largest bound of a wait, and of a Retry-After (seconds)."""

    attempts: int = 6
    first: float = 0.5
    largest: float = 30.0
    largest_asked: float = 120.0

    def wait(self, failures: int, asked: str, clock: Clock) -> float:
        """Seconds before the next attempt, after so many failures, where the registry asked for `asked`."""
        wanted = seconds_asked(asked, clock.now())
        if wanted is not None:
            return min(wanted, self.largest_asked)
        return float(clock.draw() * min(self.largest, self.first * 2 ** (failures - 1)))


def seconds_asked(text: str, now: float) -> float | None:
    """Retry-After as seconds from now: a number or an HTTP date; None where there is none."""
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)


@dataclass(frozen=True, slots=True)
class RetryEngine:
    """Repeats what may pass, as long as its patience lasts."""

    patience: Patience
    clock: Clock
    emit: Emit

    def run(self, act: Callable[[], T]) -> T:
        """The result of `act`; its last error, once the attempts are used up or where repeating can't help."""
        failures = 0
        while True:
            try:
                return act()
            except (ErrorResponse, ConnectionFailed) as fault:
                failures += 1
                self.pause(fault, failures)

    def pause(self, fault: ErrorResponse | ConnectionFailed, failures: int) -> None:
        """Wait before the next attempt, or raise `fault` where there is to be none."""
        if not may_pass(fault) or failures >= self.patience.attempts:
            raise fault
        seconds = self.patience.wait(failures, fault.after, self.clock)
        self.emit(Retrying(fault.where, fault.why or fault.what, seconds, failures))
        self.clock.sleep(seconds)
