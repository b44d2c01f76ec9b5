"""The published JSON schema: equal to the code, and a help to editors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelcrate.project.pages import SITE
from modelcrate.project.schema import ADDRESS, published, schema, schema_text
from support.projects import as_editors_read

ROOT = Path(__file__).parents[3]


def complaints(text: str) -> list[str]:
    """What the schema says, on which its published form agrees."""
    document = as_editors_read(text)
    found = [fault.message for fault in jsonschema.Draft202012Validator(schema()).iter_errors(document)]
    assert jsonschema.Draft7Validator(published()).is_valid(document) == (not found)
    return found


def test_the_published_schema_is_what_the_code_makes() -> None:
    published = (ROOT / "docs/reference/modelcrate.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run tools/write_schema.py"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft7Validator.check_schema(published())


def test_the_published_form_is_one_that_editors_and_schemastore_take() -> None:
    """A draft that they know, an address, no schema elsewhere, and one type for each keyword (Ajv's strict mode)."""
    found = published()
    assert (found["$schema"], found["$id"]) == ("http://json-schema.org/draft-07/schema#", ADDRESS)
    assert ADDRESS.removeprefix(SITE) == "docs/reference/modelcrate.schema.json"

    def check(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                check(each)
        elif isinstance(node, dict):
            assert not isinstance(node.get("type"), list), node
            assert node.get("$ref", "#/definitions/").startswith("#/definitions/")
            assert "$ref" not in node or len(node) == 1, node
            assert set(node.get("required", ())) <= set(node.get("properties", node.get("required", ()))), node
            for key, value in node.items():
                if key not in ("default", "examples", "enum", "const", "required"):
                    check(value)

    check(found)


def test_a_project_file_that_init_writes_leads_editors_to_it() -> None:
    from modelcrate.project.values import Project
    from modelcrate.project.writing import project_text

    assert project_text(Project("a", None)).splitlines()[0] == f"# yaml-language-server: $schema={ADDRESS}"


def test_every_key_has_a_description() -> None:
    def keys(node: Any) -> list[tuple[str, Any]]:
        here = list(node.get("properties", {}).items())
        return here + [key for form in node.get("$defs", {}).values() for key in keys(form)]

    found = keys(schema())
    assert len(found) == 96
    assert [name for name, key in found if not key.get("description")] == []


def test_the_demo_project_is_good() -> None:
    assert complaints((ROOT / "fixtures/projects/diabetes/modelcrate.yaml").read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "name: x\npython: 3.11\nuser: 10001\nentry: score.py\nenv: {A: 1, B: true, C: 1.5}",
        "name: x\nbase: {from: debian, packages: [libgomp1]}\nentry: {script: score.py, source: src}",
        "name: x\ndependencies: [numpy]\nmodels: [a.pkl, {path: b, version: '2'}, {path: c, version: 2}]",
        "name: x\nworkspace: ws\nmodels: [{registered: m}, {registered: 'm:2'}]",
        "name: x\ncodec: {models: none}\ncreated: 2026-01-01T00:00:00Z\nlabels: {org.example/a: b}",
    ],
)
def test_good_files_pass(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "entry: score.py",
        "name: X",
        "name: x\nmodle: y",
        "name: x\npython: true",
        "name: x\npython: '3'",
        "name: x\nplatforms: []",
        "name: x\nmodels: model.pkl",
        "name: x\nmodels: [{path: a, version: 0}]",
        "name: x\nmodels: [{name: a}]",
        "name: x\nentry: ~",
        "name: x\nentry: {source: src}",
        "name: x\nenv: {A-B: c}",
        "name: x\nenv: {A: [c]}",
        "name: x\ncodec: brotli",
        "name: x\ncodec: {model: none}",
        "name: x\ncreated: soon",
        "[]",
    ],
)
def test_bad_files_dont(text: str) -> None:
    assert complaints(text)
