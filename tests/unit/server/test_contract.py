"""The contract as a value, and the files it puts into an image."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from modelcrate import __version__
from modelcrate.project.contracts import contract, contracts, promise, server_imports
from modelcrate_layers.errors import UserError
from modelcrate_server import VERSION
from modelcrate_server.compat_imports import STAND_INS

AZURE = promise()
SOURCES = {name: data.decode() for name, data in AZURE.files if name.endswith(".py")}
OF_THE_IMAGE = {"grpc", "gunicorn", "numpy", "pandas", "dateutil", "debugpy"}
"""Imported where an image has them; nothing fails where it hasn't."""


def test_contracts_are_found_by_their_files() -> None:
    assert list(contracts()) == sorted(contracts())
    assert contracts()["azureml"] == contract("azureml")
    assert promise().ports == (contract("azureml").port,)


def test_an_unknown_contract_is_named_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="unknown contract 'nope'") as raised:
        contract("nope")
    assert "azureml" in raised.value.hint


def test_azure_listens_on_5001_and_starts_the_server_package() -> None:
    assert AZURE.ports == (5001,)
    assert AZURE.argv == ("/opt/modelcrate/bin/python", "-m", "modelcrate_server")
    assert dict(AZURE.env)["PYTHONPATH"] == "/opt/modelcrate/server"
    assert "opt/modelcrate/server/modelcrate_server/__main__.py" in SOURCES


def test_files_are_sorted_small_and_below_their_folder() -> None:
    names = [name for name, _ in AZURE.files]
    assert names == sorted(names)
    assert all(name.startswith("opt/modelcrate/server/modelcrate_server/") for name in names)
    assert sum(len(data) for _, data in AZURE.files) < 350_000


@pytest.mark.parametrize("name", SOURCES)
def test_the_server_imports_the_standard_library_and_itself_only(name: str) -> None:
    for node in ast.walk(ast.parse(SOURCES[name], feature_version=(3, 9))):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            imported = [node.module or ""]
        for module in imported:
            assert module.split(".")[0] in sys.stdlib_module_names | OF_THE_IMAGE, f"{name}:{node.lineno}"


def test_what_the_server_imports_is_read_from_its_lines_as_a_parser_reads_it() -> None:
    tops = [node for source in SOURCES.values() for node in ast.parse(source).body]
    plain = {alias.name.partition(".")[0] for node in tops if isinstance(node, ast.Import) for alias in node.names}
    begun = {
        (node.module or "").partition(".")[0] for node in tops if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert server_imports() == plain | begun


@pytest.mark.parametrize("name", SOURCES)
def test_the_server_needs_no_annotation_at_run_time(name: str) -> None:
    if ast.parse(SOURCES[name]).body[1:]:
        assert "from __future__ import annotations" in SOURCES[name]


def test_stand_ins_have_sources() -> None:
    package = Path(sys.modules["modelcrate_server"].__file__ or "").parent
    for source in STAND_INS.values():
        assert source is None or (package / f"{source[1:].replace('.', '/')}.py").is_file()


def test_the_servers_version_is_the_projects() -> None:
    assert __version__ == VERSION
