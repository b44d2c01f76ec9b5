"""Tables from bodies: CSV with a header line, and the two JSON forms of pandas that MLflow's clients send."""

from __future__ import annotations

import csv
import io
from typing import Any

from .data import Table
from .request import AMLRequest, HttpError


def table_of_csv(request: AMLRequest) -> Table:
    """Returns the table of a CSV body; its first line names the columns.

    A column has numbers when every cell is a number, else booleans when every cell is one, else texts. An empty cell is None.

    Raises:
        HttpError: 400, the body is not such a table.
    """
    try:
        lines = [line for line in csv.reader(io.StringIO(request.get_data().decode("utf-8-sig"))) if line]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise HttpError(400, f"The body could not be read as CSV: {fault}") from None
    if not lines:
        raise HttpError(400, "The body is empty; CSV begins with a line that names the columns")
    head, *cells = lines
    for number, line in enumerate(cells, 2):
        if len(line) != len(head):
            raise HttpError(400, f"Line {number} of the CSV has {len(line)} cells; its first line names {len(head)}")
    columns = [_column([line[at] for line in cells]) for at in range(len(head))]
    return Table(tuple(head), [list(row) for row in zip(*columns)])


def table_of_split(value: object) -> Table:
    """Returns the table of {"columns": [...], "data": [[...]]}; an index is ignored."""
    if not isinstance(value, dict):
        raise HttpError(400, f"'dataframe_split' should be an object; this is {type(value).__name__}")
    rows, columns = value.get("data", []), value.get("columns")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise HttpError(400, "'dataframe_split' should have a member 'data' with a list of rows")
    width = len(rows[0]) if rows else 0
    names = [str(at) for at in range(width)] if columns is None else columns
    if not isinstance(names, list) or any(len(row) != (len(names) if rows else 0) for row in rows):
        raise HttpError(400, "'dataframe_split' should have as many columns as each of its rows has values")
    return Table(tuple(map(str, names)), rows)


def table_of_records(value: object) -> Table:
    """Returns the table of [{"a": 1, "b": 2}, ...]; a missing value is None."""
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise HttpError(400, "'dataframe_records' should be a list of objects")
    return Table.of_records(value)


def _column(cells: list[str]) -> list[Any]:
    for kind in (int, float, _truth):
        try:
            return [kind(cell) if cell.strip() else None for cell in cells]
        except ValueError:
            continue
    return [cell or None for cell in cells]


def _truth(cell: str) -> bool:
    if cell.strip().lower() not in ("true", "false"):
        raise ValueError(cell)
    return cell.strip().lower() == "true"
