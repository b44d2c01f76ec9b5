"""What clients send to the server of an image: heads and chunks, packed bodies, forms, tensors as bytes, messages of gRPC."""

from __future__ import annotations

from contextlib import suppress

from gunicorn.config import Config

from modelcrate_server import encodings, form, grpc_messages
from modelcrate_server.binary_tensors import with_data
from modelcrate_server.encodings import EncodingError
from modelcrate_server.envelopes import object_of
from modelcrate_server.form import FormError
from modelcrate_server.reading import BadRequestError, RequestReader
from modelcrate_server.request import HttpError
from modelcrate_server.tensors import data_of

LIMIT = 1 << 20
"""Bytes of a body."""
PEER = ("127.0.0.1", 1)
CONFIG = Config()


def requests(data: bytes) -> None:
    """The bytes of a connection, in one piece and in small ones: the same requests, or the same refusal."""
    assert _told([data]) == _told([data[at : at + 7] for at in range(0, len(data), 7)])


def _told(pieces: list[bytes]) -> list[object]:
    reader, told = RequestReader(CONFIG, PEER, PEER, LIMIT), list[object]()
    with suppress(BadRequestError):
        for piece in pieces:
            reader.feed(piece)
            while (found := reader.next()) is not None:
                told.append((found.environ["REQUEST_METHOD"], found.environ["wsgi.input"].read(), found.rest_unread))
                if found.rest_unread:
                    return told
    return told


def packed_body(data: bytes) -> None:
    """A line with the field Content-Encoding, and the body."""
    field, _, body = data.partition(b"\n")
    with suppress(EncodingError):
        assert len(encodings.unpack(body, field.decode("latin-1"), LIMIT)) <= max(LIMIT, len(body))


def multipart(data: bytes) -> None:
    """A line with the field Content-Type, and the body."""
    field, _, body = data.partition(b"\n")
    _, parameters = form.content_type_of(field.decode("latin-1"))
    with suppress(FormError):
        form.parse_multipart(body, parameters.get("boundary", ""))


def tensors(data: bytes) -> None:
    """JSON, a line with a dash, and the bytes of its inputs."""
    head, _, rest = data.partition(b"\n-\n")
    with suppress(HttpError):
        document = with_data(object_of(head), rest)
        data_of(document.get("inputs"), document.get("parameters"))


def grpc(data: bytes) -> None:
    for read in (grpc_messages.model_named, grpc_messages.infer_request):
        with suppress(HttpError):
            read(data)
    with suppress(HttpError):
        document = grpc_messages.infer_request(data)
        data_of(document["inputs"], document["parameters"])
