"""The retry policy of every network access: the number of attempts, the waits between them, and the clock.

Waits are drawn evenly from 0 to a doubling bound ("full jitter"), so that many clients don't come back at once. A
`Retry-After` replaces the draw. The clock is a parameter, so tests do not wait.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC
from typing import Protocol, TypeVar

from modelcrate.net.config import Patience
from modelcrate.net.errors import ConnectionFailed, ErrorResponse, may_pass
from modelcrate.net.events import Emit, Retrying
from modelcrate_layers.frozen import dataclass

T = TypeVar("T")


class Clock(Protocol):
    """Time and chance."""

    def now(self) -> float:
        """Returns the seconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    def draw(self) -> float:
        """Returns a random number, evenly distributed from 0 to 1."""
        ...


class SystemClock:
    """The machine's clock and random numbers."""

    def now(self) -> float:
        """Returns the seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)

    def draw(self) -> float:
        """Returns a random number, evenly distributed from 0 to 1."""
        import random

        return random.random()  # noqa: S311  (spreads load; guards nothing)


def parse_retry_after(text: str, now: float) -> float | None:
    """Returns the value of Retry-After in seconds from now: a number or an HTTP date; None where it is neither."""
    if re.fullmatch(r"\s*\d{1,9}\s*", text):
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


SILENCE = 3
"""How many attempts one counts as that ended with a time limit: a server that stays silent is left after two of them, not six."""


def attempts_of(fault: ErrorResponse | ConnectionFailed) -> int:
    """Returns how many attempts a failed one counts as."""
    return SILENCE if isinstance(fault, ConnectionFailed) and fault.silent else 1


@dataclass(frozen=True, slots=True)
class RetryEngine:
    """Repeats what may pass, within the limits of its patience."""

    patience: Patience
    clock: Clock
    emit: Emit

    def run(self, act: Callable[[], T]) -> T:
        """Returns the result of `act`.

        Raises:
            RegistryError: The last error, when the attempts are used up or another attempt can't help.
        """
        failures = 0
        while True:
            try:
                return act()
            except (ErrorResponse, ConnectionFailed) as fault:
                failures += attempts_of(fault)
                self.pause(fault, failures)

    def pause(self, fault: ErrorResponse | ConnectionFailed, failures: int) -> None:
        """Waits before the next attempt.

        Raises:
            RegistryError: `fault`, where another attempt is not allowed.
        """
        if not may_pass(fault) or failures >= self.patience.attempts:
            raise fault
        seconds = self.wait(failures, fault.after)
        self.emit(Retrying(fault.where, fault.why or fault.what, seconds, failures))
        self.clock.sleep(seconds)

    def wait(self, failures: int, retry_after: str) -> float:
        """Returns the seconds before the next attempt, after so many failures and this Retry-After header (empty for none)."""
        wanted = parse_retry_after(retry_after, self.clock.now())
        if wanted is not None:
            return min(wanted, self.patience.longest_retry_after)
        return self.clock.draw() * min(self.patience.largest, self.patience.first * 2.0 ** (failures - 1))
