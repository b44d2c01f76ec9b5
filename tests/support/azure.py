"""The environments of the differential tests: the original server's, and one with its libraries but without itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import free_port
from support.serving import Server, started
from support.waiting import HANG

LIBRARIES = ("gunicorn==27.0.1", "numpy==2.4.6", "pandas==3.1.1")
ORIGINAL = ("azureml-inference-server-http==1.5.1", "inference-schema==1.8")


def environment(name: str, *packages: str, compiled: bool = True) -> str:
    """The interpreter of a cached environment with these packages; skips the test when they can't be installed.

    Compiling pays where servers start often, and not for large packages of which each starts once.
    """
    cache = Path(os.environ.get("MODELCRATE_TEST_CACHE") or Path.home() / ".cache/modelcrate-tests")
    folder = cache / f"{name}-py{sys.version_info[0]}{sys.version_info[1]}"
    python, ready = folder / "bin/python", folder / "ready"
    if ready.is_file() and ready.read_text() == "\n".join(packages):
        return str(python)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip(f"uv is missing, which installs the packages of {name}")
    bytecode = ["--compile-bytecode"] if compiled else []
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", *bytecode, "--python", str(python), *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the packages of {name} can't be installed: {done.stderr.strip()[-300:]}")
    ready.write_text("\n".join(packages))
    return str(python)


@contextmanager
def original_server(python: str, script: Path, folder: Path, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """The original under its own gunicorn with the options it starts it with, but on loopback."""
    port = free_port()
    theirs = {
        "AML_APP_ROOT": str(folder),
        "AZUREML_ENTRY_SCRIPT": str(script),
        "AML_APP_INSIGHTS_ENABLED": "false",
        "HTTP_X_MS_SERVER_VERSION": "azmlinfsrv/1.5.1",
    }
    command = [
        str(Path(python).with_name("gunicorn")),
        "-b",
        f"127.0.0.1:{port}",
        "-w",
        "1",
        "--timeout",
        str(int(HANG)),
    ]
    command += ["--no-control-socket", "azureml_inference_server_http.server.entry:app"]
    with started(command, port, {**theirs, **(env or {})}, folder) as server:
        yield server
