"""Pages about images, builds and differences, as a user gets them; and budgets that refuse an image and point into its page."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

import modelcrate
from modelcrate.environment import read_config
from support import real_registry
from support.command import Inside
from support.images import noise
from support.images_by_hand import write_index, write_layout
from support.report_pages import Box, read_page
from support.rootfs import layer, member
from support.small_projects import model_only, write_project
from support.tensor_files import drawn_tensors, safetensors
from support.validator import assert_valid_layout


def project(folder: Path, seed: int = 1, more: str = "") -> Path:
    """A model of tensors with a pickle beside it, and a golden request."""
    write_project(folder, f"name: demo\nbase: scratch\nmodels: [{{path: model, name: demo, version: 1}}]\n{more}")
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/model.safetensors").write_bytes(safetensors(drawn_tensors(seed, 12, 4000)))
    (folder / "model/README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


def found(box: Box, *names: str) -> Box:
    for name in names:
        box = next(each for each in box.inside if each.name == name)
    return box


def test_a_page_is_the_same_wherever_the_image_is(tmp_path: Path, inside: Inside) -> None:
    place = project(tmp_path / "p")
    inside("build", place, "-t", "demo:1", "-o", f"oci:{tmp_path}/layout:1").succeeded()
    assert_valid_layout(tmp_path / "layout")
    pages = []
    for number, address in enumerate(("demo:1", f"oci:{tmp_path}/layout:1", "demo:1")):
        target = tmp_path / f"{number}.html"
        assert f"written {target}" in inside("inspect", address, "--html", target).succeeded().out
        pages.append(target.read_bytes())
    assert pages[0] == pages[1] == pages[2]
    page = read_page(pages[0])
    folder = found(page.map, "demo:1", "var/azureml-app/azureml-models/demo/1/model")
    assert {each.name: each.size for each in found(folder, "model.safetensors").inside if each.name != "header"} == {
        f"t{number}": 4000 for number in range(12)
    }
    assert found(folder, "README.md").size == len((place / "model/README.md").read_bytes())
    assert "48 000 parameters; 12 tensors; 12 U8" in page.text
    assert "no file of a model has a pickle in it" in page.text
    assert "time" not in page.ids


def test_a_registry_s_image_is_fetched_once_and_it_is_said(tmp_path: Path, inside: Inside) -> None:
    if reason := real_registry.missing():
        pytest.skip(reason)
    with real_registry.running(tmp_path / "registry") as registry:
        reference = f"{registry.host}/team/demo:1"
        inside("build", project(tmp_path / "p"), "--push", reference).succeeded()
        here = Inside(tmp_path / "other", {}, run=inside.run)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MODELCRATE_HOME", str(tmp_path / "other"))
            first = here("inspect", reference, "--html", tmp_path / "a.html", "--json").succeeded().json
            second = here("inspect", reference, "--html", tmp_path / "b.html").succeeded()
    assert first["fetched_bytes"] > 48_000
    assert first["bytes"] == len((tmp_path / "a.html").read_bytes())
    assert "fetched" not in second.out
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    page = read_page((tmp_path / "a.html").read_bytes())
    assert "bill of materials: beside the image" in page.text
    assert "no signature is beside it" in page.text
    assert not list((tmp_path / "other").rglob("blobs/sha256/*"))


def test_a_build_has_its_times_and_what_it_was_held_against(tmp_path: Path, inside: Inside) -> None:
    place, report, trace = project(tmp_path / "p"), tmp_path / "build.html", tmp_path / "trace.json"
    said = inside("build", place, "--report", report, "--trace", trace, "--json").succeeded()
    assert f"written {report}" in said.err
    page = read_page(report.read_bytes())
    assert page.ids[:6] == ["main", "map", "map-title", "tools", "search", "told"]
    assert {"time", "why", "trust"} <= set(page.ids)
    assert str(said.json["digest"]) in page.text
    events = [each for each in json.loads(trace.read_bytes())["traceEvents"] if each["ph"] == "X"]
    assert {"resolve", "pack", "deliver"} <= {each["name"] for each in events}
    assert any(each["cat"] == "task" and each["args"]["bytes"] > 48_000 for each in events)

    project(place, seed=2)
    inside("build", place, "--report", report).succeeded()
    text = read_page(report.read_bytes()).text
    assert "changed" in text
    assert "demo/1/model/model.safetensors" in text


def test_growth_is_held_to_a_budget(tmp_path: Path, inside: Inside) -> None:
    place, report = project(tmp_path / "p", more="max-layer-growth: 10kB\n"), tmp_path / "build.html"
    layout = f"oci:{tmp_path}/layout:1"
    first = inside("build", place, "-o", layout, "-t", "demo:1").succeeded()
    assert "no earlier image is there to measure linux/amd64 against" in first.err
    before = (tmp_path / "layout/index.json").read_bytes()
    (place / "model/extra.bin").write_bytes(noise(9_000))
    inside("build", place, "-t", "fits:1", "--against", "demo:1").succeeded()
    (place / "model/extra.bin").write_bytes(noise(20_000))
    refused = inside("build", place, "-o", layout, "--report", report)
    refused.failed(
        8,
        f"a layer has grown by more than 10.0 kB since {tmp_path}/layout:1",
        "model demo:1: grew by 21.0 kB",
        "#map=demo%3A1",
    )
    assert (tmp_path / "layout/index.json").read_bytes() == before
    page = read_page(report.read_bytes())
    assert "Not delivered: a layer has grown" in page.text
    assert "grew by 21.0 kB" in page.text
    assert found(page.map, "demo:1", "var/azureml-app/azureml-models/demo/1/model", "extra.bin").size == 20_000
    inside("build", place, "-o", layout, "--max-layer-growth", "30kB").succeeded()
    assert_valid_layout(tmp_path / "layout")
    inside("build", place, "--against", "nothing:1", "--max-layer-growth", "1GB").failed(3, "nothing:1")
    inside("build", place, "--max-size", "60kB", "--report", report).failed(8, "the image would have")
    plain = project(tmp_path / "plain")
    inside("build", plain, "--against", "demo:1").failed(2, "there is nothing to hold against the image of --against")
    inside("build", plain, "--against", "demo:1", "--report", report).succeeded()
    assert "no growth" in read_page(report.read_bytes()).text


def test_a_size_that_is_known_only_when_it_is_made_has_a_page(tmp_path: Path, inside: Inside) -> None:
    place = model_only(tmp_path / "p", noise(20_000).hex().encode())
    (place / "modelcrate.yaml").write_text((place / "modelcrate.yaml").read_text() + "codec: zstd\n")
    report = tmp_path / "a.html"
    inside("build", place, "--max-size", "15kB", "--report", report).failed(
        8, "the image has", f"{report}#map=alone%3A1"
    )
    assert "Not delivered: the image has" in read_page(report.read_bytes()).text


def test_differences_are_a_page(tmp_path: Path, inside: Inside) -> None:
    inside("build", project(tmp_path / "p"), "-t", "demo:1").succeeded()
    changed = drawn_tensors(1, 12, 4000)
    changed["t3"] = bytes(4000)
    (tmp_path / "p/model/model.safetensors").write_bytes(safetensors(changed))
    (tmp_path / "p/model/README.md").unlink()
    inside("build", tmp_path / "p", "-t", "demo:2").succeeded()
    target = tmp_path / "diff.html"
    inside("diff", "demo:1", "demo:2", "--html", target).succeeded()
    page = read_page(target.read_bytes())
    assert "tensor t3" in page.text
    assert "tensor t4" not in page.text
    names = {path.rpartition(">")[2] for path in page.map.paths()}
    assert names == {"model.safetensors", "README.md"}

    one, other = (modelcrate.find(f"demo:{tag}", settings=read_config()) for tag in (1, 2))
    one.write_report(tmp_path / "library.html", against=other)
    one.write_report(tmp_path / "image.html")
    inside("inspect", "demo:1", "--html", tmp_path / "same.html").succeeded()
    assert (tmp_path / "image.html").read_bytes() == (tmp_path / "same.html").read_bytes()
    assert "tensor t3" in read_page((tmp_path / "library.html").read_bytes()).text
    with pytest.raises(modelcrate.UserError, match="no times"):
        one.write_trace(tmp_path / "trace.json")


def test_the_library_has_the_times_of_its_builds(tmp_path: Path, inside: Inside) -> None:
    built = modelcrate.build(project(tmp_path / "p"), outputs="store:demo", settings=read_config())
    built.write_report(tmp_path / "a.html")
    built.write_trace(tmp_path / "a.json")
    assert "time" in read_page((tmp_path / "a.html").read_bytes()).ids
    assert json.loads((tmp_path / "a.json").read_bytes())["traceEvents"]
    with pytest.raises(modelcrate.LimitError, match="grown by more") as caught:
        (tmp_path / "p/model/extra.bin").write_bytes(noise(5000))
        modelcrate.build(tmp_path / "p", max_layer_growth="1kB", against="demo", settings=read_config())
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value), "it travels between processes"


def test_images_of_others_have_a_page(tmp_path: Path, inside: Inside) -> None:
    below = layer(member("etc/a", b"1" * 100), member("etc/kept", b"2" * 50), member("opt/gone/x", b"3" * 30))
    above = layer(member("etc/a", b"4" * 10), member("opt/.wh.gone"))
    address = write_layout(tmp_path / "foreign", [below, above], {"Cmd": ["</script><b>"]})
    inside("inspect", address, "--html", tmp_path / "a.html").succeeded()
    page = read_page((tmp_path / "a.html").read_bytes())
    assert "hidden by layers above 130 B" in page.text
    assert "</script><b>" in page.text
    several = write_index(tmp_path / "index", {"amd64": ([below], {}), "arm64": ([below, above], {})})
    inside("inspect", several, "--html", tmp_path / "b.html").succeeded()
    page = read_page((tmp_path / "b.html").read_bytes())
    assert [each.name for each in page.map.inside] == ["linux/amd64", "linux/arm64"]
    inside("inspect", several, "--platform", "linux/arm64", "--html", tmp_path / "c.html").succeeded()
    assert len(read_page((tmp_path / "c.html").read_bytes()).map.inside) == 2
    inside("diff", several, several, "--html", tmp_path / "d.html").failed(3, "platform")


def test_a_page_that_can_not_be_written_is_told_before_the_work(tmp_path: Path, inside: Inside) -> None:
    place = project(tmp_path / "p")
    inside("build", place, "--report", tmp_path / "none/a.html").failed(2, "there is no such folder")
    inside("build", place, "--trace", tmp_path).failed(2, "is a folder")
    assert not (tmp_path / "home/store").exists()
    (tmp_path / "list.txt").write_text(f"{place}\n")
    inside("build", "--each", tmp_path / "list.txt", "--report", tmp_path / "a.html").failed(
        2, "--report can't be given for many"
    )


def test_a_damaged_layer_makes_no_page(tmp_path: Path, inside: Inside) -> None:
    address = write_layout(tmp_path / "layout", [layer(member("a", b"1"))], {})
    blob = next(each for each in (tmp_path / "layout/blobs/sha256").iterdir() if each.stat().st_size > 5000)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    inside("inspect", address, "--html", tmp_path / "a.html").failed(5)
    assert not (tmp_path / "a.html").exists()
