"""The demo for every platform at once: one image, one process, asked as each platform asks, and as nobody should."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from modelcrate.inspect.conformance import Target, send_request
from support.demo import REQUEST, Built, build_places, copy_of_demo
from support.platforms import ALL
from support.shared_command import Modelcrate
from support.validator import assert_valid_layout
from support.waiting import HANG

pytestmark = pytest.mark.network

HTTP = [name for name in ALL if name != "oip-grpc"]
"""The contracts that are asked over HTTP. The other adds grpcio to the packages; `interop/test_other_servers.py` asks an image over gRPC."""

ROWS = json.loads(REQUEST)["data"]
PREDICTED = [6783.288837469616, 4073.0497773702928]
NAME = "sklearn-regression-model"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate, demo: Built) -> Built:
    folder = tmp_path_factory.mktemp("platforms")
    project = copy_of_demo(folder / "project", contracts=f"[{', '.join(HTTP)}]")
    made = build_places(project, folder, modelcrate, [f"oci:{folder}/oci:1"])
    assert_valid_layout(made.layout)
    return made


@pytest.fixture(scope="module")
def ports(built: Built) -> Iterator[Mapping[str, int]]:
    """The container's ports, started as SageMaker does, read-only, and as nobody that the image knows."""
    anybody = ("--user", "123456:0") if os.geteuid() == 0 else ()
    published = ("-p", "0:5001", "-p", "0:8080")
    image = f"oci:{built.layout}:1"
    started = built.modelcrate.json(
        "run", "-d", "--name", "platforms", *published, "--read-only", *anybody, image, "serve"
    )
    try:
        yield started["ports"]
    finally:
        ended = built.modelcrate.json("stop", "--rm", "platforms")
    assert ended == [{"name": "platforms", "exit_code": 0}]


@pytest.fixture
def target(ports: Mapping[str, int]) -> Target:
    return Target(f"http://127.0.0.1:{ports['8080']}")


def test_only_the_servers_layer_is_another_than_the_demos(built: Built, demo: Built) -> None:
    ours, plain = ({layer["digest"]: layer["role"] for layer in each.receipt["layers"]} for each in (built, demo))
    assert [ours[each] for each in ours.keys() - plain.keys()] == ["server"]
    assert [plain[each] for each in plain.keys() - ours.keys()] == ["server"]


@pytest.mark.parametrize("port", ["5001", "8080"])
def test_every_contract_is_kept_at_both_ports(built: Built, ports: Mapping[str, int], port: str) -> None:
    url = f"http://127.0.0.1:{ports[port]}"
    said = built.modelcrate.said("contract", "check", "--json", url, "--instances", json.dumps(ROWS))
    verdicts = json.loads(said)
    assert {verdict["contract"] for verdict in verdicts} == set(HTTP)
    assert [verdict for verdict in verdicts if verdict["ok"] is not True] == []


_TENSOR = {"name": "data", "datatype": "FP64", "shape": [2, 10], "data": [value for row in ROWS for value in row]}


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/score", {"data": ROWS}, []),
        ("/invocations", {"instances": ROWS}, ["predictions"]),
        ("/predict", {"instances": ROWS}, ["predictions"]),
        (f"/v1/models/{NAME}:predict", {"instances": ROWS}, ["predictions"]),
        (f"/v2/models/{NAME}/versions/1/infer", {"inputs": [_TENSOR]}, ["outputs", 0, "data"]),
        ("/invocations", {"dataframe_split": {"data": ROWS}}, ["predictions"]),
    ],
)
def test_every_platform_gets_what_scikit_learn_predicts(target: Target, path: str, body: Any, where: list[Any]) -> None:
    answer = send_request(target, "POST", path, json.dumps(body).encode())
    told = json.loads(answer.body)
    for step in where:
        told = told[step]
    assert (answer.status, told) == (200, pytest.approx(PREDICTED, rel=1e-9, abs=0))


def test_csv_is_scored_as_mlflow_does(target: Target) -> None:
    lines = [",".join("abcdefghij"), *(",".join(map(str, row)) for row in ROWS)]
    answer = send_request(target, "POST", "/invocations", "\n".join(lines).encode(), "text/csv")
    assert json.loads(answer.body)["predictions"] == pytest.approx(PREDICTED, rel=1e-9, abs=0)


def test_the_check_tells_a_container_that_lacks_a_contract(built: Built, ports: Mapping[str, int]) -> None:
    url = f"http://127.0.0.1:{ports['8080']}/nowhere"
    done = built.modelcrate.run("contract", "check", url, "--contract", "kserve", "--model", "x")
    assert done.returncode == 5
    assert "WRONG" in done.stdout
    assert "404, another status" in done.stdout


def test_the_check_says_when_nobody_answers(built: Built, target: Target) -> None:
    done = built.modelcrate.run("contract", "check", "http://127.0.0.1:1")
    assert done.returncode == 4
    assert "no server answers" in done.stderr
    for words in (["ftp://x"], [target.url, "--contract", "kserv"], [target.url, "--instances", "{"]):
        assert built.modelcrate.run("contract", "check", *words).returncode == 2


@pytest.mark.parametrize("path", ["/invocations", "/predict", f"/v1/models/{NAME}:predict", f"/v2/models/{NAME}/infer"])
def test_rows_of_another_width_are_an_error_and_the_server_lives_on(target: Target, path: str) -> None:
    short = {"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    body = {"inputs": [short]} if path.startswith("/v2") else {"instances": [[1, 2]]}
    answer = send_request(target, "POST", path, json.dumps(body).encode())
    assert answer.status == (
        400 if path == "/invocations" else 500
    )  # MLflow takes a model's refusal for the client's fault
    assert b"features" not in answer.body, "what the script's exception says stays in the log"
    assert send_request(replace(target, timeout=HANG), "GET", "/ping").status == 200
