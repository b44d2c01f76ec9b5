"""What a page says that a command prints, held to what it prints: what differs from machine to machine counts by its kind."""

from __future__ import annotations

import re

VARIES = re.compile(
    r"(?P<digest>sha256[:-][0-9a-f]{64})|(?P<size>\d[\d.]* (?:B|kB|MB|GB)\b)|(?P<time>\d[\d.]* s\b|\d+ (?:seconds?|minutes?)(?: ago)?)"
    r"|(?P<version>\b\d+\.\d+\.\d+\b[\w.+~-]*)|(?P<short>\b[0-9a-f]{12}\b)|(?P<engine>\b(?:runc|crun|namespaces)\b)"
    r"|(?P<count>\b\d+ (?=Debian packages|wheels|requests|blobs))"
)
"""What differs from machine to machine or from month to month. A page has one of the values."""

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}
NEAR = 1.3
"""How far a size on a page may be off, as a factor: packages and Debian's updates grow."""

TAIL = re.compile(r"(?<=dependencies )\S+ \S+ \+ \d+ wheels")


def matches(shown: str, said: str) -> bool:
    """Whether a page tells what was printed: sizes about, digests, times and versions by their kind, all else as it is."""
    pattern = re.escape("[...]\n")
    parts = re.split(pattern, shown)
    wanted, found = [plain(part) for part in parts], plain(said)
    regular = "(?:.*\n)*?".join(re.escape(text) for text, _ in wanted)
    if not re.fullmatch(regular, found[0]):
        return False
    if len(parts) > 1:
        return True
    return all(near(page, real) for page, real in zip(wanted[0][1], found[1], strict=True))


def plain(text: str) -> tuple[str, list[float]]:
    """A text with the kinds of what varies in place of it and one space between words; and its sizes in bytes."""
    sizes: list[float] = []

    def kind(found: re.Match[str]) -> str:
        if found.lastgroup == "size":
            number, unit = found[0].split(" ")
            sizes.append(float(number) * UNITS[unit])
            return "0 B" if not sizes[-1] else "SIZE"
        return str(found.lastgroup).upper()

    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r" $", "", TAIL.sub("WHEELS", VARIES.sub(kind, text)), flags=re.MULTILINE), sizes


def near(page: float, real: float) -> bool:
    """Whether a size is about that of the page, or both are small."""
    return max(page, real) <= NEAR * min(page, real) or max(page, real) < 2000


PASSING = re.compile(
    r"^(?:packages come from .*|waiting until the image answers .*|waiting for the registry, .*|  .*: [\d.]+ \w+ of [\d.]+ \w+, .*/s.*|  .*: done, .* in [\d.]+ s.*)\n",
    re.MULTILINE,
)
"""Lines that come with the machine: about its package indexes, and about what takes long on it."""


def without_passing_lines(text: str) -> str:
    """What is printed, without the lines that another machine would not print."""
    return PASSING.sub("", text)
