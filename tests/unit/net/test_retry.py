"""What is repeated, how often, and after how long; by a clock that does not wait."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelcrate.net.config import Patience
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.net.events import Retrying
from modelcrate.net.messages import Headers, Request, Response
from modelcrate.net.retry import RetryEngine, SystemClock, parse_retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class Clock:
    """A clock that stands still and notes the waits; chance is always a half."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> float:
        return NOW

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def draw(self) -> float:
        return 0.5


REQUEST = Request("GET", "https://example.com/v2/")
PATIENCE = Patience(attempts=4, first=1.0, largest=3.0, longest_retry_after=60.0)


def failing(*faults: Exception) -> Callable[[], str]:
    left = list(faults)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act


def response(status: int, **headers: str) -> ErrorResponse:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return ErrorResponse(REQUEST, Response(status, Headers(fields)), "was refused")


def test_what_may_pass_is_repeated_with_growing_waits() -> None:
    clock, events = Clock(), list[object]()
    engine = RetryEngine(PATIENCE, clock, events.append)
    assert engine.run(failing(*(ConnectionFailed(REQUEST, "reset") for _ in range(3)))) == "done"
    assert clock.waits == [0.5, 1.0, 1.5], "half of 1, 2, and of 3, the largest"
    assert [each.seconds for each in events if isinstance(each, Retrying)] == clock.waits


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    clock = Clock()
    faults = [response(503) for _ in range(9)]
    with pytest.raises(ErrorResponse) as caught:
        RetryEngine(PATIENCE, clock, lambda event: None).run(failing(*faults))
    assert caught.value is faults[3]
    assert len(clock.waits) == 3


@pytest.mark.parametrize(
    "fault", [response(404), response(401), ConnectionFailed(REQUEST, "TLS failed", retry=False)], ids=str
)
def test_what_cannot_pass_is_not_repeated(fault: Exception) -> None:
    clock = Clock()
    with pytest.raises(type(fault)):
        RetryEngine(PATIENCE, clock, lambda event: None).run(failing(fault))
    assert clock.waits == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", 10.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("-1", None),
        ("1.5", None),
        ("9" * 10, None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


def test_a_server_is_waited_for_as_it_asks_up_to_a_limit() -> None:
    engine = RetryEngine(PATIENCE, Clock(), lambda event: None)
    assert engine.wait(1, "7") == 7.0
    assert engine.wait(1, "86400") == 60.0
    assert engine.wait(1, "nonsense") == 0.5


def test_the_clock_of_the_machine_draws_evenly_between_0_and_1() -> None:
    drawn = {SystemClock().draw() for _ in range(20)}
    assert len(drawn) > 1
    assert all(0 <= each < 1 for each in drawn)


def test_a_server_that_stays_silent_is_left_after_the_second_time_limit() -> None:
    clock, silent = Clock(), ConnectionFailed(REQUEST, "it fell silent", silent=True)
    engine = RetryEngine(Patience(), clock, lambda event: None)
    assert engine.run(failing(silent)) == "done"
    with pytest.raises(ConnectionFailed, match="no answer"):
        engine.run(failing(silent, silent))
    assert len(clock.waits) == 2
