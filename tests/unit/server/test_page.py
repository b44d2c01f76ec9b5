"""The page for people: what is in it, and that nothing else is asked for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from modelcrate_server.page import sample_of
from support.platforms import ALL
from support.wsgi import PLAIN, RAW, SCHEMA, app_of

DESCRIPTION = {
    "input": {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 2}}
        },
    },
    "output": {"type": "object", "description": "</script><b>"},
}


def facts_of(page: bytes) -> dict[str, object]:
    found = re.search(rb'<script type="application/json" id="facts">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    facts: dict[str, object] = json.loads(found[1])
    return facts


def test_it_has_the_schema_a_sample_in_each_contracts_form_and_links(tmp_path: Path) -> None:
    (tmp_path / "modelcrate-schema.json").write_text(json.dumps(DESCRIPTION))
    answer = app_of(tmp_path, PLAIN, MODELCRATE_CONTRACTS=",".join(ALL), MODELCRATE_MODEL_NAME="rows")("GET", "/docs")
    facts = facts_of(answer.body)
    assert (answer.status, facts["name"], facts["takes"]) == (200, "rows", DESCRIPTION["input"])
    routes = {each["contract"]: each for each in facts["routes"]}  # type: ignore[attr-defined]
    assert set(routes) == set(ALL)
    assert routes["azureml"]["sample"] == {"data": [[0.0, 0.0]]}
    assert routes["kserve"]["sample"] == {"instances": [[0.0, 0.0]]}
    assert routes["oip"]["path"] == "/v2/models/rows/infer"
    assert facts["links"]


def test_a_decorated_script_shows_its_own_sample_and_a_raw_one_none(tmp_path: Path) -> None:
    facts = facts_of(app_of(tmp_path, SCHEMA)("GET", "/docs").body)
    assert facts["routes"][0]["sample"] == {"data": [[1.0, 2.0]], "rate": 1.0}  # type: ignore[index]
    assert facts_of(app_of(tmp_path, PLAIN)("GET", "/docs").body)["routes"][0]["sample"] is None  # type: ignore[index]
    assert facts_of(app_of(tmp_path, RAW)("GET", "/docs").body)["routes"][0]["sample"] is None  # type: ignore[index]


def test_its_policy_allows_what_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/docs")
    policy = answer.header("Content-Security-Policy") or ""
    assert "default-src 'none'" in policy
    for element, directive in ((b"style", "style-src"), (b"script", "script-src")):
        (text,) = re.findall(rb"<%s>(.*?)</%s>" % (element, element), answer.body, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert not re.search(rb"(src|href)=\"(?!data:)", answer.body)
    assert b"</script><b>" not in answer.body


def test_it_is_at_the_root_for_browsers_where_no_contract_has_that(tmp_path: Path) -> None:
    ask = app_of(tmp_path, PLAIN, MODELCRATE_CONTRACTS="kserve")
    assert ask("GET", "/", Accept="text/html,*/*").status == 200
    assert ask("GET", "/").status == 404
    assert app_of(tmp_path)("GET", "/", Accept="text/html").body == b"Healthy"
    assert ask("POST", "/docs").status == 404


@pytest.mark.parametrize(
    ("schema", "sample"),
    [
        ({"type": "string"}, "text"),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [0, 0, 0]),
        ({"type": ["number", "null"]}, 0.0),
        ({"properties": {"a": {"type": "boolean"}, "b": {}}, "required": ["a"]}, {"a": False}),
        ({"example": {"x": 1}}, {"x": 1}),
        ({}, None),
    ],
)
def test_a_sample_is_made_up_of_a_schema(schema: dict[str, object], sample: object) -> None:
    assert sample_of(schema) == sample


def test_a_sample_of_a_schema_without_end_ends() -> None:
    schema: dict[str, object] = {"type": "array"}
    schema["items"] = schema
    assert sample_of(schema)
