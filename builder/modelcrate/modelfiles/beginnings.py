"""How files begin, and how zips end, in which pickles may be: what is looked at in every file, before a reader is imported."""

from __future__ import annotations

import io
import re
import struct
from typing import BinaryIO

from modelcrate.modelfiles.byte_reader import ByteReader, LimitError
from modelcrate.modelfiles.formats import may_have_format
from modelcrate.modelfiles.pickle.opcodes import ARGUMENTS, NEEDY
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar.codec import ZSTD_SKIPPED

HEAD = 512
"""Bytes at the beginning of a file that decide its format."""

NPY = b"\x93NUMPY"
STREAMS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
LZMA = (b"\x5d\x00",)
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How compressed streams begin, as joblib and pandas recognise them: gzip, bzip2, xz and zstandard; the format before xz; zlib."""

_DICTIONARIES = frozenset({(1 << 32) - 1, *(each << more for each in (2, 3) for more in range(31))})
_LZMA_MEMORY = 1 << 28
"""The sizes of a dictionary by which liblzma knows the format before xz, and the bytes that unpacking its beginning may take."""

HEADED = compile_later(rb"\x80[\x00-\x05]")
LZ4 = (b"\x04\x22\x4d\x18",)
"""How a frame of lz4 begins, which joblib reads where its library is."""

UNREAD = (
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    (b"Rar!\x1a\x07", "is a RAR archive"),
    (b"LZIP\x01", "is packed with lzip"),
)
"""How files begin that are not unpacked here; Python's lzma reads lzip where its library is new."""

ZFILE = compile_later(rb"ZF[\s+0-9a-fA-FxX_]{19} ?(?=[\x08-\x78])")
"""How joblib's compressed files before 0.10 begin: with their length, in any spelling that Python reads, and zlib's stream behind it."""

ZIP_END = b"PK\5\6"
"""The mark of a zip's end (APPNOTE.TXT 4.3.16)."""

ZIP_TAIL = 22 + (1 << 16)
"""Bytes that the end of a zip may take, its comment included."""

_USTAR = b"ustar"
_CHECKSUM = compile_later(rb"[ \0]*[0-7]{1,8}[ \0]*")
_CHECKED = frozenset(bytes([each]) for each in b"\0 01234567\x80\xff")
"""How the checksum of a tar's header may begin."""

BARE = ARGUMENTS.keys() - NEEDY - {ord(".")}
"""The first bytes of pickles without a header. What ends at once names nothing."""

_NO_GLOBAL = compile_later(rb"[ci][\w.\x80-\xff]*+\n?+[\w.\x80-\xff]*+[^\w.\x80-\xff\n]")
"""A text that begins as an opcode that imports something, and goes on with what no name is made of. Python's machine ends there."""

_BEGINNINGS = frozenset(bytes([each]) for each in (*BARE, *b"P\x93", *(magic[0] for magic in (*STREAMS, *LZMA, *ZLIB))))
"""The bytes that a file with pickles may begin with, if it is no tar, has no zip at its end, and isn't called a pickle."""

MAGIC = compile_later(rb"\x80[\x00-\x05]|" + b"|".join(map(re.escape, (NPY, b"PK\3\4", *STREAMS, *LZMA, *ZLIB))))
"""What may stand behind a pickle without a header, and is no text."""

YAML = (".yaml", ".yml")
MAX_CONFIG = 64 << 20
"""Bytes of a configuration."""

_CONFIGURES = (b"class_name", b"chat_template", b"auto_map", b"attn_implementation", b"trust_remote_code", b"_target_")
"""What a configuration has that names code: keys of Keras, Transformers and Hydra."""

_IN_CONFIG = (b"activation_f", b"custom_pipelines", b'"structure"')
"""The same where a file is called `config.json`: keys of Sentence Transformers and Transformers."""

_PAIRS = ((b"params", b"target"), (b"params", b"pipeline"), (b"backbone", b"head"), (b"stride", b"names"))
"""The same in YAML, where one word alone says nothing: keys of latent diffusion, pyannote and YOLO."""

MODULE_NAMES = ("keras_module.txt", "pickle_module_info.txt")
"""Files of MLflow's models that are the name of a module, which it imports, and nothing else."""

SERVING = "serving.properties"
"""The settings of a model for DJL Serving."""

ALWAYS_READ = (
    *("MLmodel", "modules.json", "router_config.json", "wordembedding_config.json", "adapter_config.json"),
    *("model_index.json", "gluonts-config.json", "predictor.json", "prediction_net.json", "input_transform.json"),
    *("parameters.json", "settings.json", "genai_config.json", "model.yaml", SERVING, *MODULE_NAMES),
)
"""How the names end of configurations that name modules: of MLflow, Sentence Transformers, PEFT, Diffusers, GluonTS, LlamaIndex, MLServer, ONNX Runtime, BentoML."""

_TAGS = compile_later(rb"python/|%TAG\b|![^\s!%]*+%[0-9a-fA-F]|!(?:new|name|module|apply|applyref):")
"""The tags by which PyYAML and HyperPyYAML make objects, and how they are hidden: by a short name, or by escapes."""

_YAML_ESCAPE = compile_later(rb"\\[xuU][0-9a-fA-F]{2}")

_ESCAPE = b"\\u00"
_HIDDEN_LETTERS = compile_later(re.escape(_ESCAPE) + rb"[4-7]")
"""JSON has no need to escape letters."""

_NAMING = frozenset({b"c", b"i", b"\x93", b"\x82", b"\x83", b"\x84", b"P", b"Q", b"."})
"""Opcodes that import something or call the loader, and the end, behind which the next pickle may be."""

_RARE = (*LZ4, *(magic for magic, _ in UNREAD), *ZSTD_SKIPPED)


def may_have_facts(data: bytes, name: str) -> bool:
    """Returns whether the readers have to look into a file in memory. Nearly all files are no models, which a few bytes show."""
    head = data[:HEAD]
    found = may_have_format(name, head) or may_begin_pickles(head) or has_zip_end(data)
    return found or (may_configure(name) and may_configure_code(data, name))


def large_may_have_facts(file: BinaryIO, name: str) -> bool:
    """Returns the same for a large file, which is at its beginning, and is there again then."""
    head = file.read(HEAD)
    found = may_have_format(name, head) or may_begin_pickles(head) or ends_as_zip(file) or may_configure(name)
    file.seek(0)
    return found


def may_configure(name: str) -> bool:
    """Returns whether a file may be a configuration that names code, by its name."""
    return name.endswith((".json", *YAML, *ALWAYS_READ)) or is_template(name)


def is_yaml(name: str) -> bool:
    """Returns whether a file is YAML, by its name."""
    return name.endswith((*YAML, "MLmodel"))


def is_template(name: str) -> bool:
    """Returns whether a file is a chat template, by its name: chat_template.jinja, or one in the folder of further ones."""
    return name.endswith((".jinja", ".jinja2")) and "chat_template" in name


def may_configure_code(data: bytes, name: str) -> bool:
    """Returns whether a configuration may name code: a model of Keras', a chat template, tags, or letters that are hidden by escapes."""
    if is_template(name) or name.endswith(ALWAYS_READ) or any(each in data for each in _CONFIGURES):
        return True
    if name.endswith("config.json") and any(each in data for each in _IN_CONFIG):
        return True
    if is_yaml(name):
        return (
            any(one in data and other in data for one, other in _PAIRS)
            or _TAGS.search(data) is not None
            or (b"\\" in data and _YAML_ESCAPE.search(data) is not None)
        )
    if b"\0" in data[:4]:  # UTF-16 and UTF-32, which Python's reader of JSON knows
        return True
    return _ESCAPE in data and _HIDDEN_LETTERS.search(data) is not None  # the plain text is found far sooner


def long_may_configure_code(file: BinaryIO, name: str) -> bool:
    """Returns the same for a configuration that is not kept in memory."""
    file.seek(0)
    behind = b""
    while chunk := file.read(CHUNK):
        if may_configure_code(behind + chunk, name):
            return True
        behind = chunk[-64:]
    return False


def ends_as_zip(file: BinaryIO) -> bool:
    """Returns whether a file ends as a zip, whatever precedes it. Nearly no file has the mark of a zip's end, which is found quickly."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - ZIP_TAIL))
    tail = file.read()
    if not has_zip_end(tail):
        return False
    ends = [match.start() for match in re.finditer(re.escape(ZIP_END), tail) if match.start() <= len(tail) - 22]
    return any(_lists_members(file, size - len(tail) + at, tail[at : at + 22]) for at in ends)


def _lists_members(file: BinaryIO, at: int, end: bytes) -> bool:
    """Whether a list of members is where the end of a zip says. The mark alone stands in one of 65,000 files of random bytes."""
    size, offset = struct.unpack("<LL", end[12:20])
    file.seek(max(0, at - 20))
    if file.read(4) == b"PK\6\7":  # the locator of ZIP64's end
        return True
    for start in (at - size, offset):
        file.seek(max(0, start))
        if size and file.read(4) == b"PK\1\2":
            return True
    return False


def has_zip_end(data: bytes) -> bool:
    """Returns whether the mark of a zip's end is in some bytes."""
    return ZIP_END[2:3] in data and ZIP_END in data  # a single byte, which no text has, is found far sooner


def begins_as_tar(head: bytes) -> bool:
    """Returns whether a file begins with a tar's header: by its magic, or by its checksum, which is all that readers check."""
    if head[257:262] == _USTAR:
        return True
    raw = head[148:156]
    if len(head) < 512:
        return False
    if raw[0] in (0x80, 0xFF):
        claimed = int.from_bytes(raw[1:], "big")
    elif _CHECKSUM.fullmatch(raw):
        claimed = int(raw.strip(b" \0") or b"0", 8)
    else:
        return False
    blank = sum(head[:512]) - sum(raw) + 8 * 32
    return claimed in (blank, blank - 256 * sum(byte > 127 for byte in head[:148] + head[156:512]))


def may_begin_pickles(head: bytes) -> bool:
    """Returns whether a file with these first bytes may have pickles in it, apart from a zip at its end. It runs for every file."""
    if head[:1] in _BEGINNINGS and (MAGIC.match(head) or head[0] not in BARE or may_name(head)):
        return True
    if (
        head.startswith(_RARE)
        or (head.startswith(b"ZF") and ZFILE.match(head))
        or head[257:262] == _USTAR
        or (head[148:149] in _CHECKED and begins_as_tar(head))
    ):
        return True
    return head[13:14] == b"\0" and begins_as_lzma(head)


def begins_as_lzma(head: bytes) -> bool:
    """Returns whether a file begins in the format before xz, which has no magic: by what liblzma checks, and what a few bytes unpack to."""
    stated = int.from_bytes(head[5:13], "little")
    if (
        head[:1] > b"\xe0"
        or int.from_bytes(head[1:5], "little") not in _DICTIONARIES
        or (1 << 38) <= stated < (1 << 64) - 1
    ):
        return False
    import lzma

    try:
        return may_begin_pickles(
            lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY).decompress(head[:HEAD], HEAD)
        )
    except (lzma.LZMAError, EOFError):
        return False


def may_name(head: bytes) -> bool:
    """Returns whether what begins as a pickle without a header may import something, as far as these bytes show: most texts end such a pickle soon."""
    file = io.BytesIO(head)
    tape = ByteReader(file)
    try:
        while (byte := tape.maybe()) and byte not in _NAMING:
            read = ARGUMENTS.get(byte[0])
            if read is None:
                return False
            read(tape)
    except LimitError:
        return True
    except IntegrityError:
        return file.tell() == len(head)  # what follows may be right
    return _NO_GLOBAL.match(head, tape.position - 1) is None
