"""Pickles of real models, written with the packages that are installed: each estimator of scikit-learn, XGBoost and LightGBM, fitted.

    python zoo.py FOLDER

A program of its own, for an environment with those packages. One file for each estimator and way of saving.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any


def models() -> Any:
    """Yields names and fitted models."""
    import numpy as np
    from sklearn.utils import all_estimators

    random = np.random.RandomState(0)
    numbers, classes = np.abs(random.rand(30, 4)), np.arange(30) % 3
    texts = ["the cat", "a dog sat", "the mouse"] * 10
    targets: list[Any] = [
        (numbers, classes), (numbers, numbers[:, 0]), (numbers, numbers[:, :2]), (texts, classes), ([{"a": 1, "b": "x"}] * 30, classes),
        (numbers[:, 0], numbers[:, 1]), (numbers @ numbers.T, classes),
    ]  # fmt: skip
    yield from _arrays()
    for name, kind in all_estimators():
        for data, target in targets:
            with suppress(Exception):
                yield name, _made(name, kind).fit(data, target)
                break
        else:
            print("not fitted:", name, file=sys.stderr)
    with suppress(ImportError):
        import xgboost

        for name in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"):
            yield name, getattr(xgboost, name)(n_estimators=2).fit(numbers, classes)
        yield "xgboost.Booster", xgboost.train({}, xgboost.DMatrix(numbers, classes), 2)
    with suppress(ImportError):
        import lightgbm

        for name in ("LGBMClassifier", "LGBMRegressor"):
            yield name, getattr(lightgbm, name)(n_estimators=2, verbose=-1).fit(numbers, classes)
        yield "lightgbm.Booster", lightgbm.train({"verbose": -1}, lightgbm.Dataset(numbers, classes), 2)

    with suppress(ImportError):
        yield from _statistics(numbers, classes)
    with suppress(ImportError):
        yield from _bundles(numbers, classes)
    with suppress(ImportError):
        yield from _tensors(numbers, classes)


def _arrays() -> Any:
    """Yields arrays of each kind of item, whose bytes joblib and numpy write raw or as objects."""
    import numpy as np

    kinds: list[Any] = ["f8", ">i4", "U3", "S5", "M8[ns]", "m8[s]", "O", "?", "c16", "f2", "V6", [("a", "f4"), ("b", "i8")],
                        [("a", "O"), ("b", "f4", (2,))]]  # fmt: skip
    for number, kind in enumerate(kinds):
        for shape in ((), (0,), (2, 3)):
            yield f"array {number} {len(shape)} {0 in shape}", [np.zeros(shape, kind), np.zeros(shape, kind, order="F")]
    yield from (
        ("recarray", np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", object)])),
        ("matrix", np.matrix([[1.0]])),
    )
    yield "masked", np.ma.masked_array([1.0, 2], [0, 1])


def _bundles(numbers: Any, classes: Any) -> Any:
    """Yields dicts, lists and tuples of estimators that were fitted on a frame, as scripts save them, with arrays of objects of each kind."""
    import datetime
    import decimal

    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

    frame = pd.DataFrame(numbers, columns=["age", "fare", "size", "weight"])
    model, scaler = LogisticRegression().fit(frame, classes), StandardScaler().fit(frame)
    words = [["red"], ["blue"]] * 15
    whole = {
        "model": model,
        "scaler": scaler,
        "encoder": OneHotEncoder().fit(words),
        "labels": LabelEncoder().fit(["no", "yes"]),
    }
    yield "bundle", whole
    yield "bundle of one", {"model": model}
    yield "bundle with columns", {"columns": list(frame), "model": model}
    yield "bundle with an index", {"columns": frame.columns, "version": "1.0", "model": model}
    yield "bundle with a text", {"description": "a model of prices " * 30, "model": model}
    yield "bundle in a bundle", {"a": {"b": whole, "c": [scaler, (model, 1)]}}
    yield "list", [model, scaler]
    yield "tuple", (scaler, model)
    values: dict[str, list[Any]] = {
        "texts": ["a", "b", "a"], "times": [pd.Timestamp("2020"), pd.Timestamp("2021")], "numbers": [1, 2.5, None, decimal.Decimal(1)],
        "dates": [datetime.datetime(2020, 1, 1), datetime.timedelta(1)], "dicts": [{"a": 1}, {"b": [1]}], "arrays": [np.zeros(3), np.ones(2)],
        "estimators": [model, scaler], "missing": [pd.NA, pd.NaT, np.nan],
    }  # fmt: skip
    for name, each in values.items():
        array = np.empty(len(each), object)
        array[:] = each
        yield f"bundle with {name}", {"os": "linux", "values": array, "model": model}


def _tensors(numbers: Any, classes: Any) -> Any:
    """Yields what has tensors outside of PyTorch's own format, where PyTorch is installed: tests need no more of it than that."""
    import torch
    from torch import nn

    layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.Adam(layers.parameters())
    layers(torch.tensor(numbers, dtype=torch.float32)).sum().backward()
    optimizer.step()
    yield "torch.Module", layers
    yield (
        "torch.checkpoint",
        {"model": layers.state_dict(), "optimizer": optimizer.state_dict(), "mean": numbers.mean(0)},
    )
    for kind in (torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64, torch.uint8):
        yield f"{kind}", {"texts": ["a", "b"], "embeddings": torch.zeros(3, 4, dtype=kind)}
    yield "torch.sparse", torch.eye(3).to_sparse()
    yield "torch.empty", [torch.zeros(0, 3), torch.tensor(1.0)]


def _statistics(numbers: Any, classes: Any) -> Any:
    """Yields results of statsmodels, over arrays and over a table."""
    import pandas as pd
    import statsmodels.api as sm
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    table = pd.DataFrame(numbers, index=pd.date_range("2020", periods=len(numbers), freq="D"))
    for kind, data, target in (("arrays", numbers[:, 1:], numbers[:, 0]), ("table", table[[1, 2]], table[0])):
        for name in ("OLS", "WLS", "GLS", "RLM", "QuantReg", "GLM"):
            yield f"statsmodels.{name} {kind}", getattr(sm, name)(target, data).fit()
        for name in ("Logit", "Probit"):
            yield f"statsmodels.{name} {kind}", getattr(sm, name)((classes > 0).astype(int), data).fit(disp=0)
        yield f"statsmodels.Poisson {kind}", sm.Poisson(classes, data).fit(disp=0)
        yield f"statsmodels.PCA {kind}", sm.PCA(data)
        yield f"statsmodels.MixedLM {kind}", sm.MixedLM(target, data, groups=classes).fit()
    yield "statsmodels.AutoReg", sm.tsa.AutoReg(table[0], 2).fit()
    yield "statsmodels.VAR", sm.tsa.VAR(table).fit(1)
    yield "statsmodels.ExponentialSmoothing", sm.tsa.ExponentialSmoothing(table[0]).fit()
    yield "statsmodels.ETS", ETSModel(table[0], error="add", trend="add").fit(disp=0)


def _made(name: str, kind: Any) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    steps = [("scale", StandardScaler()), ("model", LogisticRegression())]
    given: dict[str, tuple[Any, ...]] = {
        "Pipeline": (steps,), "FeatureUnion": (steps[:1],), "ColumnTransformer": ([("a", StandardScaler(), [0, 1])],),
        "VotingClassifier": (steps[1:],), "StackingClassifier": (steps[1:],), "VotingRegressor": ([("a", Ridge())],),
        "StackingRegressor": ([("a", Ridge())],), "SparseCoder": ([[1.0, 0, 0, 0]],), "FunctionTransformer": (),
        **dict.fromkeys(("GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"), (Ridge(), {"alpha": [1.0, 2.0]})),
    }  # fmt: skip
    for arguments in (given[name],) if name in given else ((), (LogisticRegression(),), (Ridge(),)):
        with suppress(TypeError):
            return kind(*arguments)
    raise TypeError(name)


def main(folder: Path) -> None:
    import joblib

    warnings.simplefilter("ignore")
    for name, model in models():
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(model))
        (folder / f"{name}-2.pkl").write_bytes(pickle.dumps(model, 2))
        joblib.dump(model, folder / f"{name}.joblib")
        joblib.dump(model, folder / f"{name}-zlib.joblib", compress=3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
