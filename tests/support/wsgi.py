"""Calls the scoring application directly, as a WSGI server would."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelcrate_server.app import ScoringApp
from modelcrate_server.entry import Entry, load_entry
from modelcrate_server.platforms import chosen
from modelcrate_server.service import Service
from modelcrate_server.settings import Settings, read_settings
from modelcrate_server.swagger import write_documents
from support.serving import Answer

Ask = Callable[..., Answer]
PLAIN = "def init():\n    pass\n\ndef run(data):\n    return {'got': data}\n"

SCHEMA = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as Standard
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", Standard([[1.0, 2.0]]))
@input_schema("rate", Standard(1.0))
@output_schema(Standard([1.0]))
def run(data, rate=1.0):
    if rate == 13:
        raise ValueError("unlucky")
    return [sum(row) * rate for row in data]
"""
RAW = """
from azureml_inference_server_http.api.aml_request import AMLRequest, rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    pass

@rawhttp
def run(request):
    assert isinstance(request, AMLRequest)
    status = int(request.args.get("status", 200))
    return AMLResponse(request.get_data(), status, {"Content-Type": "image/png", "X-Many": "a, b"})
"""


def returning(expression: str, before: str = "") -> str:
    return f"{before}\ndef init():\n    pass\n\ndef run(data):\n    return {expression}\n"


def settings_for(folder: Path, source: str, **env: str) -> Settings:
    (folder / "score.py").write_text(source)
    return read_settings({"AML_APP_ROOT": str(folder), "AZUREML_ENTRY_SCRIPT": "score.py", **env})


def entry_of(folder: Path, source: str, **env: str) -> Entry:
    return load_entry(settings_for(folder, source, **env))


def app_of(folder: Path, source: str = PLAIN, **env: str) -> Ask:
    """A function that asks an application serving this script with these variables."""
    settings = settings_for(folder, source, **env)
    entry = load_entry(settings)
    entry.init()
    app = ScoringApp(Service(entry, write_documents(entry, settings), settings), chosen(env))

    def ask(method: str = "POST", path: str = "/score", body: bytes | str = b"", **headers: str) -> Answer:
        return call(app, environ_of(method, path, body, headers))

    return ask


def environ_of(
    method: str, path: str, body: bytes | str = b"", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    path, _, query = path.partition("?")
    data = body.encode() if isinstance(body, str) else body
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "5001",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(data),
        "CONTENT_LENGTH": str(len(data)),
    }
    for name, value in (headers or {}).items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    return environ


def call(app: Callable[..., Any], environ: Mapping[str, Any]) -> Answer:
    started: list[Any] = []
    body = b"".join(app(environ, lambda status, headers: started.append((status, headers))))
    ((status, headers),) = started
    return Answer(int(status.split()[0]), headers, body)
