"""`-o docker:` into a real docker and a real podman: the image is there and starts, and docker gets only the layers that it lacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate import transports
from modelcrate.config import Config
from modelcrate.images import image
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.image_config import RunSpec
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import MachineError, UserError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file
from support import engines
from support.tools import need
from support.waiting import until


@pytest.fixture(scope="module")
def docker() -> Iterator[engines.Docker]:
    with engines.docker() as running:
        yield running


def made(*contents: str) -> Image:
    """An image with a layer for each text."""
    layers = []
    for number, text in enumerate(contents):
        tree = Tree.of([file(f"opt/{number}".encode(), Bytes(text.encode() * 20_000))])
        recipe = Recipe(tree, codec.named("zstd"))
        layer = measure(recipe)
        layers.append(ImageLayer("model", str(number), layer, RecipeBlob(recipe, layer)))
    return image.assemble(Platform.parse("linux/amd64"), {}, layers, RunSpec(env={"A": contents[-1]}, command=("/x",)))


def deliver(made: Image, name: str, host: str, folder: Path) -> Delivered:
    config = Config(folder / "home", {"HOME": str(folder), "DOCKER_HOST": host, "PATH": "/usr/bin"})
    return transports.parse(f"docker:{name}").deliver(made, Connections(config), lambda event: None)


def test_docker_gets_the_layers_that_it_lacks(docker: engines.Docker, tmp_path: Path) -> None:
    host = f"unix://{docker.socket}"
    one, two = made("a", "b", "c"), made("a", "b", "d")
    first = deliver(one, "team/it:1", host, tmp_path)
    assert docker("image", "inspect", "--format", "{{.Id}} {{.Config.Env}}", "team/it:1").strip() == f"{one.id} [A=c]"
    assert first.reused == 0
    assert first.sent > 60_000
    again = deliver(one, "team/it:again", host, tmp_path)
    assert again.sent < 20_000
    assert again.reused > 60_000
    second = deliver(two, "team/it:2", host, tmp_path)
    assert 20_000 < second.sent < 50_000
    assert docker("image", "inspect", "--format", "{{.Id}}", "team/it:2").strip() == str(two.id)
    for layer in two.layers:
        assert str(layer.layer.diff_id) in docker("image", "inspect", "--format", "{{.RootFS.Layers}}", "team/it:2")
    name = docker("create", "team/it:2").strip()
    docker("cp", f"{name}:/opt/2", tmp_path / "got")
    docker("cp", f"{name}:/opt/0", tmp_path / "below")
    assert (tmp_path / "got").read_text() == "d" * 20_000
    assert (tmp_path / "below").read_text() == "a" * 20_000
    other = made("b", "a")  # the same layers in another order are others
    assert deliver(other, "team/other:1", host, tmp_path).reused == 0


def test_podman_by_its_socket(tmp_path: Path) -> None:
    with engines.podman() as podman:
        socket = podman.folder / "socket"
        words = podman.words("system", "service", "--time", "0", f"unix://{socket}")
        with engines.daemon(words, podman.folder / "log"):
            until(socket.exists, "podman's socket")
            one = made("a", "b")
            deliver(one, "team/it:1", f"unix://{socket}", tmp_path)
            shown = podman("image", "inspect", "--format", "{{.Id}} {{.NamesHistory}}", "team/it:1")
            assert shown.startswith(one.id.hex)


def test_podman_by_its_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("podman", root=True)
    with engines.podman() as podman:
        program = tmp_path / "bin/podman"
        program.parent.mkdir()
        policy = f"exec {shutil.which('podman')} {' '.join(podman.words()[1:])} load --signature-policy {podman.folder}/policy.json --quiet"
        program.write_text(f"#!/bin/sh\n{policy}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin:/usr/sbin:/sbin")
        monkeypatch.setattr("modelcrate.transports.docker.SOCKETS", ())
        one = made("a")
        config = Config(tmp_path / "home", {"HOME": str(tmp_path), "PATH": str(program.parent)})
        transports.parse("docker:team/it:1").deliver(one, Connections(config), lambda event: None)
        assert podman("image", "inspect", "--format", "{{.Id}}", "team/it:1").strip() == one.id.hex
        program.write_text("#!/bin/sh\necho no room >&2; exit 5\n")
        with pytest.raises(MachineError, match="no room"):
            transports.parse("docker:team/it:1").deliver(one, Connections(config), lambda event: None)


def test_no_engine(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"docker-archive:- \| docker load"):
        deliver(made("a"), "it", "tcp://127.0.0.1:2375", tmp_path)
    with pytest.raises(MachineError, match="no docker or podman answers"):
        deliver(made("a"), "it", f"unix://{tmp_path}/none", tmp_path)
