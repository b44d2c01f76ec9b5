"""The instructions of a Modelfile (Ollama), by its grammar: one a line, except for texts in quotes, which may have many. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

MAX_INSTRUCTIONS = 2000
INSTRUCTIONS = (
    "from",
    "license",
    "template",
    "system",
    "adapter",
    "draft",
    "renderer",
    "parser",
    "parameter",
    "message",
    "requires",
)
ROLES = ("system", "user", "assistant")

_WORD = compile_later(r"[A-Za-z]+")
_PARAMETER = compile_later(r"[A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in lower case, the name of a PARAMETER or the role of a MESSAGE, its value, and its line."""

    word: str
    name: str
    value: str
    line: int


def parse_modelfile(data: bytes, where: str) -> tuple[Instruction, ...]:
    """Returns the instructions of a Modelfile.

    Raises:
        UserError: A line is none, or a quote is not closed.
    """
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    found = []
    for each in _instructions(text.replace("\r\n", "\n").replace("\r", "\n"), where):
        found.append(each)
        if len(found) > MAX_INSTRUCTIONS:
            raise UserError(f"has more than {MAX_INSTRUCTIONS} instructions", where=where, hint="name the right file")
    return tuple(found)


def _instructions(text: str, where: str) -> Iterator[Instruction]:
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        rest, began = lines[number].strip(), number + 1
        number += 1
        if not rest or rest.startswith("#"):
            continue
        word, rest = _next(_WORD, rest)
        if word.lower() not in INSTRUCTIONS:
            known = ", ".join(each.upper() for each in INSTRUCTIONS)
            first = re.match(r"[A-Za-z]{0,40}", lines[began - 1].strip())  # what follows may be a secret
            raise UserError(
                f"not an instruction: {first[0] if first else ''!r}",
                where=f"{where}:{began}",
                hint=f"known are {known}",
            )
        name = ""
        if word.lower() in ("parameter", "message"):
            name, rest = _next(_PARAMETER, rest)
        if word.lower() == "message" and name not in ROLES:
            raise UserError(f"no role: {name[:40]!r}", where=f"{where}:{began}", hint=f"expected {', '.join(ROLES)}")
        parts, mark = [rest], '"""' if rest.startswith('"""') else '"'
        while not _is_closed(rest):
            if number == len(lines):
                raise UserError(
                    "a quote is not closed",
                    where=f"{where}:{began}",
                    hint='end the text with the quotes that it begins with: """',
                )
            parts.append(lines[number])
            rest = mark + lines[number].rstrip()[-len(mark) :].rjust(
                len(mark)
            )  # the beginning and the end are all that counts
            number += 1
        yield Instruction(word.lower(), name, _unquoted("\n".join(parts).strip()), began)


def _next(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    """Returns the word at the beginning, and what follows it; no word where something else follows than a space."""
    found = pattern.match(text)
    if found is None or (found.end() < len(text) and not text[found.end()].isspace()):
        return "", text
    return found[0], text[found.end() :].strip()


def _is_closed(text: str) -> bool:
    """Returns whether a text has the quotes at its end that it begins with, or none."""
    if text.startswith('"""'):
        return len(text) >= 6 and text.endswith('"""')
    return not text.startswith('"') or (len(text) >= 2 and text.endswith('"'))


def _unquoted(text: str) -> str:
    mark = '"""' if text.startswith('"""') else '"' if text.startswith('"') else ""
    return text[len(mark) : len(text) - len(mark)]
