"""What a script is sure to do when it starts, and which of that the Python of an image can't."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from modelcrate.pipeline.start_check.import_graph import Reached, Sources, Start, reach
from modelcrate.pipeline.start_check.python_syntax import parse_for
from modelcrate.resolve.standard_library import versions_with

MODELS = "from __future__ import annotations\nfrom pydantic import BaseModel\n"
BEGIN = "def init(): pass\ndef run(data): pass\n"


def reached(folder: Path, script: str, python: str = "3.11", main: bool = False, **files: str) -> Reached:
    places = {"score.py": script, **{name.replace("__", "/") + ".py": text for name, text in files.items()}}
    for name, text in places.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    sources = Sources.of({name: folder / name for name in places}, ("",), folder)
    return reach([Start("score.py", main, ("init", "run"))], sources, python)


@pytest.mark.parametrize(
    ("script", "sure"),
    [
        ("def run(d):\n import a", ["a"]),
        ("def run(d):\n if d:\n  return 1\n import a", []),
        ("def run(d):\n if d:\n  raise ValueError\n import a", ["a"]),
        ("def run(d):\n for x in d:\n  import a", []),
        ("def load():\n import a\ndef init():\n load()", ["a"]),
        ("def load():\n import a\ndef init():\n x and load()", []),
        ("def load():\n import a\ndef init():\n later = lambda: load()", []),
        ("def load():\n import a\n yield\ndef init():\n load()", []),
        ("@wrapped\ndef load():\n import a\ndef init():\n load()", []),
        ("@input_schema('d', x)\ndef run(d):\n import a", ["a"]),
        ("class M:\n def __init__(self):\n  import a\n def b(self):\n  import c\nm = M()", ["a"]),
        ("def f():\n f()\n import a\nf()", ["a"]),
        ("try:\n import a\nexcept ValueError:\n pass", ["a"]),
        ("try:\n import a\nexcept Exception:\n log()\n raise", ["a"]),
        ("try:\n import a\nfinally:\n import b", ["a", "b"]),
        ("try:\n import a\nexcept Exception:\n pass\nelse:\n import b", []),
        ("__import__('a')", ["a"]),
        ("import importlib\nimportlib.import_module('a.b')", ["importlib", "a.b"]),
        ("from importlib import import_module as get\nget('a')", ["importlib", "a"]),
        ("import importlib\nimportlib.import_module(name)", ["importlib"]),
        ("import sys\nif sys.platform == 'win32':\n import a\nelse:\n import b", ["sys", "b"]),
        (
            "import sys\nif sys.platform.startswith('linux') and sys.version_info[:2] > (3, 10):\n import a",
            ["sys", "a"],
        ),
        ("import os\nif not os.name == 'nt':\n import a", ["os", "a"]),
        ("import platform\nif platform.system() == 'Darwin':\n import a", ["platform"]),
        ("import sys\nif sys.version_info.minor >= 12:\n import a", ["sys"]),
        ("import sys\nif sys.version_info > (3, 11):\n import a", ["sys", "a"]),
        ("import sys\nif sys.version_info <= (3, 11):\n import a", ["sys"]),
    ],
)
def test_what_is_sure_to_be_imported(tmp_path: Path, script: str, sure: list[str]) -> None:
    assert sorted(each.module for each in reached(tmp_path, script).imports if each.always) == sorted(sure)


def test_a_program_runs_what_a_module_does_not(tmp_path: Path) -> None:
    script = "def main():\n import a\nif __name__ == '__main__':\n main()\n"
    assert [each.always for each in reached(tmp_path, script).imports] == [False]
    assert [each.always for each in reached(tmp_path, script, main=True).imports if each.always] == [True]


def test_one_of_two_modules_is_needed(tmp_path: Path) -> None:
    script = "try:\n import a\nexcept ImportError:\n import b as a"
    first, second = reached(tmp_path, script).imports
    assert (first.instead, first.needed) == (("b",), True)
    assert (second.instead, second.needed) == (("a",), False)
    later = reached(tmp_path, "def later():\n try:\n  import a\n except ImportError:\n  import b").imports
    assert not any(each.needed for each in later)


@pytest.mark.parametrize(
    ("script", "python", "fault"),
    [
        ("def f(x: int | None): ...", "3.9", "writes types as `int | None`"),
        ("def f() -> 'int | None': ...", "3.9", ""),
        ("from __future__ import annotations\ndef f(x: int | None): ...", "3.9", ""),
        ("from __future__ import annotations\nA = int | None", "3.9", "writes types as `int | None`"),
        ("class A:\n x: list[str] | None = None", "3.9", "writes types as `list[str] | None`"),
        ("def f():\n x: int | None = 1", "3.9", ""),
        ("def f(x: int | None): ...", "3.10", ""),
        ("flags = a | b", "3.9", ""),
        (f"{MODELS}class A(BaseModel):\n x: int | None = None", "3.9", "writes types as `int | None`"),
        (
            f"{MODELS}class A(BaseModel): ...\nclass B(A):\n x: list[int] | None",
            "3.9",
            "writes types as `list[int] | None`",
        ),
        (
            "from pydantic import BaseModel\nclass A(BaseModel):\n x: 'int | None' = None",
            "3.9",
            "writes types as `int | None`",
        ),
        (f"{MODELS}class A(BaseModel):\n x: int | None = None", "3.10", ""),
        (f"{MODELS}class A:\n x: int | None = None", "3.9", ""),
        (f"{MODELS}def f():\n class A(BaseModel):\n  x: int | None = None", "3.9", ""),
        ("x = {1} | {2}", "3.9", ""),
        ("from datetime import UTC", "3.10", "uses datetime.UTC"),
        ("from datetime import UTC", "3.11", ""),
        ("import datetime as dt\ndef init():\n return dt.UTC", "3.9", "uses datetime.UTC"),
        ("from datetime import datetime\ndef init():\n return datetime.UTC", "3.9", ""),
        ("try:\n from typing import Self\nexcept ImportError:\n Self = None", "3.9", ""),
        ("from collections import Mapping", "3.9", ""),
        ("from collections import Mapping", "3.10", "uses collections.Mapping"),
        ("import importlib.resources.abc", "3.10", "uses importlib.resources.abc"),
        (
            "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A: ...",
            "3.9",
            "uses the argument slots of",
        ),
        ("class E(ExceptionGroup): ...", "3.10", "uses ExceptionGroup"),
        ("ExceptionGroup = None\nclass E(ExceptionGroup): ...", "3.10", ""),
        ("import asyncio\nasync def run(d):\n async with asyncio.TaskGroup(): ...", "3.10", "uses asyncio.TaskGroup"),
        ("match x:\n case 1: ...", "3.9", "is not of Python 3.9"),
        ("return 1", "3.11", "is no Python: 'return' outside function"),
    ],
)
def test_what_the_python_of_the_image_can_not(tmp_path: Path, script: str, python: str, fault: str) -> None:
    found = reached(tmp_path, script if script.startswith("from __future__") else BEGIN + script, python).faults
    assert [each.text[: len(fault)] for each in found if each.always] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("source", "older"),
    [
        ('f"{d["a"]}"', False),
        ("f\"{d['a']}\"", True),
        ("f\"{'\\n'.join(a)}\"", False),
        ('f"{\na}"', False),
        ('f"""{\na}"""', True),
        ('f"{x!r:>{w}} {{}}"', True),
    ],
)
def test_f_strings_of_3_12_are_not_of_3_11(source: str, older: bool) -> None:
    assert (parse_for(source.encode(), 11).fault is None) is older


def test_folders_that_a_script_adds_to_the_path_are_searched(tmp_path: Path) -> None:
    script = "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))\nimport near"
    found = reached(tmp_path, script, lib__near="import far")
    assert ([each.module for each in found.imports], found.unknown) == (["os", "sys", "far"], ())
    assert reached(tmp_path, "import sys\nsys.path.append(x)\nimport far").unknown == ("score.py:2",)


@pytest.mark.parametrize(
    ("expression", "path"),
    [
        ("open(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'm.pkl'), 'rb')", "AZUREML_MODEL_DIR/m.pkl"),
        ("joblib.load(os.getenv('AZUREML_MODEL_DIR') + '/m.pkl')", "AZUREML_MODEL_DIR/m.pkl"),
        ("joblib.load(Path(os.environ.get('AZUREML_MODEL_DIR', '.')) / 'a' / 'm.pkl')", "AZUREML_MODEL_DIR/a/m.pkl"),
        ("joblib.load(f\"{os.environ['AZUREML_MODEL_DIR']}/m.pkl\")", "AZUREML_MODEL_DIR/m.pkl"),
        ("(Path(__file__).resolve().parent / 'x.txt').read_text()", "/var/azureml-app/x.txt"),
        ("open(Path(__file__).parents[0].joinpath('..', 'x.txt'))", "/var/azureml-x.txt"),
        ("open('labels.txt')", "labels.txt"),
        ("open('labels.txt', 'w')", None),
        ("open('labels.txt', mode)", None),
        ("joblib.load(unknown)", None),
        ("xgb.Booster().load_model(os.environ['AZUREML_MODEL_DIR'] + '/m.ubj')", "AZUREML_MODEL_DIR/m.ubj"),
    ],
)
def test_files_that_are_loaded(tmp_path: Path, expression: str, path: str | None) -> None:
    head = "import os, joblib\nfrom pathlib import Path\n"
    for script in (f"{head}def init():\n {expression}", f"{head}def init():\n x = 1\n with y({expression}): ..."):
        found = [str(each.path) for each in reached(tmp_path, script).loaded]
        assert found == ([path.replace("azureml-x", "x")] if path else [])
    assert not reached(tmp_path, f"{head}def later():\n {expression}").loaded


def _stub(module: str) -> ast.Module | None:
    """The stub of a module of the standard library that mypy has: what other people know of it."""
    typeshed = Path(next(each for each in sys.path if (Path(each) / "mypy/typeshed").is_dir()), "mypy/typeshed/stdlib")
    place = typeshed.joinpath(*module.split("."))
    file = next((each for each in (place.with_suffix(".pyi"), place / "__init__.pyi") if each.is_file()), None)
    return ast.parse(file.read_text()) if file is not None else None


def _since(module: ast.Module, name: str) -> int | None:
    """The minor version from which on a stub has a name; None where the stub is silent or the name is in no plain condition."""
    for node in module.body:
        if isinstance(node, ast.If) and ast.unparse(node.test).startswith("sys.version_info >= (3, "):
            body, least = (
                node.body if not node.orelse else [],
                int(ast.unparse(node.test).rpartition(" ")[2].rstrip(")")),
            )
        else:
            body, least = [node], 0
        for each in body:
            own = isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name
            given = isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name
            if own or given:
                return least
    return None


def test_the_list_agrees_with_the_stubs_of_other_people() -> None:
    asked = 0
    for module in (
        "datetime",
        "typing",
        "dataclasses",
        "enum",
        "asyncio.tasks",
        "asyncio.timeouts",
        "itertools",
        "inspect",
        "contextlib",
    ):
        stub = _stub(module)
        assert stub is not None
        names = {each.name for each in ast.walk(stub) if isinstance(each, ast.ClassDef | ast.FunctionDef)}
        for name in sorted(names & set(getattr(importlib.import_module(module), "__all__", names))):
            known, since = versions_with(f"{module}.{name}"), _since(stub, name)
            if since is not None and 9 < since <= 14:
                asked += 1
                assert known is not None and known[0] == since, f"{module}.{name}"  # noqa: PT018 - one fact
    assert asked > 20
