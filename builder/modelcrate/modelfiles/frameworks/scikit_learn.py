"""scikit-learn's estimators, and those of others with the same methods, in pickles and joblib files."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles import request_schemas
from modelcrate.modelfiles.estimators import refuse_what_gives_no_answer
from modelcrate.modelfiles.facts import ModelFacts, Verdict
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import FrameworkModel
from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate_layers.errors import UserError

NAME = "ScikitLearn"
IDENTIFIED_BY = "a pickle or joblib file of scikit-learn, XGBoost, LightGBM or CatBoost estimators"
TEMPLATE = "scikit_learn_model.py"

PACKAGES = {
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "imblearn": "imbalanced-learn",
    "category_encoders": "category-encoders",
    "pandas": "pandas",
    "joblib": "joblib",
    "numpy": "numpy",
    "scipy": "scipy",
}
"""The name on the package index of each module that a pickle may name."""

_ESTIMATORS = ("sklearn", "xgboost", "lightgbm", "catboost")
_BELOW = frozenset({"numpy", "scipy", "joblib"})
"""Packages that scikit-learn brings along."""


def find(files: ModelFiles) -> tuple[str, ...]:
    """Returns the models of this framework among the files; "." where the folder as a whole is one."""
    pickles = files.with_format("pickle", "joblib")
    return tuple(name for name in pickles if any(each in _roots(files.facts(name)) for each in _ESTIMATORS))


def versions(files: ModelFiles, name: str) -> Iterator[StatedVersion]:
    """Yields the package versions that the model's file names."""
    for each in files.facts(name).versions:
        yield StatedVersion(each.package, each.version, f"{files.where(name)}: {each.where}")


def understand(files: ModelFiles, name: str) -> FrameworkModel:
    """Returns what is needed to serve the model.

    Raises:
        UserError: The pickle is damaged.
        SourceError: The file can't be read, or is damaged.
    """
    facts = files.sound(name)
    faults = [because for each in facts.pickles for because in each.because if because.startswith("it ")]
    if faults:
        raise UserError(f"{name} is a damaged pickle: {faults[0]}", where=files.where(name))
    if facts.verdict is not Verdict.UNSAFE:  # that is for the gate to say
        refuse_what_gives_no_answer(facts.pickles[0].value, files.where(name))
    lines, unnamed = requirements(facts)
    assumed = [f"{name} names no version of {package}, so the newest is taken" for package in unnamed]
    features = max((each.features for each in facts.pickles), default=0)
    takes = request_schemas.mapping(
        {"data": request_schemas.rows(features), "method": {"type": "string", "default": "predict"}}, ("data",)
    )
    if not features:
        takes["properties"]["data"] = {"type": "array", "items": {}}  # texts, for a vectorizer, or rows of a table
    gives = request_schemas.mapping({"predict": {"type": "array", "items": {}}})
    return FrameworkModel(NAME, TEMPLATE, name, lines, takes, gives, tuple(assumed))


def requirements(facts: ModelFacts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the requirements of a pickled model, and those packages of which it names no version."""
    roots = _roots(facts)
    versions = {each.package: each.version for each in facts.versions}
    framed = {"pandas"} if any(each.framed for each in facts.pickles) else set()
    needed = sorted({PACKAGES[root] for root in roots & PACKAGES.keys() - _BELOW} | {"scikit-learn"} | framed)
    lines = [f"{package}=={versions[package]}" if package in versions else package for package in needed]
    return (*lines, "joblib"), tuple(package for package in needed if package not in versions)


def _roots(facts: ModelFacts) -> set[str]:
    return set(facts.facts.get("modules", ()))
