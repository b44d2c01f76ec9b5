"""Pages of reports read back: the boxes of the map, as the page's script reads them, and the text of the page."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

_LINE = re.compile(
    r"(.)(.)(.*)([!@#$/:~.+%>^-])(?:([0-9a-z]+)|\*([0-9a-z]+))?(?:,([0-9a-z]+),([a-z]*))?(?:;([0-9a-z]+))?"
)
_SHARED = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Box:
    name: str
    sign: str
    size: int
    stored: int | None = None
    what: str = ""
    inside: list[Box] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(each.total for each in self.inside) if self.inside else self.size

    def paths(self, above: str = "") -> dict[str, int]:
        """The sizes of the boxes that have none inside, by the names above them."""
        name = f"{above}>{self.name}" if above else self.name
        if not self.inside:
            return {name: self.size}
        return {path: size for each in self.inside for path, size in each.paths(name).items()}


def boxes(text: str, facts: dict[str, Any]) -> Box:
    """The map of a text as `reports.map_text` writes it."""
    last: dict[int, str] = {}
    above: dict[int, Box] = {}
    every: list[Box] = []
    for line in text.split("\n"):
        found = _LINE.fullmatch(line)
        assert found is not None, line
        depth, shared, rest, sign, size, same, stored, _, what = found.groups()
        at = int(depth, 36)
        ending = re.sub(r"\\(.)", lambda each: "<" if each[1] == "l" else facts["endings"].get(each[1], each[1]), rest)
        last[at] = last.get(at, "")[: _SHARED.index(shared)] + ending
        box = Box(last[at], sign, int(size or "0", 36), int(stored, 36) if stored else None)
        box.what = facts["whats"][int(what, 36)] if what else ""
        if same:
            box.inside = every[int(same, 36)].inside
        if at:
            above[at - 1].inside.append(box)
        above[at] = box
        every.append(box)
    return every[0]


@dataclass
class Page:
    """What a page has when a browser has parsed it, without its scripts."""

    data: bytes
    text: str
    scripts: dict[str, str]
    tags: list[tuple[str, dict[str, str | None]]]

    @property
    def facts(self) -> Any:
        return json.loads(self.scripts["facts"])

    @property
    def map(self) -> Box:
        return boxes(self.scripts["lines"][1:-1], self.facts)

    @property
    def ids(self) -> list[str]:
        return [each["id"] or "" for _, each in self.tags if "id" in each]


def read_page(data: bytes) -> Page:
    parser = _Parser()
    parser.feed(data.decode())
    parser.close()
    return Page(data, " ".join("".join(parser.words).split()), parser.scripts, parser.tags)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.scripts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._raw: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        self._raw = (named.get("id") or tag) if tag in ("script", "style") else None

    def handle_endtag(self, tag: str) -> None:
        self._raw = None
        self.words.append(" ")

    def handle_data(self, data: str) -> None:
        if self._raw is None:
            self.words.append(data)
        else:
            self.scripts[self._raw] = self.scripts.get(self._raw, "") + data
