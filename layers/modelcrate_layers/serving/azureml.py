"""The contract of Azure Machine Learning's containers: init() and run() behind /score on port 5001."""

from __future__ import annotations

from pathlib import Path

from modelcrate_layers.serving import Contract, Route

APP_ROOT = "/var/azureml-app"
SERVER_ROOT = "opt/modelcrate/server"
PYTHON = "/opt/modelcrate/bin/python"


def _server_files() -> tuple[tuple[str, bytes], ...]:
    """The server package's sources, as they lie beside this file."""
    package = Path(__file__).with_name("modelcrate_server")
    sources = sorted(package.rglob("*.py"), key=lambda path: path.as_posix().encode())
    return tuple(
        (f"{SERVER_ROOT}/{path.relative_to(package.parent).as_posix()}", path.read_bytes()) for path in sources
    )


CONTRACT = Contract(
    name="azureml",
    port=5001,
    health=Route("GET", "/"),
    routes=(Route("GET", "/"), Route("GET", "/score"), Route("POST", "/score"), Route("GET", "/swagger.json")),
    env=(
        ("AML_APP_ROOT", APP_ROOT),
        ("PYTHONDONTWRITEBYTECODE", "1"),  # the root file system may be read-only, and a layer holds no bytecode
        ("PYTHONPATH", f"/{SERVER_ROOT}"),
        ("PYTHONUNBUFFERED", "1"),  # a log line is seen when it is written
    ),
    argv=(PYTHON, "-m", "modelcrate_server"),
    working_dir=APP_ROOT,
    files=_server_files(),
)
