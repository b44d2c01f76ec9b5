"""Trees with everything that a file system and a tar can hold, as values and as Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

from modelcrate_layers.content import CHUNK
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, hard_link, symlink


@dataclass(frozen=True)
class Claimed:
    """Zeros, as many as one likes: for sizes that no disk of ours has."""

    size: int

    def chunks(self) -> Iterator[bytes]:
        left = self.size
        while left:
            yield bytes(min(left, CHUNK))
            left -= min(left, CHUNK)


LONG = b"/".join([b"folder-" + b"d" * 60] * 5)
"""A path of more than 255 bytes, of parts that every file system takes."""


def odd_tree() -> Tree:
    """One of everything: long names, names that are no text, links, empty folders, modes, owners."""
    return Tree.of(
        [
            directory(b"empty"),
            file(b"plain.txt", Bytes(b"plain\n"), 0o644),
            file(b"nothing", Bytes(b"")),
            file(b"run.sh", Bytes(b"#!/bin/sh\n"), 0o775),
            file(b"secret", Bytes(b"x" * 513), 0o400),
            file(b"block", Bytes(b"b" * 512)),
            file(b"n" * 100, Bytes(b"100")),
            file(b"n" * 101, Bytes(b"101")),
            file(b"n" * 255, Bytes(b"255")),
            file(LONG + b"/file", Bytes(b"long path")),
            directory(LONG + b"/empty"),
            file("umlaut-ü-\u4e2d".encode(), Bytes(b"utf-8")),
            file(b"latin-\xfc\xff", Bytes(b"not utf-8")),
            file(b"new\nline\ttab\x01\x7f", Bytes(b"control")),
            file(b"with, comma = and spaces ", Bytes(b"punctuation")),
            symlink(b"link", b"plain.txt"),
            symlink(b"dangling", b"../nowhere/at all"),
            symlink(b"long-link", LONG + b"/file"),
            symlink(b"odd-link-\xfe", b"latin-\xfc\xff"),
            hard_link(b"plain.txt.hard", b"plain.txt"),
            hard_link(b"zz-long-hard", LONG + b"/file"),
            Entry(b"tmp", Kind.DIRECTORY, 0o1777),
            Entry(b"home", Kind.DIRECTORY, 0o770, uid=10001),
            Entry(b"owned", Kind.FILE, 0o640, Bytes(b"owned"), uid=0o7777777, gid=65534),
        ]
    )


_PARTS = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(str.encode),
    st.sampled_from([b"a", b"b", b"lib", b"n" * 100, b"n" * 130, b"n" * 255, b"-", b"@LongLink", b"PaxHeader"]),
).filter(lambda part: not set(part) & {0, ord("/")} and part not in (b".", b"..") and not part.startswith(b".wh."))
_PATHS = st.lists(_PARTS, min_size=1, max_size=4).map(b"/".join)
_TARGETS = st.binary(min_size=1, max_size=150).map(lambda raw: raw.replace(b"\0", b"/"))
_CONTENTS = st.binary(max_size=1100)
_MODES = st.integers(0, 0o777)
_OWNERS = st.integers(0, 0o7777777)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Entries of a valid tree, folders included, in some order."""
    made: dict[bytes, Entry] = {}
    for path in draw(st.lists(_PATHS, max_size=8, unique=True)):
        above = {path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"}
        if any(made[each].kind is not Kind.DIRECTORY for each in above if each in made) or path in made:
            continue
        files = sorted(each for each, entry in made.items() if entry.kind is Kind.FILE and each < path)
        if any(each.startswith(path + b"/") for each in made):
            continue
        made |= {each: directory(each) for each in above if each not in made}
        kind = draw(st.sampled_from(list(Kind)))
        if kind is Kind.HARD_LINK and files:
            made[path] = hard_link(path, draw(st.sampled_from(files)))
        elif kind is Kind.SYMLINK:
            made[path] = symlink(path, draw(_TARGETS))
        elif kind is Kind.DIRECTORY:
            made[path] = Entry(path, kind, draw(_MODES), uid=draw(_OWNERS), gid=draw(_OWNERS))
        else:
            made[path] = Entry(path, Kind.FILE, draw(_MODES), Bytes(draw(_CONTENTS)), b"", draw(_OWNERS), draw(_OWNERS))
    return draw(st.permutations(list(made.values())))


def trees() -> st.SearchStrategy[Tree]:
    """Any valid tree."""
    return entries().map(Tree.of)
