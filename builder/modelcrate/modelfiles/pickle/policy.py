"""Which names a model's pickle may have, and the verdict on one. All of the policy is here and in `names.py`, with its reasons.

No framework is allowed as a whole: numpy, scikit-learn and PyTorch have functions that run code or load other files. Allowed are names,
one by one, each where it is defined, and only for the use that honest pickles make of it:

- classes of estimators, layers, tables may be made and given their state; their constructors may not be called, for many of them open
  files or start something. Classes that evaluate text while they are given their state (SciPy's distributions, the data of formulas)
  are left out.
- plain values of Python, and the functions by which arrays and tensors rebuild themselves, may be called.

A name with a dot in it (`numpy` and `os.system`) leads through attributes to anywhere, and is never allowed. A method that is kept for later, of an
instance that this pickle makes, is as unknown as its class, if that is of an unknown package. Of a known one it is allowed by its own name alone: taking
an attribute may run a property, with a state that the file's author chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import names
from modelcrate.modelfiles.pickle.contents import Found
from modelcrate.modelfiles.pickle.findings import COMPUTED, NamedObject, StatedVersion, Use
from modelcrate.modelfiles.pickle.pickled_value import PickledValue, describe
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later


@dataclass(frozen=True, slots=True)
class Judgement:
    """A pickle, or other code in a model file (`embedded`), with its verdict.

    `because` are the names and faults that decided it, `framework` is the package that it belongs to.
    """

    inner: str
    verdict: Verdict
    framework: str
    because: tuple[str, ...]
    names: tuple[NamedObject, ...] = ()
    versions: tuple[StatedVersion, ...] = ()
    features: int = 0
    framed: bool = False
    unread: bool = False
    """Whether it could not be read to its end, so that it may name more than is known."""
    unlisted: tuple[str, ...] = ()
    """Modules that it names and that a project may allow: of unknown packages, or with classes of known ones that are not on the list."""
    embedded: bool = False
    value: PickledValue = PickledValue()
    """What it is, once it is loaded."""

    @classmethod
    def of_code(cls, verdict: Verdict, framework: str, *because: str, unread: bool = False) -> Judgement:
        """Returns the verdict on code that is no pickle."""
        return cls("", verdict, framework, because, unread=unread, embedded=True)


FRAMEWORKS = (
    "torch",
    "torchvision",
    "xgboost",
    "lightgbm",
    "catboost",
    "statsmodels",
    "sklearn",
    "pandas",
    "scipy",
    "joblib",
    "numpy",
)
"""Packages that the list covers; the first that a pickle names is its framework. What the list doesn't have of them is refused."""

NEVER = compile_later(
    r"(^|\.)(tests?|testing|_testing|conftest|externals|datasets|f2py|distutils|hub|callback|_callback)(\.|$)"
    r"|^torch\.(package|utils\.cpp_extension)(\.|$)|^scipy\.stats\._(continuous|discrete)_distns$|^statsmodels\.(base\.data|formula)|^pandas\.core\.computation"
)
"""Parts of those packages that are tools of their developers, or that evaluate text while a pickle is loaded."""

NATIVE = compile_later(
    r"xgboost\.core\.(\w*DMatrix|DataIter|_RefMixIn)|lightgbm\.basic\.(Dataset|_InnerPredictor|_TempFile|Sequence|_ConfigAliases|_DummyLogger)"
    r"|catboost\.core\.(Pool|BatchMetricCalcer|_\w+(?:Stack|Wrapper))"
)
"""Classes that hand a handle out of their state to a library in C, which frees it when they are gone. No model has one in its pickle."""

METHOD = compile_later(r"\w+\(\)\.\w+")
"""How the interpreter calls a method of an instance."""

_UNCHECKED = compile_later(
    r"pyarrow\.lib\.(_restore_array|chunked_array|_reconstruct_table|_reconstruct_record_batch)|torch\.ScriptObject"
    r"|statsmodels\.tsa\.statespace\._(initialization|representation|kalman_filter|kalman_smoother|simulation_smoother)\.[sdcz][A-Z]\w+"
)
"""Compiled code that pickles of honest models call, and that believes what they say of sizes and places. It is unknown, and not refused."""

_MODEL_PARTS = compile_later(
    r"(sklearn|xgboost|lightgbm|catboost|statsmodels|torch\.nn\.modules|torch\.optim|torch\.distributions|torchvision\.models|pandas\.core"
    r"|scipy\.(sparse|interpolate|spatial))(\.|$)"
)
"""Where a class that the list doesn't have may be one of a newer or older version. It is unknown then, not refused."""

UNSAFE_PACKAGES = frozenset(
    [
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
        "pip",
        "setuptools",
        "pkg_resources",
        "dill",
        "cloudpickle",
        "requests",
        "httpx",
        "urllib3",
        "aiohttp",
        "fsspec",
        "paramiko",
        "IPython",
        "pytest",
        "_pytest",
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
        "psutil",
        "eventlet",
        "multiprocess",
        "billiard",
        "plumbum",
        "invoke",
        "fabric",
        "docker",
        "ptyprocess",
        "subprocess32",
    ]
)
"""Modules that attacks use and models do not need. Python's own count as such, too."""


def judge(found: Found, extra: Iterable[str] = ()) -> Judgement | None:
    """Returns the verdict on a pickle; None for a file that only resembled one: it has no end, and nothing unsafe before it.

    Args:
        found: What was found in the file.
        extra: What the project allows: modules, with all below them, or single names as `module:name`.
    """
    findings = found.findings
    roots = {name.module.partition(".")[0] for name in findings.names}
    framework = next((each for each in FRAMEWORKS if each in roots), "python")
    allowed = frozenset(extra)
    rated = {name: rate(name, allowed) for name in findings.names}
    verdict = max(rated.values(), key=lambda one: one.value, default=Verdict.SAFE)
    tricks = findings.tricks if found.promised else ()
    if tricks:
        verdict = Verdict.UNSAFE
    if not found.promised and not findings.whole and not findings.limited and verdict is not Verdict.UNSAFE:
        return None
    because = [_shown(name) for name, rate in rated.items() if rate is verdict and rate is not Verdict.SAFE]
    because += [f"it {trick}" for trick in tricks]
    unread = bool(findings.faults) and (found.promised or findings.limited)
    if unread:
        verdict = max(verdict, Verdict.UNKNOWN, key=lambda one: one.value)
        because += [f"it {fault}" for fault in findings.faults]
    unlisted = sorted(
        {name.module for name, rate in rated.items() if rate is not Verdict.SAFE and _may_be_allowed(name)}
    )
    return Judgement(
        found.inner,
        verdict,
        framework,
        tuple(because),
        findings.names,
        findings.versions,
        findings.features,
        findings.framed,
        unread,
        tuple(unlisted),
        value=describe(findings.top),
    )


def _shown(name: NamedObject) -> str:
    return f"{name} (called)" if name.use is Use.CALLED else str(name)


def _may_be_allowed(name: NamedObject) -> bool:
    """Whether a name is of a package about which nothing is known here, or a class of a known framework: somebody may vouch for these."""
    root = name.module.partition(".")[0]
    known = root in UNSAFE_PACKAGES or names.is_standard_library(root) or COMPUTED in (root, name.name)
    is_class = root not in FRAMEWORKS or re.match(r"_*[A-Z]|[sdcz][A-Z]", name.name) is not None
    return not known and is_class and "." not in name.name


def rate(name: NamedObject, extra: frozenset[str] = frozenset()) -> Verdict:
    """Returns the verdict on one name and its use; `extra` as in `judge`."""
    if COMPUTED in (name.module, name.name):
        return Verdict.UNSAFE
    if f"{name.module}:{name.name}" in extra:
        return Verdict.SAFE
    method = METHOD.fullmatch(name.name) is not None and name.use is Use.NAMED
    if not extra.isdisjoint(_parents(name.module)):
        return Verdict.SAFE if "." not in name.name or method else Verdict.UNSAFE
    if name.use is Use.FOLLOWED:
        return Verdict.SAFE
    listed = names.allowed(name.module, name.name)
    if listed is not None:
        return Verdict.SAFE if name.use <= listed else Verdict.UNSAFE
    if _UNCHECKED.fullmatch(str(name)):
        return Verdict.UNKNOWN
    root = name.module.partition(".")[0]
    if (
        ("." in name.name and not method)
        or name.use is Use.CALLED
        or root in UNSAFE_PACKAGES
        or names.is_standard_library(root)
    ):
        return Verdict.UNSAFE
    if root in FRAMEWORKS and (
        method
        or name.use is Use.KEPT
        or NEVER.search(name.module)
        or NATIVE.fullmatch(str(name))
        or not _MODEL_PARTS.match(name.module)
        or not name.name.removeprefix("__pyx_unpickle_").lstrip("_")[:1].isupper()
    ):
        return Verdict.UNSAFE
    return Verdict.UNKNOWN


def _parents(module: str) -> list[str]:
    """A module and all packages above it."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
