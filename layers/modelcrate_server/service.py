"""The entry script as a service for any protocol. The platforms' files turn requests into `Data` and call it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .blame import reason_for_client
from .data import Data
from .deadline import Stopwatch, deadline
from .inputs import RawInput
from .request import AMLRequest, HttpError
from .response import Response, adopted
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
class Service:
    """One entry script, initialised, with its settings and documents."""

    entry: Entry
    documents: Documents
    settings: Settings

    def call(self, arguments: Any, request: AMLRequest, blames_clients: bool) -> tuple[object, float]:
        """Calls run().

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
        limit = self.settings.scoring_timeout_ms
        try:
            with deadline(limit):
                watch = Stopwatch()
                result = self.entry.call(arguments, request.headers)  # type: ignore[arg-type]  # has keys and items, as dict() needs
                if inspect.iscoroutine(result):
                    result = awaited(result)
                if is_stream(result):
                    result = Stream(result, limit, plain if self.settings.departures.encode_numpy else None)
                return result, watch.elapsed_ms
        except TimeoutError:
            _log.exception("run() was ended after %s ms", limit)
            raise ScriptFailedError(f"Scoring timeout after {limit} ms") from None
        except Stopped:
            raise
        except BaseException as failure:  # SystemExit too: the server does not leave with the script
            reason = reason_for_client(failure, self.entry.run, blames_clients)
            if reason:
                _log.warning("The input was refused: %s", reason)
                raise HttpError(400, reason) from None
            _log.error("run() raised an exception", exc_info=failure)
            raise ScriptFailedError(SCRIPT_FAILED) from None

    def predict(self, read: Callable[[AMLRequest], Data], request: AMLRequest) -> object:
        """Calls run() with the data of a platform's request.

        A script with @rawhttp reads the request itself, so `read` is not called for it.

        Returns:
            The result; a `Response` when the script made one itself.
        """
        reader = self.entry.read
        arguments = reader.of_request(request) if isinstance(reader, RawInput) else reader.of_data(read(request))
        result, _ = self.call(arguments, request, blames_clients=True)
        if isinstance(result, Stream):
            return list(result.values())  # the answer is one JSON document
        response = adopted(result)
        return result if response is None else response

    def is_model(self, name: str, version: str | None = None) -> bool:
        """Returns whether the image's model has this name, and this version unless it is None."""
        return name == self.settings.model.name and version in (None, self.settings.model.version)


def scored(result: object) -> Response | None:
    """Returns the answer that a script made itself, or None."""
    return result if isinstance(result, Response) else None
