"""The check of library versions: the one that made a model, by its files, against the one in the image. It runs after resolving.

The rules are one table. A package that the image gets from its base, and not from the lock, is not visible here and is not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate.project.values import Gate
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule for a package: whether a model's version (first) `fits` the image's (second), the rule as `words`, and the reason."""

    words: str
    fits: Callable[[Version, Version], bool]
    why: str
    fails: bool = False
    """Whether loading is known to fail where it does not fit."""


def _same_minor(model: Version, image: Version) -> bool:
    return model.release[:2] == image.release[:2]


def _not_older(model: Version, image: Version) -> bool:
    return image.release >= model.release


RULES: Mapping[str, Rule] = {
    "scikit-learn": Rule(
        "the same minor version",
        _same_minor,
        "a pickle holds private state of its estimators, and scikit-learn promises to read only that of the version that wrote it",
    ),
    "xgboost": Rule(
        "that version or newer", _not_older, "XGBoost reads models of older versions, and none of newer ones"
    ),
    "lightgbm": Rule("that version or newer", _not_older, "each LightGBM reads the formats up to its own"),
    "onnxruntime": Rule(
        "that version or newer",
        _not_older,
        "an ONNX Runtime refuses IR versions and sets of operators that are newer than itself",
        fails=True,
    ),
    "transformers": Rule(
        "that version or newer", _not_older, "an older Transformers may not know the architecture or keys of its config"
    ),
    "mlflow": Rule("that version or newer", _not_older, "an older MLflow may not know the keys of a newer MLmodel"),
}
"""By package. The versions that a model names are those of `modelcrate.modelfiles` and `modelcrate.modelfiles.frameworks`."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "xgboost": ("xgboost", "xgboost-cpu"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-migraphx"),
    "mlflow": ("mlflow", "mlflow-skinny"),
}
"""Distributions of one and the same library."""


def family(package: str) -> str:
    """Returns the library that a distribution has, under its normalised name."""
    return next((name for name, members in FAMILIES.items() if package in members), package)


def lacking(needs: Sequence[str], pinned: Mapping[str, str]) -> Iterator[UserError]:
    """Yields a fault for each package that the script of a model can't do without, and that the image does not get.

    Args:
        needs: The packages that the script can't do without.
        pinned: The versions that the image gets, by package.
    """
    have = set(map(family, pinned))
    for name in dict.fromkeys(map(family, needs)):
        if name not in have:
            yield UserError(
                f"the model needs {name}, and the image doesn't get it",
                why="there is no entry script, and the one that serves the model imports it",
                hint="add it to the dependencies, or leave them out: then they come from the model",
            )


def mismatches(
    versions: Iterable[StatedVersion],
    pinned: Mapping[str, str],
    note: Callable[[str], str] = lambda line: "",
    gate: Gate = "refuse",
) -> Iterator[tuple[UserError, bool]]:
    """Yields the versions that models name and that don't fit the image's, each with whether loading is known to fail.

    Args:
        versions: The versions that models name.
        pinned: The versions that the image gets, by package.
        note: Returns what is to be known of a requirement, where it has no wheel.
        gate: What such a version leads to, where loading it is not known to fail.
    """
    have = {family(name): (name, version) for name, version in pinned.items()}
    for each in dict.fromkeys(versions):
        rule, found = RULES.get(each.package), have.get(family(each.package))
        if rule is None or found is None or _fits(rule, each.version, found[1]):
            continue
        line = f"{found[0]}=={each.version}"
        refused, setting = rule.fails or gate == "refuse", "allow" if rule.fails else "warn"
        way = f"name {line} in the dependencies{note(line)} and lock again, or make the model anew with {found[1]}"
        yield (
            UserError(
                f"the model needs {each.package} {each.version}, and the image gets {found[0]} {found[1]}",
                where=each.where,
                why=f"it takes {rule.words}: {rule.why}",
                hint=f"{way}; gates: {{versions: {setting}}} lets it pass" if refused else way,
            ),
            rule.fails,
        )


def _fits(rule: Rule, model: str, image: str) -> bool:
    if model == image:  # mostly, and what a version has written it reads
        return True
    from packaging.version import InvalidVersion, Version

    try:
        return rule.fits(Version(model), Version(image))
    except InvalidVersion:  # a version that is none says nothing
        return True


def judge(setting: Gate, doubtful: Sequence[CrateError], certain: Sequence[CrateError] = ()) -> tuple[str, ...]:
    """Returns what is only a notice.

    Args:
        setting: The gate for the doubtful ones; `allow` lets the certain pass, too.
        doubtful: Faults that may do no harm.
        certain: Faults that are known to stop the image from working.

    Raises:
        CrateError: Faults are refused; it names all of them.
    """
    if setting == "allow":
        return ()
    refused = [*certain, *(doubtful if setting == "refuse" else ())]
    if refused:
        first, *rest = refused
        first.also = (*first.also, *rest)
        raise first
    return tuple(fault.sentence for fault in doubtful)
