"""modelcrate from Python: the same line, as values. It prints nothing, keeps no state, and can be watched and cancelled."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.events import Advanced, Event, Finished, Started, Step
from modelcrate.security.signing.keys import write_pair
from modelcrate_layers.errors import IntegrityError, RegistryError, SourceError, UserError
from support.command import SOURCES, Crate, half_made, names
from support.scripted import error, scripted
from support.small_projects import model_only, served, sparse_model


@pytest.fixture
def settings(tmp_path: Path) -> modelcrate.Settings:
    return modelcrate.Settings(tmp_path / "home")


def test_build_save_and_push(settings: modelcrate.Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = modelcrate.build(model_only(tmp_path / "project"), settings=settings)
    assert names(settings.home / "store") == [], "nothing is delivered by building"
    assert [layer.role for layer in image.layers] == ["model"]
    saved = image.save(f"oci:{tmp_path / 'out'}:1", f"docker-archive:{tmp_path / 'image.tar'}", "store:mine")
    assert [each.kind for each in saved.outputs] == ["oci", "docker-archive", "store"]
    assert names(settings.home / "store") == ["mine:latest"]
    with scripted() as registry:
        receipt = image.push(f"{registry.host}/a/b:1", f"{registry.host}/a/c:1")
        assert receipt.sent_bytes > 0
        assert {name for name, _ in registry.manifests} == {"a/b", "a/c"}
    assert capfd.readouterr() == ("", "")


def test_the_command_line_has_the_same_digest(settings: modelcrate.Settings, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    image = modelcrate.build(project, settings=settings)
    assert str(image.digest) == Crate.at(tmp_path / "other")("build", project, "--json").json["digest"]


def test_one_address_of_a_cache_need_not_be_a_list(settings: modelcrate.Settings, tmp_path: Path) -> None:
    prepared = modelcrate.plan(model_only(tmp_path / "project"), cache_from="oci:base", settings=settings)
    assert prepared.request.cache_from == ("oci:base",)


def test_an_image_is_found_again(settings: modelcrate.Settings, tmp_path: Path) -> None:
    image = modelcrate.build(model_only(tmp_path / "project"), settings=settings)
    image.save("store:mine", f"oci-archive:{tmp_path / 'image.tar'}")
    assert modelcrate.find("mine", settings=settings).digest == image.digest
    assert modelcrate.find(f"oci-archive:{tmp_path / 'image.tar'}", settings=settings).id == image.id


def test_of_a_name_with_a_digest_the_digest_decides(settings: modelcrate.Settings, tmp_path: Path) -> None:
    image = modelcrate.build(model_only(tmp_path / "project"), settings=settings)
    image.save("store:mine:2", f"oci:{tmp_path / 'out'}:2")
    for place in ("mine:2", "mine", "mine:3", f"oci:{tmp_path / 'out'}:2", f"oci:{tmp_path / 'out'}"):
        assert modelcrate.find(f"{place}@{image.digest}", settings=settings).digest == image.digest
    other = f"sha256:{'0' * 64}"
    for place in ("mine:2", f"oci:{tmp_path / 'out'}:2"):
        with pytest.raises(SourceError, match="no image"):
            modelcrate.find(f"{place}@{other}", settings=settings)
    with pytest.raises(UserError, match="an output with a digest"):
        image.save(f"oci:{tmp_path / 'out'}:2@{image.digest}")
    with pytest.raises(UserError, match="so it can't be named mine:2@"):
        image.save(f"store:mine:2@{other}")
    image.save(f"store:mine:2@{image.digest}")
    (tmp_path / "project" / "modelcrate.yaml").write_text(
        f"name: x\nbase: 'oci:base:2@{image.digest}'\nmodels: [model.bin]\n"
    )
    image.save(f"oci:{tmp_path / 'project' / 'base'}:1")
    (tmp_path / "project" / "model.bin").write_bytes(b"1")
    assert len(modelcrate.build(tmp_path / "project", settings=settings).layers) == len(image.layers) + 1


def test_an_image_goes_to_another_process(settings: modelcrate.Settings, tmp_path: Path) -> None:
    image = modelcrate.build(served(tmp_path / "project"), settings=settings)
    there = pickle.loads(pickle.dumps(image))
    assert (there.digest, repr(there)) == (image.digest, repr(image))
    there.save("store:there")
    assert modelcrate.find("there", settings=settings).digest == image.digest
    assert copy.deepcopy(image).digest == image.digest


def test_an_image_stands_for_its_address(settings: modelcrate.Settings, tmp_path: Path) -> None:
    """Wherever an image is named, the value that `build` and `find` return will do."""
    image = modelcrate.build(model_only(tmp_path / "project"), settings=settings)
    with pytest.raises(UserError, match="the image alone is nowhere yet"):
        modelcrate.find_outdated(image)
    with pytest.raises(SourceError, match="no golden requests are in the project"):
        modelcrate.test(image)
    image.save(f"oci:{tmp_path / 'out'}:1", "store:mine")
    assert image.address == f"oci:{tmp_path / 'out'}:1"
    assert modelcrate.find("mine", settings=settings).address == "mine"
    with pytest.raises(SourceError, match="no golden requests are beside the image"):
        modelcrate.test(modelcrate.find("mine", settings=settings))
    with pytest.raises(SourceError, match="no sources"):
        modelcrate.write_sources(image, tmp_path / "sources")
    made = modelcrate.create_bundle(tmp_path / "bundle", modelcrate.find("mine", settings=settings))
    assert made.paths
    again = modelcrate.build(tmp_path / "project", against=image, max_layer_growth="1kB", settings=settings)
    assert again.digest == image.digest


def test_events_can_be_iterated(settings: modelcrate.Settings, tmp_path: Path) -> None:
    building = modelcrate.start(model_only(tmp_path / "project"), settings=settings)
    seen: list[Event] = list(building)
    assert [event.name for event in seen if isinstance(event, Step)] == ["resolve", "plan", "pack", "assemble"]
    total = next(event.total for event in seen if isinstance(event, Started) and event.label == "model: alone:1")
    assert sum(e.count for e in seen if isinstance(e, Advanced) and e.label == "model: alone:1") == total
    assert Finished("model: alone:1") in seen
    assert building.result().digest == modelcrate.build(tmp_path / "project", settings=settings).digest


def test_a_build_can_be_cancelled(settings: modelcrate.Settings, tmp_path: Path) -> None:
    building = modelcrate.start(sparse_model(tmp_path / "project", 64 << 30), settings=settings)
    for event in building:
        if isinstance(event, Advanced):
            building.cancel()
    with pytest.raises(KeyboardInterrupt):
        building.result()
    assert half_made(settings.home) == []


def test_a_build_in_the_background_takes_the_options_of_a_build(settings: modelcrate.Settings, tmp_path: Path) -> None:
    building = modelcrate.start(model_only(tmp_path / "project"), settings=settings, outputs="store:{name}", sbom=True)
    assert building.result().address == "alone:latest"
    assert modelcrate.sbom("alone", settings=settings)["spdxVersion"] == "SPDX-2.3"


def test_an_image_is_signed_and_verified(settings: modelcrate.Settings, tmp_path: Path) -> None:
    private, public = write_pair(tmp_path / "key", None)
    _, other = write_pair(tmp_path / "other", None)
    project = model_only(tmp_path / "project")
    image = modelcrate.build(project, outputs="store:one", settings=settings)
    assert modelcrate.verify(image).mismatches == ()
    with pytest.raises(IntegrityError):
        modelcrate.verify_signatures(image, keys=public)
    assert modelcrate.sign(image, private)
    for name in ("one", "two"):
        if name == "two":
            modelcrate.build(project, outputs="store:two", sign=private, settings=settings)
        proven = modelcrate.verify_signatures(name, keys=[public], settings=settings).proven
        assert {each.digest for each in proven} >= {image.digest}
        with pytest.raises(IntegrityError):
            modelcrate.verify_signatures(name, keys=other, settings=settings)
    with pytest.raises(UserError, match="neither a key nor a policy"):
        modelcrate.verify_signatures("one", settings=settings)
    with pytest.raises(SourceError):
        modelcrate.sign(image, tmp_path / "nothing.key")


@pytest.mark.parametrize("form", ["spdx", "cyclonedx"])
def test_a_bill_of_materials_is_that_of_the_command(settings: modelcrate.Settings, tmp_path: Path, form: str) -> None:
    modelcrate.build(served(tmp_path / "project"), outputs="store:one", settings=settings)
    crate = Crate.at(settings.home, SOURCE_DATE_EPOCH="0")
    config = modelcrate.Config(settings.home, crate.environment)
    assert modelcrate.sbom("one", form, settings=config) == crate("sbom", "one", "--format", form, "--json").json
    with pytest.raises(UserError, match="no form"):
        modelcrate.sbom("one", "swid", settings=config)


def test_errors_are_values(settings: modelcrate.Settings, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    image = modelcrate.build(project, settings=settings)
    with scripted() as registry, pytest.raises(RegistryError, match="403"):
        registry.plan("POST", ".*", error(403, "DENIED"), times=99)
        image.push(f"{registry.host}/a/b:1")
    with scripted() as registry, pytest.raises(RegistryError, match="404") as missing:
        modelcrate.find(f"registry:{registry.host}/a/b:no", settings=settings)
    assert missing.value.hint == "the repository or the tag does not exist, or these credentials can't see it"
    with pytest.raises(UserError, match="not an output"):
        image.save("nothing:x")
    with pytest.raises(UserError) as refused:
        image.save("registry.example/a/b:1")
    assert (refused.value.hint or "").startswith("for a registry write registry:registry.example/a/b:1; known are ")
    (project / "model.bin").write_bytes(b"other")
    with pytest.raises(SourceError, match="changed"):
        image.save(f"oci:{tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()
    (project / "model.bin").unlink()
    with pytest.raises(modelcrate.CrateError) as caught:
        modelcrate.start(project, settings=settings).result()
    assert (caught.value.exit_code, caught.value.where) == (3, str(project / "model.bin"))
    with pytest.raises((SourceError, IntegrityError)):
        modelcrate.find(f"oci:{tmp_path / 'nowhere'}", settings=settings)


def test_importing_it_costs_nothing_and_changes_nothing() -> None:
    code = "import sys, modelcrate, modelcrate_layers; print(sorted(m for m in sys.modules if m.split('.')[0] in ('requests', 'oras', 'yaml', 'pydantic', 'zstandard', 'urllib3')))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": SOURCES}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_it_says_that_it_is_typed() -> None:
    import modelcrate_layers

    for package in (modelcrate, modelcrate_layers):
        assert package.__file__ is not None
        assert (Path(package.__file__).parent / "py.typed").exists()


def test_values_are_short_in_a_terminal(settings: modelcrate.Config, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    assert repr(modelcrate.plan(project, settings=settings)) == "<plan of alone: 1 layer, 1 new>"
    image = modelcrate.build(project, settings=settings, outputs=f"oci:{tmp_path / 'out'}:1")
    assert repr(image).startswith("<image alone ")
    assert repr(image.receipt) == f"<receipt of alone {image.digest.short}: oci:{tmp_path / 'out'}:1>"
    assert "<table>" in image._repr_html_()


def test_a_fault_names_the_image_and_not_the_folder_of_the_store(settings: modelcrate.Config, tmp_path: Path) -> None:
    modelcrate.build(model_only(tmp_path / "project"), settings=settings, outputs="store:alone:1")
    with pytest.raises(modelcrate.SourceError) as caught:
        modelcrate.write_sources("alone:1", tmp_path / "sources", settings=settings)
    assert caught.value.where == "alone:1"


def test_an_image_that_goes_nowhere_is_not_passed_over(settings: modelcrate.Config, tmp_path: Path) -> None:
    image = modelcrate.build(model_only(tmp_path / "project"), settings=settings)
    for deliver in (image.push, image.save):
        with pytest.raises(modelcrate.UserError, match="no place is named"):
            deliver()


def test_orders_take_what_the_other_functions_take(settings: modelcrate.Config, tmp_path: Path) -> None:
    project: Any = str(model_only(tmp_path / "project"))
    target: Any = f"oci:{tmp_path / 'out'}:{{name}}"
    (outcome,) = modelcrate.build_all([modelcrate.Order(project, outputs=target)], config=settings)
    assert outcome.code == 0, outcome.fault
    assert modelcrate.find(f"oci:{tmp_path / 'out'}:alone", settings=settings).layers
