"""The JSON schema of the project file, generated from its form, so that editors check and complete it.

The published file is `docs/reference/modelcrate.schema.json`; `tools/write_schema.py` writes it.
"""

from __future__ import annotations

import json
from typing import Any

from modelcrate.project.pages import SITE

ADDRESS = f"{SITE}docs/reference/modelcrate.schema.json"
"""Where the schema is published; project files name it in their first line, for editors."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EDITORS_DIALECT = "http://json-schema.org/draft-07/schema#"
"""What editors and SchemaStore's checks know; the published file is written in it."""

_OF_TYPE = {
    "pattern": ("string",),
    "minimum": ("integer", "number"),
    "items": ("array",),
    "properties": ("object",),
    "patternProperties": ("object",),
    "required": ("object",),
    "additionalProperties": ("object",),
}
"""Keywords that say something of some types alone."""

_NAMED = ("properties", "patternProperties", "definitions")
"""Keywords whose value has schemas by name."""

_SCHEMAS = ("items", "additionalProperties", "not", "anyOf", "oneOf", "allOf")
"""Keywords whose value is a schema, or a list of them."""


def schema() -> dict[str, Any]:
    """Returns the schema as a document of JSON Schema 2020-12. What the reader accepts, the schema accepts; the reader checks more."""
    from modelcrate.project.form import ProjectForm

    made = _lean(ProjectForm.model_json_schema())
    return {"$schema": DIALECT, "title": "modelcrate.yaml", **made}


def published() -> dict[str, Any]:
    """Returns the same schema in the draft that editors know, as SchemaStore's strict mode wants it: a type for each keyword, one type each."""
    made = schema()
    del made["$schema"]
    plain = json.loads(json.dumps(made).replace('"#/$defs/', '"#/definitions/'))
    plain["definitions"] = plain.pop("$defs")
    return {"$schema": EDITORS_DIALECT, "$id": ADDRESS, **_for_editors(plain)}


def schema_text() -> str:
    """Returns the published file, byte for byte."""
    return json.dumps(published(), indent=2, ensure_ascii=False) + "\n"


def _for_editors(node: Any) -> Any:
    """Returns a schema, or a list of them, in strict mode's form."""
    if isinstance(node, list):
        return [_for_editors(each) for each in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key in _NAMED:
            made[key] = {name: _for_editors(each) for name, each in value.items()}
        else:
            made[key] = _for_editors(value) if key in _SCHEMAS else value
    if "$ref" in made and len(made) > 1:  # what stands beside a reference is not read in this draft
        made["allOf"] = [{"$ref": made.pop("$ref")}]
    types = made.get("type")
    if isinstance(types, list):
        return _one_type_each(made, types)
    if types is None and any(key in made and each == ("object",) for key, each in _OF_TYPE.items()):
        made["type"] = "object"
    if "required" in made:
        made["properties"] = {**dict.fromkeys(made["required"], True), **made.get("properties", {})}
    return {
        key: value for key, value in made.items() if made.get("type") in (None, *_OF_TYPE.get(key, (made.get("type"),)))
    }


def _one_type_each(made: dict[str, Any], types: list[str]) -> dict[str, Any]:
    """Returns a schema of several types as one with a branch for each."""
    branches = [
        {"type": each, **{key: made[key] for key, of in _OF_TYPE.items() if key in made and each in of}}
        for each in types
    ]
    return {**{key: value for key, value in made.items() if key != "type" and key not in _OF_TYPE}, "anyOf": branches}


def _lean(node: Any) -> Any:
    """Returns the schema without the generator's titles and empty defaults; maps take no key but those their pattern names."""
    if isinstance(node, list):
        return [_lean(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        k: _lean(v)
        for k, v in node.items()
        if not (k == "title" and isinstance(v, str)) and (k, v) != ("default", None)
    }
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept
