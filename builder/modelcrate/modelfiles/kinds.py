"""Which files are models, by their first bytes and their names. Nothing is loaded or unpickled; a pure table over a few bytes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import PurePath

from modelcrate_layers.frozen import dataclass

HEAD_BYTES = 4096
"""Bytes of a file that are read."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The first bytes of a Git LFS pointer, in place of a file that was not fetched."""

_MAX_SAFETENSORS_HEADER = 100_000_000
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_ZIPPED = (".pt", ".pth", ".keras", ".ckpt")
_BY_NAME = {
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".joblib": "a joblib file",
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
    ".safetensors": "safetensors",
    ".gguf": "a GGUF model",
    ".tflite": "a TFLite model",
    ".cbm": "a CatBoost model",
    ".keras": "a Keras model",
}
_FOLDERS = {"MLmodel": "an MLflow model", "saved_model.pb": "a TensorFlow SavedModel"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A file's name, first bytes (at most HEAD_BYTES) and size."""

    name: str
    head: bytes
    size: int

    @property
    def ending(self) -> str:
        """The ending of the name, in lower case and with its dot."""
        return PurePath(self.name).suffix.lower()


@dataclass(frozen=True, slots=True)
class Recognised:
    """The kind of a model, and the reason in words."""

    kind: str
    why: str


def recognise(sample: Sample) -> Recognised | None:
    """Returns the kind of a model file: by its first bytes where they suffice, else by the ending of its name; None for no model."""
    if not sample.size:
        return None
    for kind, test in _TESTS:
        if test(sample):
            return Recognised(kind, "by its first bytes")
    named = _BY_NAME.get(sample.ending)
    return Recognised(named, "by its name; its first bytes tell nothing") if named else None


def recognise_folder(names: frozenset[str]) -> Recognised | None:
    """Returns the kind of model that a folder is as a whole, by the files directly in it."""
    for name, kind in _FOLDERS.items():
        if name in names:
            return Recognised(kind, f"by the file {name} in it")
    weights = [n for n in names if n.endswith(".safetensors") or re.fullmatch(r"pytorch_model.*\.bin|.*\.h5", n)]
    if "config.json" in names and weights:
        return Recognised("a model with its configuration", f"by config.json and {min(weights)} in it")
    return None


def _joblib(sample: Sample) -> bool:
    """A pickle in a zlib or gzip stream, of which a few bytes are inflated."""
    if sample.head[:2] not in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b"):
        return False
    try:
        return _PICKLE.match(zlib.decompressobj(wbits=47).decompress(sample.head, 2)) is not None
    except zlib.error:
        return False


def _safetensors(sample: Sample) -> bool:
    length = int.from_bytes(sample.head[:8], "little")
    return 2 <= length <= min(_MAX_SAFETENSORS_HEADER, sample.size - 8) and sample.head[8:9] == b"{"


def _onnx(sample: Sample) -> bool:
    """A protobuf with a small ir_version (field 1), then the producer's name (field 2) or, by the file's name, anything."""
    head = sample.head
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] <= 32:
        return False
    producer = head[4 : 4 + head[3]]
    named = (
        head[2] == 0x12 and 0 < len(producer) == head[3] < 64 and producer.isascii() and producer.decode().isprintable()
    )
    return named or sample.ending == ".onnx"


def _torch(sample: Sample) -> bool:
    """A zip that begins with NAME/data.pkl, as torch.save writes it."""
    head = sample.head
    return head.startswith(b"PK\3\4") and head[30 : 30 + int.from_bytes(head[26:28], "little")].endswith(b"/data.pkl")


def _xgboost(sample: Sample) -> bool:
    """JSON or UBJSON with a learner, or the binary format that ended with version 3.1."""
    head = sample.head
    return (
        head.startswith(b"binf")
        or (head[:1] == b"{" and b'"learner"' in head)
        or (head[:2] == b"{L" and b"learner" in head[:64])
    )


_TESTS: tuple[tuple[str, Callable[[Sample], bool]], ...] = (
    ("a pickle", lambda s: _PICKLE.match(s.head) is not None),
    ("a compressed pickle (joblib)", _joblib),
    ("safetensors", _safetensors),
    ("a GGUF model", lambda s: s.head.startswith(b"GGUF")),
    ("an HDF5 file", lambda s: s.head.startswith(b"\x89HDF\r\n\x1a\n")),
    ("a TFLite model", lambda s: s.head[4:8] == b"TFL3"),
    ("a CatBoost model", lambda s: s.head.startswith(b"CBM1")),
    ("a LightGBM model", lambda s: re.match(rb"tree\r?\n(version|num_class)=", s.head) is not None),
    ("a PyTorch model", _torch),
    ("a zipped model", lambda s: s.head.startswith(b"PK\3\4") and s.ending in _ZIPPED),
    ("an XGBoost model", _xgboost),
    ("an ONNX model", _onnx),
)
