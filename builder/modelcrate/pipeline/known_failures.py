"""Pickles that are known not to load under some versions of their libraries, by the names in them. One table, each row tried.

The rows of scikit-learn and numpy were tried on 2026-11-29: sixty models of scikit-learn 1.2.2, 1.3.2, 1.4.2, 1.5.2, 1.6.1, 1.7.2, 1.8.0 and
1.9.1 with numpy 1.24.4 to 2.4.6 were pickled, loaded and asked for a prediction, each under each. Others have a source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from modelcrate.modelfiles.framework_reading import PickleNames
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

_RELEASE = compile_later(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")


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
        "scikit-learn",
        r"sklearn\.(tree|ensemble|linear_model|svm|neighbors|cluster|decomposition|mixture|preprocessing|feature_selection"
        r"|neural_network|manifold|covariance|cross_decomposition|semi_supervised|gaussian_process)\.(?!_|kernels\.)[a-z]\w*\.",
        ">=0.24",
        "scikit-learn<0.24",
        "scikit-learn 0.22 renamed its modules (linear_model.ridge to linear_model._ridge), and 0.24 has no more the old names",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.externals\.(joblib|six)\b",
        ">=0.23",
        "scikit-learn<0.23",
        "scikit-learn 0.23 removed its copy of joblib, which wrote this file",
    ),
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
        ">=1.4,<1.9",
        "",
        "trees of scikit-learn 1.3 lack monotonic_cst, which 1.4 to 1.8 look for",
        ">=1.3,<1.4.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.tree\._classes\.ExtraTreeClassifier",
        ">=1.6,<1.9",
        "",
        "trees of scikit-learn 1.3 lack monotonic_cst, which 1.6 to 1.8 look for",
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
        r"sklearn\.ensemble\._hist_gradient_boosting\.gradient_boosting\.",
        ">=1.3",
        "",
        "scikit-learn 1.3 changed the nodes of histogram gradient boosting, and reads no older ones",
        "<1.3.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.ensemble\._hist_gradient_boosting\.gradient_boosting\.",
        "<1.3",
        "",
        "scikit-learn 1.3 changed the nodes of histogram gradient boosting, and older ones do not read them",
        ">=1.3",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.ensemble\._hist_gradient_boosting\.gradient_boosting\.",
        ">=1.4",
        "",
        "scikit-learn 1.4 looks for _preprocessor in models of histogram gradient boosting, which older ones lack",
        "<1.4.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.ensemble\._hist_gradient_boosting\.gradient_boosting\.",
        "<1.4",
        "",
        "models of histogram gradient boosting have _preprocessor since scikit-learn 1.4, which older ones do not keep",
        ">=1.4",
    ),
    KnownFailure(
        "scikit-learn",
        r"_loss\.",
        "<1.5",
        "scikit-learn>=1.5,<1.9",
        "scikit-learn 1.5 to 1.8 pickle losses under a module called _loss, which others do not have",
    ),
    KnownFailure(
        "scikit-learn",
        r"_loss\.",
        ">=1.9",
        "scikit-learn>=1.5,<1.9",
        "scikit-learn 1.5 to 1.8 pickle losses under a module called _loss, which others do not have",
    ),
    KnownFailure(
        "scikit-learn",
        r"(sklearn\._loss\.)?_loss\.__pyx_unpickle_Cy(?!HalfMultinomialLoss)",
        ">=1.6",
        "scikit-learn<1.6",
        "losses that scikit-learn before 1.6 pickled name functions that 1.6 no longer has",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.linear_model\._sgd_fast\.(Log|SquaredLoss|Huber)$",
        ">=1.6",
        "scikit-learn<1.6",
        "scikit-learn 1.6 removed losses from sklearn.linear_model._sgd_fast, which models of SGD were made of",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.metrics\._dist_metrics\.[A-Za-z]+Distance$",
        ">=1.3",
        "scikit-learn<1.3",
        "scikit-learn 1.3 gave the distances of nearest neighbours other names (EuclideanDistance64)",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.metrics\._dist_metrics\.[A-Za-z]+Distance64$",
        "<1.3",
        "",
        "scikit-learn 1.3 gave the distances of nearest neighbours other names (EuclideanDistance64)",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.preprocessing\._encoders\.OrdinalEncoder",
        ">=1.3",
        "",
        "an OrdinalEncoder has _infrequent_enabled since scikit-learn 1.3, and newer ones look for it",
        "<1.3.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.compose\._column_transformer\.ColumnTransformer",
        "<1.4",
        "",
        "a ColumnTransformer keeps its parts in another way since scikit-learn 1.4",
        ">=1.4",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.feature_extraction\.text\.Tfidf(Transformer|Vectorizer)",
        "<1.5",
        "",
        "a TfidfTransformer keeps its weights in another way since scikit-learn 1.5",
        ">=1.5",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.ensemble\._weight_boosting\.AdaBoostClassifier",
        "<1.6",
        "",
        "an AdaBoostClassifier has no algorithm since scikit-learn 1.8, and those before 1.6 look for it",
        ">=1.8",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.impute\._base\.SimpleImputer",
        ">=1.8",
        "",
        "a SimpleImputer has _fill_dtype since scikit-learn 1.8, and newer ones look for it",
        "<1.8.dev0",
    ),
    KnownFailure(
        "scikit-learn",
        r"sklearn\.linear_model\._ridge\.RidgeClassifier",
        ">=1.8",
        "",
        "a RidgeClassifier has classes_ of its own since scikit-learn 1.8, and newer ones look for it",
        "<1.8.dev0",
    ),
    KnownFailure(
        "pandas",
        r"pandas\.core\.indexes\.numeric\.",
        ">=2",
        "pandas<2",
        "pandas 2.0 removed Int64Index and its kin (its release notes)",
    ),
)


NUMPY_1 = {
    "scikit-learn": "1.4.2",
    "scipy": "1.13",
    "pandas": "2.2.2",
    "matplotlib": "3.8.4",
    "statsmodels": "0.14.2",
    "onnxruntime": "1.19",
    "h5py": "3.11",
    "pyarrow": "16",
    "scikit-image": "0.23",
    "opencv-python": "4.10",
    "opencv-python-headless": "4.10",
    "faiss-cpu": "1.8",
    "numexpr": "2.10",
    "pywavelets": "1.6",
    "bottleneck": "1.4",
    "catboost": "1.2.6",
    "tables": "3.9.3",
    "hdbscan": "0.8.37",
    "shap": "0.45",
}
"""Packages by the version below which their wheels are built for numpy 1, and are not imported under numpy 2. Tried on 2026-11-29."""


def numpy_needed(package: str, version: str) -> bool:
    """Returns whether a version of a package is built for numpy 1 and can't be imported under numpy 2."""
    return package in NUMPY_1 and _within(version, f"<{NUMPY_1[package]}.dev0")


def binary_faults(pinned: Mapping[str, str]) -> Iterator[UserError]:
    """Yields an error if packages of an image are built for another numpy than it gets.

    Args:
        pinned: The versions that the image gets, by package.
    """
    old = [f"{name} {version}" for name, version in sorted(pinned.items()) if numpy_needed(name, version)]
    if old and _within(pinned.get("numpy", ""), ">=2.dev0"):
        yield UserError(
            f"{' and '.join(old)} can't be imported with numpy {pinned['numpy']}, which the image gets",
            why=f"{'it is' if len(old) == 1 else 'they are'} built for numpy 1, and the metadata does not say so",
            hint="add numpy<2 to the dependencies, or take newer versions; gates: {versions: allow} lets it pass",
        )


def loading_faults(
    pickles: Iterable[PickleNames],
    pinned: Mapping[str, str],
    note: Callable[[str], str] = lambda line: "",
) -> Iterator[UserError]:
    """Yields the models that will not load under the versions that the image gets.

    Args:
        pickles: What the models' pickles name.
        pinned: The versions that the image gets, by package.
        note: Returns what is to be known of a requirement, where it has no wheel.
    """
    for each in pickles:
        versions = dict(each.versions)
        found = (row for row in FAILURES if _applies(row, each.names, versions, pinned))
        for row in {row.package: row for row in found}.values():
            made = f"{row.package}=={versions[row.package]}" if row.package in versions else ""
            wanted = f"{made}{note(made)}" if made else row.works
            yield UserError(
                f"the model can't be loaded with {row.package} {pinned[row.package]}, which the image gets",
                where=each.where,
                why=row.why,
                hint=f"name {wanted} in the dependencies and lock again, or make the model anew; gates: {{versions: allow}} lets it pass",
            )


def _applies(row: KnownFailure, names: Iterable[str], versions: Mapping[str, str], pinned: Mapping[str, str]) -> bool:
    if row.package not in pinned:
        return False
    if versions.get(row.package, "").split(".")[:2] == pinned[row.package].split(".")[:2]:
        return False  # what a version has written, it reads
    if row.model and not _within(versions.get(row.package, ""), row.model):
        return False
    return _within(pinned[row.package], row.fails) and any(re.match(row.names, name) for name in names)


def _within(version: str, specifier: str) -> bool:
    if _RELEASE.fullmatch(version):  # nearly all are so, and the grammar of versions takes a while to import
        return all(_holds(version, clause) for clause in specifier.split(","))
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return bool(version) and SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _holds(release: str, clause: str) -> bool:
    """Whether a release is below a version (`<1.9`), or not (`>=1.4.dev0`). For a release, what comes before the version itself counts as that."""
    below, bound = clause.startswith("<"), clause.lstrip("<>=").removesuffix(".dev0")
    return (_numbers(release) < _numbers(bound)) is below


def _numbers(release: str) -> tuple[int, ...]:
    """Returns the numbers of a release without the zeros at its end, which mean nothing (PEP 440)."""
    numbers = [int(part) for part in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
