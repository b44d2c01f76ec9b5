"""What the tables of eStargz and zstd:chunked say alike of an entry: both have the form of CRFS (stargz-snapshotter, docs/estargz.md)."""

from __future__ import annotations

from typing import Any

from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar.tree import Entry, Kind, show

_MODIFIED = "1980-01-01T00:00:01Z"
"""`writer.MTIME`, as RFC 3339 has it."""

KINDS = {
    b"0": "reg",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "char",
    b"4": "block",
    b"5": "dir",
    b"6": "fifo",
}
"""How tables, those for soci-snapshotter among them, call what an entry is, by its type flag (POSIX ustar)."""


def describe(entry: Entry) -> dict[str, Any]:
    """Returns what a table says of an entry, but for its bytes.

    Raises:
        SourceError: A name is no UTF-8, as JSON is.
    """
    try:
        name, target = entry.path.decode(), entry.link.decode()
    except UnicodeDecodeError:
        raise SourceError(
            f"{show(entry.path)} has a name that is no UTF-8, as the table of its layer is",
            hint="set a codec without a table for these layers: codec: {dependencies: auto-gzip} instead of estargz, zstd instead of zstd:chunked",
        ) from None
    line: dict[str, Any] = {
        "type": KINDS[entry.kind.value],
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "modtime": _MODIFIED,
    }
    line["name"] = name + "/" * (entry.kind is Kind.DIRECTORY)
    if target:
        line["linkName"] = target
    return line
