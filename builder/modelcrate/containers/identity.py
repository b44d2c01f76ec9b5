"""Who a container runs as: the image's words for a user turned into numbers, by the image's own passwd and group files."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.containers.inside import ContainerRoot
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

MAX_PASSWD = 1 << 20
"""Bytes of /etc/passwd and /etc/group that are read."""

_MAX_ID = (1 << 32) - 2


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and a group by number, and the user's home where the image knows it. Supplementary groups there are none."""

    uid: int
    gid: int
    home: str = ""


def identify(root: ContainerRoot, user: str) -> Identity:
    """`user`, `uid`, `user:group`, `uid:gid` (image-spec config.md, `User`); nothing means root.

    A user alone brings its group from /etc/passwd, or 0 where it is a number that stands in no line. UserError for an unknown name.
    """
    name, colon, group = (user or "0").partition(":")
    found = next((line for line in _lines(root, b"passwd", 6) if name in (line[0], line[2])), None)
    if found is None and not _is_number(name):
        raise UserError(f"the image has no user {name!r}", hint="use a number, as UID or UID:GID")
    uid = int(found[2]) if found and _is_number(found[2]) else _number(name)
    home = found[5] if found else ""
    if not colon:
        return Identity(uid, _number(found[3]) if found else 0, home)
    if _is_number(group):
        return Identity(uid, _number(group), home)
    line = next((line for line in _lines(root, b"group", 3) if line[0] == group), None)
    if line is None:
        raise UserError(f"the image has no group {group!r}", hint="use a number, as UID:GID")
    return Identity(uid, _number(line[2]), home)


def _lines(root: ContainerRoot, name: bytes, least: int) -> Iterator[list[str]]:
    data = root.read((b"etc", name), MAX_PASSWD) or b""
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) >= least:
            yield fields


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _number(text: str) -> int:
    if not (_is_number(text) and int(text) <= _MAX_ID):
        raise UserError(f"not the number of a user or group: {text[:40]!r}")
    return int(text)
