"""`modelcrate azureml run`: a script of the original's runs as Python runs it, with our classes under the original's names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.command import Crate


@pytest.fixture
def crate(tmp_path: Path) -> Crate:
    return Crate.at(tmp_path / "home", folder=tmp_path)


def script(folder: Path, text: str, name: str = "script.py") -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return name


def test_arguments_names_and_folders_are_as_in_python(crate: Crate, tmp_path: Path) -> None:
    script(tmp_path, "WORD = 'beside'\n", "code/beside.py")
    name = script(
        tmp_path,
        "import sys\nimport beside\nif __name__ == '__main__':\n    print(sys.argv, __file__, beside.WORD)\n"
        "    print(sys.modules['__main__'].__dict__ is globals())\n",
        "code/script.py",
    )
    done = crate("azureml", "run", name, "--offline", "-p", "a b").succeeded()
    assert done.out == f"{['code/script.py', '--offline', '-p', 'a b']} code/script.py beside\nTrue\n"


def test_a_module_of_the_scripts_folder_is_not_taken_for_one_of_ours(crate: Crate, tmp_path: Path) -> None:
    for name in ("modelcrate.py", "json.py", "yaml.py"):
        script(tmp_path, "raise SystemExit('not this one')\n", f"code/{name}")
    name = script(tmp_path, "print(__name__)\n", "code/script.py")
    assert crate("azureml", "run", name).succeeded().out == "__main__\n"


@pytest.mark.parametrize(("text", "code"), [("", 0), ("raise SystemExit(7)", 7), ("import sys; sys.exit('why')", 1)])
def test_the_exit_code_is_the_scripts(crate: Crate, tmp_path: Path, text: str, code: int) -> None:
    assert crate("azureml", "run", script(tmp_path, text)).code == code


def test_what_is_registered_for_the_exit_runs(crate: Crate, tmp_path: Path) -> None:
    name = script(tmp_path, "import atexit\natexit.register(print, 'bye')\nraise SystemExit(3)\n")
    done = crate("azureml", "run", name)
    assert (done.code, done.out) == (3, "bye\n")


def test_a_signal_ends_it_as_it_ends_python(crate: Crate, tmp_path: Path) -> None:
    done = crate("azureml", "run", script(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"))
    assert done.code == -15


@pytest.mark.parametrize(
    "text",
    [
        "def one():\n    return 1 / 0\n\n\none()\n",
        "import json\njson.loads('{')\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as fault:\n    raise ValueError('two') from fault\n",
        "x = (\n",
        "raise SystemError\n",
    ],
)
def test_a_traceback_is_the_one_that_python_shows(crate: Crate, tmp_path: Path, text: str) -> None:
    import subprocess

    name = script(tmp_path, text)
    python = subprocess.run([sys.executable, name], cwd=tmp_path, capture_output=True, text=True)
    ours = crate("azureml", "run", name)
    assert (ours.code, ours.out) == (python.returncode, python.stdout)
    assert ours.err.replace(str(tmp_path) + "/", "") == python.stderr.replace(str(tmp_path) + "/", "")


def test_of_an_error_of_ours_the_users_frames_are_shown(crate: Crate, tmp_path: Path) -> None:
    text = "from azureml.core import Model, Workspace\n\n\ndef get():\n    return Model(Workspace.get('ws'), 'none')\n\n\nget()\n"
    done = crate("azureml", "run", script(tmp_path, text))
    assert done.code == 1
    frames = [line.strip() for line in done.err.splitlines() if line.strip().startswith("File ")]
    assert [line.partition(", ")[2] for line in frames] == ["line 8, in <module>", "line 5, in get"]
    assert "there is no model none" in done.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import azureml.trainer", "azureml.trainer is not in modelcrate"),
        ("from azureml.train.estimator import Estimator\nEstimator('.')", "register the file: Model.register"),
        ("from azureml.widgets import RunDetails\nRunDetails(1).show()", "azureml.widgets is not here"),
        ("from azureml.core import Workspase", "cannot import name 'Workspase'"),
        ("from azureml.core import Experiment\nExperiment('ws', 'one')", "Experiment is not in modelcrate"),
        ("from azureml.core import Run\nRun.get(1, 2)", "track it with MLflow"),
        ("from azureml.core import Run\nRun.get_context().experiment", "Workspace.from_config() gives the workspace"),
        ("import azureml.core\nazureml.core.Modell", "azureml.core has no 'Modell'"),
    ],
)
def test_what_is_not_here_says_what_to_do(crate: Crate, tmp_path: Path, text: str, said: str) -> None:
    done = crate("azureml", "run", script(tmp_path, text))
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert "modelcrate/azureml" not in done.err, "none of our frames is shown"


def test_an_installed_sdk_is_not_used_and_nothing_is_installed(crate: Crate, tmp_path: Path) -> None:
    script(tmp_path, "raise SystemExit('the installed one')\n", "azureml/__init__.py")
    text = "import azureml.core, sys\nfrom azureml.core import Workspace\nprint(Workspace.__module__, azureml.core.VERSION)\n"
    assert (
        crate("azureml", "run", script(tmp_path, text))
        .succeeded()
        .out.startswith("modelcrate.azureml.workspace 1.61.0+")
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["azureml", "script.py"]


def test_a_script_that_is_not_there(crate: Crate) -> None:
    crate("azureml", "run", "none.py").failed(3, "there is no such script")


TRAINING = """\
from azureml.core import Run
from azureml.core.run import _OfflineRun
from azureml.core.environment import DEFAULT_CPU_IMAGE, Environment
from azureml.core.runconfig import DEFAULT_GPU_IMAGE
from azureml.pipeline.core import Pipeline
from azureml.widgets import RunDetails

run = Run.get_context()
print(type(run) is _OfflineRun, run.id.startswith("OfflineRun"), hasattr(run, "experiment"))
run.log("mse", 0.5)
run.log_row("row", x=1)
run.tag("kind", "linear")
run.upload_file("outputs/model.pkl", "model.pkl")
run.complete()
print(DEFAULT_CPU_IMAGE.startswith("mcr.microsoft.com/azureml/"), "cuda" in DEFAULT_GPU_IMAGE)
"""


def test_a_training_script_runs_by_itself(crate: Crate, tmp_path: Path) -> None:
    done = crate("azureml", "run", script(tmp_path, TRAINING)).succeeded()
    assert done.out.splitlines() == [
        "True True False",
        "mse: 0.5",
        "row: {'x': 1}",
        "kind: linear",
        "outputs/model.pkl: stays in model.pkl",
        "True True",
    ]
    text = "from azureml.core import Run\nRun.get_context(allow_offline=False)"
    assert "a run of the service is not in modelcrate" in crate("azureml", "run", script(tmp_path, text)).err
