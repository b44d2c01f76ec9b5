"""Plain Python values as parameter types."""

from __future__ import annotations

import base64
import json
from datetime import date, datetime, time
from typing import Any

from .abstract import AbstractParameterType
from .describe import DATE_FORMAT, describe


class StandardPythonParameterType(AbstractParameterType):
    """A number, text, bytes (base64 in JSON), a date or time, or a list or object of these or of other parameter types."""

    def __init__(self, sample_input: Any) -> None:
        super().__init__(sample_input)
        members = sample_input.items() if isinstance(sample_input, dict) else ()
        items = sample_input if isinstance(sample_input, (list, tuple)) else ()
        self.sample_data_type_map = {k: v for k, v in members if isinstance(v, AbstractParameterType)}
        self.sample_data_type_list = [v for v in items if isinstance(v, AbstractParameterType)]

    def deserialize_input(self, input_data: Any) -> Any:
        """Converts JSON to the type of the sample; ValueError when it doesn't fit."""
        value = self._read(input_data)
        if self.sample_data_type is float and type(value) is int:
            return value  # 1 is as good as 1.0
        if not isinstance(value, self.sample_data_type):
            raise ValueError(f"{self.sample_data_type.__name__} is expected; this is {type(value).__name__}")
        return value

    def _read(self, value: Any) -> Any:
        if self.sample_data_type is date:
            return datetime.strptime(value, DATE_FORMAT).date()
        if self.sample_data_type is datetime:
            return moment(value)
        if self.sample_data_type is time:
            return moment(value if "-" in value[:5] else f"1970-01-01 {value}").timetz()
        if self.sample_data_type in (bytes, bytearray):
            return self.sample_data_type(base64.b64decode(value.encode()))
        return value

    def input_to_swagger(self) -> dict[str, Any]:
        """Returns the schema of the sample."""
        if self.sample_input is None:
            raise ValueError("a sample is needed; this is nothing")
        schema = describe(self.sample_input)
        json.dumps(schema)  # TypeError names the part of the sample that JSON can't say
        return schema


def moment(text: str) -> datetime:
    """Reads a time: ISO 8601, the form of our own examples, and more where `dateutil` is installed.

    Raises:
        ValueError: The text is not a time.
    """
    spaced = text.strip().replace("Z", "+00:00").replace(" +", "+").replace(" -", "-")
    if len(spaced) > 5 and spaced[-5] in "+-" and spaced[-4:].isdigit():
        spaced = f"{spaced[:-2]}:{spaced[-2:]}"  # before Python 3.11 only +00:00 was read, not +0000
    try:
        return datetime.fromisoformat(spaced)
    except ValueError:
        try:
            from dateutil import parser  # not ours to require
        except ModuleNotFoundError:
            raise ValueError(f"{text!r} is no time in ISO 8601") from None
        return parser.parse(text)  # type: ignore[no-any-return]
