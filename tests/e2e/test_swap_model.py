"""Another model for an image of a registry: its layers alone are new, and it is asked before the name moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import real_registry
from support.real_registry import Running
from support.shared_command import Modelcrate
from support.small_projects import write_project
from support.tensor_files import drawn_tensors, safetensors
from support.validator import assert_valid_layout

SCRIPT = """
import json
import os
from pathlib import Path

def init():
    global weight
    weight = float((Path(os.environ["AZUREML_MODEL_DIR"]) / "weight.txt").read_text())

def run(data):
    return {"sum": [sum(row) * weight for row in json.loads(data)["data"]]}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


def layers(crate: Modelcrate, name: str) -> list[tuple[str, str]]:
    """Role and digest of each layer."""
    (image,) = crate.json("inspect", name)["images"]
    listed = image["manifest"]["layers"]
    return [(each["annotations"].get("io.modelcrate.layer.role", "base"), each["digest"]) for each in listed]


@pytest.mark.network
@pytest.mark.slow
def test_a_model_that_answers_as_before_takes_the_place(
    modelcrate: Modelcrate, registry: Running, tmp_path: Path
) -> None:
    project = write_project(
        tmp_path / "sums",
        "name: sums\nentry: score.py\nmodels: [{path: weight.txt, name: weights, version: 3}]\ntests: golden\n",
    )
    (project / "score.py").write_text(SCRIPT)
    (project / "weight.txt").write_text("2")
    (project / "golden").mkdir()
    (project / "golden/one.request.json").write_text('{"data": [[1, 2]]}')
    (project / "golden/one.response.json").write_text('{"sum": [6]}')
    name = f"{registry.host}/team/sums:1"
    modelcrate.said("build", project, "--push", name)
    before = layers(modelcrate, name)

    for folder, text in (("same", "2.0"), ("other", "5")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weight.txt").write_text(text)
    refused = modelcrate.run("swap-model", name, "--model", tmp_path / "other/weight.txt")
    assert refused.returncode == 5
    assert "$.sum[0] is 15" in refused.stderr
    assert layers(modelcrate, name) == before

    done = modelcrate.json("swap-model", name, "--model", tmp_path / "same/weight.txt")
    assert done["asked"] == 1
    assert done["sent"] < 150_000, "the model, the config, and bills of materials, which the image has"
    after = layers(modelcrate, name)
    assert [one != other for one, other in zip(before, after, strict=True)] == [role == "model" for role, _ in before]
    assert modelcrate.json("test", name)[0]["differences"] == [], "the requests are beside the new image as well"

    unasked = modelcrate.json(
        "swap-model", name, "--model", tmp_path / "other/weight.txt", "--no-test", "-o", "store:sums:5"
    )
    assert unasked["asked"] == 0
    assert json.loads(modelcrate.said("predict", "sums:5", "-d", '{"data": [[1, 2]]}')) == {"sum": [15]}


def _models(folder: Path, *names: str) -> Path:
    listed = ", ".join(f"{{path: {name}.txt, name: {name}, version: 2}}" for name in names)
    project = write_project(folder, f"name: plain\nbase: scratch\nmodels: [{listed}]\n")
    for name in names:
        (project / f"{name}.txt").write_text(name)
    return project


def test_of_several_models_the_named_one_goes(modelcrate: Modelcrate, tmp_path: Path) -> None:
    modelcrate.said("build", _models(tmp_path / "plain", "a", "b", "c"), "-o", f"oci:{tmp_path / 'image'}:1")
    (tmp_path / "new").mkdir()
    (tmp_path / "new/b.txt").write_text("new")
    image, words = (
        f"oci:{tmp_path / 'image'}:1",
        ("--model", tmp_path / "new/b.txt", "-o", f"oci:{tmp_path / 'done'}:1"),
    )
    refused = modelcrate.run("swap-model", image, *words)
    assert refused.returncode == 2
    assert "it has a, b, c" in refused.stderr
    done = modelcrate.run("swap-model", image, *words, "--name", "b")
    assert done.returncode == 0, done.stderr
    assert "no golden request was asked" in done.stderr
    before, after = (layers(modelcrate, f"oci:{tmp_path / name}:1") for name in ("image", "done"))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    assert_valid_layout(tmp_path / "done")
    settings = modelcrate.json("inspect", f"oci:{tmp_path / 'done'}:1")
    assert "model b:2" in json.dumps(settings)


def test_of_several_versions_one_goes_and_the_others_stay(modelcrate: Modelcrate, tmp_path: Path) -> None:
    listed = "{path: a.txt, name: m, version: 1}, {path: b.txt, name: n}, {path: c.txt, name: m, version: 2}"
    project = write_project(tmp_path / "plain", f"name: plain\nbase: scratch\nmodels: [{listed}]\n")
    for name in ("a.txt", "b.txt", "c.txt", "new.txt"):
        (project / name).write_text(name)
    image = f"oci:{tmp_path / 'image'}:1"
    modelcrate.said("build", project, "-o", image)
    words = ("swap-model", image, "--model", project / "new.txt", "-o", f"oci:{tmp_path / 'done'}:1", "--name")
    refused = modelcrate.run(*words, "m")
    assert (refused.returncode, "2 versions of m" in refused.stderr) == (2, True)
    assert "m:1, m:2, n:1" in refused.stderr
    modelcrate.said(*words, "m:2")
    before, after = (layers(modelcrate, f"oci:{tmp_path / name}:1") for name in ("image", "done"))
    assert len(after) == 3
    assert len(set(before) & set(after)) == 2
    shown = modelcrate.said("inspect", f"oci:{tmp_path / 'done'}:1")
    assert all(name in shown for name in ("m:1", "m:2", "n:1"))
    modelcrate.said("model", "register", "n", project / "new.txt", "-w", tmp_path / "models")
    twice = modelcrate.run(*words[:3], "n:1", "-w", tmp_path / "models", *words[4:], "m:1")
    assert (twice.returncode, "has the model n:1 already" in twice.stderr) == (2, True)


def test_a_registered_model_brings_its_name_and_version(modelcrate: Modelcrate, tmp_path: Path) -> None:
    modelcrate.said("build", _models(tmp_path / "plain", "a"), "-o", f"oci:{tmp_path / 'image'}:1")
    (tmp_path / "fresh.txt").write_text("fresh")
    for _ in range(2):
        modelcrate.said("model", "register", "fresh", tmp_path / "fresh.txt", "-w", tmp_path / "models")
    modelcrate.said(
        "swap-model",
        f"oci:{tmp_path / 'image'}:1",
        "--model",
        "fresh:2",
        "-w",
        tmp_path / "models",
        "-o",
        f"oci:{tmp_path / 'done'}:1",
    )
    shown = modelcrate.said("inspect", f"oci:{tmp_path / 'done'}:1")
    assert "fresh:2" in shown
    assert " a:2" not in shown


def test_what_is_refused(modelcrate: Modelcrate, tmp_path: Path) -> None:
    modelcrate.said("build", _models(tmp_path / "plain", "a"), "-o", f"oci:{tmp_path / 'image'}:1")
    image = f"oci:{tmp_path / 'image'}:1"
    in_place = modelcrate.run("swap-model", image, "--model", tmp_path / "plain/a.txt")
    assert (in_place.returncode, "name an output" in in_place.stderr) == (2, True)
    place = ("-o", f"oci:{tmp_path / 'done'}:1")
    absent = modelcrate.run("swap-model", image, "--model", tmp_path / "absent.txt", *place)
    assert absent.returncode == 3
    hostile = tmp_path / "hostile.pkl"
    hostile.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert modelcrate.run("swap-model", image, "--model", hostile, *place).returncode == 3
    assert not (tmp_path / "done").exists()


def _adapted(folder: Path, language: str) -> Path:
    """A base model of 6 MB that all projects have, and an adapter of 30 kB of its own."""
    project = write_project(
        folder,
        f"name: {language}\nbase: scratch\nmodels:\n"
        "  - {path: base, name: base, version: 1}\n  - {path: adapter, name: adapter, version: 1}\n",
    )
    for name, tensors in (
        ("base", drawn_tensors(1, 6, 1_000_000)),
        ("adapter", drawn_tensors(len(language), 3, 10_000)),
    ):
        (project / name).mkdir()
        (project / name / "model.safetensors").write_bytes(safetensors(tensors, name))
    return project


@pytest.mark.network
def test_adapters_over_one_base_model_share_its_layers(
    modelcrate: Modelcrate, registry: Running, tmp_path: Path
) -> None:
    french, german = (_adapted(tmp_path / name, name) for name in ("french", "finnish"))
    first = modelcrate.json("build", french, "--push", f"{registry.host}/team/adapted:french")
    second = modelcrate.json("build", german, "--push", f"{registry.host}/team/adapted:finnish")
    assert [each["outputs"][0]["bytes_sent"] < 100_000 for each in (first, second)] == [False, True]
    one, other = (layers(modelcrate, f"{registry.host}/team/adapted:{name}") for name in ("french", "finnish"))
    assert [before == after for before, after in zip(one, other, strict=True)] == [True, False]

    swapped = f"{registry.host}/team/adapted:swapped"
    done = modelcrate.json(
        "swap-model", f"{registry.host}/team/adapted:french", "--model", german / "adapter", "--name", "adapter",
        "-o", f"registry:{swapped}",
    )  # fmt: skip
    assert done["sent"] < 100_000
    assert layers(modelcrate, swapped) == other
    modelcrate.said("pull", swapped, "-o", f"oci:{tmp_path / 'pulled'}:1")
    assert_valid_layout(tmp_path / "pulled")
