"""Small configuration files that a user named, and that may be missing."""

from __future__ import annotations

from pathlib import Path

from modelcrate_layers.named_file import open_named_file


def read_file(path: Path, limit: int) -> bytes:
    """Returns the bytes of a regular file, none where there is no such file.

    Raises:
        OSError: It can't be read, or is a fifo, a device or a folder.
        ValueError: It has more than `limit` bytes.
    """
    try:
        with open_named_file(path) as file:
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    if len(data) > limit:
        raise ValueError(f"more than {limit} bytes")
    return data
