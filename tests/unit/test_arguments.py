"""The library's arguments: what is of a wrong type is one error that names the argument."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.api import as_address
from modelcrate.arguments import as_path, as_paths, as_texts
from modelcrate_layers.errors import MachineError, SourceError, UserError

library: Any = modelcrate


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: library.build(3), "project is 3, of the type int"),
        (lambda: library.build(b"x"), "project is b'x', of the type bytes"),
        (lambda: library.plan({}), "project is {}, of the type dict"),
        (lambda: library.lock(None), "project is None, of the type NoneType"),
        (lambda: library.init(3), "folder is 3, of the type int"),
        (lambda: library.start(3), "project is 3, of the type int"),
        (lambda: library.find(3), "address is 3, of the type int"),
        (lambda: library.run(3), "image is 3, of the type int"),
        (lambda: library.run(".", options={}), "options is {}, of the type dict"),
        (lambda: library.run(".", options=library.ContainerOptions(user=3)), "user is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(volumes=3)), "volumes is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(platform=3)), "platform is 3, of the type int"),
        (lambda: library.run(".", options=library.ContainerOptions(memory=True)), "not an amount of memory: 'True'"),
        (lambda: library.run(".", env={"A=B": 1}), "not a variable: 'A=B'"),
        (lambda: library.build(".", push=3), "push is 3, of the type int"),
        (lambda: library.build(".", outputs=[3]), "an item of outputs is 3, of the type int"),
        (lambda: library.build(".", settings="x"), "settings is 'x', of the type str"),
        (lambda: library.build(".", emit=3), "emit is 3"),
        (lambda: library.build(".", sign=3), "sign is 3, of the type int"),
        (lambda: library.build(".", policy=3), "policy is 3, of the type int"),
        (lambda: library.build(".", share_layers=3), "share_layers is 3, of the type int"),
        (lambda: library.sign("x", 3), "key is 3, of the type int"),
        (lambda: library.sign("x", "command:a\0b"), "key is 'command:a\\x00b', of the type str"),
        (lambda: library.verify(3), "image is 3, of the type int"),
        (lambda: library.verify_signatures("x", keys=3), "keys is 3, of the type int"),
        (lambda: library.sbom(3), "image is 3, of the type int"),
        (lambda: library.build(""), "project is '', of the type str"),
        (lambda: library.build("a\0b"), "project is 'a\\x00b', of the type str"),
        (lambda: library.find("oci:a\0b"), "address is 'oci:a\\x00b', of the type str"),
        (lambda: library.build(".", settings=library.Config(3)), "the home of settings is 3, of the type int"),
        (lambda: library.run(".", ports=[8080]), "ports is [8080], of the type list"),
        (lambda: library.run(".", env=["A=1"]), "env is ['A=1'], of the type list"),
        (lambda: library.predict(None, {}), "target is None, of the type NoneType"),
        (lambda: library.predict(".", {1}), "data is no JSON: Object of type set is not JSON serializable"),
        (lambda: library.test(3), "address is 3, of the type int"),
        (lambda: library.rebuild("x", keys=3), "keys is 3, of the type int"),
        (lambda: library.load_bundle("x", None), "to is None, of the type NoneType"),
        (lambda: library.create_bundle("x", "y", inventory=3), "inventory is 3, of the type int"),
        (lambda: library.build_all(["x"]), "an item of orders is 'x', of the type str"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(UserError) as caught:
        call()
    assert caught.value.what == named
    assert caught.value.hint.startswith("expected ")


def test_what_stands_for_paths_and_texts() -> None:
    assert as_path("a", "x") == as_path("a", Path("x")) == Path("x")
    assert as_texts("a", "x") == as_texts("a", ["x"]) == as_texts("a", iter(("x",))) == ("x",)
    assert as_paths("a", "x") == as_paths("a", Path("x")) == as_paths("a", ["x"]) == (Path("x"),)


def test_what_the_operating_system_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        modelcrate.build("x" * 5000, settings=modelcrate.Config(tmp_path))
    assert caught.value.what == "File name too long"
    assert caught.value.where == "x" * 5000


def test_a_fault_of_the_callers_own_receiver_stays_what_it_is(tmp_path: Path) -> None:
    def emit(event: object) -> None:
        raise BrokenPipeError

    (tmp_path / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    with pytest.raises(BrokenPipeError):
        modelcrate.build(tmp_path, settings=modelcrate.Config(tmp_path / "home"), emit=emit)


def test_a_bundle_of_nothing_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image is named"):
        modelcrate.create_bundle(tmp_path / "x.bundle", settings=modelcrate.Config(tmp_path))
    assert not (tmp_path / "x.bundle").exists()


def test_a_registered_model_is_looked_for_where_the_commands_look(tmp_path: Path) -> None:
    variables = {"MODELCRATE_WORKSPACE": str(tmp_path / "ws")}
    with pytest.raises(SourceError) as caught:
        modelcrate.export_model("sums:1", "oci:x", settings=modelcrate.Config(tmp_path, variables))
    assert str(tmp_path / "ws") in caught.value.where


def test_checkers_see_the_public_names_and_no_others() -> None:
    tree = ast.parse(Path(modelcrate.__file__).read_text())
    for_checkers = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {each.asname or each.name for node in for_checkers for each in node.names}
    assert set(modelcrate.__all__) <= names
    for_running = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [each.name for each in for_running] == ["__dir__"], (
        "__getattr__ would make a checker pass over misspelt names"
    )


def test_a_program_that_signs_is_taken_as_it_is() -> None:
    program = "command:sign --with https://keys.example//team"
    assert as_address("sign", program) == program
    assert as_address("sign", Path("keys") / "team.key") == "keys/team.key"
