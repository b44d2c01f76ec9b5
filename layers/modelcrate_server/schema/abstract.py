"""The base class of parameter types: a sample, its schema, and the conversion of plain JSON to such a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class AbstractParameterType(ABC):
    """A type that is given by a sample value. A script makes its own types by implementing the two methods."""

    def __init__(self, sample_input: Any) -> None:
        self.sample_input = sample_input
        self.sample_data_type = type(sample_input)

    @abstractmethod
    def deserialize_input(self, input_data: Any) -> Any:
        """Converts plain JSON to the type; raises an exception when it doesn't fit."""

    @abstractmethod
    def input_to_swagger(self) -> dict[str, Any]:
        """Returns the schema, with the sample as its example."""

    def supported_versions(self) -> list[str]:
        """Returns the document versions that can describe the sample: Swagger 2 has no lists of mixed types."""
        uniform = _is_uniform(self.input_to_swagger()["example"])
        return ["2.0", "3.0", "3.1"] if uniform else ["3.0", "3.1"]


def _is_uniform(example: Any) -> bool:
    if type(example) is list:
        return len({type(item) for item in example}) < 2 and all(_is_uniform(i) for i in example if type(i) is list)
    if type(example) is dict:
        return all(_is_uniform(value) for value in example.values())
    return True
