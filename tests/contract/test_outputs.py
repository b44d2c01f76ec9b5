"""What every output promises (`Output`): all of the image is there afterwards, under its name, byte for byte, and it is valid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate import transports
from modelcrate.config import Config
from modelcrate.home.folder import open_store
from modelcrate.images import image
from modelcrate.images.image import VARIANT, Image, ImageLayer, Index
from modelcrate.images.image_config import RunSpec
from modelcrate.images.plain_layers import replace_layers
from modelcrate.images.reading import Found
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Literal, Platform, canonical_json, parse_object
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Tree, file
from support import golden, real_registry
from support.validator import assert_valid_archive, assert_valid_found, assert_valid_layout


def on_disk(folder: Path, names: tuple[str, ...], platform: str = "linux/amd64") -> Image:
    """An image of layers that are made from files when they are sent."""
    layers = []
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_bytes(name.encode() * 50_000)
        tree = Tree.of([file(b"opt/" + name.encode(), FileRange.of_file(str(folder / name)))])
        recipe = Recipe(tree, codec.named(name))
        layer = measure(recipe)
        layers.append(ImageLayer("model", name, layer, RecipeBlob(recipe, layer)))
    return image.assemble(Platform.parse(platform), {}, layers, RunSpec(env={"A": "1"}, user="1:0"))


ALL_CODECS = ("none", "stored", "spliced", "gzip", "zstd")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if missing := real_registry.missing():
        pytest.skip(missing)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


Place = Callable[[str], tuple[str, str]]
"""For a name: the output as the command line writes it, and the address at which the image is then."""


NO_IMAGES = {"dockerfile", "docker", *transports.NESTED}
"""Outputs from which nothing can be read back by address, or something else: what an image can be made of, an engine
(interop/test_docker_output.py), shapes of a project's models (contract/test_model_shapes.py), and the image with more (contract/test_soci.py)."""


@pytest.fixture(params=sorted(set(transports.kinds()) - NO_IMAGES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    folder = tmp_path / "places"
    folder.mkdir()

    def of(name: str) -> tuple[str, str]:
        match kind:
            case "store":
                return f"store:{name}", name
            case "oci":
                return (f"oci:{folder / name}:tag",) * 2
            case "oci-archive":
                return (f"oci-archive:{folder / name}.tar",) * 2
            case "docker-archive":
                return f"docker-archive:{folder / name}.tar:{name}:1", f"docker-archive:{folder / name}.tar"
            case "registry":
                host = request.getfixturevalue("registry")
                return (f"registry:{host}/{tmp_path.name.replace('_', '-').lower()}/{name}:1",) * 2
        pytest.fail(f"there is a new output {kind!r}: say here where it puts things")

    return of


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def deliver(text: str, made: Image | Index, settings: Config) -> Delivered:
    return transports.parse(text).deliver(made, Connections(settings), lambda event: None)


def judged(kind: str, address: str, settings: Config) -> Found:
    found = find(address, Connections(settings))
    assert assert_valid_found(found).images
    if kind in {"oci-archive", "docker-archive"}:
        assert_valid_archive(Path(address.partition(":")[2]))
    elif kind == "oci":
        assert_valid_layout(Path(address.split(":")[1]))
    elif kind == "store":
        assert_valid_layout(open_store(settings).root)
    return found


def test_the_image_is_there_and_valid(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    output, address = place("image")
    made = on_disk(tmp_path, ALL_CODECS)
    delivered = deliver(output, made, settings)
    found = judged(kind, address, settings).image()
    assert found.id == made.id
    assert [each.layer.diff_id for each in found.layers] == [each.layer.diff_id for each in made.layers]
    wanted = replace_layers(made) if kind == "docker-archive" else made
    assert delivered.digest == wanted.digest
    assert delivered.kind == kind
    assert delivered.sent > 0
    if kind != "docker-archive":  # its reader makes a manifest of what Docker's own files say
        assert found.digest == made.digest


def test_it_can_be_done_again(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    output, address = place("again")
    made = on_disk(tmp_path, ALL_CODECS)
    first, second = (deliver(output, made, settings) for _ in range(2))
    assert first.digest == second.digest
    if kind in {"store", "oci", "registry"}:
        assert second.reused > 0, "what was there was sent again"
        assert second.sent < first.sent
    judged(kind, address, settings)


def test_another_image_takes_the_name(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    output, address = place("moves")
    deliver(output, on_disk(tmp_path, ("none",)), settings)
    other = on_disk(tmp_path, ("zstd",))
    deliver(output, other, settings)
    assert judged(kind, address, settings).image().id == other.id


def test_two_runs_are_equal_byte_for_byte(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    made = on_disk(tmp_path, ALL_CODECS)
    digests = []
    for name in ("one", "two"):
        output, address = place(name)
        deliver(output, made, settings)
        digests.append(judged(kind, address, settings).descriptor.digest)
    assert digests[0] == digests[1]


def test_several_platforms_are_an_index_or_refused(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    made = image.combine(on_disk(tmp_path, ("zstd",), each) for each in ("linux/amd64", "linux/arm64"))
    output, address = place("several")
    if kind == "docker-archive":
        with pytest.raises(UserError, match="one platform"):
            deliver(output, made, settings)
        return
    assert deliver(output, made, settings).digest == made.digest
    found = judged(kind, address, settings)
    assert [str(each.platform) for each in found.read().images] == ["linux/amd64", "linux/arm64"]
    assert found.image(Platform.parse("linux/arm64")).id == made.images[1].id


def as_variant(made: Image, name: str) -> Image:
    """The same image as a variant of this name."""
    manifest = parse_object(made.manifest.data)
    manifest["annotations"] = {VARIANT: name}
    return replace(made, manifest=Literal(canonical_json(manifest), made.manifest.media_type))


def test_variants_have_names_of_their_own_or_are_refused(
    kind: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    shared, gpu = on_disk(tmp_path, ("none",)), as_variant(on_disk(tmp_path, ("none", "zstd")), "gpu")
    made = image.combine([shared, gpu])
    output, address = place("variants")
    if kind == "docker-archive":
        with pytest.raises(UserError, match="one image") as refused:
            deliver(output, made, settings)
        assert "--variant" in refused.value.hint
        return
    delivered = deliver(output, made, settings)
    assert delivered.digest == made.digest
    found = judged(kind, address, settings)
    assert found.image().digest == shared.digest, "what is taken where none is named"
    assert found.image(variant="gpu").digest == found.image(gpu.platform, "gpu").digest == gpu.digest
    if kind == "oci-archive":  # it has one image, and no names
        assert delivered.variants == {}
        return
    alone = f"{address}-gpu" if ":" in address else f"{address}:latest-gpu"
    assert delivered.variants["gpu"] == alone.removeprefix("registry:").removeprefix("oci:")
    assert judged(kind, alone, settings).image().digest == gpu.digest
    if kind == "oci":
        assert judged(kind, address.removesuffix(":tag"), settings).descriptor.digest == made.digest
    if kind == "store":
        assert judged(kind, gpu.id.hex[:12], settings).descriptor.digest == gpu.digest
        assert judged(kind, shared.id.hex[:12], settings).descriptor.digest == made.digest
    assert deliver(output, made, settings).sent <= (0 if kind != "registry" else 4000), "it is there"


def test_a_variant_for_several_platforms_is_an_index_by_itself(
    kind: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    if kind in {"docker-archive", "oci-archive"}:
        pytest.skip("it has one image, and no names")
    platforms = ("linux/amd64", "linux/arm64")
    plain = [on_disk(tmp_path, ("none",), each) for each in platforms]
    gpus = [as_variant(on_disk(tmp_path, ("zstd",), each), "gpu") for each in platforms]
    output, address = place("several-variants")
    deliver(output, image.combine([*plain, *gpus]), settings)
    alone = judged(kind, f"{address}-gpu" if ":" in address else f"{address}:latest-gpu", settings)
    assert alone.descriptor.digest == image.combine(gpus).digest
    for each in gpus:
        assert alone.image(each.platform).digest == each.digest


def test_a_file_that_changed_publishes_nothing(kind: str, place: Place, settings: Config, tmp_path: Path) -> None:
    output, address = place("changed")
    made = on_disk(tmp_path, ("none", "zstd"))
    (tmp_path / "zstd").write_bytes(b"other")
    before = {path for path in (tmp_path / "places").rglob("*") if path.is_file()}
    with pytest.raises(CrateError, match="changed") as refused:
        deliver(output, made, settings)
    assert "zstd" in str(refused.value)
    with pytest.raises(CrateError):
        find(address, Connections(settings)).image()
    left = {path for path in (tmp_path / "places").rglob("*") if path.is_file()} - before
    assert not [path for path in left if "incoming" in path.name or path.suffix == ".tar"]


def test_a_failed_delivery_leaves_the_name_where_it_was(
    kind: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    output, address = place("kept")
    old = on_disk(tmp_path, ("none",))
    deliver(output, old, settings)
    new = on_disk(tmp_path, ("gzip", "zstd"))
    (tmp_path / "zstd").write_bytes(b"other")
    with pytest.raises(CrateError):
        deliver(output, new, settings)
    assert judged(kind, address, settings).image().id == old.id


def test_the_golden_image_passes_through(kind: str, place: Place, settings: Config) -> None:
    output, address = place("golden")
    made = golden.made()
    deliver(output, made, settings)
    assert judged(kind, address, settings).image().id == made.id


@pytest.mark.parametrize("kind", ["oci"])
def test_a_damaged_blob_that_a_layout_has_is_written_again(
    kind: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    output, address = place("image")
    made = on_disk(tmp_path, ALL_CODECS)
    deliver(output, made, settings)
    layer = made.layers[-1].descriptor
    path = Path(output.split(":")[1]) / "blobs/sha256" / layer.digest.hex
    path.write_bytes(b"x" * layer.size)
    assert deliver(output, made, settings).sent == layer.size
    judged(kind, address, settings)
    assert deliver(output, made, settings).sent == 0


def test_an_output_that_is_none_is_refused_with_those_that_there_are() -> None:
    for text in ("nothing", "oci", "oci:", ":x", "rocket:x"):
        with pytest.raises(UserError) as refused:
            transports.parse(text)
        assert all(name in refused.value.hint for name in transports.kinds())
