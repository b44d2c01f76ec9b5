"""The scripts that modelcrate brings answer bad input with 400 and the reason, in each contract's form; never with 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo import PROJECT, REQUEST
from support.peers import boosters, interpreter
from support.platforms import without_a_script
from support.serving import Answer, Ask, Server
from support.sources import REPOSITORY

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

MODELS = REPOSITORY / "fixtures" / "models"
ROW = json.loads(REQUEST)["data"][0]

SERVED = {
    "sklearn": (PROJECT / "model/sklearn_regression_model.pkl", "data", [ROW]),
    "pipeline": (MODELS / "pipeline.joblib", "data", [ROW]),
    "xgboost": (MODELS / "boosted.ubj", "data", [ROW]),
    "lightgbm": (MODELS / "leaves.txt", "data", [ROW]),
    "mlflow": (MODELS / "mlflow", "instances", [ROW]),
    "onnx": (Path("onnxruntime/datasets/logreg_iris.onnx"), "data", [[5.1, 3.5], [6.2, 2.9], [7.9, 3.8]]),
}
"""For each framework a model, the member that has the rows, and rows that fit."""

BAD_ROWS: dict[str, Any] = {
    "none": [],
    "a number": 5,
    "nothing": None,
    "an object": {"a": 1},
    "a list of nothing": [[]],
    "a short row": [[1.0]],
    "a long row": [[1.0] * 400],
    "rows of several lengths": [[1.0], [1.0, 2.0]],
    "texts for numbers": [["a"] * 10],
    "objects for numbers": [[{}] * 10],
    "deep rows": [[[[1.0]]]],
    "a number that is too large": [[10**400] * 10],
    "objects and lists": [{"a": 1}, [1]],
}


@pytest.fixture(scope="module", params=sorted(SERVED))
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str, Any]]:
    model, member, rows = SERVED[request.param]
    python = boosters() if request.param in ("xgboost", "lightgbm") else interpreter()
    if not model.is_absolute():
        model = next((Path(python).parents[1] / "lib").glob("python3*/site-packages")) / model
    with without_a_script(model, tmp_path_factory.mktemp(request.param), python) as server:
        yield server, member, rows


def post(server: Server, path: str, body: bytes) -> Answer:
    return server.ask(Ask("POST", path, body, [("Content-Type", "application/json")]))


def reason(answer: Answer) -> str:
    document = json.loads(answer.body)
    text: str = document.get("message") or document.get("error")
    return text


def test_good_rows_are_answered(served: tuple[Server, str, Any]) -> None:
    server, member, rows = served
    assert post(server, "/score", json.dumps({member: rows}).encode()).status == 200
    assert (
        post(server, "/predict", json.dumps({"instances": rows, "parameters": {"unknown": 1}}).encode()).status == 200
    )


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_the_clients_fault_in_every_contract(served: tuple[Server, str, Any], name: str) -> None:
    server, member, _ = served
    rows = BAD_ROWS[name]
    bodies: dict[str, Any] = {
        "/score": {member: rows},
        "/predict": {"instances": rows},
        "/v1/models/rows:predict": {"instances": rows},
        "/invocations": {"instances": rows},
    }
    for path, body in bodies.items():
        answer = post(server, path, json.dumps(body).encode())
        assert answer.status == 400, (path, answer)
        assert len(reason(answer)) > 10, (path, answer)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1]", b"5", b"null", b"\xff", b"{}", b'{"daata": [[1]]}', b"[" * 100_000, b'{"data": [NaN'],
)
def test_bad_bodies_are_the_clients_fault(served: tuple[Server, str, Any], body: bytes) -> None:
    server, _, _ = served
    answer = post(server, "/score", body)
    assert (answer.status, answer.header("x-ms-run-function-failed")) == (400, "False"), answer
    assert len(reason(answer)) > 10


def test_an_unknown_member_is_named(served: tuple[Server, str, Any]) -> None:
    server, member, rows = served
    answer = post(server, "/score", json.dumps({member: rows, "metod": "predict"}).encode())
    assert answer.status == 400
    assert "metod" in reason(answer)


def test_a_tensor_of_another_width_is_the_clients_fault(served: tuple[Server, str, Any]) -> None:
    server, _, _ = served
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.0]}
    answer = post(server, "/v2/models/rows/infer", json.dumps({"inputs": [tensor]}).encode())
    assert (answer.status, list(json.loads(answer.body))) == (400, ["error"])
