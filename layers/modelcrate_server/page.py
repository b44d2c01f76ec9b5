"""The page for people at /docs: what the model takes, a form with a sample, the answer, and the same for a shell.

It is one file: nothing comes from another place, and its policy lets the browser talk to this server only.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from .described import DATA, properties
from .entry import Entry, schema_of
from .inputs import TextInput
from .platforms import Platform
from .response import HTML, Response
from .service import Service
from .signature import signature

_FOLDER = os.path.dirname(__file__)
_DEPTH = 8
"""How deep a sample is made up from a schema."""


def page(service: Service, platforms: Sequence[Platform]) -> Response:
    """Returns the page of a service that these platforms share."""
    takes, gives, sample, member = _schemas(service)
    model = service.settings.model
    routes = [route for each in platforms for route in _routes(each, service, sample, member)]
    described = any(each.name == "azureml" for each in platforms)
    facts = {
        "name": model.name if model.name != "model" else service.settings.service.name,
        "about": f"Version {model.version}, served by modelcrate over {', '.join(each.name for each in platforms)}.",
        "takes": takes,
        "gives": gives,
        "routes": routes,
        "links": [["/swagger.json", "Swagger 2"], ["/swagger.json?version=3", "OpenAPI 3"]] if described else [],
    }
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    told = json.dumps(facts, default=str).replace("<", "\\u003c")  # nothing in it ends the element that it is in
    parts = {"TITLE": html.escape(str(facts["name"])), "STYLE": style, "FACTS": told, "SCRIPT": script}
    text = "".join(_filled(_file("page.html"), parts))
    response = Response(text, content_type=HTML)
    response.headers["Content-Security-Policy"] = policy
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _filled(template: str, parts: Mapping[str, str]) -> Iterator[str]:
    """Yields the pieces of a template, and the parts in their places: a part is never searched for places itself."""
    pieces = template.split("@")
    for number, piece in enumerate(pieces):
        yield parts[piece] if number % 2 else piece


@cache
def _file(name: str) -> str:
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:
        return file.read()


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _schemas(service: Service) -> tuple[Any, Any, Any, str]:
    """Returns the schemas of a request and of an answer, a sample of a request, and the name of the member that has the data."""
    entry = service.entry
    module = schema_of(entry.run)
    if module is not None:
        takes, gives = module.get_input_schema(entry.run), module.get_output_schema(entry.run)
        sample = takes.get("example", {})
        return _plain(takes), _plain(gives), sample, next(iter(sample), DATA)
    described = entry.described
    if described.takes:
        return described.takes, described.gives, sample_of(described.takes), described.member
    return {}, described.gives, _of_signature(entry), DATA


def _of_signature(entry: Entry) -> Any:
    """Returns a sample of what the script's signature() names; None where nothing tells what it takes."""
    inputs = signature(entry)[0]
    if len(inputs) != 1 or not isinstance(entry.read, TextInput):
        return None
    value: Any = {"BYTES": "text", "BOOL": False}.get(inputs[0]["datatype"], 0.0)
    for size in reversed(inputs[0]["shape"]):
        value = [value] * min(max(size, 1), 1000)
    return {DATA: value}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "example"}


def sample_of(schema: Mapping[str, Any], depth: int = 0) -> Any:
    """Returns a value that fits a JSON schema: its own example or default, else the plainest one."""
    for name in ("example", "default", "const"):
        if name in schema:
            return schema[name]
    for name in ("examples", "enum"):
        if isinstance(schema.get(name), list) and schema[name]:
            return schema[name][0]
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if depth > _DEPTH:
        return None
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required") or list(properties(schema))
        return {name: sample_of(each, depth + 1) for name, each in properties(schema).items() if name in wanted}
    if kind == "array":
        items = schema.get("items")
        least = schema.get("minItems", 1)
        size = min(least if isinstance(least, int) else 1, 1000) or 1
        return [sample_of(items if isinstance(items, Mapping) else {}, depth + 1) for _ in range(size)]
    return {"string": "text", "number": 0.0, "integer": 0, "boolean": False}.get(str(kind))


def _routes(platform: Platform, service: Service, sample: Any, member: str) -> Iterator[dict[str, Any]]:
    """Yields the platform's route for predictions with the sample in its form."""
    model = service.settings.model
    for check in platform.checks:
        if not callable(check.body):
            continue
        path = check.path.replace("{model}", model.name).replace("{version}", model.version)
        inner = sample.get(member) if isinstance(sample, dict) else None
        own = platform.name == "azureml"
        body = json.loads(check.body(inner)) if isinstance(inner, list) and not own else sample
        yield {"contract": platform.name, "path": path, "type": check.content_type, "sample": body}
        return
