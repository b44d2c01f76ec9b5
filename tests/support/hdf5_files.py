"""Small HDF5 files by hand (superblock of version 2, object headers of version 2), and others by h5py when this is run as a program.

    python hdf5_files.py FOLDER

writes files whose names begin with `ok` or `bad`. As a program it imports nothing of ours.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

UNDEFINED = b"\xff" * 8
ROOT = 48


def hdf5(*messages: tuple[int, bytes], more: bytes = b"") -> bytes:
    """A file whose root group has these messages; `more` stands behind it."""
    body = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in messages)
    root = b"OHDR\x02\x02" + struct.pack("<I", len(body)) + body + bytes(4)
    end = ROOT + len(root) + len(more)
    return b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00" + bytes(8) + UNDEFINED + struct.pack("<QQI", end, ROOT, 0) + root + more


def attribute(name: str, text: bytes) -> tuple[int, bytes]:
    """An attribute that is a text of a fixed length."""
    kind = b"\x13\x00\x00\x00" + struct.pack("<I", len(text))
    space = b"\x02\x00\x00\x00"
    sizes = struct.pack("<BBHHHB", 3, 0, len(name) + 1, len(kind), len(space), 0)
    return 0x0C, sizes + name.encode() + b"\0" + kind + space + text


def external_link(file: bytes) -> tuple[int, bytes]:
    """A link to a path in another file."""
    value = b"\0" + file + b"\0/x\0"
    return 0x06, b"\x01\x08\x40\x01a" + struct.pack("<H", len(value)) + value


def hard_link(address: int) -> tuple[int, bytes]:
    """A link to an object."""
    return 0x06, b"\x01\x00\x01a" + struct.pack("<Q", address)


VIRTUAL = (0x08, b"\x04\x03" + bytes(12))
PLUGIN = (0x0B, b"\x02\x01" + struct.pack("<HHHH", 32015, 0, 0, 0))
DEFLATE = (0x0B, b"\x02\x01" + struct.pack("<HHHI", 1, 0, 1, 4))


def keras(*layers: dict[str, Any]) -> bytes:
    """A configuration."""
    return json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}).encode()


DENSE = {"class_name": "Dense", "config": {"units": 1, "activation": "relu"}}
LAMBDA = {"class_name": "Lambda", "config": {"function": ["4wAA", None, None], "function_type": "lambda"}}
SYSTEM = {"module": "keras.layers", "class_name": "Activation", "config": {"activation": {
    "module": "os", "class_name": "function", "config": "system", "registered_name": "system"}}}  # fmt: skip
WRITES = {"class_name": "TFOpLambda", "config": {"name": "x", "function": "io.write_file"}}
ADDS = {"class_name": "TFOpLambda", "config": {"name": "x", "function": "math.add"}}


def write_all(folder: Path) -> None:
    """Files of h5py's, in all versions of the format that it writes."""
    import h5py
    import numpy as np

    long = {**DENSE, "name": "n" * 300_000}
    for bounds in ("earliest", "latest", ("earliest", "v108"), ("v108", "v110"), ("v112", "latest")):
        tag = bounds if isinstance(bounds, str) else "-".join(bounds)
        for ordered in (False, True):
            texts = {"ok": keras(DENSE), "bad lambda": keras(DENSE, LAMBDA), "bad system": keras(SYSTEM)}
            texts |= {"bad escaped": keras(LAMBDA).replace(b"Lambda", b"\\u004cambda"), "bad long": keras(long, LAMBDA)}
            for name, text in texts.items():
                for kind in (text, text.decode()):
                    path = folder / f"{name} {tag} {ordered} {type(kind).__name__}.h5"
                    with h5py.File(path, "w", libver=bounds, track_order=ordered) as file:
                        _model(file, kind, np)
    for count, notes in ((9, 9), (100, 40), (3000, 300)):
        for bounds in ("earliest", "latest"):
            for name in ("ok", "bad"):
                with h5py.File(folder / f"{name} many {count} {bounds}.h5", "w", libver=bounds) as file:
                    for number in range(count):
                        file.create_group(f"g{number:05}")
                    for number in range(min(notes, 100) if bounds == "earliest" else notes):
                        file.attrs[f"a{number}"] = "x" * 50
                    if name == "bad":
                        file["g00007"]["q"] = h5py.ExternalLink("/etc/passwd", "/x")
    for bounds in ("earliest", "latest"):
        with h5py.File(folder / f"bad raw {bounds}.h5", "w", libver=bounds) as file:
            file.create_group("g").create_dataset("d", shape=(10,), dtype="u1", external=[("/etc/passwd", 0, 10)])
        with h5py.File(folder / f"bad virtual {bounds}.h5", "w", libver=bounds) as file:
            layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
            layout[:] = h5py.VirtualSource("/etc/other.h5", "d", shape=(4,))
            file.create_virtual_dataset("v", layout)
        with h5py.File(folder / f"bad block {bounds}.h5", "w", libver=bounds, userblock_size=1024) as file:
            file.attrs["model_config"] = keras(LAMBDA)
        with h5py.File(folder / f"ok kinds {bounds}.h5", "w", libver=bounds) as file:
            _kinds(file, h5py, np)


def _model(file: Any, config: bytes | str, np: Any) -> None:
    file.attrs["keras_version"] = "2.15"
    file.attrs["model_config"] = config
    file.attrs["training_config"] = json.dumps({"loss": "mse"}).encode()
    weights = file.create_group("model_weights")
    for number in range(30):
        layer = weights.create_group(f"dense_{number}")
        layer.attrs["weight_names"] = np.array([b"kernel:0", b"bias:0"])
        layer.create_dataset("kernel:0", data=np.arange(12.0).reshape(3, 4))
        layer.create_dataset("bias:0", data=np.zeros(20), compression="gzip", chunks=(10,))


def _kinds(file: Any, h5py: Any, np: Any) -> None:
    kind = np.dtype([("x", "f4"), ("y", "S3")])
    file.create_dataset("d", data=np.arange(999), chunks=(100,), compression="lzf", shuffle=True, fletcher32=True)
    file.create_dataset("s", data=np.arange(999), chunks=(100,), scaleoffset=4)
    file.create_dataset("c", data=np.array(["a", "bb"], dtype=h5py.string_dtype()))
    file.create_dataset("z", data=np.zeros(10**5), chunks=True, maxshape=(None,))
    file.create_dataset("e", data=h5py.Empty("f4"))
    file["soft"], file["hard"], file["t"] = h5py.SoftLink("/d"), file["d"], kind
    file["beside"] = h5py.ExternalLink("part-2.h5", "/x")
    file.create_dataset("n", data=np.zeros(3, file["t"].dtype), dtype=file["t"])
    file["d"].attrs["reference"] = file["d"].ref
    file["d"].attrs.create("named", np.zeros(3, file["t"].dtype), dtype=file["t"])


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
