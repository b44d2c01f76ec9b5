"""Twice as much costs twice as much, not four times: counted in calls of functions, which are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.pipeline.register_model import Registration, register
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.debian.releases import ARCHIVE
from modelcrate.resolve.lock import Pins
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate.security.sbom.inventory import inventory
from modelcrate.transports.connections import Connections
from modelcrate.workspace.find import ModelQuery, list_models
from modelcrate.workspace.opening import open_workspace
from support.calls import count_calls
from support.small_projects import wait_until_trusted
from support.validator import assert_valid_layout

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SIZES = (20, 40, 80)
Count = Callable[[int], int]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


def project(folder: Path, files: int) -> Path:
    (folder / "model").mkdir(parents=True)
    for number in range(files):
        (folder / "model" / f"{number}.txt").write_text(f"file {number}")
    (folder / "modelcrate.yaml").write_text("name: x\nbase: scratch\nmodels: [{path: model, name: m}]\n")
    return folder


@pytest.fixture
def models(tmp_path: Path, config: Config) -> Count:
    """Lists the models of a workspace."""
    backend = open_workspace(str(tmp_path / "workspace"), Connections(config))
    (tmp_path / "weights.txt").write_text("weights")
    there = 0

    def count(wanted: int) -> int:
        nonlocal there
        for number in range(there, wanted):
            register(backend, Registration(f"m{number}", tmp_path / "weights.txt"), config, NOON, ignore_event)
        there = wanted
        return count_calls(lambda: list_models(backend, ModelQuery()))

    return count


@pytest.fixture
def packages(tmp_path: Path, config: Config) -> Count:
    """Draws up the inventory of an image with packages."""
    built = modelcrate.build(project(tmp_path / "project", 1), settings=config)
    (image,) = built.image.images
    built.save(f"oci:{tmp_path}/layout:x")
    assert_valid_layout(tmp_path / "layout")

    def count(wanted: int) -> int:
        names = [f"part{number}" for number in range(wanted)]
        places = [f"pool/main/p/part/{each}_1.0_all.deb" for each in names]
        debs = tuple(
            PinnedDeb(each, "1.0", "all", ARCHIVE, place, "0" * 64, 1)
            for each, place in zip(names, places, strict=True)
        )
        parts = tuple(InstalledPackage("deb", each, "1.0", "all") for each in names)
        known = {image.layers[0].layer.diff_id: LayerContents(parts)}
        return count_calls(lambda: inventory("x", image, config, Pins(None, debs, ()), known))

    return count


@pytest.fixture
def files(tmp_path: Path, config: Config) -> Count:
    """Plans a model of many files: they are listed, pass the gates and are compared with what is known."""

    def count(wanted: int) -> int:
        folder = project(tmp_path / str(wanted), wanted)
        wait_until_trusted(folder)  # or a pause decides whether what was found is written down
        return count_calls(lambda: modelcrate.plan(folder, settings=config))

    return count


@pytest.mark.parametrize("what", ["models", "packages", "files"])
def test_twice_as_much_costs_twice_as_much(what: str, request: pytest.FixtureRequest) -> None:
    count: Count = request.getfixturevalue(what)
    count(10)  # what is imported and compiled once
    few, more, most = map(count, SIZES)
    assert few < more < most
    assert most - more < 2.3 * (more - few)
