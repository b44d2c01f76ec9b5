r"""The map as text for the page's script: small, and cut where a page would be too large.

A line is a box: its depth, how many characters its name shares with the last one of that depth, the rest of the name, a sign for its kind,
and its bytes. Depths and numbers are in base 36. A box with others in it has no bytes, for they are the sum of what follows; layers have
their stored bytes and their role, too. What a tensor is, such as `F32 [3, 4]`, is the number of a text. Boxes whose insides are equal to
those of an earlier line, as in a model of many equal blocks, name the number of that line instead. Endings that many names have are a
backslash and a letter; those for `\\` and `<` are fixed.

    00diabetes!              the image
    10numpy 2.4.6#,a44q8,dependencies
    20numpy 2.4.6$           a package of this layer
    30__init__.py:ri         a file of 990 bytes
    32main__.py:c            __main__.py, which begins as the name before it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from modelcrate.reports.facts import Node
from modelcrate.reports.markup import clean
from modelcrate_layers.frozen import dataclass, field

MAX_BOXES = 20_000
"""Boxes of files and tensors on a page, the largest ones."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHARED = _DIGITS + _DIGITS[10:].upper()
"""A sign for each number of characters that a name may share with another."""

_SIGNS = {
    "image": "!",
    "platform": "@",
    "layer": "#",
    "package": "$",
    "folder": "/",
    "file": ":",
    "tensor": "~",
    "group": ".",
    "more": "+",
    "rest": "%",
    "added": ">",
    "removed": "-",
    "changed": "^",
}
_KEPT = frozenset({"image", "platform", "layer"})
_CUT = frozenset({"file", "tensor"})
ROLES = frozenset({"base", "runtime", "server", "dependencies", "bytecode", "entry", "model"})
"""Roles of layers that have a colour of their own."""


@dataclass(frozen=True, slots=True)
class MapText:
    """The text.

    Attributes:
        text: The lines.
        whats: Types and shapes of tensors, which lines name by their numbers.
        endings: Endings of names, by the letters that stand for them.
        left_out: The number of files and tensors that have no box of their own.
        left_out_size: Their bytes.
    """

    text: str
    whats: tuple[str, ...] = ()
    endings: dict[str, str] = field(default_factory=dict, hash=False)
    left_out: int = 0
    left_out_size: int = 0


def write_map(root: Node, room: int) -> MapText:
    """Returns the text of a map.

    Args:
        root: The map.
        room: The most bytes that the text may have. The smallest files and tensors are shown together, as many as have to.
    """
    sizes = sorted((each.size for each in _leaves(root)), reverse=True)
    keep = min(len(sizes), MAX_BOXES)
    while True:
        count, cut_size, shown = 0, 0, root
        if keep < len(sizes):
            least = sizes[keep - 1] + (sizes[keep] == sizes[keep - 1]) if keep else sizes[0] + 1
            pruned, count, cut_size = _pruned(root, least)
            shown = pruned or Node(root.name, root.kind, root.size)
        lines = _Lines(_endings(shown))
        text = "\n".join(lines.of(shown))
        whats = tuple(clean(each) for each in lines.whats)
        length = len(text.encode()) + sum(len(each.encode()) + 6 for each in (*whats, *lines.endings))
        if length <= room or not keep:
            return MapText(text, whats, {letter: ending for ending, letter in lines.endings.items()}, count, cut_size)
        keep = int(keep * min(0.95, room / length))


def number(value: int) -> str:
    """Returns a number in base 36."""
    digits = ""
    while True:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
        if not value:
            return digits


def _leaves(node: Node) -> Iterator[Node]:
    if not node.children and node.kind in _CUT:
        yield node
    for each in node.children:
        yield from _leaves(each)


def _pruned(node: Node, least: int) -> tuple[Node | None, int, int]:
    """Returns a box without the small ones in it, and how many those were and their bytes. They are one box in the lowest box that is left."""
    if not node.children:
        gone = node.kind in _CUT and node.size < least
        return (None, 1, node.size) if gone else (node, 0, 0)
    kept: list[Node] = []
    count, size, told, told_size = 0, 0, 0, 0
    for each in node.children:
        inner, cut, cut_size = _pruned(each, least)
        told, told_size = told + cut, told_size + cut_size
        if inner is None:
            count, size = count + cut, size + cut_size
        else:
            kept.append(inner)
    if not kept and node.kind not in _KEPT:
        return None, count, size
    if count:
        what = "tensor" if any(each.kind == "tensor" for each in node.children) else "file"
        kept.append(Node(f"{count} more {what}{'s' * (count > 1)}", "more", size))
    return (
        Node(node.name, node.kind, node.size, tuple(kept), node.stored, node.role, node.state, node.what),
        told,
        told_size,
    )


class _Lines:
    """What has been written so far. Not a value, because it changes with every line."""

    def __init__(self, endings: Mapping[str, str]) -> None:
        self.endings = endings
        self.last: dict[int, str] = {}
        self.shapes: dict[tuple[object, ...], int] = {}
        self.written: dict[int, int] = {}
        self.whats: dict[str, int] = {}
        self.count = 0

    def of(self, node: Node, depth: int = 0) -> Iterator[str]:
        """Yields the lines of a box and of those in it."""
        name, sign = clean(node.name), _SIGNS[node.state or node.kind]
        before = self.last.get(depth, "")
        shared = 0
        while (
            shared < min(len(name), len(before), len(_SHARED) - 1)
            and name[shared] == before[shared]
            and name[shared] < "\uffff"
        ):
            shared += 1
        self.last[depth] = name
        head = f"{_DIGITS[depth]}{_SHARED[shared]}{self._escaped(name[shared:])}{sign}"
        more = f",{number(node.stored)},{node.role if node.role in ROLES else ''}" if node.stored is not None else ""
        self.count, here = self.count + 1, self.count
        shape = self._shape(node.children)
        if not node.children:
            what = f";{number(self.whats.setdefault(node.what, len(self.whats)))}" if node.what else ""
            yield f"{head}{number(node.size)}{more}{what}"
        elif len(node.children) > 1 and shape in self.written:
            yield f"{head}*{number(self.written[shape])}{more}"
        else:
            self.written[shape] = here
            yield f"{head}{more}"
            for each in node.children:
                yield from self.of(each, depth + 1)

    def _shape(self, children: tuple[Node, ...]) -> int:
        """Returns a number that is the same for equal insides."""
        if not children:
            return -1
        inside = tuple(
            (each.name, each.kind, each.state, each.what, each.size, self._shape(each.children)) for each in children
        )
        return self.shapes.setdefault(inside, len(self.shapes))

    def _escaped(self, text: str) -> str:
        """Returns a text that can stand in an element of HTML whose text is taken as it is: nothing in it ends that element."""
        ending = text[text.find(".") :]
        letter = self.endings.get(ending, "") if "." in text else ""
        plain = text[: -len(ending)] if letter else text
        return plain.replace("\\", "\\\\").replace("<", "\\l") + (f"\\{letter}" if letter else "")


def _endings(node: Node) -> dict[str, str]:
    """Returns the endings of names that take the most room, with a letter for each."""
    counts: Counter[str] = Counter()
    boxes = [node]
    while boxes:
        each = boxes.pop()
        boxes += each.children
        ending = each.name[each.name.find(".") :] if "." in each.name else ""
        if 3 < len(ending) <= 40 and ending.isascii() and ending.isprintable():
            counts[ending] += 1
    gain = sorted(((count * (len(each) - 2), each) for each, count in counts.items() if count > 3), reverse=True)
    return {each: letter for letter, (_, each) in zip("abcdefghijkmnopqrstuvwxyz", gain, strict=False)}
