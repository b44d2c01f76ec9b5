"""The formats of model files, and which of them a file has, by its first bytes and its name. Every other module asks here.

Nothing is loaded or unpickled: it is a table over a few bytes. The readers of the formats are apart, because importing them takes longer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from os.path import splitext

from modelcrate_layers.frozen import dataclass

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that suffice for every format."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The first bytes of a Git LFS pointer, in place of a file that was not fetched."""

MAX_SAFETENSORS_HEADER = 100_000_000
"""Bytes of the JSON header of a safetensors file, by its specification."""

_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_WEIGHTS = re.compile(r".*\.safetensors|pytorch_model.*\.bin|.*\.h5")
_FOLDERS = {"MLmodel": "an MLflow model", "saved_model.pb": "a TensorFlow SavedModel"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A file's name, first bytes (HEAD_BYTES of them suffice) and size in bytes."""

    name: str
    head: bytes
    size: int

    @property
    def ending(self) -> str:
        """The ending of the name, in lower case and with its dot."""
        return splitext(self.name)[1].lower()


@dataclass(frozen=True, slots=True)
class Format:
    """A format of model files: its `word` in facts and bills, and the words for it in messages."""

    word: str
    shown: str
    begins: bytes = b""
    """What the first bytes match, as a regular expression; empty for formats that have no beginning of their own."""
    endings: frozenset[str] = frozenset()
    strict: bool = False
    """Whether a file with such an ending has to be of this format: its loaders go by the name, so another content is damage."""
    detected: bool = True
    """Whether a file of the format is taken for a model by itself; others may be data as well."""
    check: Callable[[Sample], bool] | None = None
    """What else has to hold for a file that begins so. Such a format is likely then, but another file may begin like that as well."""

    def is_certain(self, sample: Sample) -> bool:
        """Returns whether a file of this format that can't be read is damaged, and not just another file."""
        return self.check is None or sample.ending in self.endings


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a model is, in words, and the reason."""

    kind: str
    why: str


def _joblib(sample: Sample) -> bool:
    """A pickle in a zlib or gzip stream, of which a few bytes are inflated."""
    try:
        return _PICKLE.match(zlib.decompressobj(wbits=47).decompress(sample.head, 2)) is not None
    except zlib.error:
        return False


def _safetensors(sample: Sample) -> bool:
    return 2 <= int.from_bytes(sample.head[:8], "little") <= min(MAX_SAFETENSORS_HEADER, sample.size - 8)


def _onnx(sample: Sample) -> bool:
    """Behind a small ir_version (field 1) comes the producer's name (field 2)."""
    length, producer = sample.head[3], sample.head[4 : 4 + sample.head[3]]
    return 0 < len(producer) == length < 64 and producer.isascii() and producer.decode().isprintable()


def _torch(sample: Sample) -> bool:
    """A zip that begins with NAME/data.pkl, as torch.save writes it."""
    return sample.head[30 : 30 + int.from_bytes(sample.head[26:28], "little")].endswith(b"/data.pkl")


FORMATS = (
    Format(
        "pickle", "a pickle", _PICKLE.pattern, frozenset({".pkl", ".pickle", ".sav", ".p", ".dill", ".cloudpickle"})
    ),
    Format("joblib", "a joblib file", rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b", frozenset({".joblib"}), check=_joblib),
    Format("pytorch", "a PyTorch model", rb"PK\x03\x04", frozenset({".pt", ".pth", ".ckpt"}), check=_torch),
    Format("keras", "a Keras model", endings=frozenset({".keras"})),
    Format("hdf5", "an HDF5 file", rb"\x89HDF\r\n\x1a\n", frozenset({".h5", ".hdf5", ".he5"})),
    Format("numpy", "a NumPy file", rb"\x93NUMPY", detected=False),
    Format("gguf", "a GGUF model", rb"GGUF", frozenset({".gguf"}), strict=True),
    Format("onnx", "an ONNX model", rb"\x08[\x01-\x20]\x12.", frozenset({".onnx"}), strict=True, check=_onnx),
    Format("catboost", "a CatBoost model", rb"CBM1", frozenset({".cbm"})),
    Format("lightgbm", "a LightGBM model", rb"tree\r?\n(?:version|num_class)="),
    Format("xgboost", "an XGBoost model", rb'binf|\s*\{\s*"learner"|\{L.{8}learner'),
    Format("tflite", "a TFLite model", rb".{4}TFL3", frozenset({".tflite"})),
    Format("safetensors", "safetensors", rb".{8}\{", frozenset({".safetensors"}), strict=True, check=_safetensors),
)
"""All formats, by their names in facts. The first that a file begins with counts."""

_BEGINNINGS = re.compile(
    b"|".join(b"(?P<%s>%s)" % (each.word.encode(), each.begins) for each in FORMATS if each.begins), re.DOTALL
)
"""One search for all of them: it runs for every file."""

_BY_WORD = {each.word: each for each in FORMATS}
_BY_ENDING = {ending: each for each in FORMATS for ending in each.endings}

PICKLES = frozenset(
    ending for each in FORMATS if each.word in ("pickle", "joblib", "pytorch") for ending in each.endings
)
"""Endings of pickles. Such a file counts as a pickle even if it is damaged."""

PROMISING = PICKLES | {ending for ending, each in _BY_ENDING.items() if each.strict}
"""Endings of files that are read because of their name, wherever they lie."""


def format_of(sample: Sample) -> Format | None:
    """Returns the format of a model file; None for no model.

    An ending that only one format may have decides; else the first bytes do, where they suffice; else the ending.
    """
    by_name = _BY_ENDING.get(sample.ending)
    if by_name is not None and by_name.strict:
        return by_name
    return (_by_first_bytes(sample) or by_name) if sample.size else None


def recognise(sample: Sample) -> Recognised | None:
    """Returns what a model file is, in words, with the reason; None for no model, and for an empty file."""
    found = format_of(sample)
    if found is None or not found.detected or not sample.size:
        return None
    certain = found is _by_first_bytes(sample)
    return Recognised(found.shown, "by its first bytes" if certain else "by its name; its first bytes tell nothing")


def _by_first_bytes(sample: Sample) -> Format | None:
    begins = _BEGINNINGS.match(sample.head)
    found = _BY_WORD[begins.lastgroup] if begins and begins.lastgroup else None
    return found if found and (found.check is None or found.check(sample)) else None


def recognise_folder(names: frozenset[str]) -> Recognised | None:
    """Returns what model a folder is as a whole, by the names of the files directly in it."""
    for name, kind in _FOLDERS.items():
        if name in names:
            return Recognised(kind, f"by the file {name} in it")
    weights = [name for name in names if _WEIGHTS.fullmatch(name)]
    if "config.json" in names and weights:
        return Recognised("a model with its configuration", f"by config.json and {min(weights)} in it")
    return None
