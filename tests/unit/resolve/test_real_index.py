"""The wheels of the demo, locked on uv's own default index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.resolve.wheels import Index, Requirements, Target, Uv, fetch_wheels, lock_wheels
from modelcrate_layers.kinds.wheels import wheel_layers
from modelcrate_layers.packages.conflicts import check as check_conflicts

LINES = ("scikit-learn==1.9.1", "gunicorn")


@pytest.mark.network
@pytest.mark.slow
def test_scikit_learn_and_gunicorn_are_had_for_both_architectures(tmp_path: Path) -> None:
    network = HttpConfig(dict(os.environ))
    uv, locked = Uv(tmp_path / "uv", network), {}
    for architecture, machine in (("amd64", "x86_64"), ("arm64", "aarch64")):
        found = lock_wheels(Requirements(LINES), Target("3.11", architecture), Index(), uv)
        locked[architecture] = {each.name: each for each in found}
        native = {each.name for each in found if each.filename.endswith(f"{machine}.whl")}
        assert {"scikit-learn", "numpy", "scipy"} == native
    assert {name: each.version for name, each in locked["amd64"].items()} == {
        name: each.version for name, each in locked["arm64"].items()
    }
    assert locked["amd64"]["gunicorn"] == locked["arm64"]["gunicorn"]
    with Downloader(network) as fetcher:
        wheels = fetch_wheels(locked["amd64"].values(), tmp_path, fetcher)
    layers = wheel_layers(wheels, "3.11")
    check_conflicts(owned for layer in layers for owned in layer.installed())
    assert [layer.name.split()[0] for layer in layers[:3]] == ["numpy", "scikit-learn", "scipy"]
    assert b"opt/modelcrate/bin/gunicorn" in {entry.path for entry in layers[-1].tree().entries}
