"""What a parameter type is: a sample, its description, and the way from plain JSON to a value like it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class AbstractParameterType(ABC):
    """Made of a sample value. Own types are made by writing the two methods."""

    def __init__(self, sample_input: Any) -> None:
        self.sample_input = sample_input
        self.sample_data_type = type(sample_input)

    @abstractmethod
    def deserialize_input(self, input_data: Any) -> Any:
        """The value for what came as plain JSON; an exception when it doesn't fit."""

    @abstractmethod
    def input_to_swagger(self) -> dict[str, Any]:
        """The schema, with the sample as its example."""

    def supported_versions(self) -> list[str]:
        """The document versions that can tell the sample: Swagger 2 knows no lists of mixed types."""
        uniform = _is_uniform(self.input_to_swagger()["example"])
        return ["2.0", "3.0", "3.1"] if uniform else ["3.0", "3.1"]


def _is_uniform(example: Any) -> bool:
    if type(example) is list:
        return len({type(item) for item in example}) < 2 and all(_is_uniform(i) for i in example if type(i) is list)
    if type(example) is dict:
        return all(_is_uniform(value) for value in example.values())
    return True
