"""Images that one module's tests make and ask: one layout for all of them, over the run's home, so that equal layers are made once."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.errors import RegistryError
from support.shared_command import Modelcrate
from support.waiting import HANG


@dataclass(frozen=True)
class Crates:
    """`layout` takes every image, under its project's name."""

    folder: Path
    modelcrate: Modelcrate

    @property
    def layout(self) -> Path:
        return self.folder / "layout"

    def project(self, name: str, files: Mapping[str, bytes], text: str = "") -> Path:
        """A project's folder with these files, and with `text` as its file, if there is any."""
        place = self.folder / name
        for path, data in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(data)
        if text:
            (place / "modelcrate.yaml").write_text(f"name: {name}\n{text}")
        return place

    def build(self, project: Path) -> str:
        """Its image's address, and it says what was assumed. Where no mirror answers, the test is skipped."""
        address = f"oci:{self.layout}:{project.name}"
        done = self.modelcrate.run("build", project, "-o", address, "--progress", "lines")
        if done.returncode == RegistryError.exit_code:
            pytest.skip(f"no package mirror answers: {done.stderr.strip()[:300]}")
        assert done.returncode == 0, done.stderr[-3000:]
        (self.folder / f"{project.name}.log").write_text(done.stderr)
        return address

    def said(self, name: str) -> str:
        """What the build of a project said."""
        return (self.folder / f"{name}.log").read_text()

    @contextmanager
    def running(self, address: str) -> Iterator[Running]:
        """The image as a container, without an engine."""
        name = address.rpartition(":")[2]
        started = self.modelcrate.json("run", "-d", "--name", name, "-p", "0:5001", address)
        try:
            yield Running(f"http://127.0.0.1:{started['ports']['5001']}", name, self.modelcrate)
        finally:
            self.modelcrate.said("kill", name)


@dataclass(frozen=True)
class Running:
    """A container that answers."""

    url: str
    name: str
    modelcrate: Modelcrate

    def direct(self, code: str, *words: str) -> Any:
        """What a library says when it is called directly: Python code in the same container, with neither our server nor an entry script.

        Its last line is JSON. Entering a container takes root.
        """
        state = json.loads((self.modelcrate.home / "containers" / self.name / "state.json").read_text())
        python = ["/opt/modelcrate/bin/python", "-W", "ignore", "-c", code, *words]
        inside = ["nsenter", "--target", str(state["main"]["pid"]), "--mount", "--pid", "--root", "--wd"]
        done = subprocess.run([*inside, *python], capture_output=True, text=True, env={"HOME": "/tmp"}, timeout=HANG)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def ask(self, body: Any) -> Any:
        """The answer to a body of JSON."""
        return self._json(urllib.request.Request(f"{self.url}/score", json.dumps(body).encode(), _JSON))

    def described(self) -> Any:
        """What the service says it takes and gives."""
        return self._json(urllib.request.Request(f"{self.url}/swagger.json?version=3"))["components"]["schemas"]

    def _json(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return json.loads(answer.read())


_JSON = {"Content-Type": "application/json"}
