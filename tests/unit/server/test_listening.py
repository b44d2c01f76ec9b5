"""Ports, mounts and variables: what platforms decide about the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.project.contracts import promise
from modelcrate_server.arguments import environment_of
from modelcrate_server.listening import mention_ignored, mounted_model, ports
from modelcrate_server.platforms import UnknownPlatformError, chosen
from modelcrate_server.settings import read_settings
from modelcrate_server.variables import SettingsError
from support.platforms import ALL
from support.wsgi import app_of


def listening(contracts: str, *argv: str, **env: str) -> tuple[int, ...]:
    environ = environment_of(argv, {"MODELCRATE_CONTRACTS": contracts, "AML_APP_ROOT": "/nonexistent", **env})
    return ports(chosen(environ), read_settings(environ).process, environ)


@pytest.mark.parametrize(
    ("contracts", "env", "wanted"),
    [
        ("", {}, (5001,)),
        ("azureml", {"PORT": "1", "AIP_HTTP_PORT": "2"}, (5001,)),
        ("azureml,oip,mlflow", {}, (5001, 8080)),
        ("vertex", {"AIP_HTTP_PORT": "9000"}, (9000,)),
        ("sagemaker,vertex", {"SAGEMAKER_BIND_TO_PORT": "9001"}, (9001, 8080)),
        ("kserve, oip", {"PORT": "9002"}, (9002,)),
        ("azureml,oip", {"SERVER_PORT": "1"}, (5001, 8080)),
        ("azureml", {"SEPERATE_HEALTH_ENDPOINT": "true"}, (5001, 5000)),
        ("oip,azureml", {"MODELCRATE_PORT": "7"}, (7,)),
    ],
)
def test_each_platform_has_its_port_and_each_port_is_there_once(
    contracts: str, env: dict[str, str], wanted: tuple[int, ...]
) -> None:
    assert listening(contracts, **env) == wanted


def test_a_port_that_is_said_by_hand_is_the_only_one() -> None:
    assert listening("azureml,oip", "serve", "--port", "7000") == (7000,)


@pytest.mark.parametrize("port", ["x", "0", "70000"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(SettingsError):
        listening("vertex", AIP_HTTP_PORT=port)


def test_serve_is_the_one_word_that_may_be_said() -> None:
    assert environment_of(["serve"], {})["SERVER_PORT"] == "5001"
    with pytest.raises(SystemExit) as ended:
        environment_of(["train"], {})
    assert ended.value.code == 1


def test_a_contract_that_there_is_not_is_named() -> None:
    with pytest.raises(UnknownPlatformError, match="nothing"):
        chosen({"MODELCRATE_CONTRACTS": "azureml,nothing"})


def test_a_mounted_model_is_taken_where_there_is_one(tmp_path: Path) -> None:
    (platform,) = (
        each._replace(model_folder=str(tmp_path / "model")) for each in chosen({"MODELCRATE_CONTRACTS": "oip"})
    )
    assert mounted_model([platform]) == ""
    (tmp_path / "model").mkdir()
    assert mounted_model([platform]) == "", "an empty folder is no model"
    (tmp_path / "model/weights").touch()
    assert mounted_model([platform]) == str(tmp_path / "model")


def test_a_variable_without_effect_gets_a_word(caplog: pytest.LogCaptureFixture) -> None:
    mention_ignored(chosen({"MODELCRATE_CONTRACTS": "vertex"}), {"AIP_STORAGE_URI": "gs://bucket"})
    assert ["AIP_STORAGE_URI" in text for text in caplog.messages] == [True]


def test_vertex_chooses_its_paths(tmp_path: Path) -> None:
    routes = {"AIP_HEALTH_ROUTE": "/v1/endpoints/7", "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict"}
    ask = app_of(tmp_path, MODELCRATE_CONTRACTS="vertex,kserve", **routes)
    assert ask("GET", "/v1/endpoints/7").status == 200
    assert ask("POST", "/v1/endpoints/7:predict", '{"instances": [1]}').status == 200
    assert ask("GET", "/health").status == 404


def test_where_a_protocol_fixes_the_body_it_goes_before_one_that_does_not(tmp_path: Path) -> None:
    for order in ("sagemaker,mlflow", "mlflow,sagemaker"):
        ask = app_of(tmp_path, MODELCRATE_CONTRACTS=order)
        assert b"predictions" in ask("POST", "/invocations", '{"instances": [1]}', Content_Type="application/json").body


def test_platforms_that_start_a_program_find_it_on_the_path() -> None:
    promised = promise(ALL)
    name, data = next((name, data) for name, data in promised.files if data.startswith(b"#!"))
    assert f"/{name}" == f"{promised.path[0]}/serve"
    assert data.startswith(b"#!/opt/modelcrate/bin/python\n")
