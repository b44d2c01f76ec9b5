"""The environment, the config file and the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate_server.arguments import environment_of
from modelcrate_server.settings import Process, read_settings
from modelcrate_server.startup import _mention
from modelcrate_server.variables import SettingsError


def test_defaults(tmp_path: Path) -> None:
    settings = read_settings({"AML_APP_ROOT": str(tmp_path)})
    assert settings.process == Process("0.0.0.0", 5001, None, 1, 300, 30, False)
    assert settings.scoring_timeout_ms == 3_600_000
    assert (settings.service.name, settings.service.version, settings.service.path_prefix) == ("ML service", "1.0", "")
    assert not any((settings.departures.encode_numpy, settings.departures.bad_input_is_400, settings.departures.probes))
    assert settings.version_header.startswith("modelcrate/")


def test_a_variable_wins_over_the_config_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"SERVICE_NAME": "file", "SCORING_TIMEOUT_MS": 5, "WORKSPACE": 1}))
    settings = read_settings({"AML_APP_ROOT": str(tmp_path), "SERVICE_NAME": "variable"})
    assert (settings.service.name, settings.scoring_timeout_ms) == ("variable", 5)
    assert settings.unknown_keys == ("WORKSPACE",)


def test_the_named_config_file_comes_first_then_the_root_then_beside_the_script(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    beside, root, named = tmp_path / "src/config.json", tmp_path / "config.json", tmp_path / "named.json"
    env = {"AML_APP_ROOT": str(tmp_path), "AZUREML_ENTRY_SCRIPT": str(tmp_path / "src/score.py")}
    for path in (beside, root, named):
        path.write_text(json.dumps({"SERVICE_NAME": path.name + path.parent.name}))
        env["AZUREML_CONFIG_FILE"] = str(named)
        assert read_settings(env).service.name == path.name + path.parent.name
    named.write_text("")
    assert read_settings(env).service.name == root.name + root.parent.name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCORING_TIMEOUT_MS", "soon"),
        ("SCORING_TIMEOUT_MS", "-1"),
        ("WORKER_COUNT", "0"),
        ("WORKER_TIMEOUT", "x"),
        ("SERVER_PORT", "70000"),
        ("AZUREML_LOG_LEVEL", "loud"),
        ("MODELCRATE_MAX_BODY_BYTES", "1MB"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({"AML_APP_ROOT": str(tmp_path), name: value})


@pytest.mark.parametrize("text", ["{", "[1]", '"x"'])
def test_a_config_file_that_is_no_object_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(SettingsError, match=r"config\.json"):
        read_settings({"AML_APP_ROOT": str(tmp_path)})


def test_the_health_port_is_separate_on_demand_only(tmp_path: Path) -> None:
    env = {"AML_APP_ROOT": str(tmp_path), "HEALTH_PORT": "6000"}
    assert read_settings(env).process.health_port is None
    assert read_settings({**env, "SEPERATE_HEALTH_ENDPOINT": "true"}).process.health_port == 6000


def test_switched_off_the_version_is_the_one_from_outside(tmp_path: Path) -> None:
    env = {"SERVER_VERSION_LOG_RESPONSE_ENABLED": "no", "HTTP_X_MS_SERVER_VERSION": "theirs/1"}
    assert read_settings({"AML_APP_ROOT": str(tmp_path), **env}).version_header == "theirs/1"


@pytest.mark.parametrize("name", ["AML_APP_INSIGHTS_ENABLED", "AML_MODEL_DC_STORAGE_ENABLED"])
def test_telemetry_is_noticed_not_sent(tmp_path: Path, name: str) -> None:
    assert read_settings({"AML_APP_ROOT": str(tmp_path), name: "true"}).telemetry_wanted


def test_what_telemetry_wanted_is_answered_with_what_to_use_instead(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _mention(read_settings({"AML_APP_ROOT": str(tmp_path), "AML_APP_INSIGHTS_ENABLED": "true"}))
    for instead in ("OTEL_EXPORTER_OTLP_ENDPOINT", "MODELCRATE_METRICS=true", "azureml-monitoring", "server: azureml"):
        assert instead in caplog.text


def test_what_only_telemetry_would_tell_is_accepted_and_changes_nothing(tmp_path: Path) -> None:
    bare = {"AML_APP_ROOT": str(tmp_path)}
    (tmp_path / "config.json").write_text('{"WORKSPACE_NAME": "ws", "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "false"}')
    given = {"AML_APP_INSIGHTS_KEY": "0b4c7a4e-5a4f-4d6c-8a0b-1f2e3d4c5b6a", "WORKSPACE_NAME": "ws"}
    found = read_settings({**bare, **given, "APP_INSIGHTS_LOG_RESPONSE_ENABLED": "false"})
    assert found.unknown_keys == ()
    (tmp_path / "config.json").unlink()
    plain = read_settings(bare)
    assert replace(found, variables=plain.variables) == plain


def test_options_become_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    argv = ["--entry_script", "score.py", "--model_dir", "m", "--worker_count", "2", "--health_port", "1"]
    env = environment_of([*argv, "--access_control_allow_origins", "a,b", "--config_file", "c.json"], {"X": "1"})
    assert env == {
        "X": "1",
        "AML_APP_ROOT": str(tmp_path),
        "AML_CORS_ORIGINS": "a,b",
        "AZUREML_CONFIG_FILE": str(tmp_path / "c.json"),
        "AZUREML_ENTRY_SCRIPT": str(tmp_path / "score.py"),
        "AZUREML_MODEL_DIR": "m",
        "HEALTH_PORT": "1",
        "SERVER_PORT": "5001",
        "WORKER_COUNT": "2",
    }


def test_the_environments_port_does_not_move_the_server() -> None:
    assert environment_of([], {"SERVER_PORT": "80"})["SERVER_PORT"] == "5001"
    assert environment_of(["--port", "81"], {"SERVER_PORT": "80"})["SERVER_PORT"] == "81"


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "x"], ["--worker_count", "0"], ["--nonsense"]])
def test_a_wrong_command_line_exits_with_1_and_the_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        environment_of(argv, {})
    assert ended.value.code == 1
    assert "usage:" in capsys.readouterr().out
