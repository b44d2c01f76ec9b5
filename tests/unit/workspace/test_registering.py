"""Registered models in a folder and in docker-registry: the same rules, the same answers (row 1)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.modelpack import ARTIFACT, CONFIG
from modelcrate.pipeline.register_model import Registration, change, register
from modelcrate.transports.connections import Connections
from modelcrate.workspace.backend import WorkspaceBackend, format_tag
from modelcrate.workspace.download import download
from modelcrate.workspace.find import ModelQuery, get_model, list_models, open_layers
from modelcrate.workspace.manifest import read_config_descriptor
from modelcrate.workspace.opening import open_workspace
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError, SourceError, UserError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.reader import read_tar

Put = Callable[..., ModelRecord]


def names_in(backend: WorkspaceBackend, record: ModelRecord) -> list[str]:
    """The files of a model below its version, as its layers have them."""
    under = f"var/azureml-app/azureml-models/{record.name}/{record.version}/"
    members = [m for layer in open_layers(backend, record) for m in read_tar(codec.decode(layer.blob.chunks()))]
    return [m.name.decode().removeprefix(under) for m in members if m.kind.name == "FILE"]


def test_versions_count_from_one_by_name(put: Put) -> None:
    assert [put("a").id, put("a").id, put("b").id, put("a.1").id, put("a").id] == ["a:1", "a:2", "b:1", "a.1:1", "a:3"]


def test_a_model_is_found_by_name_version_and_as_the_latest(backend: WorkspaceBackend, put: Put) -> None:
    first, second = put(data=b"one"), put(data=b"two", tags={"kind": "flower"}, description="leaves")
    assert get_model(backend, "iris", 1) == first
    assert get_model(backend, "iris") == second
    assert second.description == "leaves"


def test_models_are_listed_by_tags_properties_and_framework(backend: WorkspaceBackend, put: Put) -> None:
    put("a", tags={"area": "x", "stage": "old"}, framework="Onnx")
    put("a", tags={"area": "x"}, properties={"run": "7"})
    put("b", tags={"area": "y"})
    found = {
        "all": ModelQuery(),
        "latest": ModelQuery(latest=True),
        "key": ModelQuery(tags={"stage": None}),
        "value": ModelQuery(tags={"area": "x"}),
        "latest with": ModelQuery(tags={"stage": None}, latest=True),
        "property": ModelQuery(properties={"run": "7"}),
        "framework": ModelQuery(framework="Onnx"),
        "name": ModelQuery("b"),
    }
    assert {key: [each.id for each in list_models(backend, wanted)] for key, wanted in found.items()} == {
        "all": ["a:2", "a:1", "b:1"],
        "latest": ["a:2", "b:1"],
        "key": ["a:1"],
        "value": ["a:2", "a:1"],
        "latest with": ["a:1"],
        "property": ["a:2"],
        "framework": ["a:1"],
        "name": ["b:1"],
    }


def test_tags_change_properties_only_grow_and_the_bytes_stay(backend: WorkspaceBackend, put: Put) -> None:
    record = put(tags={"a": "1", "b": "2"}, properties={"made": "here"})
    change(backend, record.tagged({"c": "3"}, ("a",)).with_properties({"more": "x", "made": "here"}), ignore_event)
    now = get_model(backend, "iris", 1)
    assert (now.tags, now.properties) == ({"b": "2", "c": "3"}, {"made": "here", "more": "x"})
    assert now.layers == record.layers
    with pytest.raises(UserError, match="properties"):
        record.with_properties({"made": "there"})
    with pytest.raises(UserError, match="no tag 'z'"):
        record.tagged({}, ("z",))


def test_a_file_keeps_its_base_name_and_a_folder_its_own_name(
    backend: WorkspaceBackend, put: Put, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a")
    (folder / "sub" / "b.bin").write_bytes(b"b")
    (folder / "sub" / "c.bin").write_bytes(b"c")
    assert names_in(backend, put("file")) == ["model.bin"]
    assert names_in(backend, put("whole", path=folder)) == ["net/a.bin", "net/sub/b.bin", "net/sub/c.bin"]
    assert names_in(backend, put("part", path=folder, children=("sub",))) == ["net/sub/b.bin", "net/sub/c.bin"]
    assert names_in(backend, put("one", path=folder, children=("a.bin", "sub/c.bin"))) == ["net/a.bin", "net/sub/c.bin"]


@pytest.mark.parametrize(
    ("name", "more", "error"),
    [
        ("-iris", {}, UserError),
        ("", {}, UserError),
        ("a/b", {}, UserError),
        ("a" * 256, {}, UserError),
        ("iris", {"framework_version": "1.0"}, UserError),
        ("iris", {"path": Path("nowhere.bin")}, SourceError),
        ("iris", {"children": ("x",)}, UserError),
        ("iris", {"tags": {"a": 1}}, UserError),
    ],
)
def test_what_breaks_a_rule_registers_nothing(
    backend: WorkspaceBackend, put: Put, name: str, more: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        put(name, **more)
    assert backend.tags() == []


@pytest.mark.parametrize("child", ["missing", "../files", "sub/../../files"])
def test_a_child_that_is_not_in_the_model_is_refused(put: Put, tmp_path: Path, child: str) -> None:
    (tmp_path / "net").mkdir()
    with pytest.raises(SourceError, match="child path"):
        put(path=tmp_path / "net", children=(child,))


def test_an_unknown_model_is_refused_with_what_there_is(backend: WorkspaceBackend, put: Put) -> None:
    put()
    with pytest.raises(SourceError, match="no model rose") as fault:
        get_model(backend, "rose")
    assert fault.value.why == "it has: iris"
    with pytest.raises(SourceError, match="no model iris of version 2") as fault:
        get_model(backend, "iris", 2)
    assert fault.value.why == "it has the versions 1"


def test_download_gives_the_files_back_and_overwrites_only_when_told(
    backend: WorkspaceBackend, put: Put, tmp_path: Path
) -> None:
    record = put(data=b"weights" * 1000)
    place = download(backend, record, tmp_path / "down")
    assert place == tmp_path / "down" / "model.bin"
    assert place.read_bytes() == b"weights" * 1000
    place.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        download(backend, record, tmp_path / "down")
    assert place.read_bytes() == b"mine"
    download(backend, record, tmp_path / "down", exist_ok=True)
    assert place.read_bytes() == b"weights" * 1000
    assert [each.name for each in (tmp_path / "down").iterdir()] == ["model.bin"]


def test_it_is_a_modelpack_artifact(backend: WorkspaceBackend, put: Put) -> None:
    record = put(framework="Onnx")
    manifest = json.loads(backend.manifest(format_tag("iris", 1)) or b"")
    assert manifest["artifactType"] == ARTIFACT
    assert manifest["config"]["mediaType"] == CONFIG
    assert manifest["layers"][0]["mediaType"].startswith("application/vnd.cncf.model.weight.v1.tar")
    layer = record.layers[0].layer
    assert manifest["layers"][0]["digest"] == str(layer.descriptor.digest)
    (ready,) = open_layers(backend, record)
    tar = b"".join(codec.decode(ready.blob.chunks()))
    assert Digest.of(tar) == layer.diff_id, "the layer is the tar of the image"


def test_registrations_at_once_get_versions_of_their_own(tmp_path: Path, settings: Config) -> None:
    """In a folder, where a lock holds; for a registry see the module's promise."""
    backend, file = open_workspace(str(tmp_path / "ws"), Connections(settings)), tmp_path / "m.bin"
    file.write_bytes(b"x")

    def work() -> None:
        register(backend, Registration("m", file), settings, datetime.now(UTC), ignore_event)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.version for each in list_models(backend, ModelQuery("m"))) == [1, 2, 3, 4, 5, 6, 7, 8]


class Stale:
    """A backend that somebody has read too early: the first listing lacks what was registered meanwhile."""

    def __init__(self, backend: WorkspaceBackend) -> None:
        self._backend, self._asked = backend, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def tags(self) -> list[str]:
        self._asked += 1
        return [] if self._asked == 1 else self._backend.tags()


def test_a_version_that_was_taken_meanwhile_is_left_alone(
    backend: WorkspaceBackend, put: Put, settings: Config, tmp_path: Path
) -> None:
    first = put(data=b"theirs")
    (tmp_path / "ours.bin").write_bytes(b"ours")
    wanted = Registration("iris", tmp_path / "ours.bin")
    record = register(cast("WorkspaceBackend", Stale(backend)), wanted, settings, datetime.now(UTC), ignore_event)
    assert record.version == 2
    assert get_model(backend, "iris", 1).layers[0].layer == first.layers[0].layer


def test_a_foreign_image_under_a_models_tag_is_refused(backend: WorkspaceBackend, put: Put, tmp_path: Path) -> None:
    put()
    manifest = backend.manifest(format_tag("iris", 1)) or b""
    with pytest.raises(IntegrityError, match="not a registered model"):
        read_config_descriptor(manifest.replace(ARTIFACT.encode(), b"application/x"), "here")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("ws", "FolderBackend"),
        ("./a.b/ws", "FolderBackend"),
        ("folder:a.b/ws", "FolderBackend"),
        ("a.example/ws", "RegistryBackend"),
        ("localhost/ws", "RegistryBackend"),
        ("127.0.0.1:5000/ws", "RegistryBackend"),
        ("registry:host.example", "RegistryBackend"),
    ],
)
def test_addresses_of_workspaces(settings: Config, tmp_path: Path, address: str, kind: str) -> None:
    backend = open_workspace(address, Connections(settings), tmp_path)
    assert type(backend).__name__ == kind
    again = open_workspace(backend.address, Connections(settings), tmp_path)
    assert (type(again), again.address) == (type(backend), backend.address)
