"""The user that a container runs as: a name of the image turned into numbers, by the image's own passwd and group files."""

from __future__ import annotations

from modelcrate.images.root_folder import ContainerRoot
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

MAX_PASSWD = 1 << 20
"""The size in bytes that /etc/passwd and /etc/group may have."""

_MAX_ID = (1 << 32) - 2
_MAX_HOME = 4096
_NUMBER = compile_later(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Identity:
    """A user and a group by number, and the user's home where the image knows it. Supplementary groups there are none."""

    uid: int
    gid: int
    home: str = ""


def identify(root: ContainerRoot, user: str) -> Identity:
    """Looks a user up: `user`, `uid`, `user:group` or `uid:gid` (image-spec config.md, `User`); nothing means root.

    A user alone brings its group from /etc/passwd, or 0 where it is a number that stands in no line.

    Raises:
        UserError: the image has no such user or group.
        IntegrityError: one of the two files is not a plain file of moderate size, or holds something else than a number. The runtimes read
            these files too, so they are checked even where the user is a number.
    """
    users, groups = _lines(root, b"passwd", 6), _lines(root, b"group", 3)
    name, colon, group = (user or "0").partition(":")
    found = next((line for line in users if name in (line[0], line[2])), None)
    if found is None and not _is_number(name):
        raise UserError(f"the image has no user {name[:40]!r}", hint="use a number, as UID or UID:GID")
    uid = _number(found[2], _PASSWD) if found else _wished(name)
    home = _home(found[5]) if found else ""
    if not colon:
        return Identity(uid, _number(found[3], _PASSWD) if found else 0, home)
    if _is_number(group):
        return Identity(uid, _wished(group), home)
    line = next((line for line in groups if line[0] == group), None)
    if line is None:
        raise UserError(f"the image has no group {group[:40]!r}", hint="use a number, as UID:GID")
    return Identity(uid, _number(line[2], "/etc/group of the image"), home)


_PASSWD = "/etc/passwd of the image"  # noqa: S105 - a file


def _lines(root: ContainerRoot, name: bytes, least: int) -> list[list[str]]:
    data = root.read((b"etc", name), MAX_PASSWD) or b""
    lines = [line.split(":") for line in data.decode("utf-8", "surrogateescape").split("\n")]
    return [fields for fields in lines if len(fields) >= least]


def _home(text: str) -> str:
    """The home where programs can use it: HOME is no place for half a character or a NUL."""
    usable = text.startswith("/") and "\0" not in text and len(text) <= _MAX_HOME
    return text if usable and not any("\ud800" <= each <= "\udfff" for each in text) else ""


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _wished(text: str) -> int:
    if int(text) > _MAX_ID:
        raise UserError(f"not the number of a user or group: {text}", hint=f"the largest is {_MAX_ID}")
    return int(text)


def _number(text: str, where: str) -> int:
    if not _is_number(text) or int(text) > _MAX_ID:
        raise IntegrityError(f"not the number of a user or group: {text[:40]!r}", where=where)
    return int(text)
