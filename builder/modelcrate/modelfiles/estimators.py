"""What a pickle has to be, so that a script which knows nothing but its class can serve it: an estimator with a method that answers."""

from __future__ import annotations

from modelcrate.modelfiles.pickle.pickled_value import PickledValue
from modelcrate_layers.errors import UserError

CONTAINERS = frozenset({"dict", "list", "tuple"})

LIBRARIES = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders"})

_HOLDERS = frozenset(
    {"sklearn.utils._bunch.Bunch", "sklearn.utils.Bunch", "collections.OrderedDict", "collections.defaultdict"}
)

_WITHOUT_ANSWER = frozenset(
    {
        *("AgglomerativeClustering", "DBSCAN", "HDBSCAN", "OPTICS", "SpectralClustering", "SpectralBiclustering"),
        *(
            "SpectralCoclustering",
            "ClassicalMDS",
            "MDS",
            "SpectralEmbedding",
            "TSNE",
            "KernelDensity",
            "NearestNeighbors",
        ),
        *(
            "EmpiricalCovariance",
            "GraphicalLasso",
            "GraphicalLassoCV",
            "MinCovDet",
            "LedoitWolf",
            "OAS",
            "ShrunkCovariance",
        ),
    }
)
"""Estimators of scikit-learn 1.9 without predict, predict_proba, predict_log_proba, decision_function and transform."""

_DATA = frozenset({"numpy", "pandas", "scipy", "builtins", "collections", "polars", "pyarrow"})
"""Packages whose objects are data."""

WRITE_SCRIPT = "write an entry script with init() and run(data), and name it: entry: score.py"


def refuse_what_gives_no_answer(value: PickledValue, where: str) -> None:
    """Refuses a pickle that no script can serve without knowing what is meant: it would refuse every request.

    Args:
        value: What the pickle is.
        where: Its place, for messages.

    Raises:
        UserError: It is a container, data, a function, or an estimator that answers nothing.
    """
    kind = value.name.rpartition(".")[2]
    if value.kind in CONTAINERS or value.name in _HOLDERS:
        one = single_estimator(value)
        way = "or let `modelcrate init` write one to begin with" if one else "or save the estimator alone"
        raise UserError(
            f"is no estimator, but a {value.kind if value.kind in CONTAINERS else kind} of several things",
            where=where,
            why=f"it holds {_held(value)}; only a script can say what is done with them" if value.parts else "",
            hint=f"{WRITE_SCRIPT}; {way}",
        )
    if value.kind in ("plain", "name") or value.name.partition(".")[0] in _DATA:
        what = f"the name {value.name}" if value.kind == "name" else value.name or "a plain value"
        raise UserError(f"is no estimator, but {what}", where=where, hint=WRITE_SCRIPT)
    asked = value.parts[-1][1] if kind == "Pipeline" and value.parts else value.name
    last = asked.rpartition(".")[2]
    if asked.startswith("sklearn.") and last in _WITHOUT_ANSWER:
        raise UserError(
            f"is a {kind}{f' that ends with {last}' if asked != value.name else ''}, which has nothing to ask: no predict, no transform",
            where=where,
            hint=WRITE_SCRIPT,
        )
    if kind == "LocalOutlierFactor" and "novelty" in value.off:
        raise UserError(
            "is a LocalOutlierFactor that judges its training data alone: novelty is False, so it has no predict",
            where=where,
            hint=f"fit it with novelty=True, or {WRITE_SCRIPT}",
        )
    if value.name in ("xgboost.core.Booster", "xgboost.Booster"):
        raise UserError(
            "is a pickled Booster of XGBoost, which takes no lists of numbers",
            where=where,
            hint='save it by booster.save_model("model.ubj"), which is served without a script; or write an entry script',
        )


def single_estimator(value: PickledValue) -> str:
    """Returns the key of the one estimator in a dict, list or tuple; empty where there is none, or several."""
    if value.kind not in CONTAINERS:
        return ""
    found = [key for key, name in value.parts if is_estimator(name)]
    return found[0] if len(found) == 1 else ""


def is_estimator(name: str) -> bool:
    """Returns whether a dotted name is that of an estimator's class, as far as its library tells."""
    known = name.partition(".")[0] in LIBRARIES and name.rpartition(".")[2][:1].isupper()
    return known and name not in _HOLDERS


def _held(value: PickledValue) -> str:
    shown = [f"{key} ({name.rpartition('.')[2]})" if name else key for key, name in value.parts[:6]]
    return ", ".join(shown) + (f" and {len(value.parts) - 6} more" if len(value.parts) > 6 else "")
