"""The Open Inference Protocol (V2) over gRPC, and over REST beside it.

Each method of the service is a route, the path that it has in HTTP/2: so it is answered, logged, counted and traced like any other
request (see `grpc_server`, which brings the requests). It takes grpcio in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .. import VERSION
from ..grpc_messages import infer_request, infer_response, model_metadata, model_named, server_metadata, yes
from ..inference import check_model, infer, metadata
from ..request import AMLRequest, HttpError
from ..response import Response
from ..service import Service, Steps
from . import Handler, Route, oip

SERVICE = "inference.GRPCInferenceService"
MESSAGE = "application/grpc+proto"


def _message(data: bytes) -> Response:
    return Response(data, content_type=MESSAGE)


def _yes(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return _message(yes())


def _server(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
    return _message(server_metadata("modelcrate", VERSION))


def _of_model(answer: Callable[[Service], bytes]) -> Handler:
    def checked(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Response:
        check_model(service, *model_named(request.get_data()))
        return _message(answer(service))

    return checked


def _infer(service: Service, request: AMLRequest, names: Mapping[str, str]) -> Steps:
    check_model(service, *model_named(request.get_data()))
    found = yield from infer(service, request, lambda request: infer_request(request.get_data()))
    if isinstance(found, Response):
        raise HttpError(501, "The script answers HTTP requests itself, and can't be asked over gRPC")
    model = service.settings.model
    return _message(infer_response(model.name, model.version, found.document.get("id", ""), found.outputs))


_METHODS: Mapping[str, tuple[Handler, bool]] = {
    "ServerLive": (_yes, True),
    "ServerReady": (_yes, True),
    "ServerMetadata": (_server, True),
    "ModelReady": (_of_model(lambda service: yes()), True),
    "ModelMetadata": (_of_model(lambda service: model_metadata(metadata(service))), False),
    "ModelInfer": (_infer, False),
}
"""The methods of the service, and whether they need nothing of the script."""

METHODS = tuple(_METHODS)


def _routes(environ: Mapping[str, str]) -> Sequence[Route]:
    own = [
        Route(("POST",), f"/{SERVICE}/{name}", handler, logged=name == "ModelInfer", probe=probe)
        for name, (handler, probe) in _METHODS.items()
    ]
    return [*oip.PLATFORM.routes(environ), *own]


PLATFORM = oip.PLATFORM._replace(name="oip-grpc", routes=_routes, grpc_port=8081, packages=("grpcio",))
