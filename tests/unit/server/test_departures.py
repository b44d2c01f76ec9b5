"""Where the server may do better than the original: each is off until its setting says so."""

from __future__ import annotations

import json
from pathlib import Path

from support.wsgi import SCHEMA, app_of, returning

ARRAY = """
class Array:
    def tolist(self):
        return [1, 2]

class Table:
    def to_dict(self, orient):
        return [{'a': 1}]
"""


def test_arrays_and_tables_are_encoded_on_demand(tmp_path: Path) -> None:
    source = returning("{'array': Array(), 'table': Table()}", ARRAY)
    assert app_of(tmp_path, source)().status == 500
    answer = app_of(tmp_path, source, MODELCRATE_ENCODE_NUMPY="true")()
    assert json.loads(answer.body) == {"array": [1, 2], "table": [{"a": 1}]}


def test_encoding_more_still_refuses_what_has_no_plain_form(tmp_path: Path) -> None:
    assert app_of(tmp_path, returning("object()"), MODELCRATE_ENCODE_NUMPY="true")().status == 500


def test_input_that_does_not_fit_is_the_clients_fault_on_demand(tmp_path: Path) -> None:
    ask = app_of(tmp_path, SCHEMA, MODELCRATE_BAD_INPUT_IS_400="1")
    answer = ask(body='{"data": "no"}', content_type="application/json")
    assert answer.status == 400
    assert json.loads(answer.body)["message"] == "The input does not fit the schema: an array is expected; this is str"
    assert ask(body=b"\xff", content_type="application/json").status == 400
    assert ask(body="[" * 100_000, content_type="application/json").status == 400


def test_an_error_inside_run_stays_the_scripts(tmp_path: Path) -> None:
    ask = app_of(tmp_path, SCHEMA, MODELCRATE_BAD_INPUT_IS_400="1")
    assert ask(body='{"data": [[1]], "rate": 13}', content_type="application/json").status == 500


def test_probes_are_there_on_demand(tmp_path: Path) -> None:
    assert app_of(tmp_path)("GET", "/livez").status == 404
    ask = app_of(tmp_path, MODELCRATE_PROBES="true")
    assert [ask("GET", path).status for path in ("/livez", "/readyz")] == [200, 200]


def test_large_bodies_are_refused_on_demand(tmp_path: Path) -> None:
    ask = app_of(tmp_path, MODELCRATE_MAX_BODY_BYTES="10")
    assert ask(body="x" * 10).status == 200
    assert ask(body="x" * 11).status == 413
