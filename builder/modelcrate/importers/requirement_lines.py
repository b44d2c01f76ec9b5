"""The Python packages of another tool's file as dependencies: a file, a list, and what the tool adds to them by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelcrate.importers.project_parts import plain_words
from modelcrate.importers.reading import Reading
from modelcrate.importers.secrecy import holds_secret
from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import format_of, read_declaration
from modelcrate.resolve.requirement_lines import PlacedLine
from modelcrate.resolve.requirements import Requirements, package_of, read_requirements
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

GENERATED = "requirements-modelcrate.txt"
"""The file for lines that a project file can't have, or that belong to a file which is not ours to change."""

_ITSELF = compile_later(r"((-e|--editable)[ =]*)?\./?(\[[^\]]*\])?")


@dataclass(frozen=True, slots=True)
class Needs:
    """The dependencies of a project, files that are written for them, the packages that they name, and the lines that were added."""

    dependencies: Dependencies = Dependencies()
    files: tuple[tuple[str, str], ...] = ()
    named: frozenset[str] = frozenset()
    added: tuple[str, ...] = ()


def make_needs(reading: Reading, file: Path | None, lines: Sequence[str], added: Sequence[str]) -> Needs:
    """Returns the dependencies for packages.

    Args:
        reading: The file that names them. What can't be installed is noted as missing.
        file: A file that declares dependencies, beside the project file.
        lines: Lines as pip takes them.
        added: Lines that the tool's own images have besides; one whose package is named already is left out.
    """
    if file is not None:
        return _of_file(reading, file, added)
    whole = [line.strip() for text in lines for line in text.splitlines()]
    kept = [line for line in whole if line and not line.startswith("#")]
    for line in [line for line in kept if _ITSELF.fullmatch(line)]:
        reading.leave("the requirement", line, "the project's own modules come with its sources")
        kept.remove(line)
    for line in [line for line in kept if holds_secret(line)]:
        reading.leave(
            "the requirement",
            line,
            "it has a login or a signed address: write it without, and put the login into ~/.netrc",
        )
        kept.remove(line)
    named = {package_of(line) for line in kept if _is_plain(line)} | _named(
        reading, Requirements(placed=_placed(reading, kept))
    )
    more = _lacking(reading, added, named)
    whole = [*kept, *more]
    if all(map(_is_plain, whole)):
        return Needs(Dependencies(tuple(whole)), named=frozenset(named), added=tuple(more))
    return _generated(reading, whole, named, more)


def _of_file(reading: Reading, file: Path, added: Sequence[str]) -> Needs:
    needs = Dependencies(file)
    if (reading.file.parent / file).is_file():
        named = set[str]()
        try:
            named = _named(reading, read_declaration(needs, reading.file.parent).requirements)
        except CrateError as fault:
            reading.missing += [each.sentence for each in (fault.also or (fault,))]
    else:
        named = set()
        reading.missing.append(f"{file} is not there")
    more = _lacking(reading, added, named)
    if not more or format_of(file)[0] != "pip":
        if more:
            reading.missing.append(f"{file} has to name {', '.join(more)}, which {reading.tool} adds by itself")
        return Needs(needs, named=frozenset(named))
    return _generated(reading, [f"-r {file}", *more], named, more)


def _lacking(reading: Reading, added: Sequence[str], named: set[str]) -> list[str]:
    """Returns those of the lines whose packages are not named yet, and adds their names."""
    plain = [each for each in added if _is_plain(each) and package_of(each) not in named]
    others = [each for each in added if not _is_plain(each)]
    named |= {package_of(each) for each in plain} | _named(reading, Requirements(placed=_placed(reading, others)))
    return [*plain, *others]


def _generated(reading: Reading, lines: Sequence[str], named: set[str], added: Sequence[str]) -> Needs:
    head = (
        f"# Made from {plain_words(reading.file.name)} by modelcrate init, with what {reading.tool} adds by itself.\n"
    )
    text = head + "".join(f"{line}\n" for line in lines)
    return Needs(Dependencies(Path(GENERATED)), ((GENERATED, text),), frozenset(named), tuple(added))


def _placed(reading: Reading, lines: Sequence[str]) -> tuple[PlacedLine, ...]:
    place = reading.file.parent / GENERATED  # whose first line is a remark
    return tuple(PlacedLine(place, number, line, line) for number, line in enumerate(lines, 2))


def _named(reading: Reading, wanted: Requirements) -> set[str]:
    """Returns the normalised names of the packages, and notes what of them can't be installed as it is."""
    try:
        read = read_requirements(wanted)
    except CrateError as fault:
        reading.missing += [each.sentence for each in (fault.also or (fault,))]
        return set()
    reading.notices += read.notices
    return {package_of(line) for line in read.lines}


def _is_plain(line: str) -> bool:
    """Returns whether a line is a requirement and nothing more (PEP 508), of a package that an index can have."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(line).url is None
    except InvalidRequirement:
        return False
