"""The entry script as a service for any protocol. The platforms' files turn requests into `Data` and ask for a call of run().

A handler is a generator where it needs the script: it yields the `Call` that it wants, and is sent the `Outcome`. So whoever drives it
decides when run() is called, and for how many requests at once (`batching`), without a thread for each of them.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .blame import reason_for_client
from .data import Data
from .deadline import Stopwatch, deadline
from .inputs import RawInput
from .request import AMLRequest, HttpError
from .response import Response, adopted, with_fields
from .results import plain
from .stopping import Stopped
from .streams import Stream, awaited, is_stream

if TYPE_CHECKING:  # the builder, which reads what platforms promise, starts sooner without these
    from .entry import Entry
    from .settings import Settings
    from .swagger import Documents

_log = logging.getLogger("azmlinfsrv")

# the sentences of the contract, which clients may compare
SCRIPT_FAILED = "An unexpected error occurred in scoring script. Check the logs for more info."
SERVER_FAILED = "An unexpected internal error occurred. Check the logs for more info."


class ScriptFailedError(Exception):
    """run() raised an exception or took too long. The text is for the client and does not repeat the exception."""


@dataclass(frozen=True)
class Call:
    """A call of run() that a handler asks for.

    Attributes:
        arguments: The arguments of run().
        headers: The header fields of the request.
        blames_clients: Input that does not fit the script's schema is the client's fault.
    """

    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    blames_clients: bool


@dataclass(frozen=True)
class Outcome:
    """What a call gave: the result and the milliseconds that run() took, or why there is none."""

    result: object = None
    elapsed_ms: float = 0.0
    fault: Exception | None = None


Steps = Generator[Call, Outcome, Response]
"""The way to an answer, with at most one call of run() in it."""


def guarded(
    request: AMLRequest,
    answer: Callable[[], Response | Steps],
    error: Callable[[int, str], Response],
    script_failed: Callable[[int, str], Response],
) -> Steps:
    """Returns what a handler answers, or its failure in the form of its protocol.

    Args:
        request: The request, for the log.
        answer: Calls the handler.
        error: Makes an error of a status and a message.
        script_failed: The same, where the script has failed.
    """
    try:
        answered = answer()
        return answered if isinstance(answered, Response) else (yield from answered)
    except HttpError as refused:
        return with_fields(error(refused.status, refused.message), refused.fields)
    except ScriptFailedError as failure:
        return script_failed(500, str(failure))
    except Exception as failure:
        _log.exception("The server could not answer %s %s: %s", request.method, request.path, failure)
        return error(500, SERVER_FAILED)


@dataclass(frozen=True)
class Service:
    """One entry script, initialised, with its settings and documents."""

    entry: Entry
    documents: Documents
    settings: Settings

    def finish(self, steps: Steps) -> Response:
        """Goes all the way to an answer."""
        try:
            call = next(steps)
            steps.send(self.run(call))
        except StopIteration as end:
            response: Response = end.value
            return response
        raise RuntimeError("a handler asked for a second call of run()")

    def run(self, call: Call) -> Outcome:
        """Returns the outcome of a call. Only a signal's `Stopped` is raised."""
        limit = self.settings.scoring_timeout_ms
        try:
            with deadline(limit):
                watch = Stopwatch()
                result = self.entry.call(call.arguments, call.headers)
                if inspect.iscoroutine(result):
                    result = awaited(result)
                if is_stream(result):
                    result = Stream(result, limit, plain if self.settings.departures.encode_numpy else None)
                return Outcome(result, watch.elapsed_ms)
        except Stopped:
            raise
        except BaseException as failure:  # SystemExit too: the server does not leave with the script
            return self.failed(failure, call.blames_clients)

    def failed(self, failure: BaseException, blames_clients: bool) -> Outcome:
        """Returns the outcome of a call that raised this, and logs it."""
        limit = self.settings.scoring_timeout_ms
        if isinstance(failure, TimeoutError):
            _log.error("run() was ended after %s ms", limit, exc_info=failure)
            return Outcome(fault=ScriptFailedError(f"Scoring timeout after {limit} ms"))
        reason = reason_for_client(failure, self.entry.run, blames_clients)
        if reason:
            _log.warning("The input was refused: %s", reason)
            return Outcome(fault=HttpError(400, reason))
        _log.error("run() raised an exception", exc_info=failure)
        return Outcome(fault=ScriptFailedError(SCRIPT_FAILED))

    def call(
        self, arguments: Mapping[str, Any], request: AMLRequest, blames_clients: bool
    ) -> Generator[Call, Outcome, tuple[object, float]]:
        """Asks for a call of run().

        Args:
            arguments: The arguments of run().
            request: The request, for its header fields.
            blames_clients: Input that does not fit the script's schema is the client's fault.

        Returns:
            The result, and the milliseconds that run() took.

        Raises:
            ScriptFailedError: run() failed.
            HttpError: 400, the input is at fault.
        """
        outcome = yield Call(arguments, request.headers, blames_clients)  # type: ignore[arg-type]  # has keys and items, as dict() needs
        if outcome.fault is not None:
            raise outcome.fault
        return outcome.result, outcome.elapsed_ms

    def predict(self, read: Callable[[AMLRequest], Data], request: AMLRequest) -> Generator[Call, Outcome, object]:
        """Asks for a call of run() with the data of a platform's request.

        A script with @rawhttp reads the request itself, so `read` is not called for it.

        Returns:
            The result; a `Response` when the script made one itself.
        """
        reader = self.entry.read
        arguments = reader.of_request(request) if isinstance(reader, RawInput) else reader.of_data(read(request))
        result, _ = yield from self.call(arguments, request, blames_clients=True)
        if isinstance(result, Stream):
            return list(result.values())  # the answer is one JSON document
        response = adopted(result)
        return result if response is None else response

    def is_model(self, name: str, version: str | None = None) -> bool:
        """Returns whether the image's model has this name, and this version unless it is None."""
        return name == self.settings.model.name and version in (None, self.settings.model.version)
