"""Images carried over a gap: to a registry that has nothing, that has other images, or that has an earlier model."""

from __future__ import annotations

import json
import random
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import real_registry, tools
from support.shared_command import Modelcrate
from support.small_projects import write_project
from support.tensor_files import SIZE, drawn_tensors, safetensors
from support.validator import assert_valid_layout

CHANGED = ("t3", "t17", "t18", "t39")


def told(side: Modelcrate, *words: str | Path) -> Any:
    """What an action of `bundle` says as JSON."""
    return json.loads(side.said("bundle", *words, "--json", "--progress", "none"))


@dataclass(frozen=True)
class Sides:
    """A registry on each side of the gap, and a command line for each, which knows nothing of the other."""

    folder: Path
    outside: Modelcrate
    inside: Modelcrate
    here: str
    there: str

    def create(self, name: str, *words: str | Path) -> Any:
        return told(self.outside, "create", "-o", self.folder / name, *words)

    def load(self, name: str, *words: str | Path) -> Any:
        return told(self.inside, "load", self.folder / name, "--to", f"registry:{self.there}", *words)

    def digest(self, tag: str) -> str:
        return self.outside.said("digest", f"{self.here}/team/sums:{tag}").strip()

    def digest_there(self, tag: str) -> str:
        return self.inside.said("digest", f"{self.there}/team/sums:{tag}").strip()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    if reason := real_registry.missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("gap")
    outside, inside = (Modelcrate(folder / name) for name in ("outside", "inside"))
    with real_registry.running(folder / "one") as here, real_registry.running(folder / "two") as there:
        outside.said("keygen", folder / "key")
        models = {
            "1": drawn_tensors(1),
            "2": drawn_tensors(1) | {name: random.Random(name).randbytes(SIZE) for name in CHANGED},
            "other": drawn_tensors(3),
        }
        for tag, found in models.items():
            project = _project(folder / tag, safetensors(found, f"version {tag}"))
            outside.said("build", project, "--push", f"{here.host}/team/sums:{tag}", "--sign", folder / "key.key")
        yield Sides(folder, outside, inside, here.host, there.host)


def _project(folder: Path, model: bytes) -> Path:
    """A model of its own, and one that all images have."""
    write_project(
        folder,
        """\
        name: sums
        base: scratch
        models:
          - {path: shared.bin, name: shared, version: 1}
          - {path: model.safetensors, name: sums, version: 1}
        """,
    )
    (folder / "shared.bin").write_bytes(random.Random(0).randbytes(3 << 20))
    (folder / "model.safetensors").write_bytes(model)
    return folder


@pytest.fixture(scope="module")
def first(sides: Sides) -> Any:
    """The first image on the other side, and an inventory of that, taken there."""
    made = sides.create("first", f"{sides.here}/team/sums:1")
    done = sides.load("first", "--key", sides.folder / "key.pub")
    sides.inside.said("bundle", "inventory", sides.there, "-o", sides.folder / "inventory")
    return made, done


def test_all_of_an_image_arrives_with_its_digest_and_its_signatures(sides: Sides, first: Any) -> None:
    made, done = first
    assert made["left_out"] == made["rebuilt"] == 0
    assert [each["target"] for each in done] == [f"{sides.there}/team/sums:1"]
    assert sides.digest_there("1") == done[0]["digest"] == sides.digest("1")
    proven = sides.inside.json("verify", f"{sides.there}/team/sums:1", "--key", sides.folder / "key.pub")["proven"]
    kinds = {each["predicateType"] for each in proven}
    assert {"https://spdx.dev/Document", "https://cyclonedx.org/bom"} <= kinds
    sides.inside.said("copy", f"registry:{sides.there}/team/sums:1", f"oci:{sides.folder / 'layout'}:1")
    assert_valid_layout(sides.folder / "layout")


def test_a_second_load_sends_nothing(sides: Sides, first: Any) -> None:
    (again,) = sides.load("first")
    assert again["sent"] < 20_000, "manifests at most"
    assert again["reused"] > 5_000_000


def test_what_is_there_is_left_out_and_a_model_is_sent_as_what_changed(sides: Sides, first: Any) -> None:
    made = sides.create("second", "--for", sides.folder / "inventory", f"{sides.here}/team/sums:2")
    assert made["left_out"] > 3 << 20, "the shared model"
    assert made["rebuilt"] > 40 * SIZE
    with tarfile.open(sides.folder / "second") as tar:
        changed = [each.size for each in tar.getmembers() if each.name.startswith("pieces/") and each.isfile()]
    assert len(changed) == 1
    assert len(CHANGED) * SIZE <= changed[0] <= 1.05 * len(CHANGED) * SIZE
    (done,) = sides.load("second", "--key", sides.folder / "key.pub")
    assert done["digest"] == sides.digest("2") == sides.digest_there("2")
    sides.inside.said("verify", f"registry:{sides.there}/team/sums:2")


def test_an_unrelated_model_is_sent_whole(sides: Sides, first: Any) -> None:
    made = sides.create("third", "--for", sides.folder / "inventory", f"{sides.here}/team/sums:other")
    assert made["rebuilt"] == 0
    assert (sides.folder / "third").stat().st_size > 40 * SIZE
    (done,) = sides.load("third")
    assert done["digest"] == sides.digest("other")


def test_a_bundle_for_another_place_is_refused_before_anything_is_written(
    sides: Sides, first: Any, tmp_path: Path
) -> None:
    sides.create("for-there", "--for", sides.folder / "inventory", f"{sides.here}/team/sums:2")
    with real_registry.running(tmp_path / "third") as third:
        done = sides.inside.run("bundle", "load", sides.folder / "for-there", "--to", f"registry:{third.host}")
        assert done.returncode == 3
        assert "leaves out 2 of 2 blobs" in done.stderr
        assert f"made for an inventory of {sides.there}" in done.stderr
        assert sides.inside.run("tags", f"{third.host}/team/sums").returncode != 0
    done = sides.inside.run("bundle", "load", sides.folder / "for-there", "--to", "store")
    assert done.returncode == 3
    assert sides.inside.json("images") == []


def test_an_image_that_the_key_did_not_sign_is_not_loaded(sides: Sides, first: Any, tmp_path: Path) -> None:
    sides.inside.said("keygen", tmp_path / "other")
    done = sides.inside.run(
        "bundle",
        "load",
        sides.folder / "first",
        "--to",
        f"registry:{sides.there}/copy",
        "--key",
        tmp_path / "other.pub",
    )
    assert done.returncode == 5
    assert sides.inside.run("tags", f"{sides.there}/copy/team/sums").returncode != 0


def test_parts_and_prefixes_and_several_images(sides: Sides, first: Any) -> None:
    made = sides.create("both", "--split", "2MiB", f"{sides.here}/team/sums:1", f"{sides.here}/team/sums:2")
    assert len(made["files"]) > 3
    subprocess.run(["sha256sum", "--check", "--quiet", "both.sha256"], cwd=sides.folder, check=True)
    shown = told(sides.inside, "show", sides.folder / "both.002")
    assert set(shown["images"].values()) == {sides.digest("1"), sides.digest("2")}
    done = told(sides.inside, "load", sides.folder / "both.001", "--to", f"registry:{sides.there}/from/outside")
    assert [each["target"] for each in done] == [f"{sides.there}/from/outside/team/sums:{tag}" for tag in (1, 2)]
    sides.inside.said("verify", f"registry:{sides.there}/from/outside/team/sums:2")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_damaged_bundle_leaves_no_image(place: float, sides: Sides, first: Any, tmp_path: Path) -> None:
    data = bytearray((sides.folder / "first").read_bytes())
    data[int(len(data) * place)] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    fresh = Modelcrate(tmp_path / "home")  # it does not know which blobs the registry could mount
    target = f"{sides.there}/damaged{int(place * 10)}"
    done = fresh.run("bundle", "load", tmp_path / "damaged", "--to", f"registry:{target}")
    assert done.returncode == 5, done.stderr
    assert fresh.run("tags", f"{target}/team/sums").returncode != 0


def test_from_store_to_store(sides: Sides, first: Any, tmp_path: Path) -> None:
    one, two = Modelcrate(tmp_path / "one"), Modelcrate(tmp_path / "two")
    for tag in ("1", "2"):
        one.said("build", sides.folder / tag, "-t", f"sums:{tag}")
    one.said("bundle", "create", "-o", tmp_path / "a", "sums:1")
    two.said("bundle", "load", tmp_path / "a", "--to", "store")
    two.said("bundle", "inventory", "store", "-o", tmp_path / "has")
    made = told(one, "create", "-o", tmp_path / "b", "--for", tmp_path / "has", "sums:2")
    assert made["rebuilt"] > 40 * SIZE
    assert (tmp_path / "b").stat().st_size < 1.05 * len(CHANGED) * SIZE + 60_000
    two.said("bundle", "load", tmp_path / "b", "--to", "store")
    names = {f"{each['repository']}:{each['tag']}": each["digest"] for each in two.json("images")}
    assert names == {f"{each['repository']}:{each['tag']}": each["digest"] for each in one.json("images")}
    two.said("verify", "sums:2")


def test_other_tools_read_a_bundle_that_leaves_nothing_out(sides: Sides, first: Any, tmp_path: Path) -> None:
    tools.need("skopeo")
    name = f"{sides.here}/team/sums:1"
    assert '"layers"' in tools.skopeo("inspect", "--raw", f"oci-archive:{sides.folder / 'first'}:{name}")
