"""The lines of requirements files: decoded as pip decodes them, joined where they go on, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modelcrate_layers.errors import UserError, unreadable
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.patterns import compile_later

MAX_FILE = 16 << 20
"""Bytes of a requirements file: a thousand packages with all their hashes have 2 MB."""

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Marks at the begin of a file; UTF-32 comes before UTF-16, whose mark is a prefix of its own. PowerShell's `>` writes UTF-16."""

_CODING = compile_later(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A logical line of a requirements file, or of another file with such lines, and where it began."""

    file: Path
    number: int
    text: str
    shown: str
    """What a message may quote: the text before variables are filled in, and nothing of a file outside of the project."""

    @property
    def where(self) -> str:
        """The file and the line."""
        return f"{self.file}:{self.number}"


def logical_lines(file: Path) -> Iterator[PlacedLine]:
    """Yields the lines of a requirements file, joined where a backslash continues them, without comments and empty ones."""
    start, before = 0, ""
    for number, line in enumerate([*read_text(file).splitlines(), ""], 1):
        start = start or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            before += line[:-1]
            continue
        text = re.sub(r"(^|\s)#.*$", "", before + line).strip()
        if text:
            yield PlacedLine(file, start, text, text)
        start, before = 0, ""


def read_text(path: Path, limit: int | None = None) -> str:
    """Returns the text of a file, decoded as pip does: by its mark, by a `coding:` comment in its first two lines, else UTF-8.

    Raises:
        SourceError: The file can't be read.
        UserError: It is too large, or is not text.
    """
    limit = MAX_FILE if limit is None else limit
    try:
        with open_named_file(path) as handle:
            data = handle.read(limit + 1)
    except OSError as fault:
        raise unreadable(fault, path) from None
    if len(data) > limit:
        raise UserError(
            f"has more than {limit} bytes",
            where=str(path),
            hint="a requirements file has one requirement a line; name the right file",
        )
    return decode(data, str(path))


def decode(data: bytes, where: str) -> str:
    """Returns the text of these bytes, by the same rules."""
    coding = next((name for mark, name in _BOMS if data.startswith(mark)), "")
    if not coding:
        named = next((found for line in data.split(b"\n")[:2] if (found := _CODING.match(line))), None)
        coding = named[1].decode() if named else "utf-8"
    try:
        return data.decode(coding).removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError):
        raise UserError(f"is not {coding.upper()}", where=where, hint="save the file as UTF-8") from None
