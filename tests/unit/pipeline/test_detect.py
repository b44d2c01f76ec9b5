"""What a folder without a project file is taken for."""

from __future__ import annotations

import bz2
import lzma
import os
import pickle
from pathlib import Path
from struct import pack

import pytest

from modelcrate.importers import bento, cog, kitfile, modelfile
from modelcrate.pipeline.checks import check
from modelcrate.pipeline.detection import detect as detecting
from modelcrate.pipeline.detection import detect_files
from modelcrate.pipeline.detection.detect import detect, write_project
from modelcrate.project.reading import parse_project, read_project
from modelcrate.project.values import Dependencies, Entry
from modelcrate.project.writing import project_text
from modelcrate.resolve.declared import read_declaration
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.tar.listing import list_path

ROOT = Path(__file__).parents[3]
SCRIPT = "def init(): ...\ndef run(data): ...\n"
MODEL = pickle.dumps({"w": 1.0})


class Bomb:
    """Writes a file when it is unpickled, so a test sees whether anybody did."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return (os.mkdir, (str(self.mark),))


def make(folder: Path, **files: str | bytes) -> Path:
    for name, data in {k.replace("__", "/"): v for k, v in files.items()}.items():
        stem, _, ending = name.rpartition("_")
        path = folder / (f"{stem}.{ending}" if stem else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


def refused(folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        detect(folder)
    return caught.value


def test_the_demo_is_detected_and_writes_a_file_that_reads_back() -> None:
    project, findings = detect(ROOT / "fixtures/projects/diabetes")
    assert project.name == "diabetes"
    assert project.entry == Entry(Path("score.py"), Path("src"))
    assert project.dependencies == Dependencies(Path("requirements.txt"))
    assert [model.path for model in project.models] == [Path("model/sklearn_regression_model.pkl")]
    assert parse_project(project_text(project).encode()) == project
    assert [str(finding) for finding in findings] == [
        "name diabetes (the folder's name)",
        "entry script: src/score.py (it defines init and run; all of src goes with it)",
        "dependencies: requirements.txt (a requirements file)",
        "model: model/sklearn_regression_model.pkl (a pickle, by its first bytes)",
    ]


def test_nothing_found_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    script = f"import os\nos.mkdir({str(mark)!r})\n{SCRIPT}"
    project, _ = detect(make(tmp_path / "p", score_py=script, model_pkl=pickle.dumps(Bomb(mark))))
    assert len(project.models) == 1
    assert not mark.exists()


def test_score_py_is_preferred_then_main_py_then_the_shallowest(tmp_path: Path) -> None:
    make(tmp_path, deep__er__serve_py=SCRIPT)
    assert detect(tmp_path)[0].entry == Entry(Path("serve.py"), Path("deep/er"))
    make(tmp_path, app_py=SCRIPT)
    assert detect(tmp_path)[0].entry == Entry(Path("app.py"))
    make(tmp_path, other__main_py=SCRIPT)
    assert detect(tmp_path)[0].entry == Entry(Path("main.py"), Path("other"))
    make(tmp_path, src__score_py=SCRIPT)
    project, findings = detect(tmp_path)
    assert project.entry == Entry(Path("score.py"), Path("src"))
    assert "preferred to other/main.py, app.py, deep/er/serve.py" in findings[1].why


def test_a_script_at_the_top_goes_alone_unless_it_imports_its_neighbours(tmp_path: Path) -> None:
    make(tmp_path, score_py=f"import json\n{SCRIPT}", helper_py="")
    assert detect(tmp_path)[0].entry == Entry(Path("score.py"))
    make(tmp_path, score_py=f"from helper import x\n{SCRIPT}")
    project, findings = detect(tmp_path)
    assert project.entry == Entry(Path("score.py"), Path())
    assert "because it imports helper" in findings[1].why


def test_environments_tests_and_hidden_folders_are_not_looked_at(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT)
    for folder in (".venv", ".git", "tests", "myenv", "__pycache__", "node_modules"):
        make(
            tmp_path / folder, score_py=SCRIPT, model_pkl=MODEL, pyvenv_cfg="home = /usr\n" if folder == "myenv" else ""
        )
    project, _ = detect(tmp_path)
    assert project.models == ()


def test_no_entry_script_says_what_was_near(tmp_path: Path) -> None:
    make(tmp_path, score_py="def init(: ...", main_py="def run(data): ...", a_py="def init(): ...", b_py="x = 1")
    error = refused(tmp_path)
    assert error.what == "no entry script: no Python file here defines both init() and run(data)"
    assert error.why.splitlines() == [
        "score.py can't be parsed: line 1: invalid syntax",
        "main.py defines run, but no init()",
        "a.py defines init, but no run(data)",
    ]
    assert "modelcrate.yaml" in error.hint
    make(tmp_path / "other", score_py="x = 1")
    assert refused(tmp_path / "other").why == "score.py defines neither init() nor run(data)"


FASTAPI = "from fastapi import FastAPI\nimport {}\napp = FastAPI()"
UVICORN = ("--host", "0.0.0.0", "--port", "8000")


@pytest.mark.parametrize(
    ("path", "text", "argv"),
    [
        ("api/main.py", FASTAPI.format("os"), ("uvicorn", "api.main:app", *UVICORN)),
        ("api/main.py", FASTAPI.format("near"), ("uvicorn", "main:app", *UVICORN, "--app-dir", "api")),
        ("api/main.py", FASTAPI.format("api.near"), ("uvicorn", "api.main:app", *UVICORN)),
        ("src/api/main.py", FASTAPI.format("api.near"), ("uvicorn", "api.main:app", *UVICORN, "--app-dir", "src")),
        ("api/main.py", f"from .near import x\n{FASTAPI.format('os')}", ("uvicorn", "api.main:app", *UVICORN)),
        ("app.py", "import fastapi\nother = fastapi.FastAPI()", ("uvicorn", "app:other", *UVICORN)),
        ("web.py", "from flask import Flask\napp = Flask(__name__)", ("flask", "--app", "web", "run", *UVICORN)),
        ("api/web.py", "import flask\nimport near\napp = 1", ("flask", "--app", "api/web.py", "run", *UVICORN)),
        ("web.py", "import flask\ndef create_app(): ...", ("flask", "--app", "web", "run", *UVICORN)),
        ("web/__init__.py", "import flask\napp = flask.Flask(__name__)", ("flask", "--app", "web", "run", *UVICORN)),
        (
            "ui/app.py",
            "import streamlit as st\nst.title(1)",
            ("streamlit", "run", "ui/app.py", "--server.port", "8000", "--server.headless", "true"),
        ),
        ("app.py", "import gradio\ngradio.Interface(print, None, None).launch()", ("python3", "app.py")),
        ("app.py", "import litserve\nlitserve.LitServer(1).run(port=8000)", ("python3", "app.py")),
    ],
)
def test_an_application_is_started_by_a_command(tmp_path: Path, path: str, text: str, argv: tuple[str, ...]) -> None:
    make(tmp_path, requirements_txt="a\n", _hidden="x", model_pkl=MODEL)
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).with_name("near.py").write_text("x = 1\n")
    (tmp_path / path).write_text(text)
    project, findings = detect(tmp_path)
    assert project.command is not None
    assert (project.command.argv, project.command.source) == (argv, Path())
    assert (project.entry, project.models) == (None, ()), "it finds its models where it looks for them"
    assert project.dependencies == Dependencies(Path("requirements.txt"))
    assert findings[1].what == "command"
    assert read_project(write_project(tmp_path)[0]) == project


def test_a_folder_whose_name_is_none_in_python_and_the_one_with_most_imports(tmp_path: Path) -> None:
    make(tmp_path, broken__main_py="print 1")
    (tmp_path / "1-app").mkdir()
    (tmp_path / "1-app" / "main.py").write_text(FASTAPI.format("os"))
    project, _ = detect(tmp_path)
    assert project.command is not None
    assert project.command.argv == ("uvicorn", "main:app", *UVICORN, "--app-dir", "1-app")
    make(tmp_path / "two", starter__main_py=FASTAPI.format("starter.inner.x"), starter__starter__inner__x_py="")
    project, _ = detect(tmp_path / "two")
    assert project.command is not None
    assert project.command.argv[-2:] == ("--app-dir", "starter")


def test_what_an_application_takes_where_nothing_declares_it(tmp_path: Path) -> None:
    make(
        tmp_path,
        near_py="",
        app_py="import gradio as gr\nimport PIL, near, azure.x, stranger\ngr.Blocks().launch(server_port=7000)",
    )
    project, findings = detect(tmp_path)
    assert project.command is not None
    assert (project.dependencies.requirements, project.command.ports) == (("gradio", "pillow"), (7000,))
    assert project.env == {"GRADIO_SERVER_NAME": "0.0.0.0"}
    make(tmp_path, model_pkl=b"csklearn.svm\nSVC\n)R.")
    assert detect(tmp_path)[0].dependencies.requirements == ("gradio", "pillow", "scikit-learn")
    assert "nothing declares any" in findings[2].why
    make(tmp_path, z__main_py=FASTAPI.format("os"))
    assert "preferred to z/main.py" in detect(tmp_path)[1][1].why
    make(tmp_path, serve_py=FASTAPI.format("os"))
    assert detect(tmp_path)[1][1].path == Path("serve.py"), "programs ask it, and app.py is a page for people"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app_py", "import gradio"),
        ("my-app_py", "from flask import Flask\napp = Flask(__name__)"),
        ("app_py", "from fastapi import APIRouter\nrouter = APIRouter()"),
    ],
)
def test_an_application_that_is_not_known_to_start_is_said(tmp_path: Path, name: str, text: str) -> None:
    make(tmp_path, **{name: text})
    error = refused(tmp_path)
    assert "app of" in error.why
    assert "start the app itself by a command" in error.hint


def test_the_configuration_of_another_tool_is_named_with_what_reads_it(tmp_path: Path) -> None:
    assert set(detecting.OTHER_TOOLS) == {each.NAMES[0] for each in (bento, cog, kitfile, modelfile)}
    make(tmp_path, cog_yaml="predict: p.py:P", predict_py="import cog")
    assert refused(tmp_path).hint.startswith("modelcrate init --from cog.yaml makes a project of that file\nor write")
    make(tmp_path, score_py=SCRIPT)
    assert "not taken: cog.yaml (modelcrate init --from cog.yaml reads it" in str(detect(tmp_path)[1][-1])


def test_a_broken_script_that_serves_nothing_stops_no_model(tmp_path: Path) -> None:
    make(tmp_path, ask_py="print 'of Python 2'\n", model_pkl=MODEL)
    project, findings = detect(tmp_path)
    assert [each.name for each in project.models] == ["model"]
    assert "ask.py can't be parsed: line 1:" in findings[1].why
    make(tmp_path, ask_py="def init(): ...\ndef run(data:\n")
    assert refused(tmp_path).why.startswith("ask.py can't be parsed: line 2")


def test_hostile_scripts_are_no_candidates(tmp_path: Path) -> None:
    make(tmp_path, a_py="(" * 5000, b_py=b"\0", c_py=b"# coding: nonsense\n", d_py="x" * (detecting.MAX_TEXT + 1))
    assert "no entry script" in refused(tmp_path).what


def test_two_equally_good_scripts_are_refused(tmp_path: Path) -> None:
    make(tmp_path, a_py=SCRIPT, b_py=SCRIPT)
    assert refused(tmp_path).what == "2 entry scripts that are equally good: a.py and b.py"


def test_several_models_are_all_taken_with_distinct_names(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, a__model_pkl=MODEL, b__model_pkl=MODEL, trees_cbm=b"CBM1", notes_txt="words")
    project, _ = detect(tmp_path)
    assert [(str(model.path), model.name) for model in project.models] == [
        ("a/model.pkl", "a-model"),
        ("b/model.pkl", "b-model"),
        ("trees.cbm", "trees"),
    ]


def test_models_that_can_get_no_name_of_their_own_are_refused(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT)
    for name in ("ä.pkl", "ö.pkl"):
        (tmp_path / name).write_bytes(MODEL)
    assert refused(tmp_path).what == "two models would be called pkl"


def test_models_that_differ_in_their_endings_are_named_by_them(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, model_pkl=MODEL, model_joblib=MODEL)
    assert {model.name for model in detect(tmp_path)[0].models} == {"model-pkl", "model-joblib"}


def test_a_model_folder_is_taken_whole(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, models__net__saved_model_pb=b"x", models__net__variables__v_pkl=MODEL)
    (tmp_path / "models/net/MLmodel").write_text("flavors: {}\n")
    project, findings = detect(tmp_path)
    assert [str(model.path) for model in project.models] == ["models/net"]
    assert str(findings[-1]) == "model: models/net (an MLflow model, by the file MLmodel in it)"


def test_no_model_and_no_requirements_are_said(tmp_path: Path) -> None:
    findings = detect(make(tmp_path, score_py=SCRIPT))[1]
    assert [finding.what for finding in findings[2:]] == ["no dependencies", "no model"]


def test_dependencies_beside_the_script_are_told_where_those_at_the_top_are_taken(tmp_path: Path) -> None:
    make(tmp_path, requirements_txt="a\n", model__score_py=SCRIPT, docs__requirements_txt="b\n")
    make(tmp_path / "net", MLmodel="flavors: {}\n", requirements_txt="mlflow\n")
    assert "not taken" not in detect(tmp_path)[1][2].why
    make(tmp_path, model__conda_yaml="dependencies: [c]\n")
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies(Path("requirements.txt"))
    assert "; not taken: model/conda.yaml; name one in a modelcrate.yaml" in findings[2].why


def test_the_one_model_gets_the_name_that_the_script_asks_for(tmp_path: Path) -> None:
    script = (
        "from azureml.core.model import Model\ndef init():\n    Model.get_model_path('iris.pkl')\ndef run(data): ...\n"
    )
    project, findings = detect(make(tmp_path, score_py=script, model_pkl=MODEL))
    assert [model.name for model in project.models] == ["iris.pkl"]
    assert "named iris.pkl, for score.py asks for that" in findings[-1].why
    make(tmp_path, other_pkl=MODEL)
    assert {model.name for model in detect(tmp_path)[0].models} == {"model", "other"}


def test_a_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, m_pkl=b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(SourceError, match="Git LFS pointer") as caught:
        detect(tmp_path)
    assert "git lfs pull" in caught.value.hint


def test_a_lock_is_preferred_to_requirements_and_the_top_to_the_scripts_folder(tmp_path: Path) -> None:
    make(tmp_path, src__score_py=SCRIPT, src__requirements_txt="numpy\n")
    assert detect(tmp_path)[0].dependencies == Dependencies(Path("src/requirements.txt"))
    make(tmp_path, requirements_txt="numpy\n")
    assert detect(tmp_path)[0].dependencies == Dependencies(Path("requirements.txt"))
    (tmp_path / "pylock.cpu.toml").touch()
    assert detect(tmp_path)[0].dependencies == Dependencies(pylock=Path("pylock.cpu.toml"))
    (tmp_path / "pylock.gpu.toml").touch()
    assert refused(tmp_path).what == "2 lock files: pylock.cpu.toml and pylock.gpu.toml"
    (tmp_path / "pylock.toml").touch()
    assert detect(tmp_path)[0].dependencies == Dependencies(pylock=Path("pylock.toml"))


@pytest.mark.parametrize(
    ("name", "text", "python"),
    [
        (".python-version", "3.12.4\n", "3.12"),
        (".python-version", "pypy3.10\n", None),
        (".python-version", "3.8.10\n", None),
        ("pyproject.toml", "[project]\nrequires-python = '==3.8.*'\n", None),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.10'\n", "3.11"),
        ("pyproject.toml", "[project]\nrequires-python = '>=3.12'\n", "3.13"),
        ("pyproject.toml", "[project]\nrequires-python = '==3.9.*'\n", "3.9"),
        ("pyproject.toml", "[project]\nrequires-python = 'new'\n", None),
        ("pyproject.toml", "[project]\nrequires-python = 3\n", None),
        ("pyproject.toml", "project = 1\n", None),
        ("pyproject.toml", "[[[", None),
    ],
)
def test_the_python_version(tmp_path: Path, name: str, text: str, python: str | None) -> None:
    make(tmp_path, score_py=SCRIPT)
    (tmp_path / name).write_text(text)
    project, findings = detect(tmp_path)
    assert project.python == python
    assert any("no base of modelcrate's own has it" in each.why for each in findings) is (
        "3.8" in text or "new" in text
    )


def test_links_out_of_the_folder_pipes_and_dangling_links_are_left_out(tmp_path: Path) -> None:
    folder = make(tmp_path / "p", score_py=SCRIPT)
    make(tmp_path, secret_pkl=MODEL)
    (folder / "out.pkl").symlink_to(tmp_path / "secret.pkl")
    (folder / "gone.pkl").symlink_to("nowhere")
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.pkl")
    assert detect(folder)[0].models == ()


def test_a_name_is_made_of_any_folder(tmp_path: Path) -> None:
    assert detect(make(tmp_path / "My Model (v2)!", score_py=SCRIPT))[0].name == "my-model-v2"
    assert detect(make(tmp_path / "模型", score_py=SCRIPT))[0].name == "model"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        detect(tmp_path / "none")


def test_too_many_files_to_guess(tmp_path: Path) -> None:
    for number in range(detect_files.MAX_FILES + 1):
        (tmp_path / f"{number}").touch()
    assert refused(tmp_path).what == f"more than {detect_files.MAX_FILES} files; too many to guess from"


def test_a_model_without_any_script_is_asked_for_its_own(tmp_path: Path) -> None:
    project, findings = detect(make(tmp_path, model_pkl=MODEL, train_py="x = 1", requirements_txt="numpy\n"))
    assert project.entry is None
    assert project.served_by_model
    assert project.dependencies == Dependencies(Path("requirements.txt"))
    assert "no entry script (no Python file defines init and run, so the model decides how it is served)" in map(
        str, findings
    )
    assert parse_project(project_text(project).encode()) == project
    (tmp_path / "requirements.txt").unlink()
    _, findings = detect(tmp_path)
    assert "so they come from the model" in str(findings[2])


def test_a_script_that_was_meant_to_be_one_is_not_passed_over(tmp_path: Path) -> None:
    make(tmp_path, model_pkl=MODEL, score_py="def run(data): ...")
    assert refused(tmp_path).why == "score.py defines run, but no init()"


def test_a_folder_that_is_a_model_as_a_whole_is_the_model(tmp_path: Path) -> None:
    project, findings = detect(ROOT / "fixtures/models/mlflow")
    (model,) = project.models
    assert (model.name, model.path) == ("mlflow", ROOT / "fixtures/models/mlflow")  # type: ignore[union-attr]
    assert project.dependencies == Dependencies(), "requirements.txt is the model's own"
    assert "model: the folder itself (an MLflow model, by the file MLmodel in it)" in map(str, findings)


def test_neither_a_script_nor_a_model(tmp_path: Path) -> None:
    make(tmp_path, notes_md="nothing", data_csv="1,2")
    error = refused(tmp_path)
    assert "no entry script" in error.what
    assert error.why == "and no model, which might do without one; found data.csv, notes.md"


def test_a_lock_goes_before_what_it_was_made_from_and_what_is_not_read_is_said(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, requirements_txt="numpy\n", environment_yml="dependencies: []\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\ndependencies = ['numpy']\n")
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies(Path("requirements.txt"))
    assert "not read: pyproject.toml, environment.yml" in findings[2].why
    (tmp_path / "uv.lock").write_text("version = 1\n")
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies(Path("uv.lock"))
    assert (
        findings[2].why == "a lock of uv; not read: requirements.txt, environment.yml, because a lock pins everything"
    )


@pytest.mark.parametrize(
    "name", ["poetry.lock", "pdm.lock", "pixi.lock", "Pipfile.lock", "conda.yaml", "pyproject.toml"]
)
def test_other_declarations_are_taken(tmp_path: Path, name: str) -> None:
    make(tmp_path, score_py=SCRIPT)
    (tmp_path / name).write_text("[project]\ndependencies = []\n")
    project, _ = detect(tmp_path)
    assert project.dependencies == Dependencies(Path(name))
    assert parse_project(project_text(project).encode()) == project


def test_a_pyproject_of_settings_alone_declares_nothing_and_what_is_near_is_said(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, setup_py="")
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    (tmp_path / "requirements-prod.txt").write_text("numpy\n")
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies()
    assert "not taken: requirements-prod.txt, setup.py" in findings[2].why


def test_a_file_that_is_not_read_is_refused_where_there_is_no_other(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT)
    (tmp_path / "Pipfile").write_text("")
    assert "pipenv lock" in refused(tmp_path).hint


def test_files_that_belong_to_a_model_go_with_it(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, artifacts__model_joblib=MODEL, artifacts__README_md="")
    project, _ = detect(tmp_path)
    assert [model.path for model in project.models] == [Path("artifacts/model.joblib")]
    make(tmp_path, artifacts__config_json="{}")
    project, findings = detect(tmp_path)
    assert [(model.path, model.name) for model in project.models] == [(Path("artifacts"), "artifacts")]
    assert "artifacts/config.json" not in findings[-1].why
    assert "config.json lies beside model.joblib" in findings[-1].why


def test_external_data_of_onnx_is_kept_beside_its_model(tmp_path: Path) -> None:
    onnx = b"\x08\x08\x12\x07pytorch"
    make(tmp_path, score_py=SCRIPT, model_onnx=onnx)
    (tmp_path / "model.onnx.data").write_bytes(b"x")
    assert "model.onnx.data" in refused(tmp_path).what
    make(tmp_path / "other", score_py=SCRIPT, net__model_onnx=onnx)
    (tmp_path / "other/net/model.onnx.data").write_bytes(b"x")
    assert [model.path for model in detect(tmp_path / "other")[0].models] == [Path("net")]


def test_several_models_and_no_script_are_refused_before_a_file_is_written(tmp_path: Path) -> None:
    make(tmp_path, a__one_pkl=MODEL, b__two_pkl=MODEL)
    assert refused(tmp_path).what == "2 models and no entry script: a/one.pkl, b/two.pkl"


def test_a_module_that_only_a_pickle_names_goes_with_the_script(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, model_pkl=b"cmine\nThing\n)R.", mine_py="class Thing: ...\n", other_py="")
    project, findings = detect(tmp_path)
    assert project.entry == Entry(Path("score.py"), Path())
    assert "because model.pkl names mine" in findings[1].why


def test_a_script_in_a_folder_that_imports_from_the_top_takes_the_project(tmp_path: Path) -> None:
    make(tmp_path, serve__score_py=f"from lib.thing import x\n{SCRIPT}", lib__thing_py="x = 1\n")
    assert detect(tmp_path)[0].entry == Entry(Path("serve/score.py"), Path())


CONDA = "name: env\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- pip:\n  - joblib\n"


def test_dependencies_in_the_only_other_place_that_has_some(tmp_path: Path) -> None:
    make(tmp_path, serve__score_py=SCRIPT, m__environment__conda_yaml=CONDA, docs__requirements_txt="sphinx\n")
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies(Path("m/environment/conda.yaml"))
    assert "no other place in the project declares any" in next(
        each.why for each in findings if each.what == "dependencies"
    )


def test_dependencies_in_several_other_places_are_named_and_not_taken(tmp_path: Path) -> None:
    make(tmp_path, serve__score_py=SCRIPT, a__environment__conda_yaml=CONDA, b__environment__conda_yaml=CONDA)
    project, findings = detect(tmp_path)
    assert project.dependencies == Dependencies()
    why = next(each.why for each in findings if each.what == "no dependencies")
    assert "not taken: a/environment/conda.yaml, b/environment/conda.yaml; name one in a modelcrate.yaml" in why


def test_an_environment_of_conda_may_have_any_name(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, myenv_yml=CONDA, deployment_yml="name: blue\nmodel: azureml:m:1\n")
    assert detect(tmp_path)[0].dependencies == Dependencies(Path("myenv.yml"))
    make(tmp_path, other_yml=CONDA)
    assert refused(tmp_path).what == "2 conda environments: myenv.yml and other.yml"
    make(tmp_path, requirements_txt="joblib\n")
    assert detect(tmp_path)[0].dependencies == Dependencies(Path("requirements.txt"))


def test_a_package_in_src_goes_along_and_is_on_pythons_path(tmp_path: Path) -> None:
    script = f"import near\nfrom acme.core import x\n{SCRIPT}"
    make(tmp_path, serve__score_py=script, serve__near_py="", src__acme__core_py="import top\n", top_py="")
    project, findings = detect(tmp_path)
    assert project.entry == Entry(Path("serve/score.py"), Path())
    top = f"/var/azureml-app/{project.name}"
    assert set(project.env["PYTHONPATH"].split(":")) == {f"{top}/serve", f"{top}/src"}
    assert "because it imports acme, top" in findings[1].why


def test_a_script_below_its_package_takes_the_folder_that_both_are_in(tmp_path: Path) -> None:
    make(tmp_path, src__serve__score_py=f"import acme\n{SCRIPT}", src__acme__core_py="", other_py="")
    project, _ = detect(tmp_path)
    assert (project.entry, project.env) == (Entry(Path("serve/score.py"), Path("src")), {})


def test_a_package_in_src_that_only_a_pickle_names_goes_along(tmp_path: Path) -> None:
    make(tmp_path, app__score_py=SCRIPT, model_pkl=b"cmine.part\nThing\n)R.", src__mine__part_py="")
    project, findings = detect(tmp_path)
    assert project.env == {"PYTHONPATH": f"/var/azureml-app/{project.name}/src"}
    assert "because model.pkl names mine" in findings[1].why


def test_a_script_that_imports_or_assigns_its_functions_is_one(tmp_path: Path) -> None:
    make(tmp_path, score_py="from acme.impl import init, run\n", acme__impl_py=SCRIPT)
    assert detect(tmp_path)[0].entry == Entry(Path("score.py"), Path())
    make(tmp_path, score_py="class A: ...\ninit = run = A\n", acme__impl_py="")
    assert detect(tmp_path)[0].entry == Entry(Path("score.py"))


def test_a_script_that_borrows_its_functions_is_no_rival_of_the_one_that_defines_them(tmp_path: Path) -> None:
    make(tmp_path, inference_py=SCRIPT, try_it_py="from inference import init, run\n")
    assert detect(tmp_path)[0].entry == Entry(Path("inference.py"))


def test_an_app_that_does_not_run_is_said(tmp_path: Path) -> None:
    make(tmp_path, app_py="import flask\nweb = 1\n", model_pkl=MODEL)
    assert "app.py, an app of Flask, does not run" in detect(tmp_path)[1][1].why
    make(tmp_path, main_py="from fastapi import FastAPI\nother = 1\n")
    assert "main.py defines neither init() nor run(data): it is an app of FastAPI" in refused(tmp_path).why


def test_a_hugging_face_cache_in_a_project_is_one_model(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "hub/models--org--net/blobs", tmp_path / "hub/models--org--net/snapshots/abc"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    for name, data in {"config.json": b"{}", "model.safetensors": pack("<Q", len(header)) + header + bytes(4)}.items():
        (blobs / name.upper()).write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{name.upper()}")
    project, _ = detect(make(tmp_path, score_py=SCRIPT))
    assert [(model.path, model.name) for model in project.models] == [(snapshot.relative_to(tmp_path), "org--net")]


def test_a_snapshot_of_the_hugging_face_cache_is_a_model(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "models--org--net/blobs", tmp_path / "models--org--net/snapshots/abc"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (blobs / name.upper()).write_text("{}")
        (snapshot / name).symlink_to(f"../../blobs/{name.upper()}")
    (snapshot / "elsewhere").symlink_to(tmp_path)
    project, _ = detect(snapshot)
    assert project.name == "org-net"
    assert [(model.path, model.name) for model in project.models] == [(snapshot, "org--net")]
    (snapshot / "elsewhere").unlink()
    listed = list_path(snapshot, b"m")
    assert sorted((each.path, each.size) for each in listed.entries if each.source is not None) == [
        (b"m/abc/config.json", 2),
        (b"m/abc/model.safetensors", 2),
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"score.py": SCRIPT, "model.pkl": MODEL, "uv.lock": b"version = 1\n"},
        {
            "src/online-score.py": SCRIPT,
            "artifacts/m.joblib": MODEL,
            "artifacts/vocab.txt": b"a",
            "environment.yml": b"{}",
        },
        {"a/b/score.py": SCRIPT, "x/one.pkl": MODEL, "y/two.pkl": MODEL, "Pipfile.lock": b'{"default": {}}'},
        {"score.py": b"# coding: latin-1\n# \xe4\n" + SCRIPT.encode(), "requirements.txt": "joblib\n".encode("utf-16")},
        {"trees.cbm": b"CBM1"},
    ],
)
def test_what_init_writes_is_accepted(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    project, _ = detect(tmp_path)
    (tmp_path / "modelcrate.yaml").write_text(project_text(project), encoding="utf-8")
    again = read_project(tmp_path / "modelcrate.yaml")
    assert again == project
    check(again, tmp_path)
    assert read_declaration(again.dependencies, tmp_path)


def pickled(text: bytes) -> bytes:
    """A pickle that pushes a Ridge wherever `@` stands."""
    return b"\x80\x02" + text.replace(
        b"@", b"csklearn.linear_model._ridge\nRidge\n)\x81}X\x10\x00\x00\x00_sklearn_versionX\x05\x00\x00\x001.9.1sb"
    )


def key(name: str) -> bytes:
    return b"X" + pack("<I", len(name)) + name.encode()


@pytest.mark.parametrize(
    ("data", "loads"),
    [
        (b"}(" + key("model") + b"@" + key("columns") + b"]u.", "held['model'].predict(rows)"),
        (b"@](K\x01K\x02e\x86.", "held[0].predict(rows)"),
        (b"]@a.", "held[0].predict(rows)"),
    ],
)
def test_a_container_with_one_estimator_gets_a_script_that_a_build_accepts(
    tmp_path: Path, data: bytes, loads: str
) -> None:
    make(tmp_path, m_pkl=pickled(data))
    path, findings = detecting.write_project(tmp_path)
    assert "entry script: score.py (written to begin with" in str(findings[-1])
    script = (tmp_path / "score.py").read_text()
    assert loads in script
    project = read_project(path)
    assert (project.entry, project.dependencies.requirements) == (
        Entry(Path("score.py")),
        ("scikit-learn==1.9.1", "joblib"),
    )
    check(project, tmp_path)


def test_init_writes_nothing_for_a_python_that_no_server_runs_on(tmp_path: Path) -> None:
    make(tmp_path, score_py=SCRIPT, environment_yml="dependencies: [python=3.8]\n")
    with pytest.raises(UserError, match="the dependencies need Python ==3") as caught:
        detecting.write_project(tmp_path)
    assert caught.value.where == "environment.yml"
    assert "let them take Python 3.9 or newer" in caught.value.hint
    assert not (tmp_path / "modelcrate.yaml").exists()


@pytest.mark.parametrize(
    ("data", "what", "way"),
    [
        (
            b"}(" + key("model") + b"@" + key("other") + b"@u.",
            "is no estimator, but a dict of several things",
            "save the estimator alone",
        ),
        (b"(@@l.", "is no estimator, but a list of several things", ""),
        (b"csklearn.cluster._dbscan\nDBSCAN\n)\x81.", "is a DBSCAN, which has nothing to ask", ""),
        (
            b"csklearn.pipeline\nPipeline\n)\x81}"
            + key("steps")
            + b"]("
            + key("s")
            + b"@\x86"
            + key("d")
            + b"csklearn.cluster._dbscan\nDBSCAN\n)\x81\x86esb.",
            "is a Pipeline that ends with DBSCAN, which has nothing to ask",
            "",
        ),
        (
            b"csklearn.neighbors._lof\nLocalOutlierFactor\n)\x81}" + key("novelty") + b"\x89sb.",
            "novelty is False, so it has no predict",
            "fit it with novelty=True",
        ),
        (b"csklearn.utils._bunch\nBunch\n)\x81.", "is no estimator, but a Bunch of several things", ""),
        (
            b"csklearn.linear_model._ridge\nRidge\n.",
            "is no estimator, but the name sklearn.linear_model._ridge.Ridge",
            "",
        ),
        (b"cxgboost.core\nBooster\n)\x81.", "is a pickled Booster of XGBoost", "booster.save_model"),
    ],
)
def test_a_pickle_that_would_answer_nothing_is_refused_and_no_project_is_written(
    tmp_path: Path, data: bytes, what: str, way: str
) -> None:
    make(tmp_path, m_pkl=pickled(data))
    with pytest.raises(UserError, match=r"m\.pkl") as caught:
        detecting.write_project(tmp_path)
    assert what in str(caught.value)
    assert "write an entry script" in str(caught.value)
    assert way in str(caught.value)
    assert not (tmp_path / "modelcrate.yaml").exists()


@pytest.mark.parametrize(
    ("files", "path", "kind"),
    [
        ({"m_skops": b"PK"}, "m.skops", "a skops file"),
        ({"m_bz2": bz2.compress(MODEL)}, "m.bz2", "a joblib file"),
        ({"rows_bz2": bz2.compress(b"rows")}, "rows.bz2", ""),
        ({"m_xz": lzma.compress(MODEL)}, "m.xz", "a joblib file"),
        ({"m_lzma": lzma.compress(MODEL, lzma.FORMAT_ALONE)}, "m.lzma", "a joblib file"),
        ({"m_json": b'{\n  "features_info":\n {}}'}, "m.json", "a CatBoost model"),
        ({"m_ort": b"\x14\0\0\0ORTM"}, "m.ort", "an ONNX Runtime model"),
        ({"m_pmml": b'<?xml version="1.0"?>\n<!-- x -->\n<PMML version="4.4">'}, "m.pmml", "a PMML model"),
        ({"a__m_xml": b'<?xml version="1.0"?>\n<net name="x">', "a__m_bin": b"0"}, "a", "an OpenVINO model"),
        ({"a__m_pdmodel": b"x", "a__m_pdiparams": b"0"}, "a", "a Paddle model"),
        ({"m_mlmodel": b"\x08\x01"}, "m.mlmodel", "a Core ML model"),
        ({"m_ftz": b"\xba\x16\x4f\x2f"}, "m.ftz", "a fastText model"),
        ({"v_bin": b"100 20\nabc"}, "v.bin", "word vectors"),
        ({"m_json": b'{"growth": "linear"'}, "m.json", "a Prophet model"),
        ({"m_pt2": b"PK\3\4"}, "m.pt2", "a PyTorch model"),
        ({"n__config_cfg": b"", "n__meta_json": b"{}", "n__tokenizer": b""}, "n", "a spaCy pipeline"),
        ({"n__modules_json": b"[]", "n__config_json": b"{}"}, "n", "a Sentence Transformers model"),
        ({"n__Manifest_json": b"{}", "n__Data__m_mlmodel": b"x"}, "n", "a Core ML package"),
    ],
)
def test_models_of_every_format_are_seen(tmp_path: Path, files: dict[str, bytes], path: str, kind: str) -> None:
    project, findings = detect(make(tmp_path, score_py=SCRIPT, **files))
    assert [str(model.path) for model in project.models] == ([path] if kind else [])
    assert any(kind in str(each) for each in findings)


@pytest.mark.parametrize("part", ["m.onnx.data", "m.data"])
def test_parts_of_a_model_at_the_top_are_refused(tmp_path: Path, part: str) -> None:
    (tmp_path / part).write_bytes(b"tensors")
    make(tmp_path, score_py=SCRIPT, m_onnx=b"\x08\x08\x12\x07pytorch\x1a\x03")
    assert f"has a part of it in {part}" in str(refused(tmp_path))


def test_a_file_that_only_the_script_says_is_a_model(tmp_path: Path) -> None:
    script = "import os, numpy\ndef init():\n numpy.load(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'w.npz'))\ndef run(d): ..."
    project, findings = detect(make(tmp_path, score_py=script, arrays__w_npz=b"PK", other_npz=b"PK"))
    assert [str(model.path) for model in project.models] == ["arrays/w.npz"]
    assert "score.py loads a file of that name below AZUREML_MODEL_DIR" in str(findings[-1])
    make(tmp_path, more__w_npz=b"PK")
    assert detect(tmp_path)[0].models == ()


def test_a_file_that_the_script_loads_by_its_own_place_takes_the_folder_along(tmp_path: Path) -> None:
    script = f"from pathlib import Path\n(Path(__file__).parent / 'labels.json').read_text()\n{SCRIPT}"
    project, findings = detect(make(tmp_path, score_py=script, labels_json="[]"))
    assert project.entry == Entry(Path("score.py"), Path())
    assert any("the whole folder goes with it, because it loads labels.json" in str(each) for each in findings)
    (tmp_path / "labels.json").unlink()
    assert detect(tmp_path)[0].entry == Entry(Path("score.py"))


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"m_pkl": b"\x80\x02c__main__\nThing\n)\x81."}, "it is a pickle of __main__.Thing"),
        ({"m_cbm": b"CBM1.."}, "it is a CatBoost model"),
        ({"n__config_cfg": b"", "n__meta_json": b"{}", "n__tokenizer": b""}, "it is a spaCy pipeline"),
    ],
)
def test_what_needs_a_script_is_said_by_what_it_is(tmp_path: Path, files: dict[str, bytes], kind: str) -> None:
    make(tmp_path, **files)
    with pytest.raises(UserError) as caught:
        detecting.write_project(tmp_path)
    assert kind in str(caught.value)
    assert "write an entry script" in str(caught.value)


def test_a_folder_that_the_script_adds_to_the_path_goes_along(tmp_path: Path) -> None:
    script = f"import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\nimport near\n{SCRIPT}"
    project, _ = detect(make(tmp_path, score_py=script, lib__near_py=""))
    assert (project.entry, project.env) == (Entry(Path("score.py"), Path()), {})
