"""What may be pruned, what stays, and that a running build is let alone."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.home.home_lock import exclusive_home_lock, shared_home_lock
from modelcrate.home.prune import PruneRules, StoredItem, choose_items, list_items, prune
from modelcrate.inspect.verify_bytes import verify_bytes
from modelcrate.transports import store
from modelcrate_layers.errors import MachineError
from support.command import Crate
from support.small_projects import served, sparse_model, wait_until_trusted
from support.waiting import HANG

DAY = 86400.0


def item(kind: str, size: int, used: float, *names: str) -> StoredItem:
    return StoredItem(kind, (), size, used, names)


def test_without_rules_only_what_nobody_needs_goes() -> None:
    found = [item("loose", 1, 0), item("wheels", 1, 0), item("layers", 1, 0), item("images", 1, 0, "a:1")]
    assert choose_items(found, PruneRules(), now=100 * DAY) == found[:1]


def test_by_age_goes_what_was_not_used_since() -> None:
    found = [
        item("wheels", 1, 10 * DAY),
        item("debs", 1, 90 * DAY),
        item("images", 1, 0, "a:1"),
        item("containers", 1, 0),
    ]
    assert choose_items(found, PruneRules(age=30 * DAY), now=100 * DAY) == found[:1]
    assert choose_items(found, PruneRules(age=30 * DAY, images=True), now=100 * DAY) == [found[2], found[0]]


def test_by_size_the_longest_unused_go_until_little_enough_is_left() -> None:
    found = [item("wheels", 40, 3), item("debs", 40, 1), item("layers", 40, 2), item("uploads", 40, 0)]
    assert choose_items(found, PruneRules(keep=100)) == [found[1], found[2]]


def test_blobs_that_images_share_go_with_neither_alone() -> None:
    shared = item("images", 1, 0)
    assert choose_items([shared, item("images", 1, 0, "a:1")], PruneRules(age=0, images=True), now=DAY)[0].names == (
        "a:1",
    )


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home")


def test_a_prune_keeps_images_whole_and_a_build_after_it_makes_them_again(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "p")
    crate("lock", project).succeeded()
    first = crate("build", project, "--json").succeeded().json
    with open(project / "src" / "score.py", "a") as script:
        script.write("# more\n")
    wait_until_trusted(project)
    crate("build", project, "-o", f"oci:{tmp_path}/out:1").succeeded()
    settings = Config(crate.home)
    before = {each.kind for each in list_items(settings)}
    assert {"images", "layers", "memo", "wheels"} <= before
    du = crate("cache", "du", "--json").succeeded().json
    assert set(du["kinds"]) == before
    pruned = crate("cache", "prune", "--keep", "0B", "--json").succeeded().json
    assert {"layers", "wheels"} <= set(pruned["kinds"])
    assert "images" not in pruned["kinds"]
    assert {each.kind for each in list_items(settings)} <= {"images", "uploads"}
    found = store.find("served", settings)
    assert found is not None
    assert verify_bytes(found).mismatches == ()
    prune(settings, PruneRules(age=0, images=True))
    assert store.find("served", settings) is None
    assert [path for path in (crate.home / "store" / "blobs").rglob("*") if path.is_file()] == []
    (project / "src" / "score.py").write_text((project / "src" / "score.py").read_text().removesuffix("# more\n"))
    assert crate("build", project, "--json").succeeded().json["digest"] == first["digest"]


def test_what_is_beside_an_image_stays_with_it(crate: Crate, tmp_path: Path) -> None:
    """Signatures are not below the manifest, and nobody can make them again."""
    project, settings = served(tmp_path / "p"), Config(crate.home)
    crate("keygen", tmp_path / "key").succeeded()
    crate("build", project, "--sbom", "--sign", tmp_path / "key.key", "-o", "store:served:1").succeeded()
    found = store.find("served:1", settings)
    assert found is not None
    before = found.attached()
    assert len(before) > 2
    prune(settings, PruneRules(age=0))
    assert found.attached() == before
    crate("verify", "served:1", "--key", tmp_path / "key.pub").succeeded()
    prune(settings, PruneRules(age=0, images=True))
    assert [path for path in (crate.home / "store" / "blobs").rglob("*") if path.is_file()] == []


RECORDS = {".lease", ".machine", "oci-layout"}
"""What keeps a home and its store going, a few bytes."""


def test_nothing_that_a_build_leaves_in_the_home_is_unknown_to_it(crate: Crate, tmp_path: Path) -> None:
    project = served(tmp_path / "p")
    crate("lock", project).succeeded()
    crate("build", project, "-o", f"oci:{tmp_path}/out:1", "--sbom").succeeded()
    left = {str(path) for path in crate.home.rglob("*") if path.is_file() and path.name not in RECORDS}
    counted = {
        str(path)
        for each in list_items(Config(crate.home))
        for top in each.paths
        for path in ([top] if top.is_file() else top.rglob("*"))
    }
    assert left - counted == set()


def test_prune_refuses_while_a_build_runs_and_the_build_ends_well(crate: Crate, tmp_path: Path) -> None:
    project = sparse_model(tmp_path / "p", 1 << 30)
    with crate.start("build", project, "-o", f"oci:{tmp_path}/out:1", "--progress", "json") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line).get("event") == "started" or b"model" in line:
                break
        os.kill(process.pid, signal.SIGSTOP)
        try:
            told = crate("cache", "prune", "--older-than", "1d")
        finally:
            os.kill(process.pid, signal.SIGCONT)
        told.failed(6, "is in use by a build")
        process.communicate(timeout=HANG)
    assert process.returncode == 0
    crate("cache", "prune", "--older-than", "1d").succeeded()
    assert crate("verify", f"oci:{tmp_path}/out:1", "--json").succeeded().json["mismatches"] == []


def test_many_may_use_a_home_and_only_one_be_alone(tmp_path: Path) -> None:
    with (
        shared_home_lock(Config(tmp_path)),
        shared_home_lock(Config(tmp_path)),
        pytest.raises(MachineError, match="is in use by a build"),
        exclusive_home_lock(tmp_path),
    ):
        pass
    with exclusive_home_lock(tmp_path), pytest.raises(MachineError), exclusive_home_lock(tmp_path):
        pass


def test_whatever_else_is_remembered_in_the_cache_goes_too(tmp_path: Path) -> None:
    settings = Config(tmp_path / "home")
    places = [
        settings.cache / name for name in ("received-scans/a.5", "received-contents/b.6", "projects/c/toy.whl", "new/d")
    ]
    for place in places:
        place.parent.mkdir(parents=True)
        place.write_bytes(b"x")
    assert {each.kind for each in list_items(settings)} == {"received-scans", "received-contents", "projects", "new"}
    prune(settings, PruneRules(keep=0))
    assert not any(place.exists() for place in places)
