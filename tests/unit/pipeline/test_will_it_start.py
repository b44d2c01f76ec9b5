"""Projects through `check`: what the image could not import is refused with a way out, and what it can is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.cli import main
from modelcrate.resolve.standard_library import IN_C, standard_library
from support.foreign_bases import program
from support.rootfs import layer, member
from support.wheels import make_wheel

SCRIPT = "def init(): pass\ndef run(data): return data\n"
SCRATCH = "base: {from: scratch, interpreter: /usr/bin/python3.11}\n"
RIDGE = b"csklearn.linear_model._ridge\nRidge\n"
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Checks a project with these files; `a__b_py` is a/b.py."""
    monkeypatch.setenv("MODELCRATE_HOME", str(tmp_path / "home"))

    def checked(more: str = "entry: score.py\n", wheels: tuple[str, ...] = (), **files: str | bytes) -> tuple[int, str]:
        folder = tmp_path / "thing"
        for name, text in files.items():
            path = folder / ".".join(name.replace("__init_py", "DUNDER").replace("__", "/").rsplit("_", 1))
            path = Path(str(path).replace("DUNDER", "/__init__.py"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        for each in ("gunicorn-23.0.0", "packaging-25.0", *wheels):
            make_wheel(tmp_path / "wheels", *each.rsplit("-", 1))
        asked = [each.replace("-", "==") if each.count("-") == 1 else "==".join(each.rsplit("-", 1)) for each in wheels]
        (folder / "modelcrate.yaml").write_text(
            f"name: thing\npython: '3.11'\n{'' if 'base:' in more else SCRATCH}"
            f"dependencies: {{requirements: [{', '.join(asked)}], wheelhouse: {tmp_path / 'wheels'}}}\n{more}"
        )
        code = main(["check", str(folder), "--offline"])
        done = capsys.readouterr()
        return code, done.out + done.err

    return checked


def test_a_module_that_the_library_of_the_base_lacks(check: Check, tmp_path: Path) -> None:
    names = sorted(standard_library("3.11") - IN_C - {"sqlite3"})
    python = member("usr/bin/python3.11", program(), mode=0o755)
    base = layer(python, *(member(f"usr/lib/python3.11/{name}.py") for name in names))
    (tmp_path / "base.tar").write_bytes(base.data)
    more = f"entry: score.py\nbase: 'rootfs:{tmp_path}/base.tar'\n"
    code, said = check(more, score_py=f"import sqlite3\n{SCRIPT}")
    assert code == 2
    assert "score.py:1: imports sqlite3, which the library of the base's Python lacks" in said
    assert check(more, score_py=f"import csv\n{SCRIPT}")[0] == 0


def test_a_package_in_src_is_found_where_pythonpath_has_it_and_else_the_lines_are_named(check: Check) -> None:
    files = {
        "serve__score_py": f"import acme.core\n{SCRIPT}",
        "src__acme__init_py": "",
        "src__acme__core_py": "import json",
    }
    code, said = check("entry: {source: serve, script: score.py}\n", **files)
    assert code == 2
    assert "serve/score.py:1: imports acme.core, which is at src/acme and can't be imported in the image" in said
    entry, path = "entry: {source: ., script: serve/score.py}", "env: {PYTHONPATH: /var/azureml-app/thing/src}"
    assert f"write {entry} and {path}" in said
    assert check(f"{entry}\n{path}\n", **files)[0] == 0


def test_an_import_in_src_that_nothing_brings_is_refused_too(check: Check) -> None:
    more = "entry: {source: ., script: score.py}\nenv: {PYTHONPATH: /var/azureml-app/thing/src}\n"
    code, said = check(more, score_py=f"import acme\n{SCRIPT}", src__acme_py="import nosuch\n")
    assert code == 2
    assert "src/acme.py:1: imports nosuch, and nothing in the image has it" in said


def test_the_server_has_the_names_of_the_original_alone_and_not_all_below_them(check: Check) -> None:
    here = "from azureml.core.model import Model\nfrom azureml.contrib.services.aml_request import rawhttp\n"
    assert check(score_py=f"{here}import modelcrate_server.entry\n{SCRIPT}")[0] == 0
    code, said = check(score_py=f"{here}from azureml.ai.monitoring import Collector\n{SCRIPT}")
    assert code == 2
    assert "score.py:3: imports azureml.ai.monitoring, and nothing in the image has it" in said
    assert "add azureml-ai-monitoring to the dependencies" in said


def test_a_folder_of_pythonpath_that_is_not_the_projects_may_have_anything(check: Check) -> None:
    code, said = check("entry: score.py\nenv: {PYTHONPATH: /opt/theirs}\n", score_py=f"import nosuch\n{SCRIPT}")
    assert code == 0
    assert "score.py:1: imports nosuch, and nothing in the image has it: " in said


def test_a_module_that_the_projects_own_package_lacks(check: Check) -> None:
    more = "entry: {source: ., script: score.py}\n"
    code, said = check(more, score_py=f"import acme.gone\n{SCRIPT}", acme__init_py="")
    assert code == 2
    assert "score.py:1: imports acme.gone, and acme in the image has no such module" in said


def test_a_pickle_of_the_program_that_made_it_is_refused_unless_the_project_is_about_that(check: Check) -> None:
    more = "entry: score.py\nmodels: [m.pkl]\n"
    code, said = check(more, score_py=f"if __name__ == '__main__':\n    pass\n{SCRIPT}", m_pkl=b"c__main__\nThing\n.")
    assert code == 2
    assert "the model names __main__.Thing, which only the program has that made it" in said
    set_before = f"import __main__\nclass Thing: ...\n__main__.Thing = Thing\n{SCRIPT}"
    assert check(more, score_py=set_before, m_pkl=b"c__main__\nThing\n.")[0] == 0


def test_all_modules_that_a_pickle_lacks_are_one_fault(check: Check) -> None:
    code, said = check("entry: score.py\nmodels: [m.pkl]\n", score_py=SCRIPT, m_pkl=b"(cone.a\nA\ncsklearn.b\nB\nt.")
    assert code == 2
    assert "the model names one, sklearn, and nothing in the image has them" in said
    assert "add one, scikit-learn to the dependencies" in said


def test_a_module_of_a_pickle_that_lies_elsewhere_in_the_project_is_named(check: Check) -> None:
    more = "entry: {source: serve, script: score.py}\nmodels: [m.pkl]\n"
    code, said = check(more, serve__score_py=SCRIPT, m_pkl=b"cmine.parts\nA\n.", src__mine__parts_py="")
    assert code == 2
    assert "the model names mine.parts, which is at src/mine" in said


def test_without_a_script_the_modules_that_only_the_pickle_needs_go_along(check: Check) -> None:
    pickled = {"m_pkl": b"\x80\x02" + RIDGE + b")\x81}U\x05partscmine.parts\nA\nsb."}  # an attribute of the estimator
    wheels = ("scikit-learn-1.9.1", "joblib-1.6.0", "numpy-2.3.0")
    code, said = check("models: [m.pkl]\n", wheels, **pickled, mine__parts_py="import sklearn, near\n", near_py="")
    assert (code, "imports near" in said) == (2, True), "what they import is held to the same check"
    code, said = check("models: [m.pkl]\n", wheels, **pickled, mine__parts_py="import sklearn\n")
    assert code == 0
    assert "it takes mine along" in said


def test_packages_that_are_built_for_another_numpy_stop_a_project(check: Check) -> None:
    code, said = check("entry: score.py\n", ("scikit-learn-1.2.2", "numpy-2.3.0"), score_py=SCRIPT)
    assert code == 2
    assert "scikit-learn 1.2.2 can't be imported with numpy 2.3.0" in said


def test_a_file_of_rules_that_leaves_out_the_script_says_the_line_that_takes_it_back(
    check: Check, tmp_path: Path
) -> None:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / ".modelcrateignore").write_text("*.py\n")
    more = "entry: {source: src, script: score.py}\n"
    assert "!/src/score.py" in check(more, src__score_py=SCRIPT)[1]
    (folder / ".modelcrateignore").write_text("*.py\n!/src/score.py\n")
    assert check(more, src__score_py=SCRIPT)[0] == 0
    (folder / ".modelcrateignore").write_text("sub/\n")
    assert "leave out less" in check("entry: {source: src, script: sub/score.py}\n", src__sub__score_py=SCRIPT)[1]
    (folder / ".modelcrateignore").write_text("model/\n")
    said = check("entry: score.py\nmodels: [model]\n", score_py=SCRIPT, model__m_bin="weights")[1]
    assert "leaves out all of the model" in said


def test_what_stays_out_and_what_looks_like_data_is_said(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    (folder / "data").mkdir(parents=True)
    with open(folder / "data" / "rows.csv", "wb") as rows:
        rows.truncate(11_000_000)
    (folder / ".modelcrateignore").write_text("notes/\n")
    more = "entry: {source: ., script: score.py}\nmodels: [weights]\n"
    code, said = check(more, score_py=SCRIPT, notes__a_txt="x", weights__m_bin="weights", other__m_bin="weights")
    assert code == 0
    assert "left out by .modelcrateignore: notes/" in said
    assert (
        "11.0 MB of the source folder look like data or a copy of a model: thing/data/rows.csv (11.0 MB), thing/other/m.bin"
        in said
    )
    assert "weights/m.bin" not in said, "it is a model, and no part of the sources"


def test_a_file_that_is_not_of_the_images_python_stops_a_project(check: Check) -> None:
    more = "entry: {source: ., script: score.py}\n"
    code, said = check(more, score_py=f"import helper\n{SCRIPT}", helper_py="def x(:\n")
    assert (code, "helper.py:1: is no Python" in said) == (2, True)
    assert check(more, score_py=f"{SCRIPT}\ndef later():\n    import helper\n", helper_py="def x(:\n")[0] == 0


def test_a_module_that_a_newer_package_no_longer_has(check: Check) -> None:
    script = f"import pkg_resources\n{SCRIPT}"
    code, said = check("entry: score.py\n", ("setuptools-84.0.0",), score_py=script)
    assert (code, "add setuptools<82 to the dependencies" in said) == (2, True)


def test_a_module_beside_a_script_that_goes_alone(check: Check) -> None:
    code, said = check(
        "entry: src/serve/score.py\n", src__serve__score_py=f"import helper\n{SCRIPT}", src__serve__helper_py=""
    )
    assert code == 2
    assert "write entry: {source: src/serve, script: score.py}" in said
    assert (
        check("entry: {source: src/serve, script: score.py}\n", src__serve__score_py=f"import helper\n{SCRIPT}")[0] == 0
    )


def test_the_nearest_python_that_has_a_module_is_named(check: Check) -> None:
    code, said = check("entry: score.py\nserver: modelcrate\n", score_py=f"import annotationlib, parser\n{SCRIPT}")
    assert code == 2
    assert "Python 3.14 has it" in said
    assert "Python 3.9 has it" in said


def test_a_path_that_is_not_there_is_compared_with_those_that_are(check: Check) -> None:
    said = check("entry: score.py\nmodels: [model/m.pkl]\n", score_py=SCRIPT, models__m_pkl=b"c")[1]
    assert "did you mean models/m.pkl?" in said
    assert "dvc pull" in check("entry: score.py\nmodels: [m_pkl]\n", score_py=SCRIPT, m_pkl_dvc="outs: []")[1]
    assert "did you mean score.py?" in check("entry: scroe.py\n", score_py=SCRIPT)[1]
    assert "paths start at the folder of modelcrate.yaml" in check("entry: nothing_like_it.py\n", score_py=SCRIPT)[1]


LOADS = "import os\ndef init():\n    open(os.path.join(os.environ['AZUREML_MODEL_DIR'], '{}'))\ndef run(data): return data\n"


def test_a_model_that_is_loaded_from_where_it_is_not_stops_a_project(check: Check) -> None:
    folder = {"model__m_bin": "weights", "model__vocab_txt": "a"}
    more = "entry: score.py\nmodels: [model]\n"
    code, said = check(more, score_py=LOADS.format("m.bin"), **folder)
    assert code == 2
    assert "score.py:3: loads m.bin below AZUREML_MODEL_DIR, where the image has no such file" in said
    assert "load os.path.join(os.environ['AZUREML_MODEL_DIR'], 'model/m.bin')" in said
    assert check(more, score_py=LOADS.format("model/m.bin"), **folder)[0] == 0
    two = "entry: score.py\nmodels: [model/m.bin, model/vocab.txt]\n"
    assert (
        "load os.path.join(os.environ['AZUREML_MODEL_DIR'], 'm/1/m.bin')"
        in check(two, score_py=LOADS.format("m.bin"))[1]
    )
    assert check("entry: score.py\n", score_py=LOADS.format("m.bin"))[0] == 0, "it may be mounted there"


def test_a_file_beside_the_script_that_does_not_go_along_stops_a_project(check: Check) -> None:
    script = (
        "import os\nHERE = os.path.dirname(os.path.abspath(__file__))\nopen(os.path.join(HERE, 'labels.json'))\n"
        + SCRIPT
    )
    files = {"src__score_py": script, "src__labels_json": "[]"}
    code, said = check("entry: src/score.py\n", **files)
    assert code == 2
    assert "src/score.py:3: loads src/labels.json, which is not at /var/azureml-app/labels.json in the image" in said
    assert "write entry: {source: src, script: score.py}" in said
    assert check("entry: {source: src, script: score.py}\n", **files)[0] == 0
    files["src__score_py"] = "open('labels.json')\n" + SCRIPT
    code, said = check("entry: {source: src, script: score.py}\n", **files)
    assert code == 2
    assert "write os.path.join(os.path.dirname(os.path.abspath(__file__)), 'labels.json')" in said
    files = {"src__score_py": "open('data/labels.json')\n" + SCRIPT, "src__data__labels_json": "[]"}
    code, said = check("entry: {source: src, script: score.py}\n", **files)
    assert code == 2
    assert "write os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data/labels.json')" in said


def test_a_file_of_a_model_that_is_loaded_from_the_sources_is_loaded_from_the_model(check: Check) -> None:
    files = {"app_py": "open('log/m.bin')\n", "log__m_bin": "weights"}
    command = "command: [python3, app.py]\nsource: .\n"
    code, said = check(f"{command}models: [log/m.bin]\n", **files)
    assert code == 2
    assert "app.py:1: loads log/m.bin, which is not at /var/azureml-app/thing/log/m.bin in the image" in said
    way = "load os.path.join(os.environ['AZUREML_MODEL_DIR'], 'm.bin'); or leave it out of models"
    assert way in said
    assert check(command, **files)[0] == 0
    script = "import os\nopen(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'm.bin'))\n"
    assert check(f"{command}models: [log/m.bin]\n", **{**files, "app_py": script})[0] == 0


def test_a_path_that_is_not_known_makes_notices_of_what_is_missing(check: Check) -> None:
    code, said = check("entry: score.py\n", score_py=f"import sys\nsys.path.append(open)\nimport nosuch\n{SCRIPT}")
    assert code == 0
    assert "imports nosuch, and nothing in the image has it" in said
    assert "score.py:2 changes sys.path to what is not known here" in said


def test_one_of_two_modules_has_to_be_there(check: Check) -> None:
    script = f"try:\n    import tomllib as toml\nexcept ImportError:\n    import toml\n{SCRIPT}"
    code, said = check("entry: score.py\n", score_py=script)
    assert (code, "nothing in the image has it" in said) == (0, False), "the fallback is not needed"
    code, said = check("entry: score.py\n", score_py=script.replace("tomllib as toml", "rtoml as toml"))
    assert code == 2
    assert "score.py:2: imports rtoml, else toml, and nothing in the image has either" in said


def test_what_a_command_starts_is_held_to_the_same_check(check: Check) -> None:
    files = {
        "app__main_py": "import nosuch\napp = None\n",
        "app__init_py": "",
        "app__job_py": "if __name__ == '__main__':\n    import never\n",
    }
    for argv, said_of in (
        ("[python3, -m, uvicorn, 'app.main:app']", "app/main.py:1: imports nosuch"),
        ("[gunicorn, -w, '2', 'app.main:app']", "app/main.py:1: imports nosuch"),
        ("[gunicorn, 'app.job:app']", "starts gunicorn, which nothing in the image has"),
        ("[python3, app/main.py]", "app/main.py:1: imports nosuch"),
        ("[python3, -u, -m, app.main]", "app/main.py:1: imports nosuch"),
        ("[python3, app/job.py]", "app/job.py:2: imports never"),
        ("[python3, -m, app.job]", "app/job.py:2: imports never"),
        ("[python3, main.py]", "starts main.py, which is not below /var/azureml-app/thing in the image"),
        ("[uvicorn, --app-dir, app, 'main:app']", "starts uvicorn, which nothing in the image has"),
        ("[uvicorn, 'other:app']", "starts the module other, which nothing in the image has"),
    ):
        code, said = check(f"command: {argv}\nsource: .\nports: [8000]\n", **files)
        assert (code, said_of in said) == (2, True), (argv, said)
    assert check("command: [gunicorn, 'app.job:app']\nsource: .\n", ("gunicorn-23.0.0",), **files)[0] == 0
    assert check("command: [/bin/true]\n")[0] == 0


def test_a_hidden_file_is_no_module(check: Check, tmp_path: Path) -> None:
    """macOS writes ._score.py beside score.py into archives."""
    for name in ("._score.py", ".py", "src/._lib.so"):
        (tmp_path / "thing" / "src").mkdir(parents=True, exist_ok=True)
        (tmp_path / "thing" / name).write_bytes(b"\0\5\x16\7")
    assert check("entry: {source: ., script: score.py}\n", score_py=SCRIPT)[0] == 0


def test_a_program_imports_from_where_it_looks(check: Check) -> None:
    """Python and Streamlit from the folder of their script, flask and fastapi from above its package, servers from where they are told to."""
    files = {"api__main_py": "import near\napp = None\n", "api__near_py": ""}
    servers = tuple(f"{each}-9.0" for each in ("streamlit", "flask", "gunicorn", "uvicorn", "fastapi-cli"))
    for argv in (
        "[python3, api/main.py]",
        "[streamlit, run, api/main.py]",
        "[flask, --app, api/main.py, run]",
        "[fastapi, run, api/main.py]",
        "[uvicorn, 'main:app', --app-dir, api]",
        "[gunicorn, --chdir, api, 'main:app']",
    ):
        code, said = check(f"command: {argv}\nsource: .\nports: [8000]\n", servers, **files)
        assert code == 0, (argv, said)
        assert "near" not in said
    within = {**files, "api__init_py": ""}
    code, said = check("command: [flask, --app, api/main.py, run]\nsource: .\nports: [8000]\n", servers, **within)
    assert code == 2
    assert "imports near, which is at api/near.py" in said


def test_a_script_that_asks_for_a_model_by_another_name_is_refused(check: Check) -> None:
    script = "from azureml.core import Model\ndef init():\n    Model.get_model_path({})\ndef run(data): return data\n"
    more = "entry: score.py\nmodels: [{path: m.bin, name: flowers}]\n"
    for asked in ("'iris'", "model_name='iris'"):
        code, said = check(more, score_py=script.format(asked), m_bin="weights")
        assert code == 2
        assert "score.py:3: asks for the model iris, and the image has flowers" in said
        assert "models: [{path: ..., name: iris}]" in said
    assert check(more, score_py=script.format("'flowers'"))[0] == 0
    assert check(more, score_py=script.format("name"))[0] == 0
    assert check("entry: score.py\n", score_py=script.format("'iris'"))[0] == 0, "it may be mounted there"
