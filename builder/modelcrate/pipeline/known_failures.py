"""Pickles that are known not to load under some versions of their libraries, by the names in them. One table, each row tried.

The rows of scikit-learn and numpy were tried on 2026-11-29: models of scikit-learn 1.2.2, 1.3.2, 1.4.2, 1.5.2, 1.6.1 and 1.7.2 with
numpy 1.24.4 to 2.2.6 were pickled, loaded and asked for a prediction, each under each. Others have a source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from modelcrate.modelfiles.framework_reading import PickleNames
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """Pickles that name something can't be loaded under some versions.

    Attributes:
        package: The library.
        names: What the pickle names: a pattern for the begin of one name.
        fails: Versions of the library in the image (PEP 440) under which it fails.
        model: Versions that made the model, where the name alone does not tell; empty: any.
        works: What to require instead.
        why: What happens, and since when.
    """

    package: str
    names: str
    fails: str
    works: str
    why: str
    model: str = ""


FAILURES = (
    KnownFailure(
        "numpy",
        r"numpy\._core\.",
        "<1.26.1",
        "numpy>=2",
        "numpy 2 moved numpy.core to numpy._core; numpy 1.26.1 is the first of the old ones that has modules of that name",
    ),
    KnownFailure(
        "numpy",
        r"numpy\.random\._(mt19937|pcg64|philox|sfc64)\.",
        "<2",
        "numpy>=2",
        "random generators are pickled by class since numpy 2, and numpy 1 knows them by name only",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.tree\._tree\.Tree",
        ">=1.3",
        "",
        "scikit-learn 1.3 changed the nodes of trees (missing_go_to_left), and refuses older ones",
        "<1.3.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.tree\._tree\.Tree",
        "<1.3",
        "",
        "scikit-learn 1.3 changed the nodes of trees (missing_go_to_left), and older ones refuse them",
        ">=1.3",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.tree\._classes\.DecisionTree",
        ">=1.4",
        "",
        "trees of scikit-learn 1.3 lack monotonic_cst, which 1.4 and newer look for",
        ">=1.3,<1.4.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.ensemble\._gb_losses\.",
        ">=1.4",
        "scikit-learn<1.4",
        "scikit-learn 1.4 removed sklearn.ensemble._gb_losses, which models of gradient boosting were made of",
    ),
    KnownFailure(
        "scikit-learn",
        r"_loss\.",
        "<1.5",
        "scikit-learn>=1.5",
        "models of gradient boosting name the module _loss since scikit-learn 1.5",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\._loss\._loss\.__pyx_unpickle_",
        ">=1.6",
        "scikit-learn<1.6",
        "models of gradient boosting before scikit-learn 1.5 name functions that 1.6 no longer has",
    ),
    KnownFailure(
        "pandas",
        r"pandas\.core\.indexes\.numeric\.",
        ">=2",
        "pandas<2",
        "pandas 2.0 removed Int64Index and its kin (its release notes)",
    ),
)


def loading_faults(pickles: Iterable[PickleNames], pinned: Mapping[str, str]) -> Iterator[UserError]:
    """Yields the models that will not load under the versions that the image gets.

    Args:
        pickles: What the models' pickles name.
        pinned: The versions that the image gets, by package.
    """
    for each in pickles:
        versions = dict(each.versions)
        found = (row for row in FAILURES if _applies(row, each.names, versions, pinned))
        for row in {row.package: row for row in found}.values():
            made = f"{row.package}=={versions[row.package]}" if row.package in versions else ""
            wanted = row.works or made
            yield UserError(
                f"the model can't be loaded with {row.package} {pinned[row.package]}, which the image gets",
                where=each.where,
                why=row.why,
                hint=f"name {wanted} in the dependencies and lock again, or make the model anew; gates: {{versions: allow}} lets it pass",
            )


def _applies(row: KnownFailure, names: Iterable[str], versions: Mapping[str, str], pinned: Mapping[str, str]) -> bool:
    if row.package not in pinned or not any(re.match(row.names, name) for name in names):
        return False
    if row.model and not _within(versions.get(row.package, ""), row.model):
        return False
    return _within(pinned[row.package], row.fails)


def _within(version: str, specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return bool(version) and SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidVersion:
        return False
