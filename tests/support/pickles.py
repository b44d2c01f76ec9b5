"""Pickles of every malicious kind that we know, made by hand: each would create the canary file, were it ever loaded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

import zstandard

COMMAND = b"touch CANARY"


class _Reduced:
    def __init__(self, module: str, name: str, arguments: tuple[object, ...]) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def __reduce__(self) -> tuple[object, ...]:
        import importlib

        return getattr(importlib.import_module(self.module), self.name), self.arguments


def short(text: str | bytes) -> bytes:
    """SHORT_BINUNICODE."""
    raw = text if isinstance(text, bytes) else text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def stack_global(module: str, name: str, before: bytes = b"") -> bytes:
    return b"\x80\x04" + before + short(module) + short(name) + b"\x93" + short(COMMAND) + b"\x85R."


def calls(module: str, name: str, argument: bytes = COMMAND) -> bytes:
    """GLOBAL, a text, REDUCE: protocol 0."""
    return b"c%b\n%b\n(S'%b'\ntR." % (module.encode(), name.encode(), argument)


def made(module: str, name: str) -> bytes:
    """GLOBAL, NEWOBJ, and a state: an instance as classes are restored."""
    return b"\x80\x02c%b\n%b\n)\x81}b." % (module.encode(), name.encode())


def reduced(protocol: int) -> bytes:
    return pickle.dumps(_Reduced("os", "system", (COMMAND.decode(),)), protocol)


def stack_dtype(kind: str, fields: bytes, flags: bytes, part: bytes = b"N") -> bytes:
    """A type of numpy's with a state: its part, names and fields, and flags."""
    made = short("numpy") + short("dtype") + b"\x93" + short(kind) + b"\x89\x88\x87R"
    if kind == "O8" and fields == b"N":
        return made + b"(K\x03" + short("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff" + flags + b"tb"
    return made + b"(K\x03" + short("|") + part + fields + b"K\x08K\x01" + flags + b"tb"


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def tarred(members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def npy(inner: bytes, shape: str = "(1,)", descr: str = "'|O'") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + inner


def joblib_array(
    dtype: str,
    shape: int,
    follows: bytes,
    rest: bytes = b"N.",
    state: bytes = b"",
    made: bytes = b")\x81",
    padding: bytes = b"\x02\xff\xff",
) -> bytes:
    """An array as joblib writes it: its wrapper, padding, the bytes, and the pickle's next opcodes; with more `state`, or `made` otherwise."""
    wrapper = b"\x80\x04" + short("joblib.numpy_pickle") + short("NumpyArrayWrapper") + b"\x93" + made
    ndarray = short("numpy") + short("ndarray") + b"\x93"
    flags = b"K\x3f" if dtype == "O8" else b"K\x00"
    kind = (
        short("numpy")
        + short("dtype")
        + b"\x93"
        + short(dtype)
        + b"\x89\x88\x87R(K\x03"
        + short("|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        + flags
        + b"tb"
    )
    filled = (
        b"}("
        + short("subclass")
        + ndarray
        + short("shape")
        + b"K"
        + bytes([shape])
        + b"\x85"
        + short("order")
        + short("C")
    )
    filled += (
        short("dtype")
        + kind
        + short("allow_mmap")
        + b"\x88"
        + short("numpy_array_alignment_bytes")
        + b"K\x10"
        + state
        + b"ub"
    )
    return wrapper + filled + (b"" if dtype == "O8" else padding) + follows + b"0" + rest


def tar_and_pickle(code: bytes) -> bytes:
    """A whole tar whose first member has opcodes as its name."""
    whole = bytearray(tarred({"x": pickle.dumps({"a": 1})}))
    whole[:100] = code.ljust(100, b"\0")
    whole[148:156] = b" " * 8
    whole[148:156] = b"%06o\0 " % sum(whole[:512])
    return bytes(whole)


def skipped_and_pickle(code: bytes, first: bytes = b"U") -> bytes:
    """A frame that readers of zstandard skip, and an honest one: the frame's magic is an opcode with a short text, or with a line."""
    text = b"a" * 36 if first == b"U" else b"\n"
    behind = text + b"0" + code
    frame = first + b"\x2a\x4d\x18" + len(behind).to_bytes(4, "little") + behind
    return frame + zstandard.compress(pickle.dumps({"a": 1}))


def thinc_and_pickle(code: bytes) -> bytes:
    """A map of MessagePack with 12 keys, the first of which is one of Thinc's: the map's beginning is a text of 165 bytes, and the opcodes behind it."""
    held = b"a" * (165 - 7) + b"0" + code
    return b"\x8c\xa5nodes\xd9" + bytes([len(held)]) + held + b"\0" * 22


def zip_and_pickle(code: bytes) -> bytes:
    """A zip that a pickle has in its bytes, but for its comment, which is the pickle's end."""
    whole = zipped({"x": pickle.dumps({"a": 1})})
    behind = b"0" + code
    return b"B" + len(whole).to_bytes(4, "little") + whole[:-2] + len(behind).to_bytes(2, "little") + behind


def torch_old(value: bytes, storages: bytes = b"") -> bytes:
    """PyTorch's format before 1.6, in which a tensor of an ordinary pickle is kept: a `value` in opcodes, with what stands behind the last pickle."""
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    first = b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, sizes))
    long_enough = b"X\x50\0\0\0" + b"-" * 80 + b"0"  # such bytes are longer than any name, or nobody looks at them
    return first + b"\x80\x02" + long_enough + value + b"." + pickle.dumps(["94021764185136"], 2) + storages


STORAGE = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\x0e\0\0\x0094021764185136X\3\0\0\0cpuK\3NtQ"
"""The value of such a file: three numbers."""

TENSOR = torch_old(STORAGE, (3).to_bytes(8, "little") + bytes([1, 2, 3, 4] * 3))


def loaded(file: bytes, protocol: int = 4) -> bytes:
    """An ordinary pickle of a tensor, which has the file in its bytes; below protocol 3, as a text."""
    if protocol < 3:
        text = file.decode("latin-1").encode()
        encoded = b"c_codecs\nencode\nX" + len(text).to_bytes(4, "little") + text + b"X\6\0\0\0latin1\x86R"
        return b"\x80\x02ctorch.storage\n_load_from_bytes\n" + encoded + b"\x85R."
    literal = b"B" + len(file).to_bytes(4, "little") + file
    return b"\x80\x04" + short("torch.storage") + short("_load_from_bytes") + b"\x93" + literal + b"\x85R."


EVIL = reduced(4)
_BAD_CRC = bytearray(zipped({"archive/data.pkl": EVIL}))
_BAD_CRC[14:18] = b"\0\0\0\0"
_at = _BAD_CRC.rindex(b"PK\1\2")
_BAD_CRC[_at + 16 : _at + 20] = b"\0\0\0\0"
_FLAGGED = bytearray(zipped({"archive/data.pkl": EVIL}))
_FLAGGED[6] |= 1
_FLAGGED[_FLAGGED.rindex(b"PK\1\2") + 8] |= 1

MALICIOUS: dict[str, bytes] = {
    **{f"reduce, protocol {p}": reduced(p) for p in range(6)},
    "global, posix": calls("posix", "system"),
    "global, nt": calls("nt", "system"),
    "eval": calls("builtins", "eval", b"1"),
    "exec of Python 2": calls("__builtin__", "execfile", b"x"),
    "import": calls("builtins", "__import__", b"os"),
    "subprocess": calls("subprocess", "Popen"),
    "commands of Python 2": calls("commands", "getoutput"),
    "runpy": calls("runpy", "run_path"),
    "shutil": calls("shutil", "rmtree", b"/nowhere"),
    "webbrowser": calls("webbrowser", "open", b"x"),
    "marshal": calls("marshal", "loads", b"x"),
    "a pickle that loads a pickle": calls("pickle", "loads", b"x"),
    "importlib": calls("importlib", "import_module", b"x"),
    "ctypes": calls("ctypes", "CDLL", b"x"),
    "socket": calls("socket", "create_connection", b"x"),
    "operator": calls("operator", "attrgetter", b"system"),
    "numpy's runstring": calls("numpy.testing._private.utils", "runstring", b"1"),
    "numpy's f2py": calls("numpy.f2py.crackfortran", "myeval", b"1"),
    "torch.hub": calls("torch.hub", "load", b"x"),
    "torch.load": calls("torch.serialization", "load", b"x"),
    "joblib.load": calls("joblib", "load", b"x"),
    "pandas' read_pickle": calls("pandas.io.pickle", "read_pickle", b"x"),
    "dill": calls("dill._dill", "_create_code", b"x"),
    "cloudpickle": calls("cloudpickle.cloudpickle", "_make_function", b"x"),
    "pip": calls("pip._internal.cli.main", "main", b"x"),
    "inst": b"(S'%b'\nios\nsystem\n." % COMMAND,
    "obj": b"(cos\nsystem\nS'%b'\no." % COMMAND,
    "newobj": b"\x80\x02csubprocess\nPopen\nU\x04true\x85\x81.",
    "newobj_ex": b"\x80\x04" + short("subprocess") + short("Popen") + b"\x93" + short("true") + b"\x85}\x92.",
    "build on a module's function": b"\x80\x02cos\nenviron\n}U\x01aU\x01bsb.",
    "stack_global": stack_global("os", "system"),
    "stack_global by the memo": b"\x80\x04" + short("os") + b"\x940" + short("system") + b"\x940h\x00h\x01\x93"
    + short(COMMAND) + b"\x85R.",
    "stack_global with computed names": b"\x80\x04" + short("_codecs") + short("encode") + b"\x93" + short("os")
    + b"\x85R" + short("system") + b"\x93" + short(COMMAND) + b"\x85R.",
    "stack_global by dup": b"\x80\x04" + short("posix") + b"2000" + short("posix") + short("system") + b"\x93"
    + short(COMMAND) + b"\x85R.",
    "a dotted name": stack_global("numpy", "f2py.os.system"),
    "a dotted name in an allowed module": stack_global("sklearn.linear_model", "LinearRegression.__init__.__globals__"),
    "escapes in a text": b"\x80\x04S'\\x6f\\x73'\nS'syst\\x65m'\n\x93" + short(COMMAND) + b"\x85R.",
    "escapes in unicode": b"\x80\x04V\\u006fs\nV\\u0073ystem\n\x93" + short(COMMAND) + b"\x85R.",
    "an extension's code": b"\x80\x02\x82\x01)R.",
    "truncated after the call": stack_global("os", "system")[:-1],
    "a broken opcode after the call": stack_global("os", "system")[:-1] + b"\xff",
    "an empty stack after the call": calls("os", "system")[:-1] + b"000000.",
    "a second pickle": pickle.dumps({"a": 1}) + EVIL,
    "a second pickle after PyTorch's magic": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + EVIL,
    "a class that is allowed, and more": pickle.dumps(_Reduced("collections", "OrderedDict", ()))[:-1] + b"0"
    + EVIL[2:],
    "frames that lie": b"\x80\x04\x95\xff\0\0\0\0\0\0\0" + EVIL[2:],
    "nested in a zip": zipped({"a/b.bin": EVIL}),
    "nested in a deflated zip": zipped({"weights": EVIL}, zipfile.ZIP_DEFLATED),
    "a zip in a zip": zipped({"inner.zip": zipped({"x": EVIL})}),
    "a torch zip": zipped({"archive/data.pkl": EVIL, "archive/data/0": b"\0" * 64}),
    "a torch zip with a bad checksum": bytes(_BAD_CRC),
    "a torch zip that says it is encrypted": bytes(_FLAGGED),
    "a zip behind a pickle": pickle.dumps({"a": 1}) + zipped({"archive/data.pkl": EVIL}),
    "nested in a tar": tarred({"model/x.pkl": EVIL}),
    "a tar in gzip": gzip.compress(tarred({"model/x": EVIL})),
    "gzip": gzip.compress(EVIL),
    "bzip2": bz2.compress(EVIL),
    "xz": lzma.compress(EVIL),
    "lzma": lzma.compress(EVIL, lzma.FORMAT_ALONE),
    "zlib, as joblib packs": zlib.compress(EVIL),
    "zlib in zlib": zlib.compress(zlib.compress(EVIL)),
    "an array of objects": npy(EVIL),
    "an archive of arrays": zipped({"x.npy": npy(EVIL)}),
    "joblib's array of objects": joblib_array("O8", 1, EVIL),
    "opcodes behind joblib's array": joblib_array("u1", 9, b"123456789", b"cos\nsystem\n(S'true'\ntR."),
    "a global in a persistent id": b"\x80\x02(U\x07storagecos\nsystem\nU\x010U\x03cpuK\x01tQ.",
    "a call in a persistent id": b"\x80\x02" + calls("os", "system")[:-1] + b"Q.",
    "getattr": b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\nU\x02os\x85RU\x06system\x86R.",
    "a name joined by a call": b"\x80\x04" + short("os") + short("builtins") + short("str.join") + b"\x93" + short("")
    + b"(" + short("sys") + short("tem") + b"t\x86R\x93" + short(COMMAND) + b"\x85R.",
    "a name out of a dict": b"\x80\x04}" + short("k") + short("os") + b"s\x8c\x02os\x94" + short("system") + b"\x93"
    + short(COMMAND) + b"\x85R.",
    "build with the state of an instance": b"\x80\x02ccollections\nOrderedDict\n)R}U\x01a" + calls("os", "system")[:-1] + b"sb.",
    "newobj, protocol 4": b"\x80\x04" + short("subprocess") + short("Popen") + b"\x93" + short("true") + b"\x85\x81.",
    "a keyed call, protocol 5": b"\x80\x05" + short("functools") + short("partial") + b"\x93" + stack_global("os", "system")[2:-4]
    + b"\x85R.",
    "an extension of two bytes": b"\x80\x02\x83\x01\x01)R.",
    "an extension of four bytes": b"\x80\x02\x84\x01\0\0\0)R.",
    "PyTorch's old format": b"".join(pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    + reduced(2) + pickle.dumps([], 2),
    "PyTorch's oldest format, a tar": tarred({"sys_info": pickle.dumps({}), "storages": EVIL, "tensors": b"", "pickle": b""}),
    "truncated within a frame": b"\x80\x04\x95\x40\0\0\0\0\0\0\0" + stack_global("os", "system")[2:-1],
    "an array of objects in a torch zip": zipped({"archive/data/0": npy(EVIL)}),
    "an array of objects, shaped": npy(EVIL, "(2, 2)"),
    "a tar whose first name is opcodes": tar_and_pickle(calls("os", "system")),
    "a frame that zstandard skips": skipped_and_pickle(calls("os", "system")),
    "a frame with a line": skipped_and_pickle(calls("os", "system"), b"V"),
    "MessagePack whose beginning is a text": thinc_and_pickle(calls("os", "system")),
    "a zip in the bytes of a pickle": zip_and_pickle(calls("os", "system")),
    "a tensor's bytes": loaded(torch_old(calls("os", "system")[:-1])),
    "a tensor's bytes, as a text": loaded(torch_old(calls("os", "system")[:-1]), 2),
    "a tensor's bytes, a zip": loaded(zipped({"archive/data.pkl": EVIL, "archive/data/0": bytes(64)})),
    "a tensor's bytes in a tensor's bytes": loaded(torch_old(loaded(torch_old(calls("os", "system")[:-1]))[2:-1])),
    "a tensor's bytes, packed": gzip.compress(loaded(torch_old(calls("os", "system")[:-1]))),
    "a tensor's bytes in a pickle without an end": loaded(torch_old(calls("os", "system")[:-1]), 2)[2:-1],
    "opcodes in joblib's array": joblib_array("u1", 24, b"cos\nsystem\n(S'true'\ntR0N", padding=b"N" + b"0N" * 39),
}  # fmt: skip

_PLAIN = pickle.dumps({"a": 1})

BEHIND: dict[str, bytes] = {
    "a pickle of protocol 0": _PLAIN + calls("os", "system"),
    "one of protocol 0 behind one of protocol 0": b"N." + calls("os", "system"),
    "the 67th": _PLAIN * 66 + EVIL,
    "one behind joblib's array": joblib_array("u1", 3, b"abc") + EVIL,
    "one behind padding": _PLAIN + bytes(5) + EVIL,
    "an array of objects behind a pickle without a header": b"(lp0\n." + npy(EVIL),
    "one behind numpy's array": npy(bytes(8), descr="'<f8'") + EVIL,
    "one in an array behind a pickle": _PLAIN + joblib_array("O8", 1, EVIL),
    "an array that a plain reader takes for opcodes, behind one": joblib_array(
        "u1", 3, b"N0N", padding=b"N" + b"0N" * 39
    )
    + joblib_array("u1", 24, b"cos\nsystem\n(S'true'\ntR0N", padding=b"N" + b"0N" * 39),
    "a zip behind something, in a member of a zip": zipped({"notes.txt": b"text " * 99 + zipped({"a.pkl": EVIL})}),
    "the same in a packed member": zipped({"notes.txt": b"text " * 99 + zipped({"a.pkl": EVIL})}, zipfile.ZIP_DEFLATED),
    "the same in a tar": tarred({"notes.txt": b"text " * 99 + zipped({"a.pkl": EVIL})}),
    "the same behind an array of objects": zipped({"a.npy": npy(b"N0P" + zipped({"a.pkl": EVIL}) + b"\nN.")}),
}
"""Attacks behind something that is read to its end."""


def safetensors_and_pickle(code: bytes) -> bytes:
    """A whole safetensors file that is a pickle, too: the length of its header begins as a text, in the header begins a line, and the opcodes
    stand where the tensors are."""
    reach = 240
    size = 0x8C | reach << 8  # SHORT_BINUNICODE, whose text reaches into the header
    first = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]},"__metadata__":{"x":"' % (len(code), len(code))
    header = first.ljust(reach + 2 - 8) + b"V"  # UNICODE, up to the end of the line
    last = b'"\n}}'
    return size.to_bytes(8, "little") + header.ljust(size - len(last)) + last + code
