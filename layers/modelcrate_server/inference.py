"""Inference by the Open Inference Protocol (V2), for REST and gRPC alike: from tensors to run() and back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .data import Data
from .predictions import unwrapped
from .request import AMLRequest, HttpError
from .response import Response
from .service import Call, Outcome, Service
from .signature import signature
from .tensors import data_of, tensor_of

OUTPUT = "predict"
"""The name of the only output, where neither the script's result nor its signature names it."""

_OF_THE_PROTOCOL = frozenset({"binary_data_output"})
"""Parameters of a request that are not for the script."""


@dataclass(frozen=True)
class Inferred:
    """The answer to a request: its own document, and the outputs as tensors with their data as lists."""

    document: Mapping[str, Any]
    outputs: list[dict[str, Any]]


def infer(
    service: Service, request: AMLRequest, read: Callable[[AMLRequest], dict[str, Any]]
) -> Generator[Call, Outcome, Inferred | Response]:
    """Asks the script.

    Args:
        service: The script.
        request: The request, for its header fields and for a script with @rawhttp.
        read: Returns the request's document, with the data of its inputs as lists; `HttpError` if there is none.

    Returns:
        The tensors; or a response, when the script made one itself.
    """
    document: dict[str, Any] = {}

    def data(request: AMLRequest) -> Data:
        document.update(read(request))
        return _data(document)

    result = yield from service.predict(data, request)
    if isinstance(result, Response):
        return result
    outputs = _outputs(_named(result), signature(service.entry)[1])
    return Inferred(document, _wanted(document.get("outputs"), outputs))


def check_model(service: Service, name: str, version: str | None) -> None:
    """Raises `HttpError` 404 unless the image's model has this name, and this version unless it is None."""
    if not service.is_model(name, version):
        of_version = f" with version {version}" if version is not None else ""
        raise HttpError(404, f"Model {name}{of_version} not found")


def metadata(service: Service) -> dict[str, Any]:
    """Returns the model's name, versions, inputs and outputs."""
    inputs, outputs = signature(service.entry)
    model = service.settings.model
    return {"name": model.name, "versions": [model.version], "platform": "", "inputs": inputs, "outputs": outputs}


def _data(document: Mapping[str, Any]) -> Data:
    if document.get("id") is not None and not isinstance(document["id"], str):
        raise HttpError(400, "The id should be a text")
    parameters = document.get("parameters")
    if isinstance(parameters, dict):
        parameters = {name: value for name, value in parameters.items() if name not in _OF_THE_PROTOCOL}
    return data_of(document.get("inputs"), parameters)


def _named(result: object) -> tuple[str, Any]:
    """Returns the name that the script gave its result, the only member of an object, and the result."""
    if isinstance(result, dict) and len(result) == 1 and not isinstance(unwrapped(result), dict):
        return str(next(iter(result))), unwrapped(result)
    return "", unwrapped(result)


def _outputs(named: tuple[str, Any], declared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    name, value = named
    types = {each["name"]: each["datatype"] for each in declared}
    if isinstance(value, dict) and value and all(isinstance(v, list) or hasattr(v, "tolist") for v in value.values()):
        return [tensor_of(str(key), item, types.get(str(key))) for key, item in value.items()]
    only = declared[0] if len(declared) == 1 else None
    own = only["name"] if only else name or OUTPUT
    return [tensor_of(own, value, only["datatype"] if only else None)]


def _wanted(names: object, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the outputs that the request names, in its order; all when it names none."""
    if not names:
        return outputs
    if not isinstance(names, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in names
    ):
        raise HttpError(400, "'outputs' should be a list of objects with names")
    known = {output["name"]: output for output in outputs}
    for each in names:
        if each["name"] not in known:
            raise HttpError(400, f"There is no output {each['name']!r}; there are: {', '.join(known)}")
    return [known[each["name"]] for each in names]
