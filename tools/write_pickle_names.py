"""Writes the list of names that honest pickles have: builder/modelcrate/modelfiles/pickle/names.txt.

    python tools/write_pickle_names.py [FOLDER ...]

It is run once for each version of the packages, in an environment that has them, and adds what it finds to the list:

- classes of estimators, layers and optimizers, by the source of the installed packages and of further FOLDERs, into which wheels of
  other versions were unpacked. A class counts where it is defined. One whose methods evaluate text, open files or start something while
  a pickle makes it is left out and printed. Such a class may be made and given its state; its constructor may not be called.
- names that pickles of real objects have: every estimator of scikit-learn, XGBoost, LightGBM and CatBoost, fitted, arrays, tables.
- the standard library's modules of Python 3.9 to 3.14.

The result is reviewed by eye before it is committed: whatever is on the list is called safe.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import pickle
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "builder"), str(ROOT / "layers")]

from modelcrate.modelfiles.byte_reader import ByteReader  # noqa: E402
from modelcrate.modelfiles.pickle.findings import Use  # noqa: E402
from modelcrate.modelfiles.pickle.interpreter import interpret  # noqa: E402
from modelcrate.modelfiles.pickle.policy import FRAMEWORKS, NEVER  # noqa: E402
from modelcrate.resolve.standard_library import NEWEST, OLDEST  # noqa: E402
from modelcrate.resolve.standard_library import standard_library as table  # noqa: E402

LIST = ROOT / "builder/modelcrate/modelfiles/pickle/names.txt"
PARTS = {
    "sklearn": re.compile(r"sklearn\.(?!utils\.|inspection|_build_utils|experimental|__check_build|callback|_config|conftest).*"),
    "torch": re.compile(r"torch\.(nn\.modules|optim|nn\.quantized\.modules|nn\.parameter|ao\.nn\.(quantized|qat|intrinsic)\.modules)\..*"),
    "torchvision": re.compile(r"torchvision\.(models|ops)\..*"),
    "xgboost": re.compile(r"xgboost\.(core|sklearn)"),
    "lightgbm": re.compile(r"lightgbm\.(basic|sklearn)"),
    "catboost": re.compile(r"catboost\.core"),
    "statsmodels": re.compile(r"statsmodels\.(base\.(?!data)|regression|discrete|genmod|robust|tsa|multivariate|nonparametric|duration|gam)(?!.*(plotting|output|x13)).*"),
}  # fmt: skip
"""Where the classes of models are defined."""

MISNAMED = "_loss"
"""What scikit-learn 1.5 and 1.6 call their compiled module sklearn._loss._loss in pickles."""

RUN_WHILE_LOADING = re.compile(
    r"__(new|setstate|getattr|getattribute|setattr|setitem|del|delattr|hash|eq|reduce|reduce_ex|iadd|missing)__"
    r"|append|extend|add|update"
)
"""The methods that loading a pickle runs, beside setters of properties."""

ACTS = re.compile(
    r"(eval|exec|compile|open|open_.*|__import__|import_module|system|popen|Popen|check_.*put|check_call|run|load|loads|load_.*|read_.*"
    r"|urlopen|urlretrieve|connect|fromfile|memmap|CDLL|Thread|Process|start)"
)
"""Calls of what evaluates, opens or starts something."""


def main(folders: list[str]) -> None:
    found = read()
    for module in standard_library():
        found.setdefault(("stdlib", module), set())
    for folder in [*map(Path, sys.path), *map(Path, folders)]:
        for package in PARTS:
            for module, name in classes(folder, package):
                found.setdefault(("made", module), set()).add(name)
    for module, name in compiled():
        found.setdefault(("made", module), set()).add(name)
    before = {pair: set(names) for pair, names in found.items()}
    for obj in objects():
        for module, name, use in names_of(obj):
            if use is Use.FOLLOWED:
                continue
            if module.partition(".")[0] in (*FRAMEWORKS, MISNAMED) and not NEVER.search(module) and "." not in name:
                found.setdefault(("called" if use is Use.CALLED else "made", module), set()).add(name)
    for pair, names in sorted(found.items()):
        if new := sorted(names - before.get(pair, set())):
            print("by real pickles:", *pair, *new)
    write(found)


def read() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    kind = ""
    for line in LIST.read_text().splitlines() if LIST.exists() else ():
        if line.startswith("["):
            kind = line.strip("[]")
        elif line and not line.startswith("#"):
            module, _, names = line.partition(" ")
            found[kind, module] = set(names.split())
    return found


def write(found: dict[tuple[str, str], set[str]]) -> None:
    lines = ["# Written by tools/write_pickle_names.py and reviewed; what the sections mean is in policy.py."]
    for kind in ("stdlib", "made", "called"):
        lines += ["", f"[{kind}]"]
        lines += [" ".join([module, *sorted(names)]) for (each, module), names in sorted(found.items()) if each == kind]
    LIST.write_text("\n".join(lines) + "\n")


def standard_library() -> set[str]:
    """The top-level modules of every Python that an image may have, by the table for the check of imports, and of this one."""
    modules = {each for minor in range(OLDEST, NEWEST + 1) for each in table(f"3.{minor}")} | set(
        sys.stdlib_module_names
    )
    return {each for each in {module.partition(".")[0] for module in modules} if each.isidentifier()} - {"__main__"}


def classes(folder: Path, package: str) -> Iterator[tuple[str, str]]:
    """The classes that a package's source defines at the top of its modules."""
    for path in sorted((folder / package).rglob("*.py")):
        module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        if not PARTS[package].fullmatch(module) or NEVER.search(module):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                if acts := sorted(set(acting(node))):
                    print("left out:", module, node.name, *acts)
                else:
                    yield module, node.name


def acting(node: ast.ClassDef) -> Iterator[str]:
    """What a class does, of that which nothing should do while a pickle is loaded; methods that it calls on itself counted."""
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
    setters = [
        each
        for each in methods.values()
        if any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in each.decorator_list)
    ]
    todo = [each for name, each in methods.items() if RUN_WHILE_LOADING.fullmatch(name)] + setters
    done: set[str] = set()
    while todo:
        method = todo.pop()
        done.add(method.name)
        for call in (each for each in ast.walk(method) if isinstance(each, ast.Call)):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            if ACTS.fullmatch(name):
                yield f"{method.name}: {name}"
            own = (
                isinstance(call.func, ast.Attribute)
                and isinstance(call.func.value, ast.Name)
                and call.func.value.id == "self"
            )
            if own and name in methods and name not in done:
                todo.append(methods[name])


def compiled() -> Iterator[tuple[str, str]]:
    """The classes of scikit-learn's compiled modules, by importing them."""
    with suppress(ImportError):
        import sklearn

        for info in pkgutil.walk_packages(sklearn.__path__, "sklearn.", onerror=lambda name: None):
            if NEVER.search(info.name) or info.ispkg:
                continue
            spec = importlib.util.find_spec(info.name)
            if spec is None or not str(spec.origin).endswith((".so", ".pyd")):
                continue
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                if isinstance(value, type) and value.__module__ == info.name and not name.startswith("__"):
                    yield info.name, name


def names_of(obj: object) -> Iterator[tuple[str, str, Use]]:
    """The names in an object's pickles, and how they are used."""
    dumps: list[bytes] = []
    for protocol in (2, 4, 5):
        with suppress(Exception):
            dumps.append(pickle.dumps(obj, protocol))
    with suppress(Exception):
        import joblib

        held = io.BytesIO()
        joblib.dump(obj, held)
        dumps.append(held.getvalue())
    if not dumps:
        print("can't be pickled:", repr(obj)[:80])
    for data in dumps:
        for each in interpret(ByteReader(io.BytesIO(data))).names:
            yield each.module, each.name, each.use


def objects() -> Iterator[object]:
    """Real objects, as models are saved."""
    for make in (arrays, sparse, tables, estimators, boosted, statistics):
        try:
            yield from make()
        except ImportError as fault:
            print("not installed:", fault)


def arrays() -> Iterator[object]:
    import numpy as np

    for kind in ("f8", ">i4", "U3", "S5", "M8[ns]", "m8[s]", "O", "?", "c16", "f2", [("a", "f4"), ("b", "i8")]):
        array = np.zeros(3, kind)
        yield array
        yield array[0]
        yield array.dtype
    yield from (
        np.ma.masked_array([1, 2], [0, 1]),
        np.ma.masked,
        np.matrix([[1]]),
        np.rec.array([(1, 2)], dtype=[("a", int), ("b", int)]),
    )
    for generator in (np.random.MT19937, np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM):
        yield np.random.Generator(generator(1))
    yield from (
        np.random.RandomState(1),
        np.random.SeedSequence(1),
        np.polynomial.Polynomial([1, 2]),
        np.poly1d([1, 2]),
    )
    for name in ("log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "abs", "absolute", "sign", "tanh", "sin", "cos", "add",
                 "multiply", "maximum", "minimum", "reciprocal", "cbrt", "floor", "ceil", "rint", "isnan", "isfinite", "logical_not"):  # fmt: skip
        yield getattr(np, name)
    yield from (
        np.mean,
        np.median,
        np.sum,
        np.std,
        np.var,
        np.max,
        np.min,
        np.nanmean,
        np.nanmedian,
        np.ravel,
        np.asarray,
        np.float32,
        np.float64,
    )
    yield from (np.int64, np.int32, np.bool_, np.str_, np.object_, np.uint8, np.ndarray)


def sparse() -> Iterator[object]:
    from scipy import interpolate, spatial, special
    from scipy import sparse as scipy_sparse

    for kind in ("csr", "csc", "coo", "lil", "dia", "bsr", "dok"):
        yield getattr(scipy_sparse, f"{kind}_matrix")([[1, 0], [0, 2]])
        with suppress(AttributeError):
            yield getattr(scipy_sparse, f"{kind}_array")([[1, 0], [0, 2]])
    yield interpolate.interp1d([1, 2, 3], [1, 2, 3])
    yield interpolate.CubicSpline([1, 2, 3, 4], [1, 2, 3, 4])
    yield interpolate.BSpline([0, 1, 2, 3, 4, 5], [1, 2, 3], 2)
    yield interpolate.PchipInterpolator([1, 2, 3, 4], [1, 2, 3, 4])
    yield interpolate.UnivariateSpline([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    yield interpolate.RegularGridInterpolator(([1, 2], [1, 2]), [[1, 2], [3, 4]])
    yield spatial.cKDTree([[1.0, 2.0], [3.0, 4.0]])
    yield spatial.KDTree([[1.0, 2.0], [3.0, 4.0]])
    yield from (special.expit, special.logit)


def tables() -> Iterator[object]:
    import pandas as pd

    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [1.5, None], "d": pd.Categorical(["u", "v"]), "f": [True, False],
                          "e": pd.to_datetime(["2020-01-01", "2021-01-01"]), "g": pd.array([1, None], "Int64"), "h": pd.array(["a", None], "string"),
                          "i": pd.to_timedelta([1, 2], "s"), "j": pd.array([True, None], "boolean"), "k": pd.array([1.0, None], "Float64"),
                          "l": pd.to_datetime(["2020-01-01", "2021-01-01"]).tz_localize("UTC")})  # fmt: skip
    yield table
    yield table.set_index("e")
    yield table.set_index(["a", "b"])
    yield from (table[column] for column in table)
    yield pd.DataFrame(
        {
            "p": pd.period_range("2020", periods=2, freq="D"),
            "q": pd.arrays.SparseArray([0, 1]),
            "r": pd.interval_range(0, 2),
        }
    )
    yield from (pd.RangeIndex(3), pd.Index([1.5]), pd.Index(["a"]), pd.CategoricalIndex(["a"]), pd.DatetimeIndex(["2020"]), pd.TimedeltaIndex([1]),
                  pd.MultiIndex.from_tuples([(1, 2)]), pd.interval_range(0, 2), pd.period_range("2020", periods=2, freq="D"),
                  pd.date_range("2020", periods=3, freq="D"), pd.date_range("2020", periods=3, freq="MS"))  # fmt: skip
    yield from (
        pd.Timestamp("2020"),
        pd.Timestamp("2020", tz="UTC"),
        pd.Timedelta(1),
        pd.NaT,
        pd.NA,
        pd.Period("2020", "D"),
        pd.Interval(0, 1),
    )
    yield from (
        pd.CategoricalDtype(["a"]),
        pd.Int64Dtype(),
        pd.StringDtype(),
        pd.BooleanDtype(),
        pd.DatetimeTZDtype(tz="UTC"),
        pd.SparseDtype(float),
    )
    yield pd.offsets.MonthEnd()


def estimators() -> Iterator[object]:
    """Every estimator of scikit-learn, fitted where that needs no special data, and its parts in a few arrangements."""
    import numpy as np
    import sklearn
    from sklearn.utils import all_estimators

    random = np.random.RandomState(0)
    numbers, classes = np.abs(random.rand(60, 4)), np.arange(60) % 3
    texts = ["the cat", "a dog sat", "the mouse"] * 20
    targets: list[tuple[object, object]] = [
        (numbers, classes), (numbers, classes % 2), (numbers, numbers[:, 0]), (numbers, numbers[:, :2]),
        (numbers, np.stack([classes % 2, classes % 2], 1)), (texts, classes), ([{"a": 1, "b": "x"}] * 60, classes),
        (numbers[:, 0], numbers[:, 1]), (numbers @ numbers.T, classes),
    ]  # fmt: skip
    for name, kind in all_estimators():
        yield kind
        for estimator in variants(name, kind):
            yield estimator
            for data, target in targets:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        fitted = sklearn.clone(estimator).fit(data, target)
                    except Exception:
                        continue
                yield fitted
                break
            else:
                print("not fitted:", name)


def variants(name: str, kind: type) -> Iterator[object]:
    """An estimator with its defaults, and with each of the texts that its parameters may be."""
    from sklearn.cluster import KMeans
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.preprocessing import StandardScaler

    special: dict[str, tuple[object, ...]] = {
        "Pipeline": ([("a", StandardScaler()), ("b", LogisticRegression())],),
        "FeatureUnion": ([("a", StandardScaler()), ("b", StandardScaler())],),
        "ColumnTransformer": ([("a", StandardScaler(), [0, 1]), ("b", "passthrough", slice(2, 4))],),
        "VotingClassifier": ([("a", LogisticRegression())],), "VotingRegressor": ([("a", LinearRegression())],),
        "StackingClassifier": ([("a", LogisticRegression())],), "StackingRegressor": ([("a", LinearRegression())],),
        "GridSearchCV": (LogisticRegression(), {"C": [1, 2]}), "RandomizedSearchCV": (LogisticRegression(), {"C": [1, 2]}, ),
        "HalvingGridSearchCV": (LogisticRegression(), {"C": [1, 2]}), "HalvingRandomSearchCV": (LogisticRegression(), {"C": [1, 2]}),
        "SparseCoder": ([[1.0, 0, 0, 0]],), "MultiOutputRegressor": (LinearRegression(),), "RegressorChain": (LinearRegression(),),
        "TransformedTargetRegressor": (), "RFE": (LinearRegression(),), "RFECV": (LinearRegression(),), "SelectFromModel": (LinearRegression(),),
        "SequentialFeatureSelector": (LinearRegression(),), "FrozenEstimator": (KMeans(),),
    }  # fmt: skip
    first: list[object] = []
    if name in special:
        first = [kind(*special[name])]
    else:
        for given in ((), (LogisticRegression(),), (LinearRegression(),)):
            with suppress(Exception):
                first = [kind(*given)]
                break
    yield from first
    for estimator in first:
        for key, choices in getattr(kind, "_parameter_constraints", {}).items():
            if (
                key == "scoring"
                or name.endswith(("CV", "HDBSCAN"))
                or (key == "metric" and name != "KNeighborsClassifier")
            ):
                continue  # many options, and no other objects
            for choice in choices if isinstance(choices, list) else ():
                for option in (
                    sorted(getattr(choice, "options", ()), key=str)
                    if type(choice).__name__ in ("StrOptions", "Options")
                    else ()
                ):
                    if isinstance(option, str):
                        with suppress(Exception):
                            yield kind(**{**estimator.get_params(False), key: option})  # type: ignore[attr-defined]


def boosted() -> Iterator[object]:
    import numpy as np

    numbers, classes = np.random.RandomState(0).rand(60, 4), np.arange(60) % 2
    with suppress(ImportError):
        import xgboost

        for kind in ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"):
            yield getattr(xgboost, kind)(n_estimators=2).fit(numbers, classes)
        yield xgboost.XGBRanker(n_estimators=2).fit(numbers, classes, qid=np.zeros(60))
        yield xgboost.XGBClassifier(n_estimators=2, early_stopping_rounds=1).fit(
            numbers, classes, eval_set=[(numbers, classes)], verbose=False
        )
        yield xgboost.train({}, xgboost.DMatrix(numbers, classes), 2)
    with suppress(ImportError):
        import lightgbm

        for kind in ("LGBMClassifier", "LGBMRegressor"):
            yield getattr(lightgbm, kind)(n_estimators=2, verbose=-1).fit(numbers, classes)
        yield lightgbm.LGBMRanker(n_estimators=2, verbose=-1).fit(numbers, classes, group=[60])
        yield lightgbm.train({"verbose": -1}, lightgbm.Dataset(numbers, classes), 2)
    with suppress(ImportError):
        import catboost

        for kind in ("CatBoostClassifier", "CatBoostRegressor"):
            yield getattr(catboost, kind)(iterations=2, verbose=False, allow_writing_files=False).fit(numbers, classes)


def statistics() -> Iterator[object]:
    """Results of statsmodels. Those of formulas are none: their data evaluates the formula while it is loaded."""
    import numpy as np
    import pandas as pd
    import statsmodels.api as sm

    numbers = np.random.RandomState(0).rand(60, 3)
    table = pd.DataFrame(numbers, columns=list("abc"), index=pd.date_range("2020", periods=60, freq="D"))
    classes = (numbers[:, 0] > 0.5).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from (sm.OLS(table.a, table[["b", "c"]]).fit(), sm.WLS(numbers[:, 0], numbers[:, 1:]).fit())
        yield from (sm.Logit(classes, numbers[:, 1:]).fit(disp=0), sm.Probit(classes, numbers[:, 1:]).fit(disp=0))
        for family in (sm.families.Binomial, sm.families.Poisson, sm.families.Gaussian, sm.families.Gamma):
            yield sm.GLM(numbers[:, 0], numbers[:, 1:], family=family()).fit()
        yield from (sm.RLM(numbers[:, 0], numbers[:, 1:]).fit(), sm.QuantReg(numbers[:, 0], numbers[:, 1:]).fit())
        yield sm.MixedLM(numbers[:, 0], numbers[:, 1:], groups=np.arange(60) % 5).fit()
        yield from (sm.tsa.AutoReg(table.a, 2).fit(), sm.tsa.VAR(table).fit(1))
        yield from (
            sm.tsa.ExponentialSmoothing(table.a).fit(),
            sm.PCA(numbers),
            sm.nonparametric.KDEUnivariate(numbers[:, 0]),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
