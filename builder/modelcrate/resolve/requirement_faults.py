"""Requirements that no index has, and lines that are no requirements: what each is, and the way out."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from modelcrate.net.urls import local_path
from modelcrate_layers.errors import UserError
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.patterns import compile_later

WHEELHOUSE = "dependencies: {requirements: FILE, wheelhouse: wheels, index-url: URL}"
"""What a project file says for wheels that no index has, beside those of an index."""

_NOT_BUILT = "nothing is built from source, and a lock names wheels by name, version, file name and hash, so that any index can serve them"

_MAX_SEARCHED = 64 << 20

_BUILD_MACHINES = compile_later(
    r"feedstock_root|/conda-bld/|/croot/|/tmp/build/|/home/conda/|/home/task_|/home/builder/|/perseverance-python"
)
"""Folders of the machines that build conda packages; `pip freeze` in a conda environment writes them."""


_SPELLINGS = {
    r"([A-Za-z0-9._-]+)=([0-9][\w.*+!]*)(=\w+)?": r"this is conda's spelling; write \1==\2",
    r"([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*\^\s*([0-9][\w.]*)": r"this is Poetry's spelling; write \1>=\2 and the version below which it is to stay",
    r"([A-Za-z0-9._-]+)\s*(?:==|@|:)\s*(?:latest|stable|\*)": r"write \1 alone for its newest version",
    r"([A-Za-z0-9._-]+)\s*[\s@:]\s*v?([0-9][\w.]*)": r"write \1==\2",
}
"""How others write a requirement, and what is meant."""


def is_wheel_url(url: str) -> bool:
    """Returns whether a URL is that of a wheel on a server."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    found = re.match(r"https?://[^?#]*/([^/?#]+\.whl)(#.*)?$", url)
    try:
        return found is not None and bool(parse_wheel_filename(unquote(found[1])))
    except InvalidWheelFilename:
        return False


def named_wheel(head: str, folder: Path | None, foreign: bool) -> tuple[str, str]:
    """Returns a requirement that is the address or the path of a wheel as NAME @ URL, as pip understands it, and the URL.

    Any other requirement is returned as it is, with an empty URL.

    Args:
        head: The requirement.
        folder: Where paths begin; None where none is followed.
        foreign: Whether this is somebody else's project. None of its paths is followed; its wheel becomes NAME==VERSION, and
            the lock beside it has the hash.
    """
    named = _AT.match(head)
    place, space, marker = (head[named.end() :] if named else head).partition(" ")
    bare = re.fullmatch(r"(.*\.whl)(\[[\w.,-]+\])?", place)
    place, extras = (bare[1], bare[2] or "") if bare and not named else (place, "")
    name, version = _name_and_version(place)
    told = named[1].strip() if named else f"{name}{extras}"
    if name and foreign and not is_wheel_url(place):
        return f"{told}=={version}{space}{marker}", ""
    url = place if is_wheel_url(place) else _local_wheel(place, folder) if name else ""
    return (f"{told} @ {url}{space}{marker}", url) if url else (head, "")


_AT = compile_later(r"([A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?)\s*@\s*")
"""What stands before the place in NAME @ PLACE."""


def _name_and_version(place: str) -> tuple[str, str]:
    """Returns what the file name of a wheel tells; nothing for anything else."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    filename = unquote(re.split(r"[#?]", place)[0].rpartition("/")[2])
    try:
        return filename.partition("-")[0], str(parse_wheel_filename(filename)[1])
    except InvalidWheelFilename:
        return "", ""


def _local_wheel(place: str, folder: Path | None) -> str:
    """Returns the URL of a wheel that is on this machine; empty where it is not."""
    if folder is None or re.match(r"(?!file:)[a-z+]+:", place):
        return ""
    path = local_path(place) if place.startswith("file:/") else Path(place.removeprefix("file:"))
    wheel = Path(os.path.normpath(folder.absolute() / path))
    return wheel.as_uri() if wheel.is_file() else ""


def is_place(head: str, folder: Path = Path()) -> bool:
    """Returns whether a line names a place: a path (of Windows, too), a file of a package, or an address."""
    return (
        re.match(r"[./~\\]|[a-z+]+://|[A-Za-z]:[\\/]", head) is not None
        or re.search(r"\.(whl|tar\.gz|tar\.bz2|zip)$", head.partition(";")[0].strip()) is not None
        or (folder != Path() and (folder / head).exists())
    )


def refuse_line(head: str, where: str, fault: Exception, folder: Path, shown: str) -> UserError:
    """Returns the fault of a line that is no requirement: a path, conda's spelling, or a mistake.

    Args:
        head: The requirement.
        where: Its place.
        fault: What is wrong with it.
        folder: The folder of the file.
        shown: What the message may quote of it.
    """
    if shown != head:
        return UserError("not a requirement", where=where, why=_unquoted(shown))
    if is_place(head, folder):
        return refuse_source(head, where)
    why = str(fault).splitlines()[0] if str(fault) else ""
    matches = ((re.fullmatch(spelling, head), hint) for spelling, hint in _SPELLINGS.items())
    hint = next((match.expand(hint) for match, hint in matches if match), "")
    return UserError(f"not a requirement: {mask(head)[:200]!r}", where=where, why=mask(why), hint=hint)


def refuse_source(text: str, where: str, shown: str | None = None) -> UserError:
    """Returns the refusal of a requirement that no index has: what it is, and the way out. `shown` is what the message may quote, by default all."""
    if shown is not None and shown != text:
        return UserError("not a package of an index", where=where, why=_unquoted(shown))
    if _BUILD_MACHINES.search(text):
        name = re.split(r"[ @\[;<>=!~]", text.strip())[0]
        return UserError(
            f"the place of a conda package on the machine that built it: {mask(text)[:200]!r}",
            where=where,
            why="pip freeze in a conda environment writes such lines; that folder exists nowhere else",
            hint=f"write {name}==VERSION instead, as `pip list --format=freeze` prints it",
        )
    house = f"write {_meant(text)} in its place, and name the folder of the wheel: {WHEELHOUSE}"
    if re.search(r"\b(git|hg|svn|bzr)\+", text):
        kind, way = (
            "a version control address",
            f"build it once: pip wheel --no-deps -w wheels {_word(text)}; {house}",
        )
    elif re.match(r"(\S+\s*@\s*)?https?://", text):
        kind = "an address of something that is not a wheel"
        way = f"build it once: pip wheel --no-deps -w wheels {_word(text)}; {house}"
    elif re.split(r"[\[;]", text.strip())[0].strip() in (".", "./"):
        kind = "the project itself"
        way = "leave the line out: the entry's source folder takes the project's own modules along"
        way += ", and dependencies: {requirements: FILE, project: true} builds and installs its package"
    elif text.partition(";")[0].strip().endswith(".whl"):
        kind, way = "a wheel on this machine", f"is it there, under its whole file name? Or {house}"
    else:
        kind, way = "a path on this machine", f"build it as a wheel; {house}"
    return UserError(
        f"not a package of an index but {kind}: {mask(text)[:200]!r}", where=where, why=_NOT_BUILT, hint=way
    )


def _word(text: str) -> str:
    """Returns a requirement as a word of a command. One that is too long to be shown whole would not work, and is named only."""
    shown = mask(text)
    return repr(shown) if len(shown) <= 500 else "'REQUIREMENT'"


def _unquoted(shown: str) -> str:
    """Returns the reason for which a line is not quoted as it was read."""
    if not shown:
        return "the line is not shown, because its file lies outside of the project"
    return f"with its variables filled in: {mask(shown)[:200]!r}"


def refuse_elsewhere(name: str, source: str, where: str, again: str) -> UserError:
    """Returns the refusal of a package that a file takes from somewhere else than an index.

    Args:
        name: The package.
        source: Where it comes from, as the file has it; passwords are left out of the message.
        where: The file, and the line where it is known.
        again: What to do in the file, once there is a wheel.
    """
    return UserError(
        f"{name} is not from an index: {mask(source)[:200]}",
        where=where,
        why="nothing is built from source",
        hint=f"build it as a wheel once (pip wheel --no-deps -w wheels ...), put it on an index or into a wheelhouse, and {again}",
    )


def place_of(file: str, name: str) -> str:
    """Returns a file with the line in which a lock or a project names a package; the file alone where no line does."""
    try:
        with open_named_file(Path(file)) as handle:
            text = handle.read(_MAX_SEARCHED).decode("utf-8", "replace")
    except (OSError, ValueError):
        return file
    spelt = "[-_.]+".join(map(re.escape, re.split(r"[-_.]+", name)))
    patterns = (
        rf"^\s*name\s*=\s*[\"']{spelt}[\"']",  # TOML of locks
        rf"^\s*[\"']?{spelt}[\"']?\s*[=:]\s*[\[{{\"']",  # a key: pyproject.toml, Pipfile.lock
        rf"^[\s\"'-]*{spelt}\s*([\[<>=!~;@\"'#,]|$)",  # a requirement
    )
    for pattern in patterns:
        if found := re.search(pattern, text, re.MULTILINE | re.IGNORECASE):
            return f"{file}:{text.count(chr(10), 0, found.start() + len(found[0]) - len(found[0].lstrip())) + 1}"
    return file


def mask(text: str) -> str:
    """Returns the text without the user and password of its URLs."""
    return re.sub(r"(?<=//)(?!git@)[^/@\s]+@", "", text)


def _meant(text: str) -> str:
    """Returns the requirement that a line with a place stands for, as far as it tells."""
    named = re.match(r"([A-Za-z0-9][\w.-]*(\[[^\]]*\])?)\s*@", text.strip())
    if named:
        return named[1]
    if egg := re.search(r"#(?:.*&)?egg=([A-Za-z0-9][\w.-]*)", text):
        return egg[1]
    last = re.split(r"[/\\]", re.split(r"[#;?]", text)[0].strip().rstrip("/"))[-1]
    if wheel := re.match(r"([A-Za-z0-9][\w.]*)-([0-9][\w.!+]*)-.*\.whl$", unquote(last)):
        return f"{wheel[1].replace('_', '-')}=={wheel[2]}"
    if re.search(r"\b(git|hg|svn|bzr)\+", text) and re.fullmatch(r"[A-Za-z][\w.-]*(@.*)?", last):
        return last.partition("@")[0].removesuffix(".git")
    return "its NAME"
