"""The content-type field, and the parts of a multipart body (RFC 7578).

Python's own module for this, `cgi`, was removed in 3.13.
"""

from __future__ import annotations

import io
import shutil
from os import PathLike
from typing import BinaryIO

from .headers import MultiDict

MAX_PARTS = 1000
"""As many as the original takes."""


class FormError(ValueError):
    """The body is not a form."""


class UploadedFile(io.BytesIO):
    """A file of a form: its field, its name as the client gave it, its type, and its bytes, as a file that libraries take."""

    def __init__(self, name: str, filename: str, content_type: str | None, body: bytes) -> None:
        super().__init__(body)
        self.name, self.filename, self.content_type = name, filename, content_type

    @property
    def stream(self) -> io.BytesIO:
        """The file itself."""
        return self

    @property
    def mimetype(self) -> str:
        """The type, without parameters."""
        return content_type_of(self.content_type)[0]

    def save(self, dst: str | PathLike[str] | BinaryIO, buffer_size: int = 16384) -> None:
        """Writes the file to the disk, or into another file.

        Args:
            dst: A path, or a file that is open for writing.
            buffer_size: Bytes that are copied at once.
        """
        if isinstance(dst, (str, PathLike)):
            with open(dst, "wb") as file:
                shutil.copyfileobj(self, file, buffer_size)
        else:
            shutil.copyfileobj(self, dst, buffer_size)


def content_type_of(field: str | None) -> tuple[str, dict[str, str]]:
    """Returns the type in lower case, and the parameters, of a content-type field."""
    if not field:
        return "", {}
    kind, _, parameters = field.partition(";")
    return kind.strip().lower(), _parameters(field) if parameters else {}


def parse_multipart(body: bytes, boundary: str) -> tuple[MultiDict, MultiDict]:
    """Returns the fields and the files of a multipart body.

    Raises:
        FormError: The body is not multipart.
    """
    if not boundary:
        raise FormError("a multipart body without a boundary")
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, UploadedFile]] = []
    for part in _parts(body, b"--" + boundary.encode("latin-1", "replace")):
        head, gap, content = part.partition(b"\r\n\r\n")
        if not gap:
            raise FormError("a part without an empty line after its header fields")
        lines = dict(_field(line) for line in head.decode("utf-8", "replace").split("\r\n") if ":" in line)
        named = _parameters(lines.get("content-disposition", ""))
        if "filename" in named:
            name = named.get("name", "")
            files.append((name, UploadedFile(name, named["filename"], lines.get("content-type"), content)))
        else:
            fields.append((named.get("name", ""), content.decode("utf-8", "replace")))
    return MultiDict(fields), MultiDict(files)


def _parts(body: bytes, delimiter: bytes) -> list[bytes]:
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter, MAX_PARTS + 2)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--") or len(pieces) > MAX_PARTS + 2:
        raise FormError("a multipart body without an end, or with too many parts")
    return [piece[2:] for piece in pieces[1:-1]]


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _parameters(field: str) -> dict[str, str]:
    from email.message import Message  # late: a program that only reads what this server promises starts sooner

    message = Message()
    message["content-type"] = field.replace("\r", " ").replace("\n", " ")
    return {name.lower(): value for name, value in (message.get_params(failobj=[]) or [])[1:] if isinstance(value, str)}
