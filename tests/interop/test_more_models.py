"""Models of many kinds that have no script of their own, asked with what fits and with what doesn't: 200, or 400 with the reason, never 500."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.peers import boosters, interpreter
from support.platforms import without_a_script
from support.serving import Answer, Ask, Server
from support.tools import call

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

MAKE = """
import sys

import joblib
import numpy
import pandas
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

given, wanted = load_iris(return_X_y=True)
table = pandas.DataFrame({"size": [1.0, 2.0, 3.0, 4.0], "colour": ["red", "blue", "red", "blue"]})
columns = make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(handle_unknown="ignore"), ["colour"]))
models = {
    "forest": RandomForestClassifier(5, random_state=1).fit(given, wanted),
    "histogram": HistGradientBoostingClassifier(max_iter=3).fit(given, wanted),
    "isolation": IsolationForest(n_estimators=5, random_state=1).fit(given),
    "neighbours": KNeighborsClassifier(3).fit(given, wanted),
    "network": make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2000, random_state=1)).fit(given, wanted),
    "clusters": KMeans(3, n_init=1, random_state=1).fit(given),
    "vectors": SVC().fit(given, wanted),
    "texts": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad", "very good"], [1, 0, 1]),
    "table": make_pipeline(columns, LogisticRegression()).fit(table, [0, 1, 0, 1]),
}
for name, model in models.items():
    joblib.dump(model, f"{sys.argv[1]}/{name}.joblib")
"""
BOOST = """
import sys

import lightgbm
import numpy
import xgboost

chance = numpy.random.default_rng(1)
given, wanted = chance.random((60, 4)), chance.integers(0, 3, 60)
settings = {"objective": "multi:softprob", "num_class": 3}
xgboost.train(settings, xgboost.DMatrix(given, wanted), 2).save_model(f"{sys.argv[1]}/classes.json")
more = {"objective": "multiclass", "num_class": 3, "verbose": -1, "min_data_in_leaf": 2}
lightgbm.train(more, lightgbm.Dataset(given, wanted), 2).save_model(f"{sys.argv[1]}/classes.txt")
"""
FLOWER = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
GOOD: dict[str, Any] = {
    **dict.fromkeys(
        ["forest.joblib", "histogram.joblib", "isolation.joblib", "neighbours.joblib", "network.joblib"], FLOWER
    ),
    **dict.fromkeys(["clusters.joblib", "vectors.joblib", "classes.json", "classes.txt"], FLOWER),
    "texts.joblib": ["good", "bad"],
    "table.joblib": [{"size": 1.5, "colour": "red"}, {"size": 3, "colour": "green"}],
}
BAD: tuple[Any, ...] = (
    [], 5, None, {"a": 1}, [[]], [[1.0]], [[1.0] * 400], [[1.0], [1.0, 2.0]], [["a"] * 4], [[{}] * 4], [[[[1.0]]]],
    [[10**400] * 4], [{"a": 1}, [1]], [{"size": 1}], [{"size": [], "colour": {}}], [True], [None],
)  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    call(interpreter(), "-c", MAKE, folder)
    call(boosters(), "-c", BOOST, folder)
    return folder


def ask(server: Server, path: str, document: object) -> Answer:
    return server.ask(Ask("POST", path, json.dumps(document).encode(), [("Content-Type", "application/json")]))


@pytest.mark.parametrize("name", GOOD)
def test_what_fits_is_answered_and_what_does_not_is_refused_with_the_reason(
    models: Path, tmp_path: Path, name: str
) -> None:
    python = interpreter() if name.endswith(".joblib") else boosters()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes((models / name).read_bytes())
    with without_a_script(folder / name, tmp_path / "image", python) as server:
        assert ask(server, "/score", {"data": GOOD[name]}).status == 200, server.log[-1000:]
        assert ask(server, "/v1/models/rows:predict", {"instances": GOOD[name]}).status == 200
        for rows in BAD:
            for path, document in (("/score", {"data": rows}), ("/v1/models/rows:predict", {"instances": rows})):
                answer = ask(server, path, document)
                said = json.loads(answer.body)
                assert answer.status == 400, (path, rows, answer.body, server.log[-1000:])
                assert len(said.get("message") or said["error"]) > 10
        assert ask(server, "/score", {"data": GOOD[name]}).status == 200
