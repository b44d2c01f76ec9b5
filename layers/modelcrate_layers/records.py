"""Small facts that are remembered between runs, each in a file of its own, and believed only where they were written.

A record is bound to its name and to this folder on this machine: a checksum covers the inode and the change time of a marker file in the
folder, which can't be known beforehand. So a damaged record, one that was renamed, and one that came with a copy of the folder (a
cache of a CI service, which others may have written) are no records, and cost a build some time and nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from modelcrate_layers import host
from modelcrate_layers.atomic import clear, locked_folder, remove, write_unsynced
from modelcrate_layers.named_file import open_named_file

MARKER = ".machine"
"""The empty file whose inode and change time stand for the folder."""


def read_record(folder: Path, name: str) -> bytes | None:
    """Returns the record of a name; None where it is missing or not valid."""
    with suppress(OSError):
        with open_named_file(folder / name) as file:
            checksum, _, data = file.read().partition(b"\n")
        if checksum == _checksum(folder, name, data):
            return data
    return None


def write_record(folder: Path, name: str, data: bytes) -> None:
    """Remembers something. It is not synced: a record that a crash has cut is no record.

    Raises:
        OSError: The folder can't be written.
    """
    path = folder / name
    try:
        write_unsynced(path, _checksum(folder, name, data) + b"\n" + data)
    except OSError:  # the first record, or something else is in the marker's place
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(folder / MARKER)
        os.close(host.open_lock(folder / MARKER, 0o644))
        write_unsynced(path, _checksum(folder, name, data) + b"\n" + data)


def claim_folder(folder: Path) -> None:
    """Empties a folder that another machine has written, such as one that came with a copy of the cache, and makes it if it is missing.

    Raises:
        OSError: It can't be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked_folder(folder.parent):
        if read_record(folder, "claimed") is None:
            remove(folder)
            write_record(folder, "claimed", b"")


def _checksum(folder: Path, name: str, data: bytes) -> bytes:
    status = os.lstat(folder / MARKER)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(folder / MARKER))
    bound = f"{status.st_ino} {status.st_ctime_ns} {name}\n".encode()
    return sha256(bound + data).hexdigest().encode()
