"""The modules of the packages of an image.

The modules of a fetched wheel are read from it. Those of another follow from its name and a table.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.patterns import compile_later

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "_loss": ("scikit-learn",),  # the name under which its compiled module of losses is pickled
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "category_encoders": ("category-encoders",),
    "clip": ("openai-clip",),
    "Crypto": ("pycryptodome",),
    "cv2": ("opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"),
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "git": ("gitpython",),
    "google.protobuf": ("protobuf",),
    "imblearn": ("imbalanced-learn",),
    "jose": ("python-jose",),
    "jwt": ("pyjwt",),
    "keras": ("keras", "tensorflow"),
    "lightning": ("lightning", "pytorch-lightning"),
    "Levenshtein": ("levenshtein", "python-levenshtein"),
    "magic": ("python-magic",),
    "mlflow": ("mlflow", "mlflow-skinny"),
    "mpl_toolkits": ("matplotlib",),
    "mx": ("mxnet",),
    "MySQLdb": ("mysqlclient",),
    "OpenSSL": ("pyopenssl",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-migraphx"),
    "PIL": ("pillow", "pillow-simd"),
    "pkg_resources": ("setuptools",),
    "pptx": ("python-pptx",),
    "psycopg2": ("psycopg2-binary", "psycopg2"),
    "pylab": ("matplotlib",),
    "pythonjsonlogger": ("python-json-logger",),
    "pywt": ("pywavelets",),
    "ruamel": ("ruamel-yaml",),
    "sentence_transformers": ("sentence-transformers",),
    "serial": ("pyserial",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn", "scikit-learn-intelex"),
    "skopt": ("scikit-optimize",),
    "slugify": ("python-slugify",),
    "socks": ("pysocks",),
    "surprise": ("scikit-surprise",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-gpu", "tf-nightly"),
    "tflite_runtime": ("tflite-runtime",),
    "umap": ("umap-learn",),
    "usb": ("pyusb",),
    "websocket": ("websocket-client",),
    "xgboost": ("xgboost", "xgboost-cpu"),
    "yaml": ("pyyaml",),
    "zmq": ("pyzmq",),
    "azure.ai.ml": ("azure-ai-ml",),
    "azure.identity": ("azure-identity",),
    "azure.storage.blob": ("azure-storage-blob",),
    "azureml.ai.monitoring": ("azureml-ai-monitoring",),
    "azureml.core": ("azureml-core",),
    "azureml.contrib.services": ("azureml-contrib-services", "azureml-inference-server-http"),
    "inference_schema": ("inference-schema",),
    "_pytest": ("pytest",),
    "cloudpickle": ("cloudpickle",),
    "IPython": ("ipython",),
    "Cython": ("cython",),
    "sqlalchemy": ("sqlalchemy",),
    "flask": ("flask",),
    "jinja2": ("jinja2",),
    "markdown": ("markdown",),
    "gensim": ("gensim",),
    "hydra": ("hydra-core",),
    "omegaconf": ("omegaconf",),
    "pycocotools": ("pycocotools",),
    "prophet": ("prophet",),
    "fbprophet": ("fbprophet",),
    "vowpalwabbit": ("vowpalwabbit",),
    "pmdarima": ("pmdarima",),
    "pyspark": ("pyspark",),
    "torchtext": ("torchtext",),
    "torchvision": ("torchvision",),
    "tree": ("dm-tree",),
    "en_core_web_sm": ("en-core-web-sm",),
}
"""Modules whose distribution has another name, and frequent ones that have several, the one to propose first."""


LIVE: Mapping[str, str] = {
    "beautifulsoup": "beautifulsoup4",
    "distribute": "setuptools",
    "fbprophet": "prophet",
    "keras-gpu": "keras",
    "lightgbm-gpu": "lightgbm",
    "nvidia-tensorrt": "tensorrt",
    "onnx-runtime": "onnxruntime",
    "opencv": "opencv-python-headless",
    "opencv-headless": "opencv-python-headless",
    "opencv-python-gpu": "opencv-python-headless",
    "pillow-simd": "pillow",
    "protobuf3": "protobuf",
    "psycopg2": "psycopg2-binary",
    "pycrypto": "pycryptodome",
    "python-opencv": "opencv-python-headless",
    "pytorch": "torch",
    "pytorch-gpu": "torch",
    "scikitlearn": "scikit-learn",
    "tensorflow-gpu": "tensorflow",
    "torch-cpu": "torch",
    "torch-gpu": "torch",
    "xgb": "xgboost",
}
"""Well-known names that no wheel has, or none for a Python of today, and the package that is alive: renamed, one for all hardware now, or never called so."""

NAMESPACES = frozenset({"azure", "google", "google.cloud"})
"""Packages of many distributions, each of which is called by its own part, too."""

GONE: Mapping[str, tuple[str, str]] = {"pkg_resources": ("setuptools", "82")}
"""Modules that a distribution had before a version, and no longer has."""


_SMALL = 4096
_SHARED = compile_later(rb"\bextend_path\b|\bdeclare_namespace\b")
"""What the `__init__.py` of a namespace says, where it has one: other wheels have parts of it, too."""


def proposal(module: str) -> str:
    """Returns the distribution to require for a module: by the table, else the one of the same name."""
    if (gone := GONE.get(module.partition(".")[0])) is not None:
        return f"{gone[0]}<{gone[1]}"
    named = next((found for name in prefixes(module) if (found := DISTRIBUTIONS.get(name))), None)
    if named:
        return named[0]
    shared = next((name for name in prefixes(module) if name in NAMESPACES), "")
    count = shared.count(".") + 2 if shared else 1
    return normalise_name(".".join(module.split(".")[:count]))


def meant_by(distribution: str) -> str:
    """Returns the distribution to require for a module, where somebody has required one with the module's name; empty for none."""
    named = (module for module, names in DISTRIBUTIONS.items() if distribution not in names)
    return next((proposal(module) for module in named if normalise_name(module) == distribution), "")


def prefixes(module: str) -> list[str]:
    """Returns a dotted name and the packages above it, the longest first."""
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def provides(module: str, distributions: Mapping[str, Path | None]) -> bool:
    """Returns whether one of these distributions has a module.

    The files of a fetched distribution are read. Another one is judged by its name: the module's own, one of the table, or one that
    has the module's name in it (`azureml.core` of azureml-core, `dateutil` of python-dateutil).

    Args:
        module: The dotted name of the module.
        distributions: The normalised names, each with its wheel, if it has been fetched.
    """
    names = prefixes(module)
    known = {each for name in names for each in (normalise_name(name), *DISTRIBUTIONS.get(name, ()))}
    if known & distributions.keys():
        return True
    top = module.partition(".")[0]
    here = [path for path in distributions.values() if path is not None and path.is_file()]
    if any(_has(modules_of(str(path)), module) for path in here):
        return True
    word = normalise_name(top)
    away = [name for name, path in distributions.items() if path is None or not path.is_file()]
    return any(_related(word, name) for name in away)


def is_namespace(module: str, distributions: Mapping[str, Path | None]) -> bool:
    """Returns whether these distributions have modules below one and not that itself: it has no names then. All of them have to be fetched."""
    if not module or any(path is None or not path.is_file() for path in distributions.values()):
        return False
    here = [modules_of(str(path)) for path in distributions.values()]
    below = any(each.startswith(f"{module}.") for modules in here for each in modules)
    return below and all(modules.isdisjoint(prefixes(module)) for modules in here)


def _has(modules: frozenset[str], wanted: str) -> bool:
    """Returns whether a module is one of these, is below one, or is a namespace above one."""
    return not modules.isdisjoint(prefixes(wanted)) or any(each.startswith(f"{wanted}.") for each in modules)


def _related(module: str, distribution: str) -> bool:
    parts = re.split(r"[-.]", distribution)
    return (
        module in parts
        or distribution.startswith(f"{module}-")
        or distribution in (f"py{module}", f"python-{module}", f"{module}s")
    )


@lru_cache(maxsize=4096)
def modules_of(wheel: str) -> frozenset[str]:
    """Returns the top modules and packages in a wheel; none of one that can't be read, which is found when it is packed.

    Of a namespace, which has parts in other wheels, those that are in this one: `google.protobuf` of protobuf.
    """
    try:
        with zipfile.ZipFile(wheel) as opened:
            return _tops(opened)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return frozenset()


def _tops(opened: zipfile.ZipFile) -> frozenset[str]:
    files: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    for info in opened.infolist():
        first, *rest = info.filename.split("/")
        if first.endswith(".data") and len(rest) > 1 and rest[0] in ("purelib", "platlib"):
            first, *rest = rest[1:]
        if not first.endswith((".dist-info", ".data")):
            files[(first, *rest)] = info
    packages = {parts[:-1]: info for parts, info in files.items() if parts[-1].partition(".")[0] == "__init__"}

    @cache
    def whole(folder: tuple[str, ...]) -> bool:
        """Returns whether a folder is a package of this wheel alone."""
        start = packages.get(folder)
        if start is None or start.file_size > _SMALL:
            return start is not None
        return not _SHARED.search(opened.read(start))

    found = set()
    for *folders, file in files:
        outer = next((count for count in range(1, len(folders) + 1) if whole(tuple(folders[:count]))), None)
        if outer is not None:
            found.add(".".join(folders[:outer]))
        elif file.partition(".")[0] == "__init__":
            continue
        elif file.endswith((".py", ".so", ".pyd", ".pyc", ".pth")):
            found.add(".".join([*folders, file.partition(".")[0]]))
        elif folders:
            found.add(".".join([*folders, ""]))  # a folder of data can be imported, and has no modules
    return frozenset(found)
