"""Requirements as people write them: lines, requirements files (with includes, constraints and hashes), or a pylock.toml.

uv resolves them; here they are looked through before, for faults that can be shown with their line, and for hashes, which
uv's resolution does not hold anybody to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelcrate_layers.errors import CrateError, SourceError, UserError

MAX_FILE = 16 << 20
"""Bytes of a requirements file: a thousand packages with all their hashes have 2 MB."""

MAX_FILES = 200
"""Files that may be included from one another."""

Hashes = Mapping[str, frozenset[str]]
"""By normalised name: the SHA-256, one of which its wheel must have."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is wanted: PEP 508 lines, requirements files, and one pylock.toml at most, all of them together."""

    lines: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    pylock: Path | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """A logical line of a requirements file, and where it began."""

    file: Path
    number: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.number}"


@dataclass(slots=True)
class _Found:
    """What the files say; filled while they are read, which is why it isn't frozen."""

    hashes: dict[str, set[str]] = field(default_factory=dict)
    faults: list[CrateError] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)


def check(requirements: Requirements) -> Hashes:
    """The hashes that the requirements demand. All faults of all lines and files are raised together, as a UserError."""
    found = _Found()
    for line in requirements.lines:
        _requirement(line, "dependencies", found)
    for file in requirements.files:
        _file(file, found)
    if len(found.faults) == 1:
        raise found.faults[0]
    if found.faults:
        raise UserError(f"{len(found.faults)} faults in the requirements", also=found.faults)
    return {name: frozenset(hashes) for name, hashes in found.hashes.items()}


def package_of(line: str) -> str:
    """The normalised name of the package that a line, which has been checked, is about."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return canonicalize_name(Requirement(_options(line)[0]).name)


def _options(text: str) -> list[str]:
    """The requirement itself, and each of its options (`--hash=...`)."""
    return re.split(r"\s+(?=--)", text.strip())


def _file(file: Path, found: _Found) -> None:
    if file.resolve() in found.seen:
        return
    found.seen.add(file.resolve())
    if len(found.seen) > MAX_FILES:
        raise UserError(f"more than {MAX_FILES} requirements files include one another", where=str(file))
    try:
        for line in _lines(file):
            _line(line, found)
    except CrateError as fault:
        found.faults.append(fault)


def _lines(file: Path) -> Iterator[_Line]:
    """Logical lines: continued by a backslash, without comments and empty ones (pip's requirements file format)."""
    try:
        with file.open("rb") as handle:
            data = handle.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=str(file)) from None
    except UnicodeDecodeError:
        raise UserError("is not UTF-8", where=str(file)) from None
    if len(data) > MAX_FILE:
        raise UserError(f"has more than {MAX_FILE} bytes", where=str(file))
    start, before = 0, ""
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            before += line[:-1]
            continue
        whole = re.sub(r"(^|\s)#.*$", "", before + line).strip()
        if whole:
            yield _Line(file, start, whole)
        start, before = 0, ""


def _line(line: _Line, found: _Found) -> None:
    if not line.text.startswith("-"):
        _requirement(line.text, line.where, found)
        return
    include = re.fullmatch(r"(?:-r|-c|--requirement|--constraint)[ =]?\s*(\S.*)", line.text)
    if include and "://" in include[1]:
        found.faults.append(UserError("includes a file from the network", where=line.where, hint="copy it here"))
    elif include:
        _file(line.file.parent / include[1].strip("\"'"), found)
    elif re.match(r"(-e|--editable)\b", line.text):
        found.faults.append(_not_a_wheel(line.text, line.where))


def _requirement(text: str, where: str, found: _Found) -> None:
    """A requirement with its options, `--hash` among them."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    head, *options = _options(text)
    try:
        requirement = Requirement(head)
    except InvalidRequirement as fault:
        why = str(fault).splitlines()[0] if str(fault) else ""
        found.faults.append(
            UserError(f"not a requirement: {_safe(head)[:200]!r}", where=where, why=_safe(why))
            if not re.match(r"[./]|[a-z+]+://", head)
            else _not_a_wheel(head, where)
        )
        return
    if requirement.url:
        found.faults.append(_not_a_wheel(head, where))
    if hashes := list(_hashes(options)):
        usable = {value for algorithm, value in hashes if algorithm == "sha256"}
        if not usable:
            found.faults.append(UserError(f"{requirement.name} has no sha256 among its hashes", where=where))
        found.hashes.setdefault(canonicalize_name(requirement.name), set()).update(usable)


def _hashes(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    for option in options:
        if match := re.fullmatch(r"--hash[= ]\s*([a-z0-9]+):([0-9a-fA-F]+)", option.strip()):
            yield match[1], match[2].lower()


def _not_a_wheel(text: str, where: str) -> UserError:
    return UserError(
        f"not a package of an index: {_safe(text)[:200]!r}",
        where=where,
        why="a lock names wheels by name, version, file name and hash, so that any index can serve them",
        hint="build it as a wheel, put that into a folder, and name the folder as wheelhouse",
    )


def _safe(text: str) -> str:
    return re.sub(r"(?<=//)[^/@\s]+@", "", text)
