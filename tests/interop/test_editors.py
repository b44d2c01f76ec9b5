"""The published schema under what editors run: Ajv in the strict mode of SchemaStore's checks, and the YAML language server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.npm import folder_of
from support.sources import REPOSITORY
from support.tools import call

pytestmark = pytest.mark.interop

SCHEMA = REPOSITORY / "docs/reference/modelcrate.schema.json"
AJV = """
const Ajv = require("ajv").default
const valid = new Ajv({strict: true, allErrors: true}).compile(require(process.argv[2]))
console.log(JSON.stringify(JSON.parse(process.argv[3]).map(each => valid(each))))
"""
PROJECTS = [
    ({"name": "a", "entry": "s.py", "python": 3.11, "server": {"workers": 2}, "user": 10001}, True),
    ({"name": "a", "entri": "s.py"}, False),
    ({"name": "a", "server": {"workers": 0}}, False),
    ({"name": "a", "models": [{"path": "m", "version": "2"}, "n"]}, True),
    ({"name": "a", "models": [{"name": "m"}]}, False),
    ({}, False),
]


def test_ajv_in_strict_mode(tmp_path: Path) -> None:
    folder = folder_of("ajv@8.17.1")
    (folder / "judge.cjs").write_text(AJV)
    said = call("node", folder / "judge.cjs", SCHEMA, json.dumps([project for project, _ in PROJECTS]))
    assert json.loads(said) == [good for _, good in PROJECTS]
    found = json.loads(SCHEMA.read_text())
    found["properties"]["name"]["type"] = ["string", "number"]
    (tmp_path / "loose.json").write_text(json.dumps(found))
    with pytest.raises(AssertionError, match="strict mode"):
        call("node", folder / "judge.cjs", tmp_path / "loose.json", "[]")


def test_the_yaml_language_server_checks_and_completes() -> None:
    folder = folder_of("yaml-language-server@1.15.0")
    (folder / "editor.cjs").write_text((REPOSITORY / "tests/support/editor.cjs").read_text())
    told = json.loads(call("node", folder / "editor.cjs", SCHEMA))
    assert told["good"] == []
    assert any("entri" in each for each in told["bad"])
    assert any("Valid values" in each for each in told["bad"])
    assert {"workers", "threads", "metrics"} <= set(told["completion"])
    assert "modelcrate.schema.json" in told["hover"]
