"""What a build that has nothing to do takes: counted in modules and in files read, for seconds belong to the machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.command import Crate
from support.small_projects import served, wait_until_trusted
from support.validator import assert_valid_layout

HEAVY = {
    "cryptography": "for signatures",
    "requests": "for a registry",
    "urllib3": "for a registry",
    "ssl": "for a registry",
    "oras": "for a registry's users",
    "yaml": "for a project file that has changed",
    "pydantic": "for a project file that has changed",
    "packaging": "to resolve",
    "dataclasses": "for values as JSON",
    "inspect": "for help",
    "installer": "for a wheel's layer",
    "isal": "for a wheel's layer",
    "concurrent.futures": "for work to share",
    "secrets": "for nothing here",
    "difflib": "for an unknown verb",
    "modelcrate.registry.client": "for a registry",
    "modelcrate.security.scan.gates": "for files that were not looked at",
}
"""What a build imports only for the reason that stands beside it."""

MOST = 250
"""Modules that a build with nothing to do may import, the standard library's and Python's own among them."""

COMPILED = 12
"""Functions that may be compiled while it runs: those of values that have many instances, and of Python's own named tuples."""

WATCH = """
import atexit, builtins, json, os, sys
compiled, opened, execute = [], [], exec
def counting(source, *spaces):
    compiled.extend([source] if isinstance(source, str) else [])
    execute(source, *spaces)
builtins.exec = counting
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
def tell():
    with os.fdopen(os.dup(2), "w") as out:
        json.dump({"modules": sorted(sys.modules), "compiled": len(compiled), "opened": opened}, out)
atexit.register(tell)
from modelcrate.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crate, Path]:
    """A project that was built, and whose files are old enough to be trusted."""
    project = served(tmp_path_factory.mktemp("warm") / "project")
    crate = Crate.at(tmp_path_factory.mktemp("home"))
    crate("lock", project).succeeded()
    wait_until_trusted(project)
    layout = project.parent / "layout"
    crate("build", project, "-o", f"oci:{layout}:x").succeeded()
    assert_valid_layout(layout)
    crate("build", project).succeeded()
    return crate, project


@pytest.fixture(scope="module", params=["build", "plan"])
def watched(warm: tuple[Crate, Path], request: pytest.FixtureRequest) -> dict[str, Any]:
    crate, project = warm
    words = [crate.python, "-c", WATCH, request.param, str(project), "--progress", "none"]
    done = subprocess.run(words, env=crate.environment, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stderr)
    return told


def test_nothing_is_imported_that_is_not_used(watched: dict[str, Any]) -> None:
    assert {name: HEAVY[name] for name in watched["modules"] if name in HEAVY} == {}
    assert len(watched["modules"]) < MOST


def test_little_is_compiled(watched: dict[str, Any]) -> None:
    assert watched["compiled"] < COMPILED


def test_no_file_of_a_model_is_opened(watched: dict[str, Any]) -> None:
    assert [path for path in watched["opened"] if path.endswith(("model.bin", ".whl"))] == []
