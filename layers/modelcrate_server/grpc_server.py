"""gRPC beside HTTP: each call becomes a request to one of our routes, and waits for the script like any other.

Only imported where a contract with gRPC is served. gRPC has threads of its own; run() stays where it is.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from .app import ScoringApp
from .encodings import MAX_UNPACKED
from .network import Network
from .platforms.oip_grpc import MESSAGE, METHODS, SERVICE
from .response import Response
from .service import SERVER_FAILED
from .stopping import Stopped

_log = logging.getLogger("azmlinfsrv")

WAITING_CALLS = 100
"""Calls that wait for the script at once; more of them wait in gRPC."""
GRACE_SECONDS = 30
_STATUSES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    501: grpc.StatusCode.UNIMPLEMENTED,
}
_NOT_FIELDS = frozenset({"content-encoding", "accept-encoding", "content-length", "content-type", "transfer-encoding"})
"""Metadata that would change how a request is read."""


class GrpcServer:
    """Listens for gRPC calls.

    Args:
        app: Answers the requests.
        network: Gives them to the script.
        host: The address to listen on.
        port: The port. Several workers share it.

    Raises:
        RuntimeError: The port can't be had.
    """

    def __init__(self, app: ScoringApp, network: Network, host: str, port: int) -> None:
        self._app, self._network = app, network
        limit = app.max_body_bytes or MAX_UNPACKED
        self._server = grpc.server(
            ThreadPoolExecutor(WAITING_CALLS, "modelcrate-grpc"),
            options=[("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", -1)],
        )
        handlers = {name: grpc.unary_unary_rpc_method_handler(self._method(name)) for name in METHODS}
        own = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((own, _Unimplemented()))
        self._server.add_insecure_port(f"{host}:{port}")
        self._stopped: threading.Event | None = None
        self._server.start()

    def stop(self) -> None:
        """Takes no more calls; those that have begun are answered."""
        self._stopped = self._server.stop(GRACE_SECONDS)

    @property
    def drained(self) -> bool:
        """Whether nothing is left to be answered after `stop`."""
        return self._stopped is not None and self._stopped.is_set()

    def _method(self, name: str) -> Callable[[bytes, Any], bytes]:
        def answer(message: bytes, context: Any) -> bytes:
            response = self._answered(_environ(name, message, context), context)
            if response.status_code == 200:
                return response.get_data()
            context.abort(_STATUSES.get(response.status_code, grpc.StatusCode.INTERNAL), _reason(response))
            raise AssertionError("abort raises")

        return answer

    def _answered(self, environ: Mapping[str, Any], context: Any) -> Response:
        if self._app.is_probe(environ):
            return self._app.answer(environ)
        work = GrpcWork(environ)
        self._network.submit(work)
        while not work.done.wait(1):
            if not context.is_active():
                work.cancelled = True
                return Response(SERVER_FAILED, 500)
        assert work.response is not None
        return work.response


class GrpcWork:
    """A call that waits for the script (see `Work`). A thread of gRPC waits for `done`."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.environ = environ
        self.done = threading.Event()
        self.response: Response | None = None
        self.cancelled = False

    def answer(
        self, app: ScoringApp, waiting: Callable[[], object] = lambda: None, response: Response | None = None
    ) -> None:
        """Gives the answer, whatever the application does (see `Work.answer`)."""
        if self.cancelled:
            return
        try:
            self.response = app.answer(self.environ) if response is None else response
        except Stopped:
            self.response = Response(SERVER_FAILED, 500)
            raise
        except BaseException as failure:
            _log.error("An answer could not be given: %r", failure, exc_info=failure)
            self.response = Response(SERVER_FAILED, 500)
        finally:
            self.done.set()


class _Unimplemented(grpc.GenericRpcHandler):  # type: ignore[misc]  # of the image's grpcio, which has no types here
    """Refuses every method that is not here, a stream of requests too, with what there is."""

    def service(self, handler_call_details: Any) -> Any:
        """Returns the handler of a call (grpc.GenericRpcHandler)."""
        method = str(handler_call_details.method)[:200]

        def refuse(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
            there = f"{SERVICE} has {', '.join(METHODS)}"
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"{method} is not here; {there}; the requests of a stream can be sent to ModelInfer one by one",
            )
            raise AssertionError("abort raises")

        return grpc.stream_stream_rpc_method_handler(refuse)


def _environ(name: str, message: bytes, context: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/{SERVICE}/{name}",
        "CONTENT_TYPE": MESSAGE,
        "CONTENT_LENGTH": str(len(message)),
        "REMOTE_ADDR": context.peer(),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(message),
        "wsgi.input_terminated": True,
        **dict(_fields(context)),
    }


def _fields(context: Any) -> Iterator[tuple[str, str]]:
    for name, value in context.invocation_metadata():
        if isinstance(value, str) and name not in _NOT_FIELDS:
            yield f"HTTP_{name.upper().replace('-', '_')}", value


def _reason(response: Response) -> str:
    try:
        return str(json.loads(response.get_data())["error"])
    except (ValueError, TypeError, KeyError):
        return SERVER_FAILED
