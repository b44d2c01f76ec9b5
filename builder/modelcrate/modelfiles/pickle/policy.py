"""What a model's pickle may name, by framework, and the verdict on one. Policy: all of it is here, with its reasons.

A whole framework is never allowed: numpy, scikit-learn and PyTorch each have functions that run code or load other files. Allowed are

- classes (names that begin with a capital, as PEP 8 has it) of the packages that hold estimators, arrays and layers,
- the few functions that these packages put into their pickles to rebuild themselves, one by one,
- plain values of Python.

A name with a dot in it (`numpy` and `os.system`) walks through attributes to anywhere, and is never allowed. Python's own modules that
are not listed have no business in a model: they are what attacks are made of.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from enum import Enum

from modelcrate.modelfiles.pickle.containers import Found
from modelcrate.modelfiles.pickle.findings import COMPUTED, JOBLIB, Description, NamedObject
from modelcrate_layers.frozen import dataclass


class Verdict(Enum):
    """How a pickle is judged; the higher value is the worse."""

    SAFE = 0
    UNKNOWN = 1
    UNSAFE = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """A pickle with its verdict: `because` are the names and faults that decided it, `framework` whose list it was held to."""

    inner: str
    verdict: Verdict
    framework: str
    because: tuple[str, ...]
    names: tuple[NamedObject, ...]
    said: tuple[Description, ...] = ()
    features: int = 0
    framed: bool = False


_PYTHON = {
    "builtins": "object set frozenset bytearray bytes str int float bool complex list dict tuple slice range Ellipsis NotImplemented",
    "collections": "OrderedDict defaultdict deque Counter",
    "copyreg": "_reconstructor",
    "_codecs": "encode",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "zoneinfo": "ZoneInfo._unpickle",
    "array": "array _array_reconstructor",
    "types": "SimpleNamespace",
}
_NUMPY = {
    "numpy": "dtype ndarray bool_ bool float16 float32 float64 longdouble int8 int16 int32 int64 uint8 uint16 uint32 uint64 complex64 "
    "complex128 str_ bytes_ void datetime64 timedelta64 intc uintc longlong ulonglong matrix recarray record random",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.core._internal": "_reconstruct",
    "numpy.matrixlib.defmatrix": "matrix",
    "numpy.ma.core": "_mareconstruct",
    "numpy.ma": "_mareconstruct",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
}
_SCIPY = {
    "scipy.sparse._csr": "csr_matrix csr_array",
    "scipy.sparse._csc": "csc_matrix csc_array",
    "scipy.sparse._coo": "coo_matrix coo_array",
    "scipy.sparse._lil": "lil_matrix lil_array",
    "scipy.sparse._dia": "dia_matrix dia_array",
    "scipy.sparse._bsr": "bsr_matrix bsr_array",
    "scipy.sparse._dok": "dok_matrix dok_array",
    **{f"scipy.sparse.{kind}": f"{kind}_matrix" for kind in ("csr", "csc", "coo", "lil", "dia", "bsr", "dok")},
    "scipy.stats._distn_infrastructure": "rv_frozen rv_continuous_frozen rv_discrete_frozen",
    "scipy.special._ufuncs": "expit logit",
    "scipy.interpolate._interpolate": "interp1d",
}
_WRAPPERS = "NumpyArrayWrapper NDArrayWrapper ZNDArrayWrapper"
_JOBLIB = dict.fromkeys(JOBLIB, _WRAPPERS)
_SKLEARN = {
    "sklearn._loss.loss": "",
    "sklearn.metrics._dist_metrics": "newObj",
    "sklearn.neighbors._kd_tree": "newObj",
    "sklearn.neighbors._ball_tree": "newObj",
    "sklearn.feature_selection._univariate_selection": "f_classif f_regression chi2",
    "sklearn.feature_selection._mutual_info": "mutual_info_classif mutual_info_regression",
    "sklearn.utils._bunch": "",
    "sklearn.linear_model._sgd_fast": "__pyx_unpickle_Hinge __pyx_unpickle_Log",
}
_PANDAS = {
    "pandas.core.indexes.base": "_new_Index",
    "pandas._libs.internals": "_unpickle_block",
    "pandas.core.internals.blocks": "new_block",
    "pandas._libs.arrays": "__pyx_unpickle_NDArrayBacked",
    "pandas._libs.tslibs.timestamps": "_unpickle_timestamp",
}
_TORCH = {
    "torch": "Size device dtype float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 bool float half double int long short "
    "complex64 complex128 contiguous_format channels_last per_tensor_affine per_channel_affine qint8 quint8 qint32 Tensor "
    "float8_e4m3fn float8_e5m2 FloatStorage DoubleStorage HalfStorage BFloat16Storage LongStorage IntStorage ShortStorage CharStorage "
    "ByteStorage BoolStorage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage QInt32Storage",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
    "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_device_tensor_from_numpy _rebuild_meta_tensor_no_storage",
    "torch._tensor": "_rebuild_from_type_v2 Tensor",
    "torch.storage": "UntypedStorage TypedStorage",
    "torch.nn.parameter": "Parameter Buffer",
    "torch.serialization": "_get_layout",
}

_CLASSES: Mapping[str, tuple[str, ...]] = {
    "scipy": ("scipy.stats._continuous_distns", "scipy.stats._discrete_distns", "scipy.interpolate", "scipy.spatial"),
    "sklearn": ("sklearn",),
    "pandas": ("pandas.core", "pandas._libs"),
    "xgboost": ("xgboost.core", "xgboost.sklearn"),
    "lightgbm": ("lightgbm.basic", "lightgbm.sklearn"),
    "catboost": ("catboost.core",),
    "torch": ("torch.nn.modules", "torch.nn.quantized.modules", "torchvision.models", "torch.optim"),
    "statsmodels": (
        "statsmodels.tsa",
        "statsmodels.regression",
        "statsmodels.base",
        "statsmodels.discrete",
        "statsmodels.genmod",
    ),
}
"""Packages whose classes may be named."""

_NEVER = re.compile(r"(^|\.)(tests?|testing|_testing|conftest|externals|datasets|f2py|distutils|hub)(\.|$)")
"""Parts of those packages that are tools of their developers, and not parts of models."""

_LISTS: Mapping[str, Mapping[str, str]] = {
    "python": _PYTHON, "numpy": _NUMPY, "scipy": _SCIPY, "joblib": _JOBLIB, "sklearn": _SKLEARN, "pandas": _PANDAS, "torch": _TORCH,
}  # fmt: skip

FRAMEWORKS: Mapping[str, tuple[str, ...]] = {
    "torch": ("torch", "numpy"),
    "xgboost": ("xgboost", "sklearn", "scipy", "numpy", "joblib", "pandas"),
    "lightgbm": ("lightgbm", "sklearn", "scipy", "numpy", "joblib", "pandas"),
    "catboost": ("catboost", "numpy", "joblib"),
    "statsmodels": ("statsmodels", "pandas", "scipy", "numpy"),
    "sklearn": ("sklearn", "scipy", "numpy", "joblib", "pandas"),
    "pandas": ("pandas", "numpy"),
    "scipy": ("scipy", "numpy", "joblib"),
    "joblib": ("joblib", "numpy"),
    "numpy": ("numpy",),
    "python": (),
}
"""What the pickles of a framework may name, beside Python's plain values. The first framework that a pickle names is its own."""

_UNSAFE_MODULES = frozenset(sys.stdlib_module_names) | {
    *(
        "__builtin__",
        "commands",
        "cPickle",
        "copy_reg",
        "imp",
        "distutils",
        "asyncore",
        "asynchat",
        "smtpd",
        "lib2to3",
        "nt",
        "posix",
    ),
    *(
        "pip",
        "setuptools",
        "pkg_resources",
        "dill",
        "cloudpickle",
        "requests",
        "httpx",
        "aiohttp",
        "fsspec",
        "paramiko",
        "IPython",
    ),
    *(
        "pytest",
        "numexpr",
        "execnet",
        "pexpect",
        "sh",
        "torchaudio",
        "pty",
        "cffi",
        "gevent",
        "wheel",
        "uvicorn",
        "cupyx",
    ),
}
_UNSAFE_NAMES = re.compile(
    r"(?i)^(system|popen|exec|execfile|eval|compile|getattr|setattr|delattr|__import__|import_module|run_?string|run_?code|spawn.*|"
    r"check_output|check_call|call|run|loads?|load_.*|read_pickle|open|fromfile|memmap|myeval|_?exec_.*|__reduce__|__getattribute__|"
    r"attrgetter|methodcaller|itemgetter|urlopen|urlretrieve|rmtree|unlink|remove|apply|_make_function|_create_code|marshal)$"
)


def judge(found: Found, extra: Iterable[str] = ()) -> Judgement | None:
    """The verdict on a pickle; `extra` are modules (with all below them) that the project allows, or single names as `module:name`.

    None, where something that never said it was a pickle turns out to be none that matters.
    """
    names = found.seen.names
    roots = {name.module.partition(".")[0] for name in names}
    framework = next((each for each in FRAMEWORKS if each in roots), "python")
    allowed = frozenset(extra)
    rated = {name: _rate(name, framework, allowed) for name in names}
    verdict = max(rated.values(), key=lambda one: one.value, default=Verdict.SAFE)
    if not found.promised and not found.seen.whole and verdict is not Verdict.UNSAFE:
        return None
    because = [str(name) for name, rate in rated.items() if rate is verdict and rate is not Verdict.SAFE]
    if found.seen.faults and found.promised:
        verdict = max(verdict, Verdict.UNKNOWN, key=lambda one: one.value)
        because += [f"it {fault}" for fault in found.seen.faults]
    return Judgement(
        found.inner, verdict, framework, tuple(because), names, found.seen.said, found.seen.features, found.seen.framed
    )


def _rate(name: NamedObject, framework: str, extra: frozenset[str]) -> Verdict:
    if COMPUTED in (name.module, name.name):
        return Verdict.UNSAFE
    parents = _parents(name.module)
    if not extra.isdisjoint(parents) or f"{name.module}:{name.name}" in extra:
        return Verdict.SAFE if "." not in name.name else Verdict.UNKNOWN
    if any(_listed(name, part) for part in ("python", *FRAMEWORKS[framework])):
        return Verdict.SAFE
    if "." in name.name or name.module.partition(".")[0] in _UNSAFE_MODULES or _UNSAFE_NAMES.match(name.name):
        return Verdict.UNSAFE
    return Verdict.UNSAFE if _NEVER.search(name.module) else Verdict.UNKNOWN


def _listed(name: NamedObject, part: str) -> bool:
    if name.name in _LISTS.get(part, {}).get(name.module, "").split():
        return True
    if "." in name.name or _NEVER.search(name.module):
        return False
    of_classes = any(parent in _CLASSES.get(part, ()) for parent in _parents(name.module))
    made = name.name.removeprefix("__pyx_unpickle_").lstrip("_")
    return of_classes and made[:1].isupper()


def _parents(module: str) -> list[str]:
    """A module and all packages above it."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
