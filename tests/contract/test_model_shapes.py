"""What every shape of a project's models promises: all files are there under its name, it is valid, and making it again gives the same bytes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.export import modelpack
from modelcrate.images.reading import Found
from modelcrate.images.unpack import unpack
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, UserError
from support import real_registry
from support.artifact_validator import extract_as_modctl, resolve_as_llmman
from support.shaped import contents, model_folder, shaped_project
from support.shared_command import Modelcrate
from support.validator import assert_valid_archive, assert_valid_found, assert_valid_layout
from support.waiting import HANG

SHAPES = ("modelcar", "modelpack", "modelpack-tar")

Place = Callable[[str], tuple[str, str]]
"""For a name: the target of a shape, and the address at which it is then."""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_registry.Running]:
    if missing := real_registry.missing():
        pytest.skip(missing)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


EVERYWHERE = pytest.mark.parametrize("place", ["registry", "oci", "oci-archive"], indirect=True)
"""For a test of places; the others are about shapes, and write layouts."""


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = getattr(request, "param", "oci")

    def of(name: str) -> tuple[str, str]:
        if kind == "registry":
            host = request.getfixturevalue("registry").host
            target = f"{host}/{tmp_path.name.replace('_', '-').lower()}/{name}:1"
            return target, f"registry:{target}"
        address = f"{kind}:{tmp_path / name}" + (":1" if kind == "oci" else ".tar")
        return address, address

    return of


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def written(project: Path, output: str, settings: Config, *more: str) -> list[dict[str, Any]]:
    """What the receipt says of the outputs."""
    outputs: list[dict[str, Any]] = modelcrate.build(
        project, outputs=[output, *more], settings=settings
    ).receipt.json()["outputs"]
    return outputs


def judged(address: str, settings: Config) -> Found:
    found = find(address, Connections(settings))
    assert_valid_found(found)
    return found


def files_in(found: Found, shape: str, folder: Path) -> dict[str, bytes]:
    """The files of a shape as its readers see them, below the folder of models."""
    if shape == "modelpack":
        extract_as_modctl(found, folder)
        return contents(folder)
    if shape == "modelpack-tar":
        extract_as_modctl(found, folder)
    else:
        folder.mkdir()
        unpack([layer.blob for layer in found.image(Platform("linux", "amd64")).layers], folder)
    assert [path.name for path in folder.iterdir()] == ["models"]
    return contents(folder / "models")


@EVERYWHERE
def test_all_files_are_there_and_it_is_valid(shape: str, place: Place, settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project")
    wanted = contents(project / "model")
    if shape == "modelpack-tar":  # modctl's way with tars: no links, no two dots
        (project / "model" / "with..dots.txt").unlink()
        wanted = {name: data for name, data in wanted.items() if name not in ("with..dots.txt", "sub/config.json")}
    target, address = place("shape")
    (told,) = written(project, f"{shape}:{target}", settings)
    found = judged(address, settings)
    assert told["kind"] == shape
    assert told["target"] == target
    assert told["digest"] == str(found.descriptor.digest)
    assert told["bytes_sent"] > 3000
    assert files_in(found, shape, tmp_path / "out") == wanted


@pytest.mark.parametrize("place", ["registry"], indirect=True)
def test_it_is_the_same_again_and_sends_nothing_twice(
    shape: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    project = shaped_project(tmp_path / "project")
    target, address = place("again")
    first, second = (written(project, f"{shape}:{target}", settings)[0] for _ in range(2))
    other = written(project, f"{shape}:{place('other')[0]}", Config(tmp_path / "new", {"HOME": str(tmp_path)}))[0]
    assert first["digest"] == second["digest"] == other["digest"]
    assert second["bytes_sent"] < first["bytes_sent"]
    assert second["bytes_there"] > 3000
    judged(address, settings)


def test_it_does_not_depend_on_the_image_beside_it(shape: str, place: Place, settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project")
    target, address = place("beside")
    alone = written(project, f"{shape}:{target}", settings)[0]
    both = written(project, f"oci:{tmp_path}/image:1", settings, f"{shape}:{target}")
    assert both[1]["digest"] == alone["digest"]
    assert_valid_layout(tmp_path / "image")
    judged(address, settings)


@EVERYWHERE
def test_a_file_that_changes_meanwhile_publishes_nothing(
    shape: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    project = shaped_project(tmp_path / "project")
    target, address = place("changed")
    built = modelcrate.build(project, settings=settings)
    (project / "model" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CrateError, match="changed"):
        built.save(f"{shape}:{target}")
    with pytest.raises(CrateError):
        find(address, Connections(settings)).document()
    assert not [path for path in settings.home.iterdir() if path.name.startswith("shape-")]


def test_several_models_have_a_folder_each(shape: str, place: Place, settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project", "  - {path: other.bin, name: other, version: 1}\n", links=False)
    (project / "other.bin").write_bytes(b"weights")
    (project / "model" / "with..dots.txt").unlink()
    target, address = place("several")
    written(project, f"{shape}:{target}", settings)
    wanted = {f"shaped/{name}": data for name, data in contents(project / "model").items()}
    assert files_in(judged(address, settings), shape, tmp_path / "out") == {**wanted, "other/other.bin": b"weights"}


def test_a_registered_model_is_shaped_as_its_files_are(
    shape: str, place: Place, settings: Config, tmp_path: Path
) -> None:
    from modelcrate.azureml import Model, Workspace

    folder = model_folder(tmp_path / "model", links=False)
    (folder / "with..dots.txt").unlink()
    Model.register(Workspace(address=str(tmp_path / "workspace")), str(folder), "shaped")
    project = tmp_path / "registered"
    project.mkdir()
    (project / "modelcrate.yaml").write_text(
        f"name: shaped\nbase: scratch\nworkspace: {tmp_path}/workspace\nmodels: [{{registered: shaped:1}}]\n"
    )
    target, address = place("registered")
    written(project, f"{shape}:{target}", settings)
    assert files_in(judged(address, settings), shape, tmp_path / "out") == contents(folder)
    assert not [path for path in settings.home.iterdir() if path.name.startswith("shape-")]


def test_a_car_is_for_each_platform_and_nothing_in_it_is_compressed(settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project", "platforms: [linux/amd64, linux/arm64]\n")
    written(project, f"modelcar:oci:{tmp_path}/car:1", settings)
    found = judged(f"oci:{tmp_path}/car:1", settings)
    one, other = found.read().images
    assert (str(one.platform), str(other.platform)) == ("linux/amd64", "linux/arm64")
    assert [layer.descriptor for layer in one.layers] == [layer.descriptor for layer in other.layers]
    assert {layer.descriptor.media_type for layer in one.layers} == {"application/vnd.oci.image.layer.v1.tar"}


def test_an_image_that_is_a_modelcar_too_shares_every_layer(settings: Config, tmp_path: Path) -> None:
    """Two more shapes of a model cost less than a thousandth of it, and the image's own scripts find it where they look."""
    project = shaped_project(tmp_path / "project", "modelcar: true\n", size=9_000_000)
    layout = f"oci:{tmp_path}/all"
    image, car, pack = written(
        project, f"{layout}:image", settings, f"modelcar:{layout}:car", f"modelpack-tar:{layout}:pack"
    )
    assert image["bytes_sent"] > 9_000_000
    assert car["bytes_sent"] + pack["bytes_sent"] < image["bytes_sent"] / 1000
    assert assert_valid_layout(tmp_path / "all").images == 2
    wanted = contents(project / "model")
    made = find(f"{layout}:image", Connections(settings)).image()
    (tmp_path / "out").mkdir()
    unpack([layer.blob for layer in made.layers], tmp_path / "out")
    assert contents(tmp_path / "out/models") == wanted
    assert contents(tmp_path / "out/var/azureml-app/azureml-models/shaped/3/model") == wanted
    assert (tmp_path / "out/models/model.safetensors").stat().st_nlink == 2


def test_what_an_artifact_of_files_can_not_have_is_said(settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project")
    (project / "model" / "folder").symlink_to("sub")
    with pytest.raises(UserError, match="no file of the model") as refused:
        written(project, f"modelpack:oci:{tmp_path}/pack:1", settings)
    assert "modelpack-tar" in refused.value.hint
    assert not (tmp_path / "pack").exists()


def test_what_files_are_is_told_by_their_bytes_and_then_by_their_names(settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project")
    written(project, f"modelpack:oci:{tmp_path}/pack:1", settings)
    found = judged(f"oci:{tmp_path}/pack:1", settings)
    layers = found.document()["layers"]
    types = {
        each["annotations"]["org.cncf.model.filepath"]: (
            each["mediaType"].removeprefix("application/vnd.cncf.model.").removesuffix(".v1.raw"),
            each["annotations"]["org.cncf.model.file.mediatype.untested"],
        )
        for each in layers
    }
    assert types == {
        "LICENSE": ("doc", "true"),
        "README.md": ("doc", "true"),
        "config.json": ("weight.config", "true"),
        "model.safetensors": ("weight", "false"),
        "sub/config.json": ("weight.config", "true"),
        "sub/empty.txt": ("doc", "true"),
        "sub/modeling.py": ("code", "true"),
        "tokenizer.model": ("weight.config", "true"),
        "with..dots.txt": ("doc", "true"),
    }
    assert resolve_as_llmman(found, tmp_path / "llmman") == "safetensors"
    assert set(contents(tmp_path / "llmman")) == {path for path, kind in types.items() if "weight" in kind[0]}
    config = json.loads(b"".join(found.collection.blob(_config(found)).chunks()))
    assert config["descriptor"] == {"createdAt": "1980-01-01T00:00:01Z", "name": "shaped", "version": "3"}
    assert config["config"] == {"format": "safetensors"}


def _config(found: Found) -> Any:
    from modelcrate_layers.content import Descriptor

    return Descriptor.parse(found.document()["config"])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("dockerfile:x", "can't go to dockerfile:"),
        ("modelcar:x", "can't go to modelcar:"),
        ("", "not an output"),
        ("oci:", "not an output"),
        ("a b/x", ""),
    ],
)
def test_a_target_that_is_none_is_refused(shape: str, target: str, words: str) -> None:
    from modelcrate import transports

    with pytest.raises(UserError) as refused:
        transports.parse(f"{shape}:{target}")
    assert words in str(refused.value)


def test_a_host_that_is_called_like_an_output_is_a_host(shape: str) -> None:
    from modelcrate import transports

    assert transports.parse(f"{shape}:registry:5000/model:1").target == "registry:5000/model:1"
    with pytest.raises(UserError, match="can't go to docker-archive"):
        transports.parse("modelpack:docker-archive:x.tar")


def test_without_a_project_there_is_nothing_to_shape(shape: str, settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project")
    written(project, f"oci:{tmp_path}/image:1", settings)
    with pytest.raises(UserError, match="made from a project"):
        modelcrate.find(f"oci:{tmp_path}/image:1", settings=settings).save(f"{shape}:oci:{tmp_path}/other:1")


def test_a_model_needs_no_project(shape: str, settings: Config, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "My model", links=False)
    (folder / "with..dots.txt").unlink()
    (done,) = modelcrate.export_model(folder, f"{shape}:oci:{tmp_path}/alone:1", settings=settings)
    found = judged(f"oci:{tmp_path}/alone:1", settings)
    assert (done.kind, done.digest) == (shape, found.descriptor.digest)
    both = modelcrate.export_model(
        folder, f"{shape}:oci:{tmp_path}/both:1", f"oci:{tmp_path}/both:image", settings=settings
    )
    assert both[0].digest == done.digest
    assert_valid_layout(tmp_path / "both")
    assert files_in(found, shape, tmp_path / "out") == contents(folder)
    with pytest.raises(SourceError, match="not there"):
        modelcrate.export_model(tmp_path / "none", f"{shape}:oci:{tmp_path}/none:1", settings=settings)
    with pytest.raises(UserError, match="no output"):
        modelcrate.export_model(folder, settings=settings)


def test_a_model_without_files_is_refused(shape: str, settings: Config, tmp_path: Path) -> None:
    (tmp_path / "model" / "empty").mkdir(parents=True)
    with pytest.raises(SourceError, match="has no files"):
        modelcrate.export_model(tmp_path / "model", f"{shape}:oci:{tmp_path}/out:1", settings=settings)
    assert not (tmp_path / "out").exists()


def test_a_swapped_model_is_below_models_as_the_old_one_was(settings: Config, tmp_path: Path) -> None:
    layout = f"oci:{tmp_path}/all"
    written(
        shaped_project(tmp_path / "project", "modelcar: true\n"), f"{layout}:both", settings, f"modelcar:{layout}:car"
    )
    (tmp_path / "new.bin").write_bytes(b"new weights")
    modelcrate.swap_model(f"{layout}:both", tmp_path / "new.bin", output=f"{layout}:new", settings=settings)
    (tmp_path / "out").mkdir()
    unpack([layer.blob for layer in judged(f"{layout}:new", settings).image().layers], tmp_path / "out")
    assert contents(tmp_path / "out/models") == {"new.bin": b"new weights"}
    assert contents(tmp_path / "out/var/azureml-app/azureml-models/shaped/3") == {"new.bin": b"new weights"}
    with pytest.raises(UserError, match="can't be swapped"):
        modelcrate.swap_model(f"{layout}:car", tmp_path / "new.bin", output=f"{layout}:new", settings=settings)


def test_a_bill_of_materials_names_the_files_of_an_image_that_is_a_modelcar(settings: Config, tmp_path: Path) -> None:
    project = shaped_project(tmp_path / "project", "modelcar: true\n")
    built = modelcrate.build(project, outputs=f"oci:{tmp_path}/image:1", sbom=True, settings=settings)
    (bill,) = [each for each in built.image.images[0].attached if "spdx" in each.kind]
    document = json.loads(b"".join(bill.blobs[-1].chunks()))
    assert {"model.safetensors", "README.md"} <= {each["name"] for each in document["packages"]}


def test_more_files_than_a_manifest_can_name_are_refused(
    settings: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is that of registries, 4 MiB: some 9,000 files."""
    monkeypatch.setattr(modelpack, "MAX_MANIFEST", 2000)
    folder = model_folder(tmp_path / "model")
    with pytest.raises(UserError, match="more than one manifest can name") as refused:
        modelcrate.export_model(folder, f"modelpack:oci:{tmp_path}/pack:1", settings=settings)
    assert "modelpack-tar" in refused.value.hint


def test_a_shape_goes_to_standard_output_alone(settings: Config, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    done = modelcrate_command(settings, "model", "export", folder, "-o", "modelcar:oci-archive:-")
    (tmp_path / "car.tar").write_bytes(done.stdout)
    assert done.returncode == 0, done.stderr
    assert assert_valid_archive(tmp_path / "car.tar").images == 2
    project = shaped_project(tmp_path / "project")
    refused = modelcrate_command(settings, "build", project, "-o", "modelpack:oci-archive:-", "--json")
    assert refused.returncode == UserError.exit_code
    assert b"can't share standard output" in refused.stderr


def test_an_artifact_is_told_from_an_image(settings: Config, tmp_path: Path) -> None:
    modelcrate.export_model(model_folder(tmp_path / "model"), f"modelpack:oci:{tmp_path}/pack:1", settings=settings)
    with pytest.raises(IntegrityError, match="is an artifact of the type"):
        modelcrate.find(f"oci:{tmp_path}/pack:1", settings=settings)


def modelcrate_command(settings: Config, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = Modelcrate(settings.home)
    return subprocess.run(command.words(*words), env=command.environment, capture_output=True, timeout=HANG)
