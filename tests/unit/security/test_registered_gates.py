"""Registered models at the gates: read where their layers are here, or where nothing vouches for them."""

from __future__ import annotations

import io
import tarfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import Event, Notice, ignore_event
from modelcrate.pipeline.register_model import Registration, register
from modelcrate.project.values import Gates, Project, RegisteredModel
from modelcrate.security.scan.guard import VERSION, pass_gates
from modelcrate.transports.connections import Connections
from modelcrate.workspace.find import get_model, open_layers
from modelcrate.workspace.opening import open_workspace
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Layer
from support.pickles import EVIL

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MODEL = RegisteredModel("m", 1)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def registered(folder: Path, config: Config, data: bytes, emit: object = ignore_event) -> tuple[ReadyLayer, ...]:
    path = folder / "m.pkl"
    path.write_bytes(data)
    backend = open_workspace(str(folder / "workspace"), Connections(config))
    register(backend, Registration("m", path), config, NOON, emit)  # type: ignore[arg-type]
    return open_layers(backend, get_model(backend, "m", 1))


def gate(layers: tuple[ReadyLayer, ...], config: Config, gates: Gates = Gates()) -> tuple[str, ...]:  # noqa: B008
    project = Project("demo", None, models=(MODEL,), gates=gates)
    return pass_gates(project, config.home, (), config, {MODEL: layers}).warned


def away(layers: tuple[ReadyLayer, ...], gates: int) -> tuple[ReadyLayer, ...]:
    """The same layers in a registry that has to be asked for every byte."""

    class Far:
        descriptor = layers[0].layer.descriptor

        def chunks(self, start: int = 0) -> object:
            raise AssertionError("read")

    return tuple(ReadyLayer("model", each.name, each.layer, Far(), gates) for each in layers)  # type: ignore[arg-type]


def test_a_hostile_model_is_told_when_it_is_registered_and_refused_when_it_is_packaged(
    tmp_path: Path, config: Config
) -> None:
    told: list[Event] = []
    layers = registered(tmp_path, config, EVIL, told.append)
    assert any(isinstance(each, Notice) and "run code" in each.text for each in told)
    assert {each.gates for each in layers} == {0}
    for _ in range(2):
        with pytest.raises(SourceError, match="would run code") as caught:
            gate(layers, config)
        assert caught.value.where == "m:1/m.pkl"
    assert gate(layers, config, Gates(unsafe_pickle="allow")) == ()


def test_a_model_in_a_registry_is_read_unless_it_passed_these_gates(tmp_path: Path, config: Config) -> None:
    layers = registered(tmp_path, config, b"N.")
    assert {each.gates for each in layers} == {VERSION}
    assert gate(layers, config) == ()
    assert gate(away(layers, VERSION), config) == ()
    for version in (0, VERSION - 1):
        other = Config(tmp_path / f"other {version}", {})
        with pytest.raises(AssertionError, match="read"):
            gate(away(layers, version), other)


def test_what_was_read_once_is_not_read_again(tmp_path: Path, config: Config) -> None:
    layers = registered(tmp_path, config, b"N.")
    gate(layers, config)
    assert gate(away(layers, 0), config) == ()


def test_what_was_read_when_it_was_registered_here_is_not_read_again_under_the_same_gates(
    tmp_path: Path, config: Config
) -> None:
    backend = open_workspace(str(tmp_path / "workspace"), Connections(config))
    path = tmp_path / "m.pkl"
    path.write_bytes(b"N.")
    time.sleep(0.2)  # from then on another write would show
    register(backend, Registration("m", path), config, NOON, ignore_event)
    layers = away(open_layers(backend, get_model(backend, "m", 1)), 0)
    assert gate(layers, config) == ()
    for gates, place in ((Gates(secrets="warn"), config), (Gates(), Config(tmp_path / "elsewhere", {}))):
        with pytest.raises(AssertionError, match="read"):
            gate(layers, place, gates)


def test_what_is_refused_in_a_build_is_not_remembered_when_it_is_registered(tmp_path: Path, config: Config) -> None:
    backend = open_workspace(str(tmp_path / "workspace"), Connections(config))
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "m.pkl").write_bytes(b"N.")
    (tmp_path / "m" / "latest").symlink_to("m.pkl")
    time.sleep(0.2)
    register(backend, Registration("m", tmp_path / "m"), config, NOON, ignore_event)
    with pytest.raises(IntegrityError, match="no file of the model's folder"):
        gate(open_layers(backend, get_model(backend, "m", 1)), config)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("usr/bin/python3", tarfile.REGTYPE),
        ("var/azureml-app/azureml-models/m/1/../../../x", tarfile.REGTYPE),
        ("var/azureml-app/azureml-models/m/10/x", tarfile.REGTYPE),
        ("var/azureml-app/azureml-models/m/1", tarfile.REGTYPE),
        ("var/azureml-app/azureml-models/m/1/x", tarfile.SYMTYPE),
        ("etc", tarfile.DIRTYPE),
    ],
)
def test_a_layer_with_more_than_its_models_files_is_refused(
    name: str, kind: bytes, tmp_path: Path, config: Config
) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type = kind
        info.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        archive.addfile(info)
    data = out.getvalue()
    blob = Literal(data, MediaType.LAYER)
    layer = Layer(Descriptor(MediaType.LAYER, Digest.of(data), len(data)), Digest.of(data), len(data), codec.NONE, ())
    with pytest.raises((IntegrityError, CrateError)) as caught:
        gate((ReadyLayer("model", "m", layer, blob),), config)
    assert "m:1" in caught.value.where
