"""What every kind of base promises: its layers stay as they are, its settings are laid under ours, and the image is valid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

import modelcrate
from modelcrate import transports
from modelcrate.config import Config
from modelcrate.images import image
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.image_config import RunSpec
from modelcrate.project import values
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest, Literal, Platform
from modelcrate_layers.kinds.debian import DebianLayer, environment
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Layer, Recipe, RecipeBlob, measure
from support import bases, real_registry
from support.debian_mirror import ROOTS
from support.debs import keep_deb
from support.offline import write_project
from support.rootfs import layer, member
from support.validator import assert_valid_layout

CARRIER = """\
name: carrier
base: scratch
models: [{path: models/two, name: two, version: 3}]
"""
"""Over nothing there is no Python, and so no entry script: such an image carries models."""

BASE_SETTINGS = {
    "author": "somebody",
    "os.version": "kept",
    "config": {
        "Env": ["PATH=/opt/bin", "BASE=1"],
        "Labels": {"from": "base"},
        "Cmd": ["sh"],
        "Healthcheck": {"Test": []},
    },
    "history": [{"created_by": "below"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "above"}],
}


def below() -> Image:
    """Somebody's image: two layers, one of them with links where folders are elsewhere, and settings of its own."""
    tars = (
        layer(member("lib", kind=b"2", linkname="usr/lib"), member("usr", kind=b"5"), member("usr/lib", kind=b"5")),
        layer(
            member("usr/bin/python3.11", b"\x7fELF", mode=0o755), member("etc/os-release", b"ID=test\n", uname="root")
        ),
    )
    layers = [_foreign(each) for each in tars]
    return image.assemble(Platform("linux", "amd64"), BASE_SETTINGS, layers, RunSpec())


def _foreign(tar: Literal) -> ImageLayer:
    facts = Layer(tar.descriptor, Digest.of(tar.data), len(tar.data), codec.NONE)
    return ImageLayer("base", "", facts, tar, "reused")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if missing := real_registry.missing():
        pytest.skip(missing)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


Make = Callable[[Path, Config, str], str]
"""Puts the base into the project's folder, or into a registry; what the file says of it then."""


def output(kind: str, target: str, said: str) -> Make:
    def make(folder: Path, settings: Config, host: str) -> str:
        place = target.format(folder=folder, host=host)
        transports.parse(f"{kind}:{place}").deliver(below(), Connections(settings), lambda event: None)
        return said.format(host=host)

    return make


def rootfs(folder: Path, settings: Config, host: str) -> str:
    return "rootfs:base.tar"


def scratch(folder: Path, settings: Config, host: str) -> str:
    (folder / "modelcrate.yaml").write_text(CARRIER)
    return ""


EXAMPLES: dict[type, Make | None] = {
    values.DebianBase: None,  # signed packages: a test of its own below, and those of resolve/debian
    values.RegistryBase: output("registry", "{host}/below:1", "'{host}/below:1'"),
    values.LayoutBase: output("oci", "{folder}/layout:1", "oci:layout:1"),
    values.OciArchiveBase: output("oci-archive", "{folder}/below.oci", "oci-archive:below.oci"),
    values.DockerArchiveBase: output("docker-archive", "{folder}/below.tar", "docker-archive:below.tar"),
    values.RootfsBase: rootfs,
    values.ScratchBase: scratch,
}
KINDS = [kind for kind, make in EXAMPLES.items() if make]
FOREIGN = [kind for kind in KINDS if kind not in (values.RootfsBase, values.ScratchBase)]


def built(kind: type, folder: Path, request: pytest.FixtureRequest) -> modelcrate.Built:
    """The offline project on this kind of base."""
    make = EXAMPLES[kind]
    assert make is not None
    write_project(folder)
    settings = Config(folder.with_name(f"{folder.name}-home"), {"HOME": str(folder)})
    host = str(request.getfixturevalue("registry")) if kind is values.RegistryBase else ""
    if said := make(folder, settings, host):
        text = (folder / "modelcrate.yaml").read_text(encoding="utf-8")
        (folder / "modelcrate.yaml").write_text(text.replace("rootfs:base.tar", said), encoding="utf-8")
    return modelcrate.build(folder, settings=settings)


def test_every_kind_of_base_is_held_to_this() -> None:
    assert set(EXAMPLES) == set(get_args(values.Base))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_on_it_is_valid_and_the_same_every_time(
    kind: type, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one, other = (built(kind, tmp_path / name, request) for name in ("one", "other"))
    one.save(f"oci:{tmp_path / 'out'}:x")
    assert assert_valid_layout(tmp_path / "out").layers == len(one.layers)
    assert [each.layer for each in one.layers] == [each.layer for each in other.layers]
    assert one.id == other.id


@pytest.mark.parametrize("kind", FOREIGN)
def test_its_layers_and_settings_are_kept(kind: type, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = built(kind, tmp_path / "p", request)
    assert [each.layer.diff_id for each in made.layers[:2]] == [each.layer.diff_id for each in below().layers]
    settings = made.image.images[0].settings
    assert settings["author"] == "somebody"
    assert settings["os.version"] == "kept"
    assert settings["config"]["Labels"]["from"] == "base"
    assert {"PATH=/opt/modelcrate/bin:/opt/bin", "BASE=1", "LOG_LEVEL=info"} <= set(settings["config"]["Env"])
    assert "Cmd" not in settings["config"], "the base's command would follow our entry point"
    assert [line["created_by"] for line in settings["history"][:3]] == ["below", "ENV", "above"]


def test_a_debian_base_of_packages_is_valid(tmp_path: Path) -> None:
    debs = tuple(keep_deb(tmp_path / "debs", name, members) for name, members in ROOTS.items())
    kind = DebianLayer("bookworm", "3.11", debs)
    recipe = Recipe(kind.tree(), codec.zstd())
    facts = measure(recipe)
    placed = ImageLayer(kind.role, kind.name, facts, RecipeBlob(recipe, facts), key=kind.key())
    config = {"config": {"Env": [f"{name}={value}" for name, value in environment().items()]}}
    made = image.assemble(Platform("linux", "arm64"), config, [placed], RunSpec())
    transports.parse(f"oci:{tmp_path / 'out'}:x").deliver(
        made, Connections(Config(tmp_path / "home")), lambda event: None
    )
    assert assert_valid_layout(tmp_path / "out").layers == 1


def test_names_from_the_root_and_from_here_are_the_same_paths(tmp_path: Path) -> None:
    tar = layer(
        member("/", kind=b"5"),
        member("./", kind=b"5"),
        member("/usr/bin/python3.11", b"\x7fELF", mode=0o755),
        member("./etc/a", b"a"),
        member("etc/b", kind=b"1", linkname="/etc/a"),
    )
    built_on(tmp_path / "p", bases.docker_files([tar]), "docker-archive:base")


def test_a_docker_archive_of_several_images_with_linked_layers(tmp_path: Path) -> None:
    below_it = layer(member("usr/bin/python3.11", b"\x7fELF", mode=0o755))
    content = bases.docker_files([below_it])
    (item,) = json.loads(content["manifest.json"])
    other = {"Config": "config.json", "RepoTags": ["docker.io/team/other:2"], "Layers": ["other/layer.tar"]}
    content["manifest.json"] = json.dumps([item, other]).encode()
    made = built_on(
        tmp_path / "p", content, "docker-archive:base:team/other:2", {"other/layer.tar": f"../{item['Layers'][0]}"}
    )
    assert made.layers[0].layer.diff_id == Digest.of(below_it.data)


def built_on(
    folder: Path, content: dict[str, bytes], said: str, links: dict[str, str] | None = None
) -> modelcrate.Built:
    """The offline project on an archive with this content and these links."""
    write_project(folder)
    bases.tarred(folder / "base", content, links or {})
    text = (folder / "modelcrate.yaml").read_text(encoding="utf-8")
    (folder / "modelcrate.yaml").write_text(text.replace("rootfs:base.tar", said), encoding="utf-8")
    return modelcrate.build(folder, settings=Config(folder.with_name(f"{folder.name}-home"), {"HOME": str(folder)}))
