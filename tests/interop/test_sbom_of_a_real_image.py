"""The bill of materials of a real image against what its own tools say: its Python's distributions, and its dpkg records.

Downloads are kept below the folder that MODELCRATE_TEST_CACHE names.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.images.unpack import unpack
from modelcrate.pipeline.session import Session
from modelcrate.resolve.lock import Pins
from modelcrate.security.sbom.inventory import Inventory, inventory
from support.tools import cache

pytestmark = [pytest.mark.network, pytest.mark.interop, pytest.mark.slow]

PROJECT = Path(__file__).parents[2] / "fixtures/projects/diabetes"
PIP_LIST = """
import importlib.metadata, json, re
print(json.dumps(sorted([re.sub('[-_.]+', '-', d.metadata['Name']).lower(), d.version] for d in importlib.metadata.distributions())))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Inventory, Pins, Path]:
    """The diabetes project's image: its inventory, what was pinned, and its root file system."""
    if os.geteuid() != 0:
        pytest.skip("a root file system is unpacked and entered as root only")
    settings = Config(cache() / "home", dict(os.environ))
    with Session(settings) as session:
        build = session.build(session.read(PROJECT))
        image = build.receipt.image.images[0]
        pins = build.prepared.world.pins[str(image.platform)]
        told = inventory("diabetes", image, settings, pins)
        root = tmp_path_factory.mktemp("rootfs")
        unpack([layer.blob for layer in image.layers], root)
    return told, pins, root


def test_the_wheels_are_those_that_its_python_lists(made: tuple[Inventory, Pins, Path]) -> None:
    told, pins, root = made
    done = subprocess.run(
        ["chroot", root, "/opt/modelcrate/bin/python", "-c", PIP_LIST], capture_output=True, check=True
    )
    listed = json.loads(done.stdout)
    ours = sorted([each.part.name, each.part.version] for each in told.items if each.part.kind == "wheel")
    assert ours == listed
    assert {(name, version) for name, version in ours} == {(each.name, each.version) for each in pins.wheels}
    assert all(each.sha256 and each.part.licence for each in told.items if each.part.kind == "wheel")


def test_the_debs_are_those_of_its_dpkg_records(made: tuple[Inventory, Pins, Path]) -> None:
    told, pins, root = made
    records = [path.read_text() for path in (root / "var/lib/dpkg/status.d").iterdir() if path.suffix != ".md5sums"]
    fields = [
        dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[:1] != " ") for text in records
    ]
    ours = {
        (each.part.name, each.part.version, each.part.architecture) for each in told.items if each.part.kind == "deb"
    }
    assert ours == {(each["Package"], each["Version"], each["Architecture"]) for each in fields}
    assert {each.sha256 for each in told.items if each.part.kind == "deb"} == {each.sha256 for each in pins.debs}


def test_the_model_tells_what_it_names(made: tuple[Inventory, Pins, Path]) -> None:
    (file,) = [each for each in made[0].files if each.model]
    assert (file.format, file.verdict) == ("joblib", "safe")
    assert "sklearn.linear_model._ridge.Ridge" in file.facts["names"]
