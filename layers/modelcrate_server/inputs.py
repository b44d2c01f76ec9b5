"""The arguments of run(): one reader for each way to write an entry script."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from .data import Data
from .described import Described
from .request import AMLRequest, HttpError


class NoInputError(Exception):
    """The method of the request carries no input (HEAD, OPTIONS)."""


@dataclass(frozen=True)
class RawInput:
    """For @rawhttp: run() gets the request itself, of any method and protocol."""

    parameter: str
    adapt: Callable[[AMLRequest], Any]

    def of_request(self, request: AMLRequest) -> Mapping[str, Any]:
        """Returns the request as the argument."""
        return {self.parameter: self.adapt(request)}


@dataclass(frozen=True)
class TextInput:
    """For a plain run(): the body as text, or the query's values as the text of a JSON object.

    Attributes:
        parameter: The argument.
        described: The description beside the script.
        validates: Input that does not fit the description is refused; else the script gets it.
    """

    parameter: str
    described: Described
    validates: bool = False

    def of_request(self, request: AMLRequest) -> Mapping[str, Any]:
        """Returns the body as the argument."""
        if request.method == "GET":
            values = query_values(request)
            self._check(values)
            return {self.parameter: json.dumps(values)}
        _only_post(request)
        try:
            text = str(request.data, "utf-8")
        except UnicodeDecodeError as error:
            raise HttpError(400, f"Input cannot be decoded as UTF-8: {error}") from None
        if self.validates and self.described.takes:
            from .envelopes import json_of  # late, as below

            self._check(json_of(text, strict=True))  # NaN is within all limits
        return {self.parameter: text}

    def of_data(self, data: Data) -> Mapping[str, Any]:
        """Returns the text of the object that the script's description asks for; without one the data is in `data`, as from Azure's clients."""
        document = self.described.request(data)
        self._check(document)
        return {self.parameter: json.dumps(document)}

    def _check(self, document: Any) -> None:
        if self.validates and self.described.takes:
            from .fitting import misfit  # the builder, which reads what platforms promise, starts without it

            reason = misfit(document, self.described.takes)
            if reason:
                raise HttpError(400, reason)


@dataclass(frozen=True)
class ObjectInput:
    """For @input_schema: each argument is a member of a JSON object.

    Attributes:
        parameters: The arguments.
        schemas: The schemas of the arguments.
        forgiving: Bytes that can't be decoded, and unknown members, are the client's fault (400); else, as in the original, the former are an
            internal error, and the latter are passed over.
    """

    parameters: Sequence[inspect.Parameter]
    schemas: Mapping[str, Any]
    forgiving: bool

    def of_request(self, request: AMLRequest) -> Mapping[str, Any]:
        """Returns the members of the body, or the query's values, as arguments."""
        if request.method == "GET":
            return _chosen(query_values(request), self.parameters)
        _only_post(request)
        if not request.is_json:
            raise HttpError(415, "Expects Content-Type to be application/json")
        given = _json_object(request.get_data(), self.forgiving)
        unknown = [name for name in given if name not in {each.name for each in self.parameters}]
        if unknown and self.forgiving:
            known = ", ".join(each.name for each in self.parameters)
            raise HttpError(400, f"The body has the unknown member {unknown[0][:80]!r}; known are: {known}")
        return _chosen(given, self.parameters)

    def of_data(self, data: Data) -> Mapping[str, Any]:
        """Returns values by name when every argument without a default has one; else the data is the first argument."""
        needed = [p.name for p in self.parameters if p.default is inspect.Parameter.empty]
        named = data.named(needed)
        if named is None:
            first = (needed or [self.parameters[0].name])[0]
            named = {first: data.whole(self.schemas.get(first, {}))}
        return _chosen({**data.extra, **named}, self.parameters)


Reader = Union[RawInput, TextInput, ObjectInput]
"""Gives the arguments of run(), for a request of Azure's protocol and for data out of another.

`HttpError` when the request is no input, `NoInputError` when its method brings none.
"""


def query_values(request: AMLRequest) -> dict[str, Any]:
    """Returns the query's values, as JSON where they are JSON, else as text; a repeated name has a list."""
    values = {name: [_json_or_text(text) for text in request.args.getlist(name)] for name in request.args}
    return {name: several if len(several) > 1 else several[0] for name, several in values.items()}


def _only_post(request: AMLRequest) -> None:
    if request.method != "POST":
        raise NoInputError


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _json_object(body: bytes, forgiving: bool) -> dict[str, Any]:
    faults = (ValueError, RecursionError) if forgiving else json.JSONDecodeError
    try:
        document = json.loads(body)
    except faults as error:
        if not body:
            raise HttpError(400, "POST body is empty. Expecting a JSON dictionary.") from None
        raise HttpError(400, f"POST body could not be decoded as JSON: {error}") from None
    if not isinstance(document, dict):
        raise HttpError(400, "POST body should be a JSON dictionary.")
    return document


def _chosen(given: Mapping[str, Any], parameters: Sequence[inspect.Parameter]) -> dict[str, Any]:
    chosen = {parameter.name: given.get(parameter.name, parameter.default) for parameter in parameters}
    for name, value in chosen.items():
        if value is inspect.Parameter.empty:
            raise HttpError(400, f"A value is not provided for the {name!r} parameter.")
    return chosen
