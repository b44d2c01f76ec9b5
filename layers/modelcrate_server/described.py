"""The description of a script without decorators, and a platform's data in the form that it describes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .data import Data, Table

if TYPE_CHECKING:
    from .settings import Settings

SCHEMA_FILE = "modelcrate-schema.json"
"""Beside an entry script without decorators: {"input": SCHEMA, "output": SCHEMA}."""

DATA = "data"
"""The member that has the data, where nothing names another: as Azure's clients send it."""


@dataclass(frozen=True)
class Described:
    """The JSON schemas of a request and of an answer; empty where they are not known."""

    takes: Mapping[str, Any] = field(default_factory=dict)
    gives: Mapping[str, Any] = field(default_factory=dict)

    @property
    def member(self) -> str:
        """The name of the member that has the data: the only required one, else the only one, else "data"."""
        for names in (list(self.takes.get("required", ())), list(properties(self.takes))):
            if len(names) == 1:
                return str(names[0])
        return DATA

    def request(self, data: Data) -> dict[str, Any]:
        """Returns the object that the script takes.

        The request's parameters are in the other member that is an object, if there is one; else beside the data, as far as the
        description lists them: clients of some protocols send parameters that are for the server.
        """
        members = properties(self.takes)
        objects = [name for name, each in members.items() if name != self.member and each.get("type") == "object"]
        if objects and data.extra:
            extra: Mapping[str, Any] = {objects[0]: dict(data.extra)}
        else:
            extra = {name: value for name, value in data.extra.items() if name in members or not members}
        schema = members.get(self.member)
        return {**extra, self.member: data.plain() if schema is None else _formed(data, schema)}


def properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the members that a schema names, with their schemas."""
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def described(settings: Settings) -> Described:
    """Returns the description of the settings, else the one beside the entry script, else an empty one.

    Raises:
        OSError: The file can't be read.
        ValueError: The file is no description, or there are both.
    """
    path = os.path.join(os.path.dirname(os.path.join(settings.app_root, settings.entry_script)), SCHEMA_FILE)
    if not os.path.isfile(path):
        return settings.description or Described()
    if settings.description is not None:
        raise ValueError(f"{path} and MODELCRATE_SCHEMA, which `schema:` in a project sets, both have one; keep one")
    with open(path, encoding="utf-8") as file:
        return read_description(file.read(), path)


def read_description(text: str, name: str) -> Described:
    """Returns the description in the text of a JSON object.

    Args:
        text: The text.
        name: Where it is from, for the message.

    Raises:
        ValueError: It is none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"{name} is not JSON: {fault}") from None
    schemas = [document.get(member) or {} for member in ("input", "output")] if isinstance(document, dict) else [None]
    if not all(isinstance(each, dict) for each in schemas):
        raise ValueError(f'{name} should be a JSON object: {{"input": SCHEMA, "output": SCHEMA}}')
    return Described(*schemas)


def _formed(data: Data, schema: Mapping[str, Any]) -> Any:
    """Returns the data in the form of a schema: values by name, records, or rows. Rows may stand for the only named value."""
    value, names = data.value, properties(schema)
    if not names:
        known = properties(schema.get("items", {}))
        unnamed = value.numbered if isinstance(value, Table) else isinstance(value, Mapping) and len(value) == 1
        given = value.columns if isinstance(value, Table) else value
        return data.plain() if unnamed and known.keys().isdisjoint(given) else data.whole(schema)
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        value = Table.of_records(value)
    if isinstance(value, Table):
        value = value.by_column() if names.keys() & set(value.columns) else value.rows
    elif isinstance(value, Mapping) and names.keys().isdisjoint(value):
        value = data.plain()
    return {next(iter(names)): value} if isinstance(value, list) and len(names) == 1 else value
