"""An image on another base, or with another model, is what its sources give: those of the image before, with what was changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.images.sources import Changes, NewBase, NewModel
from modelcrate_layers.content import Digest
from support import real_registry
from support.command import Inside
from support.elf_files import make_elf
from support.images_by_hand import write_layout
from support.real_registry import Running
from support.rootfs import layer, member
from support.small_projects import served
from support.validator import assert_valid_layout

PYTHON = make_elf(text=b"/lib64/ld-linux-x86-64.so.2\0")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if why := real_registry.missing():
        pytest.skip(why)
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


def put_base(inside: Inside, registry: Running, folder: Path, version: str) -> str:
    """A base with something that is named as Python is."""
    layers = [layer(member("usr/bin/python3.11", PYTHON)), layer(member("etc/version", version.encode()))]
    settings = {"Env": ["PATH=/usr/bin", f"RELEASE={version}"], "Labels": {"of": version}}
    name = f"{registry.host}/base/os:{version}"
    inside("copy", write_layout(folder / version, layers, settings), f"registry:{name}").succeeded()
    return name


def proven(inside: Inside, name: str, *words: str | Path) -> None:
    """The image is what its sources give, by what is in the registry alone."""
    done = inside("verify", name, "--rebuild", "--json", *words).succeeded().json
    assert done["mismatches"] == []
    assert done["rebuilt"] == inside("digest", name).succeeded().out.strip()


def test_another_base_and_other_models_one_after_the_other(inside: Inside, registry: Running, tmp_path: Path) -> None:
    old, new = (put_base(inside, registry, tmp_path / "bases", version) for version in ("1", "2"))
    project = served(tmp_path / "project", base=f"{{from: '{old}', interpreter: /usr/bin/python3.11}}")
    inside("lock", project).succeeded()
    inside("keygen", tmp_path / "key").succeeded()
    key, public, name = tmp_path / "key.key", tmp_path / "key.pub", f"{registry.host}/team/served:1"
    inside("build", project, "--sources", "--sign", key, "--push", name).succeeded()
    shutil.rmtree(project)
    built = inside("digest", name).succeeded().out

    inside("rebase", name, "--onto", new, "--sign", key).succeeded()
    assert inside("digest", name).succeeded().out != built
    proven(inside, name, "--key", public)

    other = tmp_path / "retrained.bin"
    other.write_bytes(b"better" * 700)
    inside("swap-model", name, "--model", other, "--no-test", "--sign", key).succeeded()
    proven(inside, name, "--key", public)

    inside("model", "register", "fresh", other, "-w", tmp_path / "workspace").succeeded()
    words = ("--model", "fresh:1", "-w", tmp_path / "workspace", "--no-test")
    inside("swap-model", name, *words).succeeded()
    inside("verify", name, "--rebuild", "--key", public).failed(5, "not signed")
    proven(inside, name)

    inside("rebase", name, "--onto", old).succeeded()
    proven(inside, name)
    inside("sources", name, tmp_path / "again").succeeded()
    inside("build", tmp_path / "again", "--locked", "-o", f"oci:{tmp_path / 'layout'}:1").succeeded()
    assert inside("digest", f"oci:{tmp_path / 'layout'}:1").succeeded().out == inside("digest", name).succeeded().out
    assert_valid_layout(tmp_path / "layout")


def test_a_base_that_no_project_can_name_is_told(inside: Inside, registry: Running, tmp_path: Path) -> None:
    """Only the lowest layers of an image of ours are taken as a base; so is a base of this machine."""
    old = put_base(inside, registry, tmp_path / "bases", "3")
    project = served(tmp_path / "project", base=f"{{from: '{old}', interpreter: /usr/bin/python3.11}}")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "x:1").succeeded()
    layers = [layer(member("usr/bin/python3.11", PYTHON)), layer(member("etc/version", b"4"))]
    inside("rebase", "x:1", "--onto", write_layout(tmp_path / "4", layers, {"Env": ["PATH=/usr/bin"]})).succeeded()
    inside("verify", "x:1", "--rebuild").failed(5, "put onto", "no project can name")
    inside("sources", "x:1", tmp_path / "out").failed(5, "no project can name")


def test_changes_follow_each_other() -> None:
    one, two = (Digest.of(text) for text in (b"1", b"2"))
    base = NewBase("example/os:2", {"linux/amd64": one})
    first = Changes(base, (NewModel("a:1", "b", 1, (one,)),))
    then = first.then(Changes(None, (NewModel("b:1", "c", 2, (two,)), NewModel("d:1", "d", 1, (one,)))))
    assert then == Changes(base, (NewModel("a:1", "c", 2, (two,)), NewModel("d:1", "d", 1, (one,))))
    told = '{"base": {"name": "example/os:2", "digests": {"linux/amd64": "'
    told += f'{one}"}}}}}}'
    assert Changes.parse(told) == Changes(base)
    assert replace(first, base=None).json().keys() == {"models"}


def test_variants_go_onto_another_base_together(inside: Inside, registry: Running, tmp_path: Path) -> None:
    old, new = (put_base(inside, registry, tmp_path / "bases", version) for version in ("6", "7"))
    project = served(tmp_path / "project", base=f"{{from: '{old}', interpreter: /usr/bin/python3.11}}")
    with open(project / "modelcrate.yaml", "a") as file:
        file.write("variants: [{name: gpu, env: {DEVICE: cuda}}]\n")
    inside("lock", project).succeeded()
    name = f"{registry.host}/team/varied:1"
    inside("build", project, "--sources", "--push", name).succeeded()
    inside("rebase", name, "--onto", new).succeeded()
    proven(inside, name)
    proven(inside, f"{name}-gpu")
    inside("swap-model", name, "--model", __file__, "--no-test").succeeded()
    proven(inside, name)


def test_a_variant_that_goes_onto_another_base_alone_is_told(inside: Inside, registry: Running, tmp_path: Path) -> None:
    old, other, new = (put_base(inside, registry, tmp_path / "bases", version) for version in ("8", "9", "10"))
    project = served(tmp_path / "project", base=f"{{from: '{old}', interpreter: /usr/bin/python3.11}}")
    with open(project / "modelcrate.yaml", "a") as file:
        file.write(f"variants: [{{name: gpu, base: {{from: '{other}', interpreter: /usr/bin/python3.11}}}}]\n")
    inside("lock", project).succeeded()
    name = f"{registry.host}/team/alone:1"
    inside("build", project, "--sources", "--push", name).succeeded()
    inside("rebase", name, "--onto", new, "--variant", "gpu").succeeded()
    found = inside("verify", name, "--rebuild")
    assert found.code == 5, found.err
    assert "Env RELEASE is 10, and should be 9" in found.out
    inside("verify", f"{name}-gpu", "--rebuild").failed(5, "no project can name", "the image before")
