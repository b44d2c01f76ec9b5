"""`soci:REF` and `soci-rows:REF`: the image with SOCI indexes, at every place that can have it. The validator reads each table as the snapshotter does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.events import Event, Notice, Started
from modelcrate.images.reading import Found
from modelcrate.inspect.verify_bytes import verify_bytes
from modelcrate.inspect.verify_rebuild import list_mismatches
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import SourceError, UserError
from support import real_registry
from support.images import noise
from support.shared_command import Modelcrate
from support.small_projects import model_only, served
from support.soci import SOCI
from support.validator import assert_valid_found
from support.wheels import make_wheel

SIZE = 12 << 20
"""Bytes of a model whose layer gets a table."""

Place = Callable[[str], tuple[str, str]]
"""For a name: the target of the output, and the address at which the image is then."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    if missing := real_registry.missing():
        pytest.skip(missing)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(params=["registry", "oci", "oci-archive", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = str(request.param)

    def of(name: str) -> tuple[str, str]:
        match kind:
            case "registry":
                host = request.getfixturevalue("registry").host
                target = f"{host}/{tmp_path.name.replace('_', '-').lower()}/{name}:1"
                return target, f"registry:{target}"
            case "store":
                return f"store:{name}:1", f"{name}:1"
        return (f"{kind}:{tmp_path / name}" + (":1" if kind == "oci" else ".tar"),) * 2

    return of


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def judged(address: str, settings: Config) -> Found:
    found = find(address, Connections(settings))
    assert assert_valid_found(found).images
    return found


def tabled(found: Found) -> list[str]:
    """The names of the layers that have a table, of the only image."""
    index = found.document()
    (entry,) = [each for each in index["manifests"] if each.get("artifactType") == SOCI]
    soci = json.loads(
        next(each.data for each in found.graph().documents if str(each.descriptor.digest) == entry["digest"])
    )
    digests = {each["annotations"]["com.amazon.soci.image-layer-digest"] for each in soci["layers"]}
    return [f"{each.role} {each.name}" for each in found.image().layers if str(each.descriptor.digest) in digests]


def test_the_image_is_there_with_its_tables(place: Place, settings: Config, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project", noise(SIZE))
    target, address = place("lazy")
    built = modelcrate.build(project, outputs=[f"oci:{tmp_path}/plain:1", f"soci:{target}"], settings=settings)
    told = built.receipt.json()["outputs"][1]
    found = judged(address, settings)
    assert (told["kind"], told["target"], told["digest"]) == ("soci", target, str(found.descriptor.digest))
    assert tabled(found) == ["model alone:1"]
    image = found.image(Platform("linux", "amd64"))
    assert image.id == built.id
    assert [each.descriptor for each in image.layers] == [each.descriptor for each in built.layers]
    assert found.copy().images == (image,)
    assert verify_bytes(found).mismatches == ()
    assert list(list_mismatches(image, built.image.images[0])) == []


def test_another_shape_of_an_image_costs_little_and_is_made_once(
    registry: real_registry.Running, settings: Config, tmp_path: Path
) -> None:
    """The bar: 0.1 % of the model."""
    project = model_only(tmp_path / "project", noise(SIZE))
    name = f"{registry.host}/soci/app"
    modelcrate.build(project, push=f"{name}:1", settings=settings)
    first = modelcrate.build(project, outputs=f"soci:{name}:1-soci", settings=settings).receipt.json()["outputs"][0]
    assert first["bytes_there"] >= SIZE
    assert first["bytes_sent"] < SIZE // 1000
    assert first["requests"] < 20
    second = modelcrate.build(project, outputs=f"soci:{name}:1-soci", settings=settings).receipt.json()["outputs"][0]
    assert (second["digest"], second["bytes_sent"] < first["bytes_sent"]) == (first["digest"], True)
    judged(f"registry:{name}:1-soci", settings)


def test_it_is_made_of_an_image_that_is_there_and_of_one_that_has_indexes(
    registry: real_registry.Running, modelcrate: Modelcrate, settings: Config, tmp_path: Path
) -> None:
    project = model_only(tmp_path / "project", noise(SIZE))
    name = f"{registry.host}/soci/there"
    modelcrate.said("build", project, "--push", f"{name}:1")
    said = modelcrate.said("copy", f"registry:{name}:1", f"soci:{name}:2")
    assert f"soci {name}:2" in said
    modelcrate.said("copy", f"registry:{name}:2", f"soci:{name}:3")
    assert judged(f"registry:{name}:2", settings).descriptor == judged(f"registry:{name}:3", settings).descriptor
    modelcrate.said("copy", f"registry:{name}:2", f"oci:{tmp_path}/copied:1")
    assert (
        judged(f"oci:{tmp_path}/copied:1", settings).descriptor.digest
        == judged(f"registry:{name}:2", settings).descriptor.digest
    )
    assert "alone" in modelcrate.said("inspect", f"registry:{name}:2")


def large_wheel(project: Path) -> Path:
    make_wheel(
        project / "wheels",
        "large-lib",
        "1.0",
        files={"large_lib/data.bin": noise(SIZE), "large_lib/__init__.py": b"", "large_lib/more.bin": noise(SIZE, 1)},
    )
    (project / "requirements.txt").write_text("large-lib\n")
    return project


def test_rows_have_tables_where_that_is_wanted(settings: Config, tmp_path: Path) -> None:
    project = large_wheel(served(tmp_path / "project"))
    seen: list[Event] = []
    modelcrate.build(project, outputs=f"soci-rows:oci:{tmp_path}/rows:1", settings=settings)
    assert tabled(judged(f"oci:{tmp_path}/rows:1", settings)) == ["dependencies large-lib 1.0"]
    with pytest.raises(SourceError) as refused:
        modelcrate.build(project, outputs=f"soci:oci:{tmp_path}/none:1", settings=settings, emit=seen.append)
    assert "dependencies large-lib 1.0 is a row of gzip members" in refused.value.why
    assert not (tmp_path / "none").exists()
    (project / "model.bin").write_bytes(noise(SIZE, 2))
    modelcrate.build(project, outputs=f"soci:oci:{tmp_path}/some:1", settings=settings, emit=seen.append)
    assert [each.text for each in seen if isinstance(each, Notice) and "pulled as a whole" in each.text]
    assert tabled(judged(f"oci:{tmp_path}/some:1", settings)) == ["model served:1"]
    read = [each.label for each in seen if isinstance(each, Started) and each.label.startswith("index ")]
    assert len(read) == 2, "the row is read once, and why it has no table is remembered"


def test_small_layers_have_none(settings: Config, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no layer can have a SOCI index") as refused:
        modelcrate.build(model_only(tmp_path / "project"), outputs=f"soci:oci:{tmp_path}/none:1", settings=settings)
    assert "smaller than 10 MiB" in refused.value.why


@pytest.mark.parametrize("target", ["docker-archive:x.tar", "modelcar:oci:x", "soci:oci:x", "dockerfile:x"])
def test_a_place_that_can_not_have_it_is_refused(target: str) -> None:
    from modelcrate import transports

    with pytest.raises(UserError) as refused:
        transports.parse(f"soci:{target}")
    assert "soci:oci-archive:" in refused.value.hint


def test_what_stays_beside_the_other_image_is_said(
    registry: real_registry.Running, settings: Config, tmp_path: Path
) -> None:
    project = model_only(tmp_path / "project", noise(SIZE))
    seen: list[Any] = []
    name = f"{registry.host}/soci/signed"
    modelcrate.build(
        project, push=f"{name}:1", outputs=f"soci:{name}:2", sbom=True, settings=settings, emit=seen.append
    )
    assert [each.text for each in seen if isinstance(each, Notice) and "digest of its own" in each.text]
    assert not judged(f"registry:{name}:2", settings).attached()


def test_every_platform_has_its_own(settings: Config, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project", noise(SIZE))
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("platforms: [linux/amd64, linux/arm64]\n")
    modelcrate.build(project, outputs=f"soci:oci:{tmp_path}/both:1", settings=settings)
    found = judged(f"oci:{tmp_path}/both:1", settings)
    assert [each.platform and each.platform["architecture"] for each in found.members()] == ["amd64", "arm64"]
    assert len(found.document()["manifests"]) == 4
    assert len(found.read().images) == 2
