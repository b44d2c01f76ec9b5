"""Loads files as their users would, in processes that end at the first thing that they do. A program of its own: it imports nothing of ours.

    python loaders.py FOLDER

Forked children try every loader that is installed on the files of the folder, one after another. An audit hook (PEP 578) watches them:
what starts a program, runs a text, writes, deletes or connects is not done, but the child ends with a code that says so, and the next
child goes on behind that file. The names of the files at which children ended so are printed, as JSON. Nothing else is ever touched.
"""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from types import CodeType, ModuleType
from typing import BinaryIO, NoReturn

ACTED = 77
TOGETHER = 200
"""Files that one child loads. What one of them leaves behind in the process doesn't outlive so many."""

EVENTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn", "shutil.", "os.remove", "os.rename",
          "os.mkdir", "os.rmdir", "os.chmod", "os.link", "os.symlink", "os.truncate", "socket.connect", "socket.bind", "urllib.Request",
          "webbrowser.open", "ctypes.dlopen", "os.putenv", "os.kill", "builtins.input")  # fmt: skip
watching = False


def hook(event: str, arguments: tuple[object, ...]) -> None:
    if not watching:
        return
    acted = event.startswith(EVENTS)
    if event == "open" and isinstance(arguments[1], str):
        acted = bool(set(arguments[1]) & set("wax+"))
    if event == "exec" and isinstance(arguments[0], CodeType):
        acted = arguments[0].co_filename.startswith("<") and not arguments[0].co_filename.startswith("<frozen")
    if event == "compile":
        acted = isinstance(arguments[1], str) and arguments[1] == "<string>"
    if acted:
        os._exit(ACTED)


def again(read: Callable[[BinaryIO], object], data: bytes) -> None:
    """Calls a loader until the file ends or the loader gets no further."""
    file = BufferedReader(BytesIO(data))  # type: ignore[arg-type]
    at = -1
    with suppress(Exception):
        while at < file.tell() < len(data):
            at = file.tell()
            read(file)


def stand_in_for_torch() -> None:
    """Puts something in the place of PyTorch, which is large: it loads the bytes of a tensor as PyTorch does (torch/serialization.py)."""
    with suppress(ImportError):
        import torch  # noqa: F401

        return
    kept = ModuleType("torch.storage")
    kept._load_from_bytes = torch_load  # type: ignore[attr-defined]
    sys.modules["torch"], sys.modules["torch.storage"] = ModuleType("torch"), kept


def torch_load(data: bytes) -> object:
    """The pickle in a zip, or five pickles in a row, of which the fourth may ask for storages."""
    file = BytesIO(data)
    if data.startswith(b"PK\3\4"):
        with zipfile.ZipFile(file) as archive:
            return Storages(BytesIO(archive.read(f"{archive.namelist()[0].partition('/')[0]}/data.pkl"))).load()
    first = [pickle.load(file) for _ in range(3)]
    found = Storages(file).load() if first[0] == 0x1950A86A20F9469CFC6C else None
    pickle.load(file)
    return found


class Storages(pickle.Unpickler):
    def persistent_load(self, number: object) -> object:
        return None


def load(data: bytes, depth: int = 0) -> None:
    """Every way in which such a file is loaded; members of archives as well, as PyTorch and users that unpack them do."""
    again(pickle.load, data)
    with suppress(Exception):
        pickle._Unpickler(BytesIO(data)).load()  # type: ignore[attr-defined]
    with suppress(ImportError):
        import joblib

        again(joblib.load, data)
    with suppress(ImportError):
        import numpy as np

        again(
            lambda file: [
                each
                for found in [np.load(file, allow_pickle=True)]
                for each in getattr(found, "files", ())
                if found[each]
            ],
            data,
        )
    members: list[bytes] = []
    with suppress(Exception), zipfile.ZipFile(BytesIO(data)) as archive:
        for info in archive.infolist():
            info.flag_bits &= ~1  # PyTorch ignores the flag of encryption, and wrong checksums
            with suppress(Exception), archive.open(info) as file:
                file._expected_crc = None  # type: ignore[attr-defined]
                members.append(file.read())
    for mode in ("r:", "r:gz"):
        with suppress(Exception), tarfile.open(fileobj=BytesIO(data), mode=mode) as archive:  # type: ignore[call-overload]
            members += [archive.extractfile(each).read() for each in archive if each.isreg()]
    if depth < 3:
        for member in members:
            load(member, depth + 1)


def main(folder: str) -> None:
    with suppress(ImportError):
        import joblib
        import numpy.f2py.crackfortran
        import numpy.lib.npyio
        import numpy.testing  # noqa: F401 - importing these makes classes out of texts, which is no act of a file

        joblib.load  # noqa: B018
    with suppress(ImportError):
        import pandas  # noqa: F401 - as above
    stand_in_for_torch()
    sys.addaudithook(hook)
    paths = sorted(Path(folder).iterdir())
    acted, at = [], 0
    while at < len(paths):
        code, at = batch(paths, at)
        if code == ACTED:
            acted.append(paths[at - 1].name)
    print(json.dumps(acted))


def batch(paths: list[Path], start: int) -> tuple[int, int]:
    """Loads files in one child, up to the first that acts, hangs or crashes, and returns how it ended, and where the next one begins."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        one_after_another(paths[start : start + TOGETHER], write)
    os.close(write)
    with open(read, "rb") as told:
        begun = len(told.read())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), start + max(1, begun)


def one_after_another(paths: list[Path], told: int) -> NoReturn:
    """The child: it tells of each file that it begins with a byte."""
    global watching
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(quiet, descriptor)
    for path in paths:
        watching = False
        data = path.read_bytes()
        signal.setitimer(signal.ITIMER_PROF, 5)  # of processor time; its signal ends the process
        signal.alarm(60)
        os.write(told, b".")
        watching = True
        with suppress(BaseException):
            load(data)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
