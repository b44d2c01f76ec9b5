"""Models that need no entry script, of every framework that can be served without torch: folders with a model and nothing else.

ONNX and scikit-learn are in test_real_models.py; Transformers, whose torch no image of a test can hold, in test_transformers_script.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from modelcrate_layers.errors import UserError
from support.crates import Crates
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.tools import need
from support.validator import assert_valid_layout

pytestmark = [pytest.mark.network, pytest.mark.slow]

MODELS = REPOSITORY / "fixtures" / "models"
ROWS = [[0.1 * at for at in range(10)], [0.05, -0.04, 0.06, 0.02, -0.04, -0.03, -0.04, -0.003, 0.02, -0.02]]
COLUMNS = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]

FOUND = "import glob, json, numpy; (path,) = glob.glob('/var/azureml-app/azureml-models/*/1/*'); "


@pytest.fixture(scope="module")
def crates(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Iterator[Crates]:
    """In the end, every image that was made is looked at."""
    need("nsenter", root=True)
    made = Crates(tmp_path_factory.mktemp("scriptless"), modelcrate)
    yield made
    if made.layout.exists():
        assert assert_valid_layout(made.layout).images


def alone(crates: Crates, name: str, model: str) -> str:
    """The image of a folder with this model and nothing else."""
    source = MODELS / model
    paths = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    return crates.build(crates.project(name, {str(path.relative_to(MODELS)): path.read_bytes() for path in paths}))


def test_xgboost(crates: Crates) -> None:
    address = alone(crates, "xgboost", "boosted.ubj")
    assert "xgboost_model.py serves it as XGBoost, with xgboost-cpu==3.2.0\n" in crates.said("xgboost")
    assert "xgboost-cpu serves it, without CUDA" in crates.said("xgboost")
    code = (
        "import xgboost; booster = xgboost.Booster(model_file=path); "
        f"print(json.dumps(booster.inplace_predict(numpy.array({ROWS}, 'float32')).tolist()))"
    )
    with crates.running(address) as server:
        answer, direct, described = server.ask({"data": ROWS}), server.direct(FOUND + code), server.described()
    assert answer == {"predict": direct}
    assert described["ServiceInput"]["properties"]["data"]["items"]["maxItems"] == 10


def test_xgboost_in_its_old_binary_format(crates: Crates) -> None:
    """The newest XGBoost can't read it, so an older one is taken. Nothing is built here."""
    project = crates.project("xgboost-old", {"boosted.deprecated": (MODELS / "boosted.deprecated").read_bytes()})
    planned = crates.modelcrate.run("plan", project, "--progress", "lines")
    assert planned.returncode == 0, planned.stderr
    assert "the binary format, which XGBoost 3.1 no longer reads" in planned.stderr
    assert re.search(r"xgboost-cpu 3\.0\.\d+", planned.stdout)


def test_lightgbm(crates: Crates) -> None:
    address = alone(crates, "lightgbm", "leaves.txt")
    assert "leaves.txt names no version of LightGBM, only its format v4: lightgbm>=4.0.0 reads it" in crates.said(
        "lightgbm"
    )
    code = (
        f"import lightgbm; print(json.dumps(lightgbm.Booster(model_file=path).predict(numpy.array({ROWS})).tolist()))"
    )
    with crates.running(address) as server:
        assert server.ask({"data": ROWS}) == {"predict": server.direct(FOUND + code)}


MLFLOW_DIRECTLY = """
import importlib.util, os, pandas, shutil, sys, mlflow.pyfunc
table = json.loads(sys.argv[1])["dataframe_split"]
direct = mlflow.pyfunc.load_model(path).predict(pandas.DataFrame(table["data"], columns=table["columns"])).tolist()
shutil.copytree(path, "/tmp/alone")
text = open("/tmp/alone/MLmodel").read()
open("/tmp/alone/MLmodel", "w").write(text[: text.index("  python_function:")] + text[text.index("  sklearn:") :])
os.environ.update(AZUREML_MODEL_DIR="/tmp", MODELCRATE_MODEL_FILE="alone")
spec = importlib.util.spec_from_file_location("script", "/var/azureml-app/served/mlflow_model.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
script.init()
print(json.dumps([direct, script.run(sys.argv[1])]))
"""
"""What MLflow predicts; and the same script over the same model without the flavour python_function, which saves an image."""


def test_an_mlflow_folder(crates: Crates) -> None:
    """Rows of a table in each of MLflow's forms; the answer is MLflow's own. With the flavour sklearn alone it is the same."""
    address = alone(crates, "mlflow", "mlflow")
    said = crates.said("mlflow")
    lines = "mlflow-skinny==3.17.2, cloudpickle==3.1.2, pandas==3.1.1, scikit-learn==1.9.1"
    assert f"mlflow_model.py serves it as MLflow, with {lines}\n" in said
    assert "Python 3.11, which made it" in said
    table = {"columns": COLUMNS, "data": ROWS}
    records = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
    bodies: list[Any] = [
        {"dataframe_split": table},
        {"dataframe_records": records},
        {"inputs": ROWS},
        {"instances": records},
    ]
    with crates.running(address) as server:
        answers = [server.ask(body) for body in bodies]
        as_azure = [server.ask({"input_data": each}) for each in (table, {**table, "index": [7, 8][: len(ROWS)]}, ROWS)]
        direct, sklearn_alone = server.direct(FOUND + MLFLOW_DIRECTLY, json.dumps(bodies[0]))
        described = server.described()["ServiceInput"]["properties"]["dataframe_records"]["items"]
    assert answers == [{"predictions": direct}] * 4
    assert as_azure == [direct] * 3
    assert sklearn_alone == {"predictions": direct}
    assert sorted(described["properties"]) == sorted(COLUMNS)


def test_a_pickle_of_one_version_and_a_lock_of_another_are_refused_before_the_build(crates: Crates) -> None:
    """A model of scikit-learn 1.9.1, and the real index's 1.8: refused on request, after resolving, told by default, and right with its own."""
    model = {"model.joblib": (MODELS / "pipeline.joblib").read_bytes()}
    text = "dependencies: [scikit-learn==1.8.0]\nmodels: [model.joblib]\n"
    project = crates.project("older", model, f"{text}gates: {{versions: refuse}}\n")
    done = crates.modelcrate.run("build", project, "-o", f"oci:{crates.layout}:older", "--progress", "none")
    assert done.returncode == UserError.exit_code
    assert (
        "model.joblib: byte 1189 of the pickle: the model needs scikit-learn 1.9.1, and the image gets scikit-learn 1.8.0"
        in done.stderr
    )
    assert "name scikit-learn==1.9.1 in the dependencies" in done.stderr
    assert "gates: {versions: warn} lets it pass" in done.stderr
    tags = json.loads((crates.layout / "index.json").read_text())["manifests"] if crates.layout.exists() else []
    assert "older" not in [each["annotations"]["org.opencontainers.image.ref.name"] for each in tags], (
        "nothing was built"
    )
    (project / "modelcrate.yaml").write_text(f"name: older\n{text}")
    planned = crates.modelcrate.run("plan", project, "--progress", "lines")
    assert planned.returncode == 0
    assert "the image gets scikit-learn 1.8.0" in planned.stderr
