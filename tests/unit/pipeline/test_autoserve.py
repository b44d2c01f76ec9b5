"""A project without an entry script, through the line up to its plan, over tiny wheels and without a network."""

from __future__ import annotations

import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pytest

from modelcrate.cli import main
from modelcrate.config import Config
from modelcrate.events import Event, Notice
from modelcrate.export.dockerfile import DockerfileOutput
from modelcrate.modelfiles import framework_files as files
from modelcrate.modelfiles import framework_reading, recognition
from modelcrate.pipeline.autoserve import complete
from modelcrate.pipeline.choose_models import ChosenModels
from modelcrate.pipeline.prepare import Prepared
from modelcrate.pipeline.session import Session
from modelcrate.project.values import DebianBase, Dependencies, Entry, Model, Project, ScratchBase
from modelcrate.transports import oci
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.kinds.model import folder
from modelcrate_layers.tar.listing import list_path
from support.validator import assert_valid_layout
from support.wheels import make_wheel

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "fixtures" / "models"

REFUSE = "gates: {versions: refuse}\n"
Prepare = Callable[..., tuple[Prepared, list[str]]]


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})


@pytest.fixture
def prepare(tmp_path: Path, settings: Config) -> Prepare:
    def prepared(model: Path, *wheels: str, more: str = "", asked: str = "[joblib]") -> tuple[Prepared, list[str]]:
        folder = tmp_path / "project"
        folder.mkdir(exist_ok=True)
        (shutil.copytree if model.is_dir() else shutil.copy2)(model, folder / model.name)
        for each in ("gunicorn-23.0.0", "joblib-1.6.0", "numpy-2.3.0", "pandas-3.0.0", *wheels):
            needs = ["numpy"] if each.startswith("scikit-learn") else []
            make_wheel(folder / "wheels", *each.rsplit("-", 1), requires=needs)
        (folder / "modelcrate.yaml").write_text(
            "name: bare\npython: '3.11'\nbase: {from: scratch, interpreter: /usr/bin/python3.11}\n"
            f"dependencies: {{requirements: {asked}, wheelhouse: wheels}}\nmodels: [{model.name}]\n{more}"
        )
        said: list[str] = []

        def emit(event: Event) -> None:
            if isinstance(event, Notice):
                said.append(event.text)

        with Session(settings, emit) as session:
            return session.prepare(session.read(folder)), said

    return prepared


def test_the_script_the_description_and_the_packages_come_from_the_model(prepare: Prepare) -> None:
    prepared, said = prepare(MODELS / "pipeline.joblib", "scikit-learn-1.9.1")
    project = prepared.request.project
    assert project.entry is not None
    assert {path.name for path in (project.entry.source or Path()).iterdir()} == {
        "scikit_learn_model.py",
        "modelcrate-schema.json",
    }
    assert project.dependencies.requirements == ("joblib", "pandas", "scikit-learn==1.9.1")
    assert project.env == {"MODELCRATE_MODEL_FILE": "pipeline.joblib"}
    assert said == [
        "pipeline.joblib: no entry script: scikit_learn_model.py serves it as ScikitLearn, with joblib, pandas, scikit-learn==1.9.1",
        "pipeline.joblib: pipeline.joblib names no version of pandas, so the newest is taken",
    ]
    assert [wheel.name for wheel in prepared.world.platforms[0].pins.wheels] == [
        "gunicorn",
        "joblib",
        "numpy",
        "pandas",
        "scikit-learn",
    ]


@pytest.mark.parametrize(
    "change", ["other bytes", "one more file", "one more folder", "a link", "a folder in its place", "as it was"]
)
def test_a_script_that_was_changed_in_the_home_is_written_again(
    prepare: Prepare, settings: Config, tmp_path: Path, change: str
) -> None:
    """Whoever may write to a cache of a CI service would else put a program into the image."""
    prepare(MODELS / "pipeline.joblib", "scikit-learn-1.9.1")
    (script,) = settings.home.rglob("entries/*/*/scikit_learn_model.py")
    right, folder, before = script.read_bytes(), script.parent, script.stat().st_ctime_ns
    if change == "other bytes":
        script.write_bytes(right.replace(b"def run", b"def ran"))
    elif change == "one more file":
        (folder / "numpy.py").write_text("import os")
    elif change == "one more folder":
        (folder / "numpy").mkdir()
    elif change == "a link":
        (tmp_path / "hostile.py").write_text("import os")
        script.unlink()
        script.symlink_to(tmp_path / "hostile.py")
    elif change == "a folder in its place":
        script.unlink()
        script.mkdir()
    prepared, _ = prepare(MODELS / "pipeline.joblib", "scikit-learn-1.9.1")
    entry = prepared.request.project.entry
    assert entry is not None
    assert {path.name for path in folder.iterdir()} == {"scikit_learn_model.py", "modelcrate-schema.json"}
    assert script.read_bytes() == right
    assert not script.is_symlink()
    assert (script.stat().st_ctime_ns == before) is (change == "as it was"), "what is right is not written again"


def test_a_model_is_read_once_while_it_stays_as_it_is(
    tmp_path: Path, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(MODELS / "boosted.ubj", tmp_path / "m.ubj")
    monkeypatch.setattr(framework_reading, "settled", lambda tree: True)  # nobody waits here for the file to grow old
    model = Model(Path("m.ubj"), "m")
    first = framework_reading.read_file_model(model, tmp_path, settings)
    monkeypatch.setattr(framework_reading, "_read", lambda files: pytest.fail("it was read again"))
    assert framework_reading.read_file_model(model, tmp_path, settings) == first
    assert first.understood is not None
    (tmp_path / "m.ubj").write_bytes(b"{L")
    with pytest.raises(pytest.fail.Exception):
        framework_reading.read_file_model(model, tmp_path, settings)


def test_another_version_in_the_lock_is_refused_after_resolving(prepare: Prepare) -> None:
    with pytest.raises(UserError) as caught:
        prepare(MODELS / "pipeline.joblib", "scikit-learn-1.5.2", asked="[scikit-learn]", more=REFUSE)
    assert caught.value.what == "the model needs scikit-learn 1.9.1, and the image gets scikit-learn 1.5.2"
    assert caught.value.where.endswith("project/pipeline.joblib: byte 1189 of the pickle")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("gate", "told"), [("warn", 1), ("allow", 0)])
def test_another_version_passes_where_the_project_says_so(prepare: Prepare, gate: str, told: int) -> None:
    more = f"gates: {{versions: {gate}}}\n"
    _, said = prepare(MODELS / "pipeline.joblib", "scikit-learn-1.5.2", asked="[scikit-learn]", more=more)
    assert sum("the image gets scikit-learn 1.5.2" in line for line in said) == told


def test_the_rule_holds_for_projects_with_a_script_as_well(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    with pytest.raises(UserError, match=r"the model needs xgboost 3\.2\.0, and the image gets xgboost 3.1.0"):
        prepare(MODELS / "boosted.ubj", "xgboost-3.1.0", asked="[xgboost]", more="entry: score.py\n" + REFUSE)


def test_a_package_named_otherwise_serves_as_well(prepare: Prepare) -> None:
    prepared, _ = prepare(MODELS / "boosted.ubj", "xgboost-3.2.0", "numpy-2.3.0", asked="[xgboost, numpy]")
    assert prepared.request.project.dependencies.requirements == ("xgboost", "numpy")


def test_a_requirements_file_is_the_users_whole_word(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "needs.txt").write_text("joblib\n")
    with pytest.raises(UserError, match="the model needs scikit-learn, and the image doesn't get it"):
        prepare(MODELS / "pipeline.joblib", asked="needs.txt")


def test_a_pickle_that_runs_code_is_refused_by_the_gate_and_never_loaded(prepare: Prepare, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> object:
            return os.mkdir, (str(tmp_path / "mark"),)

    model = tmp_path / "bad.pkl"
    data = pickle.dumps({"_sklearn_version": "1.9.1", "bomb": Bomb()})
    model.write_bytes(data[:2] + b"csklearn.linear_model\nRidge\n0" + data[2:])
    with pytest.raises(SourceError, match="is a pickle that would run code when it is loaded"):
        prepare(model, "scikit-learn-1.9.1")
    assert not (tmp_path / "mark").exists()


def test_the_folder_of_a_dockerfile_gives_the_same_image(prepare: Prepare, tmp_path: Path, settings: Config) -> None:
    """With the script, its description and the packages written down, there is nothing left to be guessed."""
    prepared, _ = prepare(MODELS / "pipeline.joblib", "scikit-learn-1.9.1")
    layout = oci.parse(f"{tmp_path / 'layout'}:first")
    with Session(settings) as session:
        first = session.build(replace(prepared.request, outputs=(layout, DockerfileOutput(tmp_path / "imagefiles"))))
        again = session.build(session.read(tmp_path / "imagefiles"))
    assert again.prepared.request.project.entry == Entry(Path("scikit_learn_model.py"), Path("azureml-app/served"))
    assert again.receipt.image.digest == first.receipt.image.digest
    assert assert_valid_layout(tmp_path / "layout").images == 1


@pytest.mark.parametrize("verb", ["init", "lock"])
@pytest.mark.parametrize("kind", ["mlflow", "transformers"])
def test_nothing_is_written_into_a_model(
    verb: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(MODELS / kind, tmp_path / "m")
    before = sorted((tmp_path / "m").iterdir())
    assert main([verb, str(tmp_path / "m")]) == UserError.exit_code
    assert "the folder is itself a model" in capsys.readouterr().err
    assert sorted((tmp_path / "m").iterdir()) == before


def test_several_models_need_a_script(tmp_path: Path, settings: Config) -> None:
    models = tuple(Model(Path(name), name.partition(".")[0]) for name in ("boosted.ubj", "leaves.txt"))
    with pytest.raises(UserError, match="2 models and no entry script"):
        complete(ChosenModels(Project("p", None, models)), MODELS, settings)


def test_what_starts_nothing_stays_as_it_is(settings: Config) -> None:
    bare = Project("p", None, (Model(Path("boosted.ubj"), "m"),), base=ScratchBase())
    assert complete(ChosenModels(bare), MODELS, settings).project is bare


@pytest.mark.parametrize(
    ("base", "python", "wanted"),
    [(DebianBase(), None, "3.11"), (DebianBase(), "3.13", "3.13"), (DebianBase("trixie"), None, None)],
)
def test_the_python_that_made_a_model_is_taken_where_nobody_says_otherwise(
    settings: Config, base: DebianBase, python: str | None, wanted: str | None
) -> None:
    project = Project("p", None, (Model(Path("mlflow"), "m"),), python=python, base=base)
    assert complete(ChosenModels(project), MODELS, settings).project.python == wanted


@pytest.mark.parametrize(("made", "taken"), [("3.7.11", "3.9"), ("3.12.1", "3.12"), ("3.99.0", None), ("nine.x", None)])
def test_the_nearest_python_is_taken_where_no_base_has_the_one_that_made_a_model(
    tmp_path: Path, settings: Config, made: str, taken: str | None
) -> None:
    shutil.copytree(MODELS / "mlflow", tmp_path / "mlflow")
    text = (tmp_path / "mlflow" / "MLmodel").read_text()
    (tmp_path / "mlflow" / "MLmodel").write_text(re.sub(r"python_version: \S+", f"python_version: {made}", text))
    project = Project("p", None, (Model(Path("mlflow"), "m"),))
    assert complete(ChosenModels(project), tmp_path, settings).project.python == taken


def test_lines_of_the_project_go_before_the_models(settings: Config) -> None:
    project = Project("p", None, (Model(Path("mlflow"), "m"),), dependencies=Dependencies(("mlflow==3.18.0", "numpy")))
    made = complete(ChosenModels(project), MODELS, settings).project
    assert made.dependencies.requirements == (
        "mlflow==3.18.0",
        "numpy",
        "cloudpickle==3.1.2",
        "pandas==3.1.1",
        "scikit-learn==1.9.1",
    )
    assert replace(made, entry=None, dependencies=project.dependencies, env={}, python=None) == project


def test_a_model_that_was_listed_is_not_listed_again(
    tmp_path: Path, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODELS / "transformers", tmp_path / "model")
    model = Model(Path("model"), "m")
    listed = list_path(tmp_path / "model", folder("m", 1)).entries
    found = framework_reading.read_file_model(model, tmp_path, settings)
    monkeypatch.delattr(framework_reading, "list_path")
    assert framework_reading.read_file_model(model, tmp_path, settings, listed) == found


@pytest.mark.parametrize("whole", [False, True])
def test_a_pickle_is_followed_once_in_a_build(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """The gates follow it; what the model is, is known from what they have found."""
    folder, followed = tmp_path / "project", list[str]()
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "score.py").write_text("def init(): pass\ndef run(data): return 1\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.pkl").write_bytes(pickle.dumps({"trained": date(2026, 11, 30)}))
    model = tmp_path / "model" if whole else tmp_path / "model" / "m.pkl"
    read = recognition.contents_of

    def counted(file: BinaryIO, name: str) -> object:
        followed.append(name)
        return read(file, name)

    monkeypatch.setattr(recognition, "contents_of", counted)
    prepared, _ = prepare(model, more="entry: {source: src, script: score.py}\n")
    assert followed == ["m.pkl"]
    assert any(facts.pickles for facts in prepared.facts.values())


def test_a_model_of_too_many_files_to_look_through_says_no_versions(
    tmp_path: Path, settings: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODELS / "transformers", tmp_path / "model")
    monkeypatch.setattr(files, "MAX_FILES", 1)
    assert framework_reading.read_file_model(
        Model(Path("model"), "m"), tmp_path, settings
    ) == framework_reading.ModelDescription((), None)
