"""Requirements as people write them: PEP 508 lines and requirements files in every spelling that pip takes.

The files are read here and not by the resolver. So every fault has its line, a hash is enforced, an index that a file names is also
the one that wheels are fetched from, and an option that has no meaning here is refused instead of passed over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.resolve.requirement_lines import PlacedLine, logical_lines
from modelcrate_layers.errors import CrateError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.resolve.locked import LockedPackages
    from modelcrate.resolve.uv import UvLock

MAX_FILES = 200
"""Files that may include one another."""

Hashes = Mapping[str, frozenset[str]]
"""By normalised name: the SHA-256 hashes, one of which the package's wheel must have."""

_VARIABLE = compile_later(r"\$\{([A-Z0-9_]+)\}")
_COMPARED = r" ?(?:[=!<>]=|[<>]) ?[0-9]{1,19}(?:\.[0-9]{1,19}){0,9}"
_PLAIN = compile_later(rf"([A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)(?:{_COMPARED}(?:,{_COMPARED})*)?")
"""A package and plain versions. Nearly all lines are so; the grammar of all others (PEP 508) takes a while to import."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is wanted: requirements to resolve, and at most one lock, which is taken as it is.

    Attributes:
        lines: PEP 508 lines.
        files: Requirements files, or pyproject.toml files, which uv reads itself with the words `options`.
        pylock: A lock file of PEP 751, or the file from which `pylock_text` was made.
        uv_lock: A lock file of uv.
        locked: The packages of another tool's lock file.
        placed: Lines as pip takes them, with options, out of a file that is no requirements file.
        indexes: Indexes that the file names for some packages; exact versions with hashes are looked for there, too.
    """

    lines: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    pylock: Path | None = None
    uv_lock: UvLock | None = None
    locked: LockedPackages | None = None
    placed: tuple[PlacedLine, ...] = ()
    options: tuple[str, ...] = ()
    pylock_text: str = ""
    indexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileOptions:
    """The options of requirements files that say where packages come from (pip's `-i`, `--extra-index-url`, `-f`, `--no-index`)."""

    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    prereleases: bool = False


@dataclass(frozen=True, slots=True)
class ReadRequirements:
    """Requirements after all files are read: plain lines without options, and what the options mean.

    Attributes:
        lines: Requirements, each without its options.
        constraints: Lines that only limit versions (pip's `-c`).
        urls: URLs of wheels that lines name directly, by the package's normalised name.
        notices: Sentences about options that have no effect here.
        files: The requirements files that were read, with those that they include.
    """

    lines: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: Hashes = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    options: FileOptions = FileOptions()
    notices: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


class _State:
    """The contents of the files. It is filled while they are read, so it is not frozen."""

    def __init__(self, environment: Mapping[str, str] | None) -> None:
        self.environment, self.foreign = environment or {}, environment is None
        self.lines, self.constraints, self.notices = list[str](), list[str](), list[str]()
        self.hashes, self.urls = dict[str, set[str]](), dict[str, str]()
        self.index_url, self.extra, self.links = "", list[str](), list[str]()
        self.no_index = self.prereleases = self.require_hashes = False
        self.faults, self.without_hash = list[CrateError](), list[UserError]()
        self.visited, self.files = set[tuple[Path, bool]](), list[Path]()
        self.folders = set[Path]()
        """The folders of the files that the project names. Lines of other files are not quoted: anybody could name a file with secrets."""


_NO_VARIABLES: Mapping[str, str] = {}


def read_requirements(
    requirements: Requirements, environment: Mapping[str, str] | None = _NO_VARIABLES
) -> ReadRequirements:
    """Reads the lines and the requirements files. Files in TOML are left to uv.

    Args:
        requirements: What to read.
        environment: Where `${NAME}` of a file is looked up; None where the files are somebody else's, and get no variable.

    Raises:
        UserError: With all faults of all lines and files.
    """
    state = _State(environment)
    for line in requirements.lines:
        _add_requirement(line, "dependencies", state, constraint=False)
    state.without_hash.clear()  # no file of pip's has these: the server's are among them
    for placed in requirements.placed:
        state.folders.add(placed.file.resolve().parent)
        _read_line(placed, state, constraint=False)
    for file in requirements.files:
        if file.suffix != ".toml":
            state.folders.add(file.resolve().parent)
            _read_file(file, state, constraint=False)
    if state.require_hashes or state.hashes:  # one hash, and pip wants them all
        state.faults += state.without_hash
    raise_together(state.faults, "the requirements")
    options = FileOptions(
        state.index_url, tuple(state.extra), tuple(state.links), state.no_index, prereleases=state.prereleases
    )
    hashes = {name: frozenset(values) for name, values in state.hashes.items()}
    return ReadRequirements(
        tuple(state.lines),
        tuple(state.constraints),
        hashes,
        state.urls,
        options,
        tuple(dict.fromkeys(state.notices)),
        tuple(dict.fromkeys(state.files)),
    )


def placed_faults(lines: Iterable[PlacedLine]) -> list[CrateError]:
    """Returns the faults of such lines that need no variable to be found."""
    state = _State({})
    for line in lines:
        state.folders.add(line.file.resolve().parent)
        if not _VARIABLE.search(line.text):
            _read_line(line, state, constraint=False)
    return state.faults


def line_faults(lines: Iterable[tuple[str, str]]) -> list[CrateError]:
    """Returns the faults of lines that stand in no requirements file, each given with its place."""
    state = _State({})
    for line, where in lines:
        _add_requirement(line, where, state, constraint=False)
    return state.faults


def raise_together(faults: list[CrateError], of: str) -> None:
    """Raises one fault as it is, and several as one UserError; returns where there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise UserError(f"{len(faults)} faults in {of}", also=faults)


def package_of(line: str) -> str:
    """Returns the normalised name of the package that a correct line is about."""
    head = _split_options(line)[0]
    if plain := _PLAIN.fullmatch(head):
        return normalise_name(plain[1])
    from packaging.requirements import Requirement

    return normalise_name(Requirement(head).name)


def _split_options(text: str) -> list[str]:
    """Returns the requirement itself, then each of its options (`--hash=...`)."""
    return re.split(r"\s+(?=--)", text.strip())


def _read_file(file: Path, state: _State, constraint: bool) -> None:
    place = (file.resolve(), constraint)
    if place in state.visited:
        return
    state.visited.add(place)
    state.files.append(file)
    if len(state.visited) > MAX_FILES:
        raise UserError(
            f"more than {MAX_FILES} requirements files include one another",
            where=str(file),
            hint="put the requirements into fewer files",
        )
    try:
        own = any(place[0].is_relative_to(folder) for folder in state.folders)
        for line in logical_lines(file):
            _read_line(line if own else replace(line, shown=""), state, constraint)
    except CrateError as fault:
        state.faults.append(fault)


def _read_line(line: PlacedLine, state: _State, constraint: bool) -> None:
    missing = [name for name in _VARIABLE.findall(line.text) if not state.environment.get(name)]
    for name in missing:
        what, hint = f"the variable {name} is not set", f"the line names ${{{name}}}: export {name}=..."
        if state.foreign:
            what = (
                f"the line wants the variable {name}, and files of somebody else's project get none of this machine's"
            )
            hint = "if you trust them: modelcrate sources IMAGE DIR, look at the line, and build DIR"
        state.faults.append(UserError(what, where=line.where, hint=hint))
    if missing:
        return
    text = _VARIABLE.sub(lambda found: state.environment[found[1]], line.text)
    if text.startswith("-"):
        _read_options(text, line, state, constraint)
    else:
        _add_requirement(text, line.where, state, constraint, line.file.parent, line.shown)


def _read_options(text: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    try:
        for name, value in options_of(text, line.where, line.shown):
            _OPTIONS[name][1](value, line, state, constraint)
    except UserError as fault:
        state.faults.append(fault)


def options_of(text: str, where: str, shown: str | None = None) -> Iterator[tuple[str, str]]:
    """Yields the options of a line that begins with one, each with its value, which is empty for one that takes none.

    pip takes several on one line, and a short one without a space before its value.

    Args:
        text: The line.
        where: Its place, for messages.
        shown: What messages may quote of it, by default all.

    Raises:
        UserError: A quote is not closed, pip does not take such an option there, or a value is missing.
    """
    import shlex

    try:
        words = shlex.split(text)
    except ValueError as fault:
        hint = "write one requirement a line, as pip takes it"
        raise UserError(f"the line can't be read: {fault}", where=where, hint=hint) from None
    while words:
        word = words.pop(0)
        name, equals, value = (
            word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:].lstrip("="))
        )
        if name not in _OPTIONS:
            name = name if name in (text if shown is None else shown) else "of this line"
            hint = "leave it out, or name the packages in modelcrate.yaml"
            raise UserError(f"the option {name} is not understood", where=where, hint=hint)
        if not equals and _OPTIONS[name][0]:
            if not words:
                hint = "write the value behind it, or remove the line"
                raise UserError(f"the option {name} has no value", where=where, hint=hint)
            value = words.pop(0)
        yield name, value


def _include(constraint: bool) -> Callable[[str, PlacedLine, _State, bool], None]:
    def act(value: str, line: PlacedLine, state: _State, inherited: bool) -> None:
        if "://" in value and not value.startswith("file://"):
            state.faults.append(UserError("includes a file from the network", where=line.where, hint="copy it here"))
        else:
            _read_file(line.file.parent / value.removeprefix("file://"), state, constraint or inherited)

    return act


def _editable(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    from modelcrate.resolve.requirement_faults import refuse_source

    state.faults.append(refuse_source(value, line.where, value if value in line.shown else line.shown))


def _index(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    state.index_url = value


def _extra_index(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    state.extra.append(value)


def _find_links(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    place = value.removeprefix("file://")
    if "://" in place:
        state.links.append(value)
    elif (path := (line.file.parent / place).absolute()).exists():
        state.links.append(str(path))
    elif not state.foreign:  # what is locked comes from somewhere else then
        what = f"there is no such place of wheels: {place if place in line.shown else line.shown!r}"
        state.faults.append(
            SourceError(what, where=line.where, hint="is the path right? It begins at the file that names it")
        )


def _no_index(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    state.no_index = True


def _prereleases(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    state.prereleases = True


def _require_hashes(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    state.require_hashes = True


WITHOUT_EFFECT: Mapping[str, str] = {
    "--trusted-host": "certificates are always checked",
    "--no-binary": "an image gets wheels only",
    "--only-binary": "an image gets wheels only",
    "--prefer-binary": "an image gets wheels only",
    "--use-feature": "there is no pip",
}
"""Options of pip's that decide nothing here, and why."""


def _no_effect(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
    """An option about building from source, about pip itself, or one that asks for what is done in any case."""


def _told(name: str) -> Callable[[str, PlacedLine, _State, bool], None]:
    def act(value: str, line: PlacedLine, state: _State, constraint: bool) -> None:
        state.notices.append(f"{line.where}: {name} {value} has no effect; {WITHOUT_EFFECT[name]}")

    return act


INCLUDES = ("-r", "--requirement", "-c", "--constraint")
"""The options that name a further file."""

_OPTIONS: Mapping[str, tuple[bool, Callable[[str, PlacedLine, _State, bool], None]]] = {
    **{name: (True, _include(name in ("-c", "--constraint"))) for name in INCLUDES},
    "-e": (True, _editable),
    "--editable": (True, _editable),
    "-i": (True, _index),
    "--index-url": (True, _index),
    "--pypi-url": (True, _index),
    "--extra-index-url": (True, _extra_index),
    "-f": (True, _find_links),
    "--find-links": (True, _find_links),
    "--no-index": (False, _no_index),
    "--pre": (False, _prereleases),
    "--require-hashes": (False, _require_hashes),
    "--prefer-binary": (False, _no_effect),
    "--only-binary": (True, _no_effect),
    "--use-feature": (True, _no_effect),
    "--no-binary": (True, _told("--no-binary")),
    "--trusted-host": (True, _told("--trusted-host")),
}
"""The options that pip takes in a requirements file: whether each has a value, and what it does."""


def _add_requirement(
    text: str, where: str, state: _State, constraint: bool, folder: Path | None = None, shown: str | None = None
) -> None:
    """Adds a requirement with its options, `--hash` among them. `shown` is what messages may quote of it, by default all.

    `folder` is where its path begins, if it is one; without a folder no path is followed.
    """
    head, *options = _split_options(text)
    url = ""
    if plain := _PLAIN.fullmatch(head):
        named = plain[1]
    else:
        from packaging.requirements import InvalidRequirement, Requirement

        from modelcrate.resolve.requirement_faults import (
            is_place,
            named_wheel,
            refuse_line,
            refuse_source,
        )

        quoted = head if shown is None else _split_options(shown)[0]
        head = re.sub(r"\s*;$", "", head)  # pip passes over a marker that is empty
        head, url = named_wheel(head, folder, state.foreign)
        try:
            if is_place(head) and "@" not in head.partition("://")[0]:  # `thing.whl` would pass for a package's name
                raise InvalidRequirement("a place")
            requirement = Requirement(head)
        except InvalidRequirement as fault:
            state.faults.append(refuse_line(head, where, fault, folder or Path(), quoted))
            return
        if requirement.url and not url:
            state.faults.append(refuse_source(head, where, quoted))
            return
        named = requirement.name
    name = normalise_name(named)
    if url:
        state.urls[name] = url
    hashes = list(_hashes(options, where, state))
    if hashes:
        usable = {value for algorithm, value in hashes if algorithm == "sha256"}
        if not usable:
            state.faults.append(
                UserError(
                    f"{named} has no sha256 among its hashes",
                    where=where,
                    hint="add --hash=sha256:..., or leave the hashes out: the lock has its own",
                )
            )
        state.hashes.setdefault(name, set()).update(usable)
    elif not constraint and "#sha256=" not in url:
        hint = "give every requirement its --hash, as pip wants it where one has any or --require-hashes stands; or leave all of them out: the lock has its own"
        state.without_hash.append(UserError(f"{named} has no hash", where=where, hint=hint))
    (state.constraints if constraint else state.lines).append(head)


def _hashes(options: Iterable[str], where: str, state: _State) -> Iterator[tuple[str, str]]:
    """Yields the hashes among the options of a requirement. An option that pip does not take there is a fault."""
    for option in options:
        name = re.split(r"[=\s]", option)[0]
        if match := re.fullmatch(r"--hash(?:=|\s+)([a-z0-9]+):([0-9a-fA-F]+)", option.strip()):
            yield match[1], match[2].lower()
        elif name in _BUILD_OPTIONS:
            state.notices.append(f"{where}: {name} has no effect; an image gets wheels only")
        else:
            what = "a hash that can't be read" if name == "--hash" else "an option that no requirement takes"
            hint = (
                "write --hash=sha256:HEX"
                if name == "--hash"
                else "options of the whole file stand on lines of their own"
            )
            state.faults.append(UserError(f"{what} stands behind a requirement", where=where, hint=hint))


_BUILD_OPTIONS = frozenset(
    {"--global-option", "--install-option", "--build-option", "--config-settings", "--config-setting"}
)
"""Options of one requirement that are about building it from source."""
