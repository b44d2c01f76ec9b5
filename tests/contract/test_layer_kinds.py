"""What every kind of layer promises (`LayerKind`). A new file in kinds/ is held to it at once: it only needs an example here."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.images import image
from modelcrate.images.image import ImageLayer
from modelcrate.images.image_config import RunSpec
from modelcrate.project.contracts import promise
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutOutput
from modelcrate_layers import kinds
from modelcrate_layers.content import Platform
from modelcrate_layers.kinds import LayerKind
from modelcrate_layers.kinds.bytecode import BytecodeLayer
from modelcrate_layers.kinds.conda import CondaLayer
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.model import ModelLayer, folder
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.listing import list_inside, list_path
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.tree import Tree
from support.compilers import compiler
from support.conda import greeting, keep_conda, native
from support.debian_mirror import ROOTS
from support.debs import keep_deb
from support.validator import assert_valid_layout
from support.wheels import make_wheel, rich


def files(place: Path) -> Path:
    (place / "src").mkdir(parents=True, exist_ok=True)
    (place / "src" / "score.py").write_bytes(b"def init(): ...\ndef run(data): ...\n")
    (place / "src" / "data.bin").write_bytes(bytes(5000))
    return place / "src"


def debian(place: Path) -> LayerKind:
    debs = tuple(keep_deb(place / "debs", name, members) for name, members in ROOTS.items())
    return DebianLayer("bookworm", "3.11", debs)


def conda(place: Path) -> LayerKind:
    return CondaLayer((keep_conda(place, greeting()), keep_conda(place, native(ending=".tar.bz2"))), "3.11")


def entry(place: Path) -> LayerKind:
    return EntryLayer.of("src/score.py", list_inside(files(place), b"var/azureml-app/src"))


def model(place: Path) -> LayerKind:
    return ModelLayer.of("m:1", list_path(files(place), folder("m", 1)).entries)


def runtime(place: Path) -> LayerKind:
    return RuntimeLayer("3.11")


def server(place: Path) -> LayerKind:
    return ServerLayer(promise().files)


def wheels(place: Path) -> LayerKind:
    return WheelsLayer((rich(place / "wheels"), make_wheel(place / "wheels", "other")), "3.11")


def bytecode(place: Path) -> LayerKind:
    return BytecodeLayer(wheels(place), compiler(place / "debs"))


EXAMPLES: dict[str, Callable[[Path], LayerKind]] = {
    "bytecode": bytecode,
    "conda": conda,
    "debian": debian,
    "entry": entry,
    "model": model,
    "runtime": runtime,
    "server": server,
    "wheels": wheels,
}


READY = "ready"
"""A layer that somebody has already: it has no tree, for it is never made."""


@pytest.fixture(params=EXAMPLES)
def make(request: pytest.FixtureRequest) -> Callable[[Path], LayerKind]:
    return EXAMPLES[request.param]


def test_every_kind_is_held_to_this() -> None:
    assert {module.name for module in pkgutil.iter_modules(kinds.__path__)} == set(EXAMPLES) | {READY}


def test_it_says_what_it_is(make: Callable[[Path], LayerKind], tmp_path: Path) -> None:
    kind = make(tmp_path)
    assert kind.role in {"base", "dependencies", "server", "model", "entry"}
    assert kind.name
    assert kind.name.isprintable()


def test_its_key_is_the_same_wherever_its_inputs_lie(make: Callable[[Path], LayerKind], tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    assert one.key() == make(tmp_path / "one").key() == other.key()


def test_a_key_needs_no_file(make: Callable[[Path], LayerKind], tmp_path: Path) -> None:
    """A layer with a key is known before anything was fetched."""
    kind = make(tmp_path)
    key = kind.key()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    assert kind.key() == key


def test_it_is_made_of_packages_or_of_files_and_reading_neither_tells_which(
    make: Callable[[Path], LayerKind], tmp_path: Path
) -> None:
    kind = make(tmp_path)
    found = kind.materials()
    assert found.missing() == ()
    assert bool(found.fingerprint) is (kind.key() is None)
    assert not (found.packages and found.files)
    assert found.existing is None
    assert found.size == (found.estimate or sum(each.size for each in (*found.packages, *found.files)))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()
    assert kind.materials() == found
    assert found.missing() == found.packages


def test_its_tree_is_valid_and_complete(make: Callable[[Path], LayerKind], tmp_path: Path) -> None:
    tree = make(tmp_path).tree()
    assert tree.entries
    assert Tree(tree.entries, tree.roots) == tree


def test_two_passes_over_two_copies_give_the_same_bytes(make: Callable[[Path], LayerKind], tmp_path: Path) -> None:
    trees = [make(tmp_path / place).tree() for place in ("one", "other")]
    layers = [measure(Recipe(tree, codec.zstd())) for tree in trees]
    assert layers[0] == layers[1] == measure(Recipe(trees[0], codec.zstd()))


@pytest.mark.parametrize("name", ["none", "stored", "spliced", "estargz", "gzip", "zstd", "zstd:chunked"])
def test_an_image_of_it_is_valid(make: Callable[[Path], LayerKind], tmp_path: Path, name: str) -> None:
    kind = make(tmp_path)
    if name == "estargz" and not kind.materials().deflated:
        return  # such a layer has another codec under this setting
    recipe = Recipe.of(kind.tree(), codec.named(name))
    layer = measure(recipe)
    placed = ImageLayer(kind.role, kind.name, layer, RecipeBlob(recipe, layer), key=kind.key())
    made = image.assemble(Platform("linux", "amd64"), {}, [placed], RunSpec())
    LayoutOutput(tmp_path / "layout", "x").deliver(made, Connections(Config(tmp_path / "home")), lambda event: None)
    assert assert_valid_layout(tmp_path / "layout").members == len(recipe.tree.entries)
