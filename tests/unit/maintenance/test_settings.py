from __future__ import annotations

from typing import Any

from modelcrate.maintenance.settings import move_settings
from modelcrate_layers.content import Digest

IDS = [Digest.of(bytes([number])) for number in range(3)]
OLD = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["PATH=/usr/local/bin:/usr/bin", "LANG=C.UTF-8", "PYTHON_VERSION=3.11.2", "GONE=1"],
        "Cmd": ["python3"],
        "Labels": {"vendor": "old", "kept": "yes"},
        "User": "",
        "WorkingDir": "/",
    },
    "history": [{"created_by": "old base"}],
}
NEW = {
    "architecture": "amd64",
    "os": "linux",
    "author": "them",
    "config": {
        "Env": ["PATH=/usr/local/bin:/usr/bin:/opt/bin", "LANG=C", "PYTHON_VERSION=3.11.9", "FRESH=1"],
        "Cmd": ["python3", "-q"],
        "Labels": {"vendor": "new"},
        "StopSignal": "SIGINT",
    },
    "history": [{"created_by": "new base"}, {"created_by": "nothing", "empty_layer": True}, {"created_by": "more"}],
}
OWN: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "1980-01-01T00:00:01Z",
    "config": {
        "Env": [
            "PATH=/opt/mc/bin:/usr/local/bin:/usr/bin",
            "LANG=C.UTF-8",
            "PYTHON_VERSION=3.11.2",
            "GONE=1",
            "MINE=2",
        ],
        "Entrypoint": ["/opt/mc/bin/python", "-m", "server"],
        "Labels": {"vendor": "old", "kept": "yes", "own": "1"},
        "User": "1000",
        "WorkingDir": "/app",
        "ExposedPorts": {"5001/tcp": {}},
    },
    "history": [{"created_by": "old base"}, {"created_by": "modelcrate: model"}],
}


def moved(old: dict[str, Any] | None = OLD) -> dict[str, Any]:
    return move_settings(OWN, old, NEW, IDS, (1, 2))


def test_what_the_image_set_stays_and_the_rest_is_the_new_bases() -> None:
    settings = moved()["config"]
    assert settings["Env"] == [
        "PATH=/opt/mc/bin:/usr/local/bin:/usr/bin:/opt/bin",
        "LANG=C",
        "PYTHON_VERSION=3.11.9",
        "FRESH=1",
        "MINE=2",
    ]
    assert settings["Entrypoint"] == OWN["config"]["Entrypoint"]
    assert "Cmd" not in settings, "the entry point has cleared it"
    assert settings["Labels"] == {"vendor": "new", "own": "1"}
    assert settings["ExposedPorts"] == {"5001/tcp": {}}
    assert (settings["User"], settings["WorkingDir"], settings["StopSignal"]) == ("1000", "/app", "SIGINT")


def test_the_rest_of_the_config() -> None:
    found = moved()
    assert found["rootfs"]["diff_ids"] == list(map(str, IDS))
    assert [step["created_by"] for step in found["history"]] == ["new base", "nothing", "more", "modelcrate: model"]
    assert (found["created"], found["author"]) == ("1980-01-01T00:00:01Z", "them")


def test_a_history_that_does_not_fit_is_a_line_for_each_layer() -> None:
    own = {**OWN, "history": []}
    assert [each["created_by"] for each in move_settings(own, OLD, NEW, IDS, (1, 2))["history"]] == [
        "new base",
        "nothing",
        "more",
        "layer",
    ]


def test_without_the_old_bases_settings_all_are_the_images_own() -> None:
    settings = moved(None)["config"]
    assert {"LANG=C.UTF-8", "PYTHON_VERSION=3.11.2", "GONE=1", "FRESH=1"} <= set(settings["Env"])
    assert settings["Labels"] == {"vendor": "old", "kept": "yes", "own": "1"}


def test_an_image_that_set_nothing_has_what_the_new_base_has() -> None:
    own = {**OLD, "created": OWN["created"]}
    assert move_settings(own, OLD, NEW, IDS[:2], (1, 2))["config"] == NEW["config"]
