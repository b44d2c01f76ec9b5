"""Python files as syntax trees, and whether the Python of an image can read them. Nothing is run."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import warnings
from collections.abc import Iterator

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """What is wrong with a file, in words that follow its name, and its line.

    `certain` is false for a file that this machine's Python can't read, where the image's is newer.
    """

    line: int
    text: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Parsed:
    """The tree of a file; None where it has none. `fault` is why the Python of the image does not read it."""

    tree: ast.Module | None
    fault: SyntaxFault | None = None


def parse_for(source: bytes, minor: int) -> Parsed:
    """Parses a file for a Python 3 with this minor version, by the grammar of that version as far as this machine's Python knows it.

    Args:
        source: The file, as it is stored.
        minor: The minor version of the image's Python.

    Returns:
        The tree and the fault. Both are None for what this machine can't parse for its depth or its size: it may be Python all the same.
    """
    here = sys.version_info.minor
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
            compile(source, "<script>", "exec", dont_inherit=True)
    except SyntaxError as fault:
        line = fault.lineno or 1
        if minor <= here:
            return Parsed(None, SyntaxFault(line, f"is no Python: {fault.msg}"))
        text = f"can't be read by Python 3.{here}, which is here, so its imports are not checked"
        return Parsed(None, SyntaxFault(line, text, certain=False))
    except (ValueError, RecursionError, MemoryError):
        return Parsed(None)
    if minor < here:
        try:
            ast.parse(source, feature_version=(3, minor))
        except SyntaxError as fault:
            return Parsed(tree, SyntaxFault(fault.lineno or 1, f"is not of Python 3.{minor}: {fault.msg}"))
    if minor < 12 <= here:
        for line, what in _newer_f_strings(source):
            return Parsed(
                tree, SyntaxFault(line, f"is not of Python 3.{minor}: {what} in an f-string, which is for 3.12")
            )
    return Parsed(tree)


def _newer_f_strings(source: bytes) -> Iterator[tuple[int, str]]:
    """Yields the lines of f-strings that Python can read since 3.12 only, with what they have in them (PEP 701).

    `ast.parse` reads them for older versions as well. They are told by their tokens, which are there from 3.12 on.
    """
    start, end = getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)
    middle = getattr(tokenize, "FSTRING_MIDDLE", -1)
    around: list[tuple[str, int]] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == end:
            around.pop()
        quote = token.string.lstrip("rRbBuUfFtT")[:1] if token.type in (start, tokenize.STRING) else ""
        quote *= 3 if quote and token.string.lstrip("rRbBuUfFtT").startswith(quote * 3) else 1
        if around and token.type != middle:
            outer, line = around[-1]
            if quote and quote[0] == outer[0] and len(quote) == len(outer):
                yield token.start[0], "its own quotes"
            elif token.type == tokenize.COMMENT:
                yield token.start[0], "a comment"
            elif token.type == tokenize.STRING and "\\" in token.string:
                yield token.start[0], "a backslash within braces"
            elif token.type == tokenize.NL and len(outer) == 1:
                yield line, "a line break within braces"
        if token.type == start:
            around.append((quote, token.start[0]))
