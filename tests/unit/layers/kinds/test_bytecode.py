"""Layers of bytecode: which modules, where their bytecode goes, and what is remembered."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from modelcrate_layers.kinds import bytecode as kind
from modelcrate_layers.kinds.bytecode import BytecodeLayer
from modelcrate_layers.kinds.debian import DebianLayer
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages import compiler as packages
from modelcrate_layers.packages.compiler import Compiler
from modelcrate_layers.tar.listing import list_inside
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Kind
from support.compilers import compiler, compiler_debs, system_python
from support.debs import Put, folder, keep_deb
from support.wheels import make_wheel

SITE = "opt/modelcrate/lib/python3.11/site-packages"
FILES = {
    "pack/__init__.py": b"",
    "pack/sub/module.py": b"def f(x):\n    return x\n",
    "pack/data.json": b"{}",
    "pack/old.py": b"print 'two'\n",
    "pack/tests/test_it.py": b"",
    "docs/conf.py": b"",
    "pack-1.0.data/scripts/tool.py": b"#!python\n",
}


def layer(place: Path) -> BytecodeLayer:
    wheel = make_wheel(place / "wheels", "pack", files=FILES)
    return BytecodeLayer(WheelsLayer((wheel,), "3.11"), compiler(place / "debs"))


def names(of: BytecodeLayer) -> list[str]:
    return [each.path.decode() for each in of.tree().entries if each.kind is Kind.FILE]


def tag() -> str:
    return f"cpython-{system_python().replace('.', '')}"


def test_bytecode_stands_where_python_looks_for_it(tmp_path: Path) -> None:
    assert names(layer(tmp_path)) == [
        f"{SITE}/pack/__pycache__/__init__.{tag()}.pyc",
        f"{SITE}/pack/sub/__pycache__/module.{tag()}.pyc",
    ]


def test_the_second_time_it_comes_out_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = layer(tmp_path)
    before = {each.path: read(each.source) for each in one.tree().entries if each.source is not None}

    def refuse(self: Compiler) -> None:
        raise AssertionError("it was compiled already")

    monkeypatch.setattr(Compiler, "run", refuse)
    assert {each.path: read(each.source) for each in one.tree().entries if each.source is not None} == before


def test_a_cache_that_was_tampered_with_is_not_believed(tmp_path: Path) -> None:
    one = layer(tmp_path)
    before = {each.path: read(each.source) for each in one.tree().entries if each.source is not None}
    (kept,) = (tmp_path / "wheels").rglob("*.pyc.tar")
    kept.write_bytes(kept.read_bytes().replace(b"module", b"eludom"))
    assert {each.path: read(each.source) for each in one.tree().entries if each.source is not None} == before


def test_its_key_tells_the_compiler_and_the_modules(tmp_path: Path) -> None:
    one = layer(tmp_path)
    newer = tuple(dataclasses.replace(each, version="2-1") for each in one.compiler.debs)
    other = make_wheel(tmp_path / "wheels", "other")
    keys = {
        one.key(),
        one.of.key(),
        dataclasses.replace(one, compiler=dataclasses.replace(one.compiler, debs=newer)).key(),
        dataclasses.replace(one, of=WheelsLayer((other,), "3.11")).key(),
        dataclasses.replace(one, checked=True).key(),
    }
    assert len(keys) == 5
    assert None not in keys


def test_a_users_sources_are_known_by_their_stamps_and_the_compiler(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    (source / "score.py").write_text("x = 1\n")
    entry = EntryLayer.of("src/score.py", list_inside(source, b"var/azureml-app/src"))
    own = BytecodeLayer(entry, compiler(tmp_path / "debs"), checked=True)
    found = own.materials()
    assert own.key() is None
    assert found.fingerprint not in ("", entry.materials().fingerprint)
    assert found.files == entry.materials().files, "whose stamps decide whether it may be remembered"
    (made,) = (each for each in own.tree().entries if each.kind is Kind.FILE)
    assert made.path.decode() == f"var/azureml-app/src/__pycache__/score.{tag()}.pyc"
    assert made.source is not None
    assert read(made.source)[4:8] == b"\3\0\0\0", "Python compares the hash with the source (PEP 552)"


def test_the_library_of_a_base_keeps_the_rights_of_its_folders(tmp_path: Path) -> None:
    place = f"./usr/lib/python{system_python()}"
    library = [
        *map(folder, ("./usr/", "./usr/lib/", f"{place}/")),
        folder(f"{place}/email/", 0o750),
        Put(f"{place}/email/parser.py", b"x = 1\n"),
        Put(f"{place}/idlelib/run.py", b""),
        Put("./usr/share/tool.py", b""),
    ]
    debs = (*compiler_debs(tmp_path), keep_deb(tmp_path, "library", library))
    base = DebianLayer("bookworm", system_python(), debs)
    tree = BytecodeLayer(base, Compiler.of(system_python(), debs)).tree()
    below = {each.path: each for each in base.tree().entries}
    folders = [each for each in tree.entries if each.kind is Kind.DIRECTORY]
    assert [each for each in folders if not each.path.endswith(b"__pycache__") and below[each.path] != each] == []
    modes = {each.path.decode(): each.mode for each in tree.entries}
    assert modes[f"{place[2:]}/email/__pycache__"] == 0o750
    assert modes[f"{place[2:]}/email/__pycache__/parser.{tag()}.pyc"] == 0o644
    assert not any("idlelib" in path or "tool" in path for path in modes)


def test_the_rules_are_those_of_the_compiler() -> None:
    assert kind.POLICY == packages.POLICY
