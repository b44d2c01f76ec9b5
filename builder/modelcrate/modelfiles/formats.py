"""The formats of model files, and which of them a file has, by its first bytes and its name. Every other module asks here.

Nothing is loaded or unpickled: it is a table over a few bytes. The readers of the formats are apart, because importing them takes longer.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Mapping

from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

HEAD_BYTES = 4096
"""Bytes at the beginning of a file that suffice for every format."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The first bytes of a Git LFS pointer, in place of a file that was not fetched."""

MAX_SAFETENSORS_HEADER = 100_000_000
"""Bytes of the JSON header of a safetensors file, by its specification."""

_BZ2 = (".joblib.bz2", ".pkl.bz2", ".pickle.bz2")
"""What is called a model where the first bytes do not fill a block of bzip2, which is unpacked as a whole."""

_LZMA_MEMORY = 1 << 28
"""Bytes that unpacking the beginning of a stream may take."""

_PICKLE = compile_later(rb"\x80[\x02-\x05]")
_PATHS = compile_later(
    rb"(?:\xef\xbb\xbf)?(?:(?:import[ \t][^\0\n]*+|#[^\0\n]*+|[\w./\\:~@+ ()\[\],'!&=\x80-\xff-]*+)\r?\n?)*+"
)
"""The lines of a path configuration file (`site` in Python's documentation): paths, remarks, and imports, which are run."""

MACHINE_CODE = "machine_code"
"""The word for libraries and programs."""

LIBRARIES = frozenset({".so", ".dll", ".dylib", ".pyd"})

_WEIGHTS = compile_later(r".*\.safetensors|pytorch_model.*\.bin|.*\.h5")
_FOLDERS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"MLmodel"}), "an MLflow model"),
    (frozenset({"saved_model.pb"}), "a TensorFlow SavedModel"),
    (frozenset({"config.cfg", "meta.json", "tokenizer"}), "a spaCy pipeline"),
    (frozenset({"modules.json", "config_sentence_transformers.json"}), "a Sentence Transformers model"),
    (frozenset({"modules.json", "config.json"}), "a Sentence Transformers model"),
    (frozenset({"Manifest.json", "Data"}), "a Core ML package"),
)
"""Folders that are a model as a whole, by names in them."""

BESIDE: Mapping[str, tuple[str, ...]] = {
    ".onnx": (".onnx.data", ".onnx_data", ".data"),
    ".xml": (".bin",),
    ".pdmodel": (".pdiparams",),
    ".params": ("-symbol.json",),
}
"""Endings of the files that have to lie beside a model with an ending, by its name without that."""


def ending_of(name: str) -> str:
    """Returns what a name has from its last dot on, in lower case."""
    return name[name.rfind(".") :].lower()


@dataclass(frozen=True, slots=True)
class Sample:
    """A file's name, first bytes (HEAD_BYTES of them suffice) and size in bytes."""

    name: str
    head: bytes
    size: int

    @property
    def ending(self) -> str:
        """The ending of the name, in lower case and with its dot; that of `.RData` is the whole name."""
        return ending_of(self.name)


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
    unread: str = ""
    """What its loaders run or make that nobody reads here, in words; empty for a format that is read, or that is data alone."""

    def is_certain(self, sample: Sample) -> bool:
        """Returns whether a file of this format that can't be read is damaged, and not just another file."""
        return self.check is None or sample.ending in self.endings


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a model is, in words, and the reason."""

    kind: str
    why: str


def _joblib(sample: Sample) -> bool:
    """A pickle in a compressed stream, of which a few bytes are unpacked."""
    try:
        if sample.head.startswith((b"\x78", b"\x1f\x8b")):
            begin = zlib.decompressobj(wbits=47).decompress(sample.head, 2)
        elif sample.head.startswith(b"BZh"):
            begin = bz2.BZ2Decompressor().decompress(sample.head, 2) or b"\x80\x02" * sample.name.lower().endswith(_BZ2)
        else:
            begin = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY).decompress(sample.head, 2)
        return _PICKLE.match(begin) is not None
    except (zlib.error, lzma.LZMAError, OSError, ValueError):
        return False


def _openvino(sample: Sample) -> bool:
    return sample.ending == ".xml"


def _word2vec(sample: Sample) -> bool:
    return sample.ending in (".bin", ".vec")


def _safetensors(sample: Sample) -> bool:
    return 2 <= int.from_bytes(sample.head[:8], "little") <= min(MAX_SAFETENSORS_HEADER, sample.size - 8)


def _onnx(sample: Sample) -> bool:
    """Behind a small ir_version (field 1) comes the producer's name (field 2)."""
    length, producer = sample.head[3], sample.head[4 : 4 + sample.head[3]]
    return 0 < len(producer) == length < 64 and producer.isascii() and producer.decode().isprintable()


def _thinc(sample: Sample) -> bool:
    """A map of MessagePack with keys of Thinc's, or where spaCy keeps one: in a file called `model`."""
    return (
        sample.name.rpartition("/")[2] == "model"
        or re.match(rb".{2,4}(nodes|attrs|params|shims)", sample.head) is not None
    )


def _machine_code(sample: Sample) -> bool:
    """The beginning of a library or a program of Windows is too short to be one for sure; a llamafile begins so on every system."""
    at = int.from_bytes(sample.head[60:64], "little")
    return not sample.head.startswith(b"MZ") or sample.head[2:6] == b"qFpD" or sample.head[at : at + 4] == b"PE\0\0"


def _torch(sample: Sample) -> bool:
    """A zip that begins with NAME/data.pkl, as torch.save writes it."""
    return sample.head[30 : 30 + int.from_bytes(sample.head[26:28], "little")].endswith(b"/data.pkl")


FORMATS = (
    Format(
        "pickle", "a pickle", _PICKLE.pattern, frozenset({".pkl", ".pickle", ".sav", ".p", ".dill", ".cloudpickle"})
    ),
    Format(
        "joblib",
        "a joblib file",
        rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b|BZh[1-9]|\xfd7zXZ\0|\x5d\0\0",
        frozenset({".joblib"}),
        check=_joblib,
    ),
    Format(
        "pytorch", "a PyTorch model", rb"PK\x03\x04", frozenset({".pt", ".pth", ".ckpt", ".pt2", ".ptl"}), check=_torch
    ),
    Format("keras", "a Keras model", endings=frozenset({".keras"})),
    Format("hdf5", "an HDF5 file", rb"\x89HDF\r\n\x1a\n", frozenset({".h5", ".hdf5", ".he5"})),
    Format("numpy", "a NumPy file", rb"\x93NUMPY", detected=False),
    Format("gguf", "a GGUF model", rb"GGUF", frozenset({".gguf"}), strict=True),
    Format("onnx", "an ONNX model", rb"\x08[\x01-\x20]\x12.", frozenset({".onnx"}), strict=True, check=_onnx),
    Format("catboost", "a CatBoost model", rb'CBM1|\s*\{\s*"features_info"\s*:', frozenset({".cbm"})),
    Format("lightgbm", "a LightGBM model", rb"tree\r?\n(?:version|num_class)="),
    Format("xgboost", "an XGBoost model", rb'binf|\s*\{\s*"learner"|\{L.{8}learner'),
    Format("tflite", "a TFLite model", rb".{4}TFL3", frozenset({".tflite"})),
    Format("skops", "a skops file", endings=frozenset({".skops"})),
    Format("ort", "an ONNX Runtime model", rb".{4}ORTM", frozenset({".ort"})),
    Format("pmml", "a PMML model", rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]{0,200}>\s*)*<PMML\b", frozenset({".pmml"})),
    Format("openvino", "an OpenVINO model", rb"\s*(?:<\?[^>]{0,200}>\s*)?<net\s", check=_openvino),
    Format("paddle", "a Paddle model", endings=frozenset({".pdmodel", ".pdparams"})),
    Format(
        "coreml",
        "a Core ML model",
        endings=frozenset({".mlmodel"}),
        unread="a model of Core ML, which may name layers of an app",
    ),
    Format("tensorflow", "a TensorFlow graph", endings=frozenset({".pb"})),
    Format(
        "cpb",
        "a TensorFlow graph in chunks",
        endings=frozenset({".cpb"}),
        unread="a graph of TensorFlow in chunks, which may call Python or write files",
    ),
    Format("pbtxt", "a text of protocol buffers", endings=frozenset({".pbtxt", ".prototxt"}), detected=False),
    Format(
        MACHINE_CODE,
        "machine code",
        rb"\x7fELF|MZ|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba[\xbe\xbf]",
        LIBRARIES,
        detected=False,
        check=_machine_code,
        unread="machine code, which a loader may run",
    ),
    Format(
        "thinc",
        "a model of Thinc's",
        rb"(?:[\x81-\x8f]|\xde..|\xdf.{4})(?:[\xa0-\xbf]|\xd9.|\xda..|\xdb.{4})",
        detected=False,
        check=_thinc,
    ),
    Format(
        "tensorrt",
        "a TensorRT engine",
        rb"ptrt|ftrt",
        frozenset({".engine", ".plan"}),
        unread="an engine of TensorRT, which is machine code",
    ),
    Format(
        "executorch", "an ExecuTorch program", rb".{4}ET[0-9]{2}", frozenset({".pte"}), unread="a program of ExecuTorch"
    ),
    Format(
        "r",
        "objects of R",
        rb"RD[ABX][23]\n",
        frozenset({".rds", ".rda", ".rdata"}),
        detected=False,
        unread="objects of R, which may be functions and promises",
    ),
    Format(
        "bytecode",
        "Python bytecode",
        endings=frozenset({".pyc", ".pyo"}),
        detected=False,
        unread="bytecode of Python, which may differ from its source",
    ),
    Format("paths", "a path configuration file", detected=False),
    Format("start", "a startup configuration file", endings=frozenset({".start"}), detected=False),
    Format("spss", "an SPSS data file", rb"\$FL[23]@\(#\)", detected=False),
    Format("idl", "variables of IDL", rb"SR\x00\x04", detected=False),
    Format("fasttext", "a fastText model", rb"\xba\x16\x4f\x2f", frozenset({".ftz"})),
    Format("word2vec", "word vectors", rb"[1-9][0-9]{0,8} [1-9][0-9]{0,4}\n", check=_word2vec),
    Format("prophet", "a Prophet model", rb'\s*\{\s*"growth"\s*:'),
    Format("mxnet", "an MXNet model", endings=frozenset({".params"})),
    Format("caffe", "a Caffe model", endings=frozenset({".caffemodel"})),
    Format("libsvm", "a LIBSVM model", rb"(?:svm_type|solver_type) [a-zA-Z]"),
    Format("crfsuite", "a CRFsuite model", rb"lCRF", frozenset({".crfsuite"})),
    Format("torchserve", "a TorchServe archive", endings=frozenset({".mar"})),
    Format("safetensors", "safetensors", rb".{8}\{", frozenset({".safetensors"}), strict=True, check=_safetensors),
)
"""All formats, by their names in facts. The first that a file begins with counts."""

_BEGINNINGS = compile_later(
    b"|".join(b"(?P<%s>%s)" % (each.word.encode(), each.begins) for each in FORMATS if each.begins), re.DOTALL
)
"""One search for all of them."""

_ANY_BEGINNING = compile_later(b"|".join(b"(?:%s)" % each.begins for each in FORMATS if each.begins), re.DOTALL)
"""The same without groups, which takes a third of the time: it runs for every file."""

_BY_WORD = {each.word: each for each in FORMATS}
_BY_ENDING = {ending: each for each in FORMATS for ending in each.endings}

PICKLED = frozenset({"pickle", "joblib", "pytorch"})
"""The formats that are pickles. A file that has such a name, and the first bytes of no other format, counts as a pickle even if it is damaged."""


def format_of(sample: Sample) -> Format | None:
    """Returns the format of a model file; None for no model.

    An ending that only one format may have decides; else the first bytes do, where they suffice; else the ending.
    """
    by_name = _BY_ENDING.get(sample.ending)
    if by_name is not None and by_name.strict:
        return by_name
    if (
        sample.ending == ".pth"
        and sample.head
        and _PATHS.fullmatch(sample.head)
        and not sample.head.startswith(LFS_POINTER)
    ):
        return _BY_WORD["paths"]  # PyTorch's files have the same ending
    return (_by_first_bytes(sample) or by_name) if sample.size else None


def may_have_format(name: str, head: bytes) -> bool:
    """Returns whether a file with this name and these first bytes may have a format. It costs less than `format_of`, which decides."""
    return ending_of(name) in _BY_ENDING or _ANY_BEGINNING.match(head) is not None


def shown_format(word: str) -> str:
    """Returns the words for a format in messages, by its word in facts; empty for an unknown one."""
    found = _BY_WORD.get(word)
    return found.shown if found is not None else ""


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
    for wanted, kind in _FOLDERS:
        if wanted <= names:
            files = "the file" if len(wanted) == 1 else "the files"
            return Recognised(kind, f"by {files} {' and '.join(sorted(wanted))} in it")
    weights = [name for name in names if _WEIGHTS.fullmatch(name)]
    if "config.json" in names and weights:
        return Recognised("a model with its configuration", f"by config.json and {min(weights)} in it")
    return None
