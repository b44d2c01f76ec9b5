"""Requirements that no index has, and lines that are no requirements: what each is, and the way out."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from modelcrate_layers.errors import UserError

_BUILD_MACHINES = re.compile(
    r"feedstock_root|/conda-bld/|/croot/|/tmp/build/|/home/conda/|/home/task_|/home/builder/|/perseverance-python"
)
"""Folders of the machines that build conda packages; `pip freeze` in a conda environment writes them."""


def is_wheel_url(url: str) -> bool:
    """Returns whether a URL is that of a wheel on a server."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    found = re.match(r"https?://[^?#]*/([^/?#]+\.whl)(#.*)?$", url)
    try:
        return found is not None and bool(parse_wheel_filename(unquote(found[1])))
    except InvalidWheelFilename:
        return False


def refuse_line(head: str, where: str, fault: Exception, folder: Path, shown: str) -> UserError:
    """Returns the fault of a line that is no requirement: a path, a URL without a name, conda's spelling, or a mistake.

    Args:
        head: The requirement.
        where: Its place.
        fault: What is wrong with it.
        folder: The folder of the file.
        shown: What the message may quote of it.
    """
    if shown != head:
        return UserError("not a requirement", where=where, why=_unquoted(shown))
    if re.match(r"[./~]|[a-z+]+://", head) or (folder != Path() and (folder / head).exists()):
        if is_wheel_url(head):
            name = head.rsplit("/", 1)[-1].split("-")[0]
            return UserError(
                f"a URL without a package's name: {_mask(head)[:200]!r}", where=where, hint=f"write {name} @ URL"
            )
        return refuse_source(head, where)
    why = str(fault).splitlines()[0] if str(fault) else ""
    conda = re.fullmatch(r"([A-Za-z0-9._-]+)=([0-9][\w.*+!]*)(=\w+)?", head)
    hint = f"this is conda's spelling; write {conda[1]}=={conda[2]}" if conda else ""
    return UserError(f"not a requirement: {_mask(head)[:200]!r}", where=where, why=_mask(why), hint=hint)


def refuse_source(text: str, where: str, shown: str | None = None) -> UserError:
    """Returns the refusal of a requirement that no index has: what it is, and the way out. `shown` is what the message may quote, by default all."""
    if shown is not None and shown != text:
        return UserError("not a package of an index", where=where, why=_unquoted(shown))
    name = re.split(r"[ @\[;<>=!~]", text.strip())[0]
    if _BUILD_MACHINES.search(text):
        return UserError(
            f"the place of a conda package on the machine that built it: {_mask(text)[:200]!r}",
            where=where,
            why="pip freeze in a conda environment writes such lines; that folder exists nowhere else",
            hint=f"write {name}==VERSION instead, as `pip list --format=freeze` prints it",
        )
    plain = name if re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) and "@" in text else "its NAME"
    house = f"write {plain} in its place, and name the folder of the wheel: dependencies: {{requirements: FILE, wheelhouse: wheels, index-url: URL}}"
    if re.search(r"\b(git|hg|svn|bzr)\+", text):
        kind, way = (
            "a version control address",
            f"build it once: pip wheel --no-deps -w wheels {_mask(text)[:120]!r}; {house}",
        )
    elif re.match(r"(\S+\s*@\s*)?https?://", text):
        kind, way = "an address of something that is not a wheel", f"build it as a wheel; {house}"
    elif text.strip() in (".", "./"):
        kind, way = (
            "the project itself",
            "leave the line out; the entry's source folder takes the project's own modules along",
        )
    else:
        kind, way = "a path on this machine", f"build it as a wheel; {house}"
    return UserError(
        f"not a package of an index but {kind}: {_mask(text)[:200]!r}",
        where=where,
        why="nothing is built from source, and a lock names wheels by name, version, file name and hash, so that any index can serve them",
        hint=way,
    )


def _unquoted(shown: str) -> str:
    """Returns the reason for which a line is not quoted as it was read."""
    if not shown:
        return "the line is not shown, because its file lies outside of the project"
    return f"with its variables filled in: {_mask(shown)[:200]!r}"


def _mask(text: str) -> str:
    """Returns the text without the user and password of its URLs."""
    return re.sub(r"(?<=//)[^/@\s]+@", "", text)
