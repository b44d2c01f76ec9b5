"""Poetry's spelling of version constraints (`^1.2`, `~1.2`, `1.*`), as PEP 440 and PEP 508 have it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelcrate.resolve.requirement_faults import place_of, refuse_elsewhere
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

_TERM = compile_later(r"(\^|~(?!=)|[<>=!~]=?|===)?\s*([0-9][^\s,]*|\*)")
MAX_CONSTRAINT = 1000
"""Characters of a constraint that is read: Python makes no number of thousands of digits."""

_ELSEWHERE = ("git", "path", "url", "file", "develop")


def specifier(text: str) -> str:
    """Returns a constraint as a specifier of PEP 440; empty where any version will do, or where alternatives (`||`) are named.

    A text that is too long for one stays as it is; whoever reads the requirement refuses it.
    """
    if len(text) > MAX_CONSTRAINT:
        return text
    if "||" in text or "|" in text:
        return ""
    terms = [_specifier(operator or "", version) for operator, version in _TERM.findall(text)]
    return ",".join(term for term in terms if term)


def _specifier(operator: str, version: str) -> str:
    if version == "*":
        return ""
    if operator in ("^", "~"):
        return f">={version},<{_next(version, operator == '^')}"
    if operator:
        return f"{'==' if operator == '=' else operator}{version}"
    return f"=={version}"


def _next(version: str, caret: bool) -> str:
    """Returns the first version that is too new: a caret keeps the first number that is not 0, a tilde the first two."""
    numbers = [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", version)[0])]  # type: ignore[index]  # it matches nothing at least
    if caret:
        kept = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1) + 1
    else:
        kept = min(2, len(numbers))
    kept_numbers = numbers[:kept]
    kept_numbers[-1] += 1
    return ".".join(map(str, kept_numbers))


def constraint_lines(name: str, value: Any, path: Path, *, locked: bool) -> Iterator[str]:
    """Yields the PEP 508 lines of one dependency of Poetry: a text, a table, or a list of tables for different markers.

    Args:
        name: The package.
        value: What Poetry's table has for it.
        path: The file.
        locked: Whether a lock has its version, so that alternatives of versions (`||`) may be left out.

    Raises:
        UserError: It is not from an index, or has alternatives of versions, which PEP 508 can't say.
    """
    for each in value if isinstance(value, list) else [value]:
        wanted = {"version": each} if isinstance(each, str) else each
        if not isinstance(wanted, dict):
            raise UserError(
                f"the dependency {name} is neither a text nor a table",
                where=str(path),
                hint='write it as NAME = "CONSTRAINT" or NAME = {version = "CONSTRAINT"}',
            )
        if elsewhere := next((key for key in _ELSEWHERE if key in wanted), ""):
            again = "lock it from there" if locked else "write its version instead"
            raise refuse_elsewhere(name, f"{elsewhere} {wanted[elsewhere]}", place_of(str(path), name), again)
        if not locked and "|" in str(wanted.get("version", "")):
            raise UserError(
                f"{name} has alternatives of versions: {wanted['version']}",
                where=place_of(str(path), name),
                why="Poetry alone has them; other requirements can't say `or`",
                hint="run poetry lock, and the poetry.lock is taken; or write one range",
            )
        extras = ",".join(wanted.get("extras") or ())
        markers = [f"({text})" for text in (wanted.get("markers"), _python_marker(wanted.get("python"))) if text]
        line = f"{name}[{extras}]" if extras else name
        yield line + specifier(str(wanted.get("version") or "*")) + (f" ; {' and '.join(markers)}" if markers else "")


def _python_marker(text: Any) -> str:
    terms = re.findall(r"([<>=!~]+)([^,]+)", specifier(text)) if isinstance(text, str) else []
    return " and ".join(f"python_version {operator} '{version.strip()}'" for operator, version in terms)
