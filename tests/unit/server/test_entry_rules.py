"""What an entry script may be, and what happens when it isn't."""

from __future__ import annotations

import builtins
import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelcrate_server.entry import EntryError, load_entry
from modelcrate_server.platforms import chosen
from modelcrate_server.settings import read_settings
from modelcrate_server.startup import BOOT_FAILED, FirstFailure, model_tree, start_app
from support.logs import records
from support.wsgi import PLAIN, app_of, entry_of, returning, settings_for


@pytest.fixture(autouse=True)
def process_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(builtins, "print", print)
    enabled = faulthandler.is_enabled()
    yield
    if not enabled:
        faulthandler.disable()


@contextmanager
def exit_3() -> Iterator[None]:
    with pytest.raises(SystemExit) as ended:
        yield
    assert ended.value.code == BOOT_FAILED == 3


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def run(data): pass", r"no function init\(\)"),
        ("def init(): pass", r"no function run\(\)"),
        ("def init(): pass\ndef run(data, /): pass", "positional-only"),
        ("def init(): pass\ndef run(*data): pass", r"\*args"),
        ("def init(): pass\ndef run(**data): pass", r"\*\*kwargs"),
        ("def init(): pass\ndef run(): pass", "argument for the input data"),
        ("def init(): pass\ndef run(request_headers): pass", "argument for the input data"),
        ("import nowhere_to_be_found", "raised an exception"),
        ("raise SystemExit(0)", "raised an exception"),
        ("def broken(:", "raised an exception"),
    ],
)
def test_a_script_that_cannot_be_used_says_why(tmp_path: Path, source: str, why: str) -> None:
    with pytest.raises(EntryError, match=why):
        entry_of(tmp_path, source)


def test_raw_and_schema_exclude_each_other(tmp_path: Path) -> None:
    source = (
        "from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType as S\n"
        "from inference_schema.schema_decorators import input_schema\n"
        "from azureml.contrib.services.aml_request import rawhttp\n"
        "def init(): pass\n@rawhttp\n@input_schema('data', S(1))\ndef run(data): pass\n"
    )
    with pytest.raises(EntryError, match="both @rawhttp and @input_schema"):
        entry_of(tmp_path, source)


def test_without_a_variable_main_is_the_script(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(PLAIN)
    assert load_entry(read_settings({"AML_APP_ROOT": str(tmp_path)})).run("x") == {"got": "x"}


def test_a_script_imports_from_the_app_root_and_the_source_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "in_the_root_8f3.py").write_text("A = 1")
    (tmp_path / "src/in_the_source_8f3.py").write_text("B = 2")
    source = "import in_the_root_8f3, in_the_source_8f3\n" + PLAIN
    assert entry_of(tmp_path, source, AZUREML_SOURCE_DIRECTORY="src").run("x") == {"got": "x"}


def test_a_script_may_define_dataclasses(tmp_path: Path) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
    entry_of(tmp_path, source + PLAIN)
    assert sys.modules["entry_module"].A(1).x == 1


def test_a_driver_keeps_its_init_and_gives_way_to_the_inner_run(tmp_path: Path) -> None:
    (tmp_path / "inner_8f3.py").write_text(returning("'inner'").replace("pass", "raise AssertionError"))
    outer = returning("'outer'", "import inner_8f3 as driver_module\nCALLS = []")
    source = outer.replace("pass", "CALLS.append(1)")
    assert app_of(tmp_path, source)().body == b'"inner"'
    assert sys.modules["entry_module"].CALLS == [1]


def test_an_init_that_fails_ends_with_3_and_the_model_tree(tmp_path: Path) -> None:
    model = tmp_path / "models/iris/1"
    model.mkdir(parents=True)
    (model / "model.pkl").touch()
    settings = settings_for(
        tmp_path, PLAIN.replace("pass", "raise OSError('no such model')"), AZUREML_MODEL_DIR=str(tmp_path / "models")
    )
    with exit_3(), records() as log:
        start_app(settings, chosen({}), FirstFailure())
    assert "init() of the entry script failed: OSError('no such model')" in log
    assert log[-4:] == ["models/", "    iris/", "        1/", "            model.pkl"]


def test_a_long_model_tree_is_cut(tmp_path: Path) -> None:
    for number in range(210):
        (tmp_path / f"{number:03}").touch()
    settings = settings_for(tmp_path, PLAIN.replace("pass", "1 / 0"), AZUREML_MODEL_DIR=str(tmp_path))
    with exit_3(), records() as log:
        start_app(settings, chosen({}), FirstFailure())
    assert log[-1] == "and more; these were the first 200 lines"


def test_a_model_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, PLAIN.replace("pass", "raise SystemExit"), AZUREML_MODEL_DIR="/nowhere")
    with exit_3(), records() as log:
        start_app(settings, chosen({}), FirstFailure())
    assert log[-1] == "The model directory is '/nowhere', and there is no such directory"


def test_links_to_folders_are_named_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list(model_tree(str(tmp_path))) == [f"{tmp_path.name}/", "    loop"]


def test_an_import_that_fails_ends_with_3(tmp_path: Path) -> None:
    with exit_3(), records() as log:
        start_app(settings_for(tmp_path, "1 / 0"), chosen({}), FirstFailure())
    assert "could not be imported" in log[0]


def test_a_broken_swagger_file_ends_with_3(tmp_path: Path) -> None:
    (tmp_path / "swagger.json").write_text("{")
    with exit_3(), records():
        start_app(settings_for(tmp_path, PLAIN), chosen({}), FirstFailure())


def test_a_good_script_starts_and_prints_to_the_log(tmp_path: Path) -> None:
    with records() as log:
        app = start_app(
            settings_for(tmp_path, PLAIN.replace("pass", "print('a', 1, sep='-')")), chosen({}), FirstFailure()
        )
    assert callable(app)
    assert "a-1" in log
