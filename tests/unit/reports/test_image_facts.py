"""The facts of a page: what a package adds, what is hidden, what is beside an image, and what nobody has read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import make_referrer
from modelcrate.inspect import golden_requests
from modelcrate.inspect.golden_requests import GoldenRequest
from modelcrate.reports import gathering
from modelcrate.reports.beside import list_beside
from modelcrate.reports.gathering import Gathered, gather
from modelcrate.reports.image_facts import image_facts
from modelcrate.reports.page import image_page
from modelcrate.security.sbom import spdx
from modelcrate.security.signing import statements
from modelcrate_layers.content import Literal
from support.layered import made_image, made_layer
from support.report_pages import read_page
from support.rootfs import layer, member

SITE = "opt/modelcrate/lib/python3.11/site-packages"


def wheel(name: str, size: int, *requires: str, licence: str = "MIT") -> bytes:
    """A layer with one package of so many bytes, besides its metadata."""
    lines = [
        f"Name: {name}",
        "Version: 1.0",
        f"License-Expression: {licence}",
        *(f"Requires-Dist: {each}" for each in requires),
    ]
    folder = f"{name}-1.0.dist-info"
    record = f"{name}.py,,\n{folder}/METADATA,,\n{folder}/RECORD,,\n".encode()
    return layer(
        member(f"{SITE}/{name}.py", b"x" * size),
        member(f"{SITE}/{folder}/METADATA", "\n".join([*lines, ""]).encode()),
        member(f"{SITE}/{folder}/RECORD", record),
    ).data


def test_a_package_adds_what_only_it_needs(tmp_path: Path) -> None:
    image = made_image(
        made_layer("dependencies", "app 1.0", wheel("app", 1000, "only", "shared")),
        made_layer("dependencies", "other 1.0", wheel("other", 500, "shared")),
        made_layer("dependencies", "only 1.0", wheel("only", 300)),
        made_layer("dependencies", "shared 1.0", wheel("shared", 200, licence="Apache-2.0")),
    )
    config = Config(tmp_path)
    found = image_facts("demo", image, gather(image.layers, config, ignore_event), config, artifacts=())
    rows = {each.name: each for each in found.packages}
    assert rows["app"].added == rows["app"].size + rows["only"].size
    assert rows["only"].vanishes_with == "app 1.0"
    assert rows["shared"].added == rows["shared"].size
    assert rows["shared"].vanishes_with == ""
    assert rows["shared"].licence == "Apache-2.0"
    assert found.keepers == ({"only 1.0": "app 1.0"},)
    assert sum(each.size for each in found.map.children) == found.map.size
    again = gather(image.layers, config, ignore_event)
    assert image_page(image_facts("demo", image, again, config, artifacts=())) == image_page(found)


def test_layers_that_nobody_has_read_are_told(tmp_path: Path) -> None:
    image = made_image(made_layer("base", "", b"far away"), made_layer("model", "m:1", layer(member("a", b"1")).data))
    found = image_facts("demo", image, Gathered({}, {}), Config(tmp_path))
    assert [each.read for each in found.layers] == [False, False]
    text = read_page(image_page(found)).text
    assert "2 of the layers are not on this machine and were not read" in text
    assert "it was not looked whether signatures are beside the image" in text
    assert f"the layer {image.layers[0].layer.diff_id} (base) was not read" in text


def test_files_beyond_a_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_LISTED", 3)
    one, other = (layer(*(member(f"{name}{at}", b"12") for at in range(3))).data for name in "ab")
    image = made_image(made_layer("base", "one", one), made_layer("base", "other", other))
    found = image_facts("demo", image, gather(image.layers, Config(tmp_path), ignore_event), Config(tmp_path))
    assert found.files == 6
    assert [each.name for each in found.map.children[1].children] == ["3 more files", "names and padding"]
    assert "too many to be listed one by one" in found.notes[-1]


def test_what_is_beside_an_image_is_told_and_not_believed() -> None:
    image = made_image(made_layer("model", "m:1", b"1"))
    subject = image.manifest.descriptor
    provenance = {
        "predicateType": statements.PROVENANCE,
        "predicate": {
            "buildDefinition": {"resolvedDependencies": [{"digest": {"gitCommit": "f" * 60}}, "odd", {"digest": 1}]},
            "runDetails": {"builder": {"id": "urn:x" * 100}},
        },
    }
    tests = golden_requests.make_artifact(subject, [GoldenRequest(f"t{at}", "{}") for at in range(7)])
    artifacts = [
        make_referrer(subject, spdx.MEDIA_TYPE, Literal(b"{}", spdx.MEDIA_TYPE)),
        make_referrer(subject, statements.IN_TOTO, Literal(json.dumps(provenance).encode(), statements.IN_TOTO)),
        make_referrer(subject, statements.BUNDLE, Literal(b"no bundle", statements.BUNDLE)),
        make_referrer(subject, "application/x-odd", Literal(b"?", "application/x-odd")),
        tests,
        replace(tests, tag="sha256-00.sig"),
    ]
    stranger = made_image(made_layer("model", "m:2", b"2")).manifest.descriptor
    artifacts.append(make_referrer(stranger, "application/x-other", Literal(b"?", "x/y")))
    said = {each.what: each.says for each in list_beside(artifacts, [image.digest])}
    assert said["bill of materials, SPDX"] == "not signed"
    assert said["provenance"].endswith(f"from the revision {'f' * 40}, not signed")
    assert "can't be read" in said[statements.BUNDLE]
    assert said["application/x-odd"] == "not read"
    assert said["golden requests"].startswith("7 golden requests: t0, t1, t2, t3, t4, ...")
    assert "not checked here" in said["signature"]
    assert len(said) == 6
