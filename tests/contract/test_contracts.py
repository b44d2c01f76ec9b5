"""What every contract with a platform promises (`Contract`), whichever file it stands in, and whether the server keeps it."""

from __future__ import annotations

import ast
import json
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.cli import main
from modelcrate.inspect.conformance import Target, check_contracts
from modelcrate.project.contracts import Contract, Route, contract, contracts, promise
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_server import platforms
from support.platforms import ALL, HTTP, PREDICTS, ROWS, SCRIPTS, SUMS, serving
from support.ports import free_port
from support.serving import Ask, Server
from support.wsgi import app_of


@pytest.fixture(params=sorted(contracts()))
def found(request: pytest.FixtureRequest) -> Contract:
    return contract(request.param)


def test_there_is_one_contract_a_name_and_each_is_found_by_its_file() -> None:
    assert set(contracts()) == set(ALL)
    assert {module.name.replace("_", "-") for module in pkgutil.iter_modules(platforms.__path__)} == set(ALL)
    assert all(platform.name == name for name, platform in platforms.platforms().items())


def test_an_unknown_contract_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match="unknown contract 'nothing'") as refused:
        contract("nothing")
    assert "azureml" in refused.value.hint


def test_it_says_where_it_listens_and_what_it_answers(found: Contract) -> None:
    assert 0 < found.port < 65536
    assert found.health in found.routes
    assert len(set(found.routes)) == len(found.routes)
    assert all(route.path.startswith("/") and route.method.isupper() for route in found.routes)
    assert any(route.method == "POST" for route in found.routes)


def test_it_says_how_it_is_started(found: Contract) -> None:
    promised = promise([found.name])
    assert promised.argv[0].startswith("/")
    assert promised.working_dir.startswith("/")
    port_of_grpc = platforms.platform(found.name).grpc_port
    assert promised.ports == (found.port, *([port_of_grpc] if port_of_grpc else []))
    names = [name for name, _ in promised.env]
    assert names == sorted(set(names))


def test_its_files_make_a_valid_layer_and_compile(found: Contract) -> None:
    files = promise([found.name]).files
    names = [name for name, _ in files]
    assert names == sorted(set(names))
    assert ServerLayer(files).tree().entries
    for name, data in files:
        if name.endswith((".html", ".css", ".js")):
            continue
        assert name.endswith(".py") or data.startswith(b"#!")
        ast.parse(data, name, feature_version=(3, 9))


def test_its_files_are_the_same_every_time(found: Contract) -> None:
    assert promise([found.name]).files == promise([found.name]).files
    assert not [name for name, _ in promise([found.name]).files if "__pycache__" in name]


def test_all_contracts_go_into_one_image() -> None:
    promised = promise(ALL)
    assert promised.ports == (5001, 8080, 8081)
    assert dict(promised.env)["MODELCRATE_CONTRACTS"] == ",".join(ALL)


def test_azure_alone_is_what_it_was() -> None:
    assert "MODELCRATE_CONTRACTS" not in dict(promise().env)
    assert not promise().path
    assert not [name for name, data in promise().files if data.startswith(b"#!")]


@pytest.fixture(scope="module", params=sorted(SCRIPTS))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All contracts at once, served for one sort of entry script."""
    with serving(tmp_path_factory.mktemp(request.param), SCRIPTS[request.param]) as started:
        yield started


@pytest.fixture
def target(server: Server) -> Target:
    return Target(f"http://127.0.0.1:{server.port}", "rows", ROWS)


def test_its_conformance_requests_are_answered_as_it_says(found: Contract, target: Target) -> None:
    verdicts = check_contracts(target, [found.name])
    platform = platforms.platform(found.name)
    not_sent = ["gRPC"] if platform.grpc_port else []
    assert [verdict.route for verdict in verdicts if verdict.ok is not True] == not_sent
    assert len(verdicts) == len(platform.checks) + len(not_sent) > 2


def test_instances_get_their_predictions(found: Contract, server: Server) -> None:
    path, asked, told = PREDICTS[found.name]
    answer = server.ask(Ask("POST", path, json.dumps(asked).encode(), [("Content-Type", "application/json")]))
    assert (answer.status, told(json.loads(answer.body))) == (200, SUMS), answer.body


HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"\xff\xfe",
    b"[" * 5000,
    b'{"instances": 5, "inputs": 5, "parameters": 5}',
    b'{"inputs": [{"name": "x"}]}',
    b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [99999999999], "data": [1]}]}',
    b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1], "data": [1]}]}',
    b'{"inputs": [{"name": "x", "datatype": "INT8", "shape": [1], "data": [300]}]}',
    b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [NaN]}]}',
    b'{"dataframe_split": {"columns": [1, 2], "data": [[1], [2, 3]]}}',
    b'{"dataframe_records": [1, 2]}',
    b'{"instances": [["a", "b"]]}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:40]))
def test_a_body_that_is_none_is_refused_and_the_server_lives_on(found: Contract, server: Server, body: bytes) -> None:
    for route in found.routes:
        if route.method == "POST":
            path = route.path.replace("{model}", "rows").replace("{version}", "1")
            answer = server.ask(Ask("POST", path, body, [("Content-Type", "application/json")]))
            assert 400 <= answer.status < 501 or (
                answer.status == 200 and (path.endswith("index") or path.startswith("/inference.") or body in LENIENT)
            )
    assert server.ask(Ask("GET", found.health.path)).status == 200


LENIENT = {b"[]", b'{"instances": [["a", "b"]]}', b'{"dataframe_records": [1, 2]}'}
"""What some script can make something of."""


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_no_other_method_is_answered(found: Contract, server: Server, method: str) -> None:
    for route in found.routes:
        path = route.path.replace("{model}", "rows").replace("{version}", "1")
        answer = server.ask(Ask(method, path))
        assert (answer.status, answer.header("Content-Type")) == (405, "application/json")
        assert isinstance(json.loads(answer.body), dict)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """Servers with one contract each."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(serving(tmp_path_factory.mktemp(name), SCRIPTS["text"], contracts=(name,)))
            for name in ("azureml", "vertex")
        }


def test_a_server_without_the_contract_is_found_out(found: Contract, others: dict[str, Server]) -> None:
    server = others["vertex" if found.name == "azureml" else "azureml"]
    verdicts = check_contracts(Target(f"http://127.0.0.1:{server.port}", "rows", ROWS), [found.name])
    assert sum(verdict.ok is False for verdict in verdicts) >= len(verdicts) / 2
    assert next(each for each in reversed(verdicts) if each.ok is not None).ok is False  # a prediction


def test_what_lacks_is_said_and_not_counted(target: Target) -> None:
    verdicts = check_contracts(replace(target, model="", instances=None), ["kserve"])
    assert {verdict.ok for verdict in verdicts} == {True, None}  # the model is listed, the instances are not
    assert [verdict.came for verdict in verdicts if verdict.ok is None] == ["not sent: give rows with --instances"]


def test_what_answers_is_recognised(target: Target) -> None:
    assert {verdict.contract for verdict in check_contracts(target)} == set(HTTP)


@pytest.mark.parametrize(
    "url", ["", "ftp://127.0.0.1", "http://", "http://a:b@127.0.0.1", "http://x:port", "http://x/?a=b", "http://x\n"]
)
def test_what_is_no_address_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="URL"):
        check_contracts(Target(url))


def test_where_nobody_answers_or_nothing_is_recognised_it_says_so(others: dict[str, Server]) -> None:
    with pytest.raises(RegistryError, match="no server answers"):
        check_contracts(Target(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(RegistryError, match="no contract is recognised"):
        check_contracts(Target(f"http://127.0.0.1:{others['vertex'].port}/below"))
    with pytest.raises(UserError, match="unknown contract 'oips'"):
        check_contracts(Target(f"http://127.0.0.1:{others['vertex'].port}"), ["oips"])


TOY = """
from modelcrate_server.response import Response, error
from modelcrate_server.platforms import Check, Platform, Route

def answer(service, request, names):
    return Response(f"toy {names['what']}")

PLATFORM = Platform(
    name="toy",
    port=7777,
    port_variables=(),
    health="/toy/health",
    routes=lambda environ: [Route(("GET",), "/toy/{what}", answer)],
    error=error,
    checks=(Check("it is well", "GET", "/toy/health"),),
)
"""


def test_adding_a_contract_takes_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(platforms, "__path__", [*platforms.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{platforms.__name__}.toy", raising=False)
    assert set(contracts()) == {*ALL, "toy"}
    assert contract("toy").routes == (Route("GET", "/toy/{what}"),)
    assert promise(["azureml", "toy"]).ports == (5001, 7777)
    ask = app_of(tmp_path, MODELCRATE_CONTRACTS="azureml,toy")
    assert ask("GET", "/toy/story").body == b"toy story"
    monkeypatch.undo()
    sys.modules.pop(f"{platforms.__name__}.toy", None)


@pytest.mark.parametrize("words", [["--timeout", "0"], ["--timeout", "nan"], ["--instances", "{}"], ["--offline"]])
def test_wrong_words_of_the_check_are_refused(
    words: list[str], others: dict[str, Server], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract", "check", f"http://127.0.0.1:{others['vertex'].port}", *words]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_table_tells_each_request(others: dict[str, Server], capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{others['vertex'].port}"
    assert main(["contract", "check", url, "--instances", "[[1, 2]]"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split() == ["CONTRACT", "ROUTE", "WHAT", "EXPECTED", "CAME", "OK"]
    assert len(lines) == 1 + len(platforms.platforms()["vertex"].checks)
    assert all(line.endswith("ok") for line in lines[1:])
    assert main(["contract", "check", url, "--contract", "mlflow"]) == 5
    assert "404, another status" in capsys.readouterr().out
