"""Data from a platform's request, before it gets the form that the script takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows under named columns."""

    columns: tuple[str, ...]
    rows: list[list[Any]]

    @staticmethod
    def of_columns(columns: Mapping[str, Any]) -> Table | None:
        """Returns the table of these columns, or None when they are not lists of one length."""
        values = list(columns.values())
        if not values or not all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            return None
        return Table(tuple(columns), [list(row) for row in zip(*values)])

    @staticmethod
    def of_records(records: Sequence[Mapping[str, Any]]) -> Table:
        """Returns the table of records, [{"a": 1, "b": 2}, ...]; a missing value is None."""
        columns = tuple(dict.fromkeys(name for record in records for name in record))
        return Table(columns, [[record.get(name) for name in columns] for record in records])

    @property
    def numbered(self) -> bool:
        """Whether the columns have no names, and are called by their positions."""
        return self.columns == tuple(map(str, range(len(self.columns))))

    def by_column(self) -> dict[str, list[Any]]:
        """Returns the values of each column."""
        return {name: [row[at] for row in self.rows] for at, name in enumerate(self.columns)}

    def records(self) -> list[dict[str, Any]]:
        """Returns each row as an object."""
        return [dict(zip(self.columns, row)) for row in self.rows]

    def like(self, schema: Mapping[str, Any]) -> Any:
        """Returns the table in the form of a JSON schema: rows, records where the items are objects, or another orient of pandas."""
        form = str(schema.get("format", ""))
        if form == "pandas.DataFrame:split":
            return {"columns": list(self.columns), "index": list(range(len(self.rows))), "data": self.rows}
        if form == "pandas.DataFrame:columns":
            return {
                name: {str(at): row[place] for at, row in enumerate(self.rows)}
                for place, name in enumerate(self.columns)
            }
        if form == "pandas.DataFrame:index":
            return {str(at): record for at, record in enumerate(self.records())}
        items = schema.get("items")
        wants_objects = isinstance(items, Mapping) and items.get("type") == "object"
        return self.records() if wants_objects and form != "pandas.DataFrame:values" else self.rows


@dataclass(frozen=True)
class Data:
    """The data of a request: rows, a table, or values by name. `extra` has the request's parameters by name."""

    value: list[Any] | Table | Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> Any:
        """Returns the data for a script without a schema: the rows, several values by name, or the only value."""
        if isinstance(self.value, Table):
            return self.value.rows
        if isinstance(self.value, Mapping):
            return next(iter(self.value.values())) if len(self.value) == 1 else dict(self.value)
        return self.value

    def whole(self, schema: Mapping[str, Any]) -> Any:
        """Returns the data for one argument with this schema."""
        if isinstance(self.value, Mapping) and (_of_objects(schema) or len(self.value) > 1):
            table = Table.of_columns(self.value)
            return dict(self.value) if table is None else table.like(schema)
        return self.value.like(schema) if isinstance(self.value, Table) else self.plain()

    def named(self, names: Sequence[str]) -> Mapping[str, Any] | None:
        """Returns the values by argument when each of these names has a value, else None."""
        if isinstance(self.value, Mapping) and names and set(names) <= set(self.value):
            return self.value
        return None


def _of_objects(schema: Mapping[str, Any]) -> bool:
    items = schema.get("items")
    return isinstance(items, Mapping) and items.get("type") == "object"
