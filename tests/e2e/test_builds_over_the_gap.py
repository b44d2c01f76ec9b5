"""A bundle with all that a build needs: on a machine without a network the locked project is built, and its image is built again from what came along."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipapp
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelcrate_layers.content import Literal, MediaType
from support import tools
from support.command import Crate, Inside
from support.images_by_hand import write_layout
from support.offline import rootfs
from support.scripted import scripted
from support.small_projects import served
from support.sources import REPOSITORY
from support.validator import assert_valid_layout

UNPACK = """\
import sys, tempfile, zipfile

with tempfile.TemporaryDirectory() as folder:  # as a PEX does it
    zipfile.ZipFile(sys.argv[0]).extractall(folder)
    sys.path[0] = folder
    from modelcrate.cli import command

    command()
"""


@dataclass(frozen=True)
class Carried:
    bundle: Path
    project: Path
    """The project without its wheels and its model."""
    image: str
    digest: str


@pytest.fixture
def carried(inside: Inside, tmp_path: Path) -> Carried:
    """The registry with base and image is gone when this is used."""
    made = _sources_of_modelcrate(tmp_path)
    with scripted() as registry:
        base = f"{registry.host}/base/python"
        layer = Literal(rootfs(), MediaType.LAYER)
        layout = write_layout(tmp_path / "base", [layer], {"Env": ["PATH=/usr/bin"]})
        inside("copy", layout, f"registry:{base}:1").succeeded()
        project = served(tmp_path / "project", base=f"{base}:1")
        inside("lock", project).succeeded()
        image = f"{registry.host}/team/served:1"
        inside("keygen", tmp_path / "key").succeeded()
        inside("build", project, "--sources", "--push", image, "--sign", tmp_path / "key.key").succeeded()
        told = inside(
            "bundle", "create", "-o", tmp_path / "bundle", "--with", "lock,sbom,wheels,debs,base", "--with",
            f"modelcrate={made}", image, "--json",
        ).succeeded().json  # fmt: skip
        assert told["packages"] == 2
        assert set(told["images"]) > {image}
        digest = inside("digest", image).succeeded().out.strip()
    shutil.rmtree(project / "wheels")
    (project / "wheels").mkdir()
    return Carried(tmp_path / "bundle", project, image, digest)


def _sources_of_modelcrate(folder: Path) -> Path:
    """modelcrate as one file that Python starts; what it needs besides is installed for the tests."""
    top = folder / "zipped"
    for root in ("builder", "layers"):
        shutil.copytree(
            REPOSITORY / root, top, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    (top / "__main__.py").write_text(UNPACK)
    zipapp.create_archive(top, folder / "modelcrate.pyz")
    return folder / "modelcrate.pyz"


def test_without_a_network_and_without_an_installed_modelcrate(carried: Carried, tmp_path: Path) -> None:
    tools.need("unshare", root=True)
    with tarfile.open(carried.bundle) as tar:
        tar.extract("tools/modelcrate.pyz", tmp_path / "there", filter="data")
    alone = Crate.at(tmp_path / "home-there", ["unshare", "--net"])

    def over_there(*words: str | Path) -> str:
        command = ["unshare", "--net", sys.executable, tmp_path / "there" / "tools" / "modelcrate.pyz", *words]
        environment = {key: value for key, value in alone.environment.items() if key != "PYTHONPATH"}
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    over_there("bundle", "load", carried.bundle, "--to", "store")
    over_there("build", carried.project, "--locked", "--offline", "-o", f"oci:{tmp_path / 'built'}:1")
    built = json.loads((tmp_path / "built" / "index.json").read_text())["manifests"]
    assert [each["digest"] for each in built] == [carried.digest]
    assert_valid_layout(tmp_path / "built")
    told = json.loads(over_there("verify", carried.image, "--rebuild", "--offline", "--json"))
    assert told == {"image": carried.image, "rebuilt": carried.digest, "mismatches": []}


def test_packages_that_are_there_are_left_out(carried: Carried, inside: Inside, tmp_path: Path) -> None:
    there = Crate.at(tmp_path / "there")
    done = there("bundle", "load", carried.bundle, "--to", "store", "--key", tmp_path / "key.pub").succeeded()
    assert "no signature is about the packages and tools" in done.err
    assert len(there("images", "--json").succeeded().json) == 2, "the image, and its base, which the key has not signed"
    there("bundle", "inventory", "store", "-o", tmp_path / "has").succeeded()
    words = ("--with", "wheels", "--for", tmp_path / "has")
    inside("bundle", "load", carried.bundle, "--to", "store").succeeded()
    inside("bundle", "create", "-o", tmp_path / "next", *words, carried.image).succeeded()
    with tarfile.open(tmp_path / "next") as tar:
        assert not [each for each in tar.getnames() if each.startswith("packages/")]
    there("bundle", "load", tmp_path / "next", "--to", "store").succeeded()
    elsewhere = Crate.at(tmp_path / "elsewhere")
    elsewhere("bundle", "load", carried.bundle, "--to", "store").succeeded()
    shutil.rmtree(tmp_path / "elsewhere" / "cache" / "wheels")
    elsewhere("bundle", "load", tmp_path / "next", "--to", "store").failed(3, "leaves out 2 of 2 packages")


def test_what_is_damaged_is_not_kept(carried: Carried, inside: Inside, tmp_path: Path) -> None:
    data = bytearray(carried.bundle.read_bytes())
    with tarfile.open(carried.bundle) as tar:
        packages = [each for each in tar.getmembers() if each.name.startswith("packages/") and each.isfile()]
    data[packages[1].offset_data + 7] ^= 1
    (tmp_path / "damaged").write_bytes(data)
    fresh = Crate.at(tmp_path / "fresh")
    fresh("bundle", "load", tmp_path / "damaged", "--to", "store").failed(5, "digest")
    kept = {path.parent.name for path in (tmp_path / "fresh" / "cache" / "wheels").rglob("*.whl")}
    assert kept == {packages[0].name.rpartition("/")[2]}
    assert fresh("images", "--json").succeeded().json == []
    fresh("bundle", "load", carried.bundle, "--to", "store").succeeded()
    assert len(list((tmp_path / "fresh" / "cache" / "wheels").rglob("*.whl"))) == 2


def test_what_is_asked_for_has_to_be_there(inside: Inside, tmp_path: Path) -> None:
    inside("build", served(tmp_path / "project"), "-t", "x:1").succeeded()
    for words, said in {"wheels": "--sources", "sbom": "--sbom", "golden": "tests", "signatures": "sign"}.items():
        inside("bundle", "create", "-o", tmp_path / "b", "--with", words, "x:1").failed(3, "beside", said)
    inside("bundle", "create", "-o", tmp_path / "b", "--with", "wheel", "x:1").failed(2, "'wheel'", "expected lock")
    inside("bundle", "create", "-o", tmp_path / "b", "--with", "modelcrate=/no/such", "x:1").failed(3, "/no/such")
    assert not (tmp_path / "b").exists()
