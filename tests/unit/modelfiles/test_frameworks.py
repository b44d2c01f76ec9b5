"""What it takes to serve a model, by its files alone; and what is said of those that can't be served."""

from __future__ import annotations

import ast
import json
import pickle
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.framework_reading import describe_model
from modelcrate.modelfiles.frameworks import FrameworkModel, frameworks, transformers
from modelcrate.modelfiles.frameworks.onnx import RUNTIMES, oldest
from modelcrate_layers.errors import SourceError, UserError

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "fixtures" / "models"
TEMPLATES = ROOT / "builder" / "modelcrate" / "modelfiles" / "scripts"


def read(path: Path) -> FrameworkModel:
    return describe_model(ModelFiles.of(path))


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "file", "requirements"),
    [
        ("pipeline.joblib", "pipeline.joblib", ("pandas", "scikit-learn==1.9.1", "joblib")),
        ("boosted.json", "boosted.json", ("xgboost-cpu==3.2.0",)),
        ("boosted.ubj", "boosted.ubj", ("xgboost-cpu==3.2.0",)),
        ("boosted.deprecated", "boosted.deprecated", ("xgboost-cpu>=2.1,<3.1",)),
        ("leaves.txt", "leaves.txt", ("lightgbm>=4.0.0",)),
        ("transformers", "transformers", ("transformers==5.23.0", "torch", "safetensors")),
        (
            "mlflow",
            "mlflow",
            ("mlflow-skinny==3.17.2", "cloudpickle==3.1.2", "pandas==3.1.1", "scikit-learn==1.9.1"),
        ),
    ],
)
def test_the_packages_and_their_versions_come_from_the_files(
    name: str, file: str, requirements: tuple[str, ...]
) -> None:
    told = read(MODELS / name)
    assert (told.file, told.requirements) == (file, requirements)
    assert (TEMPLATES / told.template).is_file()
    assert told.takes


def test_every_template_belongs_to_a_framework() -> None:
    used = {framework.TEMPLATE for framework in frameworks()}  # type: ignore[attr-defined]
    assert used == {path.name for path in TEMPLATES.glob("*.py")}


def test_what_all_scripts_need_is_the_same_in_each() -> None:
    """Each script is a single file in an image and can import nothing of another, so the common part is repeated."""
    for name in ("InputError", "members"):
        sources = set()
        for path in TEMPLATES.glob("*.py"):
            text = path.read_text()
            (found,) = (each for each in ast.parse(text).body if getattr(each, "name", "") == name)
            sources.add(ast.get_source_segment(text, found))
        assert len(sources) == 1, name


def test_a_file_in_a_folder_is_found_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "forest" / "v1").mkdir(parents=True)
    shutil.copy(MODELS / "boosted.ubj", tmp_path / "forest" / "v1" / "m.ubj")
    (tmp_path / "forest" / "notes.md").write_text("notes")
    assert read(tmp_path / "forest").file == "forest/v1/m.ubj"


def test_what_is_assumed_is_said() -> None:
    assert "xgboost-cpu serves it, without CUDA" in read(MODELS / "boosted.json").assumed[0]
    assert "XGBoost 3.1 no longer reads" in read(MODELS / "boosted.deprecated").assumed[0]
    assert read(MODELS / "mlflow").python == "3.11"


def test_xgboost_before_its_light_distribution_takes_the_heavy_one(tmp_path: Path) -> None:
    data = (MODELS / "boosted.json").read_bytes().replace(b'"version":[3,2,0]', b'"version":[1,7,6]')
    (tmp_path / "m.json").write_bytes(data)
    assert read(tmp_path / "m.json").requirements == ("xgboost==1.7.6",)


@pytest.mark.parametrize(
    ("ir", "core", "ml", "wanted"),
    [
        (3, 0, 1, "1.15.0"),
        (9, 19, 3, "1.15.0"),
        (9, 20, 0, "1.17.0"),
        (10, 13, 0, "1.18.0"),
        (8, 28, 0, "1.32.0"),
        (99, 13, 0, ""),
    ],
)
def test_the_oldest_onnx_runtime_for_a_model(ir: int, core: int, ml: int, wanted: str) -> None:
    opsets = {name: version for name, version in (("ai.onnx", core), ("ai.onnx.ml", ml)) if version}
    assert oldest({"ir_version": ir, "opsets": opsets})[0] == wanted
    assert list(RUNTIMES) == sorted(RUNTIMES, key=lambda row: [int(part) for part in row[0].split(".")])


def test_no_known_framework_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    error = refused(tmp_path / "m")
    assert "no model of a framework that can be served without an entry script" in error.what
    for framework in frameworks():
        assert framework.IDENTIFIED_BY in error.why
    assert "it is an HDF5 file" in error.why
    assert "entry: score.py" in error.hint
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"w": 1.0}))
    assert "it is a pickle of dict" in refused(tmp_path / "plain.pkl").why
    (tmp_path / "empty").mkdir()
    assert "it is of no format that is known: no files" in refused(tmp_path / "empty").why


def test_two_frameworks_at_once_and_two_models_of_one(tmp_path: Path) -> None:
    for name in ("boosted.json", "leaves.txt"):
        shutil.copy(MODELS / name, tmp_path / name)
    error = refused(tmp_path)
    assert "models of 2 frameworks at once" in error.what
    assert error.why == "LightGBM: leaves.txt; XGBoost: boosted.json"
    (tmp_path / "leaves.txt").unlink()
    shutil.copy(MODELS / "boosted.ubj", tmp_path / "other.ubj")
    error = refused(tmp_path)
    assert "2 XGBoost models" in error.what
    assert error.why == "boosted.json, other.ubj"


def test_two_folders_as_wholes_are_two_frameworks(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "mlflow", tmp_path / "both")
    shutil.copytree(MODELS / "transformers", tmp_path / "both", dirs_exist_ok=True)
    assert "MLflow" in refused(tmp_path / "both").why


@pytest.mark.parametrize("name", ["boosted.json", "boosted.ubj", "leaves.txt", "transformers/model.safetensors"])
def test_a_model_that_is_cut_short_is_damaged(tmp_path: Path, name: str) -> None:
    top = MODELS / name.partition("/")[0]
    target = tmp_path / top.name
    (shutil.copytree if top.is_dir() else shutil.copy)(top, target)
    broken = tmp_path / name
    broken.write_bytes(broken.read_bytes()[: len(broken.read_bytes()) // 3])
    with pytest.raises(SourceError, match="is damaged"):
        read(target)


def test_a_pickle_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.joblib").write_bytes((MODELS / "pipeline.joblib").read_bytes()[:700])
    assert "is a damaged pickle" in refused(tmp_path / "m.joblib").what


def test_an_onnx_file_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07\x12\x40half")
    with pytest.raises(SourceError, match="is damaged"):
        read(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "flavors: {spark: {model_data: x}, h2o: {}}\n",
            "no flavour that can be served without an entry script: spark, h2o",
        ),
        ("flavors: {}\n", "it names none"),
        ("flavors: [sklearn]\n", "it names no flavors"),
        ("flavors: {sklearn: {\n", "is not YAML"),
        ("a: &a [1]\nb: !!python/object/apply:os.system [x]\n", "is not YAML"),
        ("flavors: {python_function: {}}\nsignature: {inputs: '[{'}\n", "has a signature that is no JSON"),
    ],
)
def test_an_mlmodel_that_can_not_be_served_says_why(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text(text)
    error = refused(tmp_path / "m")
    assert what in error.what
    assert re.search(r"MLmodel(:2:[14])?$", error.where)


def test_an_mlflow_folder_without_requirements_takes_those_of_its_flavour(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "mlflow", tmp_path / "m")
    (tmp_path / "m" / "requirements.txt").unlink()
    told = read(tmp_path / "m")
    assert told.requirements == ("scikit-learn==1.9.1", "mlflow-skinny==3.17.2", "pandas")
    (tmp_path / "m" / "requirements.txt").write_text(
        "# made by hand\n--index-url https://x.example\nmlflow[extras]>=3 # large\n"
    )
    told = read(tmp_path / "m")
    assert told.requirements == ("mlflow-skinny>=3", "pandas")
    assert "options that mean nothing here: --index-url https://x.example" in told.assumed[0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"architectures": []}, "names no architecture"),
        ({"architectures": None}, "names no architecture"),
        ({"auto_map": {"AutoModel": "mine.Model"}}, "names code of its own (auto_map)"),
    ],
)
def test_a_transformers_folder_that_can_not_be_served_says_why(
    tmp_path: Path, change: dict[str, object], what: str
) -> None:
    shutil.copytree(MODELS / "transformers", tmp_path / "m")
    config = tmp_path / "m" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    assert what in refused(tmp_path / "m").what
    config.write_text("[")
    assert "is no JSON" in refused(tmp_path / "m").what


def test_transformers_without_a_release_or_a_tokenizer_says_so(tmp_path: Path) -> None:
    shutil.copytree(MODELS / "transformers", tmp_path / "m", ignore=shutil.ignore_patterns("tokenizer*", "vocab*"))
    config = tmp_path / "m" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"transformers_version": "5.24.0.dev0"}))
    told = read(tmp_path / "m")
    assert told.requirements[0] == "transformers"
    assert "names no release of Transformers (5.24.0.dev0)" in told.assumed[0]
    assert "there is no tokenizer" in told.assumed[1]
    assert told.takes["properties"]["inputs"]["properties"]["input_ids"]["items"]["items"]["type"] == "integer"


@pytest.mark.parametrize(
    ("settings", "tensor"),
    [
        ({"image_size": 30}, "pixel_values"),
        ({"num_mel_bins": 80}, "input_features"),
        ({"conv_stride": [5]}, "input_values"),
    ],
)
def test_a_model_of_images_or_sounds_takes_no_token_ids(
    tmp_path: Path, settings: dict[str, object], tensor: str
) -> None:
    shutil.copytree(MODELS / "transformers", tmp_path / "m", ignore=shutil.ignore_patterns("tokenizer*", "vocab*"))
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**config, **settings}))
    told = read(tmp_path / "m")
    assert [*told.takes["properties"]["inputs"]["properties"]] == [tensor]
    assert tensor in told.assumed[-1]


def test_the_script_and_the_description_know_the_same_tasks_and_tokenizers() -> None:
    """The script runs in the image, where the builder is not."""
    script = runpy.run_path(str(TEMPLATES / "transformers_model.py"))
    assert script["TASKS"] == transformers._TASKS
    assert set(script["TOKENIZERS"]) == transformers._TOKENIZERS


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("1")
    (tmp_path / "nothing").symlink_to("gone")
    (tmp_path / "itself").symlink_to("itself")
    assert ModelFiles.of(tmp_path).names == ("weights.txt",)


def test_a_folder_may_be_deeper_than_python_calls_itself(tmp_path: Path) -> None:
    folders = [tmp_path / "model"]
    for _ in range(sys.getrecursionlimit() + 100):
        folders.append(Path(f"{folders[-1]}/d"))
    for each in folders:
        each.mkdir()
    try:
        (folders[-1] / "weights.txt").write_text("1")
        found = ModelFiles.of(folders[0])
        assert found.names == ("d/" * (len(folders) - 1) + "weights.txt",)
    finally:
        (folders[-1] / "weights.txt").unlink()
        for each in reversed(folders):  # which nothing that calls itself can remove
            each.rmdir()
