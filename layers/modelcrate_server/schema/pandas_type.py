"""Pandas tables as parameter types."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterator
from typing import Any

import pandas as pd

from .abstract import AbstractParameterType
from .describe import describe
from .numpy_type import check_shape

ORIENTS = ("split", "records", "index", "columns", "values", "table")


class PandasParameterType(AbstractParameterType):
    """A table like the sample, in one of pandas' JSON orients.

    The types of the columns and their number are enforced unless that is switched off.
    """

    def __init__(
        self,
        sample_input: Any,
        enforce_column_type: bool = True,
        enforce_shape: bool = True,
        apply_column_names: bool = False,
        orient: str = "records",
    ) -> None:
        if not isinstance(sample_input, pd.DataFrame):
            raise TypeError(f"a pandas table is expected as the sample; this is {type(sample_input).__name__}")
        if orient not in ORIENTS:
            raise ValueError(f"the orient is one of {', '.join(ORIENTS)}; this is {orient!r}")
        if apply_column_names:
            warnings.warn("apply_column_names is deprecated: members of an object have no order", DeprecationWarning, 2)
        super().__init__(sample_input)
        self.enforce_column_type, self.enforce_shape = enforce_column_type, enforce_shape
        self.apply_column_names, self.orient = apply_column_names, orient

    def deserialize_input(self, input_data: Any) -> Any:
        """Converts JSON to a table; ValueError when it doesn't fit."""
        if isinstance(input_data, pd.DataFrame):
            return input_data
        if not isinstance(input_data, (list, dict)):
            raise ValueError(f"an array or an object is expected; this is {type(input_data).__name__}")
        table = pd.read_json(io.StringIO(json.dumps(input_data)), orient=self.orient, dtype=False)
        if self.apply_column_names:
            table.columns = self.sample_input.columns.copy()
        if self.enforce_column_type:
            table = self._typed(table)
        if self.enforce_shape:
            check_shape(self.sample_input.shape, table.shape)
        return table

    def _typed(self, table: Any) -> Any:
        types = self.sample_input.dtypes.to_dict()
        wanted = {column: types.get(column, object) for column in table.columns}
        for column, kind in wanted.items():
            if str(kind).startswith("timedelta"):
                table[column] = pd.to_timedelta(table[column])
        return table.astype(dtype=wanted)

    def input_to_swagger(self) -> dict[str, Any]:
        """Returns the schema of the sample."""
        schema = describe(json.loads(self.sample_input.to_json(orient=self.orient, date_format="iso")))
        for column, kind in self.sample_input.dtypes.items():
            form = {"datetime": "date-time", "timedelt": "timedelta"}.get(str(kind)[:8])
            for place in self._places(schema, str(column)) if form else ():
                place["format"] = form
        schema["format"] = f"pandas.DataFrame:{self.orient}"
        return schema

    def _places(self, schema: dict[str, Any], column: str) -> Iterator[dict[str, Any]]:
        """Yields the parts of the schema for the values of one column."""
        if self.orient == "records":
            yield schema["items"]["properties"][column]
        elif self.orient == "index":
            yield from (row["properties"][column] for row in schema["properties"].values())
        elif self.orient == "columns":
            yield from schema["properties"][column]["properties"].values()
        elif self.orient == "table":
            yield schema["properties"]["data"]["items"]["properties"][column]
