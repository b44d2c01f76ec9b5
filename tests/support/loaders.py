"""Loads files as their users would, in processes that end at the first thing that they do. A program of its own: it imports nothing of ours.

    python loaders.py FOLDER

For each file of the folder a forked child tries every loader that is installed, one after another. An audit hook (PEP 578) watches it:
what starts a program, runs a text, writes, deletes or connects is not done, but the child ends with a code that says so. The names of the
files whose children ended so are printed, as JSON. Nothing else is ever touched.
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
from types import CodeType
from typing import BinaryIO

ACTED = 77
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
    global watching
    with suppress(ImportError):
        import joblib
        import numpy.lib.npyio
        import numpy.testing  # noqa: F401 - importing it makes classes out of texts, which is no act of a file

        joblib.load  # noqa: B018
    with suppress(ImportError):
        import pandas  # noqa: F401 - as above
    sys.addaudithook(hook)
    acted = []
    for path in sorted(Path(folder).iterdir()):
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
            signal.alarm(20)
            quiet = os.open(os.devnull, os.O_RDWR)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            watching = True
            with suppress(BaseException):
                load(path.read_bytes())
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ACTED:
            acted.append(path.name)
    print(json.dumps(acted))


if __name__ == "__main__":
    main(sys.argv[1])
