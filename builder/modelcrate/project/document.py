"""YAML as a tree that knows where everything stands, and faults that can show it.

The tree is built from the parser's events, so no constructor, tag, anchor or merge key of YAML ever acts: a scalar is its text as
written, quoted or not (`python: 3.10` is "3.10", `LOG: 1` is "1", `no` is "no"), and only a plain empty value, `~` or `null` is nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.patterns import compile_later

MAX_BYTES = 1 << 20
"""The largest project file; real ones have a few hundred bytes."""

MAX_NODES = 20_000
"""How many keys and values a file may have."""

MAX_DEPTH = 16
"""How deep values may be nested; the form needs four."""

MAX_FAULTS = 50
"""The number of faults that are shown; the first ones come first."""

_EXCERPT = 100
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_BREAK = compile_later(r"\r\n|[\n\r\x85\u2028\u2029]")
_SECRET = compile_later(r"(?<=//)[^/@\s]+(?=@)")
_FORBIDDEN = compile_later("[\0\ud800-\udfff]")

Plain = str | None | list["Plain"] | dict[str, "Plain"]
"""The tree without its places."""

Steps = tuple[str | int, ...]
"""The way to a value: keys and positions."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A stretch of one line; line and column count from 1."""

    line: int = 1
    column: int = 1
    length: int = 1


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, or nothing."""

    text: str | None
    spot: Spot


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence."""

    items: tuple[Node, ...]
    spot: Spot


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in the file's order; each key stands once."""

    pairs: tuple[tuple[Scalar, Node], ...]
    spot: Spot


Node = Scalar | Listing | Table


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place, and what to do about it."""

    spot: Spot
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A file's tree, its lines, and the faults that the tree could be built around."""

    name: str
    lines: tuple[str, ...]
    root: Node = Scalar(None, Spot())
    faults: tuple[Fault, ...] = ()

    def plain(self) -> Plain:
        """Returns the tree as lists, dicts, texts and None."""
        return _plain(self.root)

    def spot_of(self, path: Steps) -> Spot:
        """Returns where the value at this path stands, or the nearest thing around it; steps that a short form left out are skipped."""
        return self._walk(path).spot

    def key_spot(self, path: Steps) -> Spot:
        """Returns where the key at the end of this path stands, or the nearest thing around it."""
        node = self._walk(path[:-1])
        found = _child(node, path[-1]) if path else None
        return found[0] if found else node.spot

    def _walk(self, path: Steps) -> Node:
        node = self.root
        for step in path:
            found = _child(node, step)
            node = found[1] if found else node
        return node

    def error(self, faults: Sequence[Fault]) -> UserError:
        """Returns all of these faults as one error, in the order of the file."""
        ordered = sorted(faults, key=lambda fault: (fault.spot.line, fault.spot.column))
        errors = [self._error(fault) for fault in ordered[:MAX_FAULTS]]
        if len(ordered) > MAX_FAULTS:
            errors.append(UserError(f"{len(ordered) - MAX_FAULTS} more faults", where=self.name))
        first = errors[0]
        return UserError(first.what, where=first.where, hint=first.hint, excerpt=first.excerpt, also=errors[1:])

    def _error(self, fault: Fault) -> UserError:
        where = f"{self.name}:{fault.spot.line}:{fault.spot.column}"
        return UserError(_masked(fault.what), where=where, hint=_masked(fault.hint), excerpt=self._excerpt(fault.spot))

    def _excerpt(self, spot: Spot) -> str:
        """Returns the line and an underline; a long line is cut around the place, and what a terminal might act on is a question mark."""
        if not self.lines[spot.line - 1].strip():
            return ""
        line, column = _masked(self.lines[spot.line - 1]), spot.column - 1
        start = max(0, column - _EXCERPT // 2) if len(line) > _EXCERPT else 0
        shown = "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in line[start : start + _EXCERPT])
        before = shown[: column - start]
        length = max(1, min(spot.length, len(shown) - len(before)))
        marked = shown[len(before) : len(before) + length] or " "
        number = str(spot.line)
        return f"{number} | {shown}\n{' ' * len(number)} | {' ' * _width(before)}{'~' * _width(marked)}"


def parse(data: bytes, name: str) -> Document:
    """Returns the document in these bytes.

    Duplicate keys and impossible characters are left as `faults`, so that they are reported together with what the form finds.

    Raises:
        UserError: They can't be a tree: not UTF-8, not YAML, too large, or with anchors or tags.
    """
    if len(data) > MAX_BYTES:
        raise UserError(f"a project file over {MAX_BYTES} bytes", where=name, hint="is it the right file?")
    text = _decoded(data, name)
    document = Document(name, tuple(_BREAK.split(text)))
    try:
        builder = _Builder(text)
        root = builder.document()
    except _Stop as stop:
        raise document.error([stop.fault]) from None
    return replace(document, root=root, faults=tuple(builder.faults))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        body = data.removeprefix(b"\xef\xbb\xbf")
        before = _BREAK.split(body[: fault.start].decode("utf-8", "replace"))
        document = Document(name, tuple(_BREAK.split(body.decode("utf-8", "replace"))))
        what = f"not UTF-8: the byte 0x{body[fault.start]:02x} can't stand here"
        spot = Spot(len(before), len(before[-1]) + 1)
        raise document.error([Fault(spot, what, "save the file as UTF-8")]) from None


class _Stop(Exception):  # noqa: N818 - never leaves this module
    """A fault after which there is no tree."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


class _Builder:
    """Builds the tree while it reads events, so it holds the reading position; the tree it gives is frozen."""

    def __init__(self, text: str) -> None:
        import yaml

        self._yaml = yaml
        self._events = self._read(text)
        self._nodes = 0
        self.faults: list[Fault] = []

    def _read(self, text: str) -> Iterator[object]:
        yaml = self._yaml
        try:
            yield from yaml.parse(text, Loader=yaml.SafeLoader)
        except yaml.reader.ReaderError as fault:
            before = _BREAK.split(text[: fault.position])
            what = f"the character U+{ord(text[fault.position]):04X} can't stand in YAML"
            raise _Stop(Fault(Spot(len(before), len(before[-1]) + 1), what)) from None
        except yaml.MarkedYAMLError as fault:
            raise _Stop(_syntax(fault, text)) from None
        except (ValueError, OverflowError):  # an escape such as "\UFFFFFFFF", which the scanner hands to chr()
            raise _Stop(Fault(Spot(), "not valid YAML: an escaped character that doesn't exist")) from None

    def document(self) -> Node:
        yaml = self._yaml
        root: Node = Scalar(None, Spot())
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Stop(
                        Fault(_spot(event), "a second document", "a project file is one document; drop the ---")
                    )
            elif isinstance(event, yaml.NodeEvent):
                root = self._node(event, 1)
        return root

    def _node(self, event: object, depth: int) -> Node:
        yaml, spot = self._yaml, _spot(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Stop(Fault(spot, f"more than {MAX_NODES} keys and values", "is it the right file?"))
        if depth > MAX_DEPTH:
            raise _Stop(Fault(spot, f"nested deeper than {MAX_DEPTH} levels", "is it the right file?"))
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Stop(Fault(spot, "anchors and aliases are not used here", "write the value where it belongs"))
        if getattr(event, "tag", None):
            raise _Stop(Fault(spot, "tags (!) are not used here", "put quotes around a text that begins with !"))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, spot)
        if isinstance(event, yaml.SequenceStartEvent):
            return Listing(tuple(self._items(yaml.SequenceEndEvent, depth)), spot)
        return self._table(depth, spot)

    def _scalar(self, event: object, spot: Spot) -> Scalar:
        text: str = getattr(event, "value", "")
        plain = getattr(event, "style", None) is None
        if found := _FORBIDDEN.search(text):
            self.faults.append(Fault(spot, f"the character U+{ord(found[0]):04X} can't stand in a value"))
            text = _FORBIDDEN.sub("_", text)
        return Scalar(None if plain and text in _NOTHING else text, spot)

    def _items(self, end: type, depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)

    def _table(self, depth: int, spot: Spot) -> Table:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        parts = list(self._items(self._yaml.MappingEndEvent, depth))
        for key, value in zip(parts[::2], parts[1::2], strict=True):
            if not isinstance(key, Scalar) or key.text is None:
                self.faults.append(Fault(key.spot, "a key has to be a text", "is there something left of the colon?"))
            elif key.text in pairs:
                first = pairs[key.text][0].spot
                self.faults.append(Fault(key.spot, f"{quoted(key.text)} stands twice; first on line {first.line}"))
            else:
                pairs[key.text] = (key, value)
        return Table(tuple(pairs.values()), spot)


def quoted(text: str) -> str:
    """Returns a text of the file as a message shows it: in quotes, printable, and not too long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _spot(event: object) -> Spot:
    start, end = event.start_mark, event.end_mark  # type: ignore[attr-defined]  # every event of PyYAML has both
    return Spot(start.line + 1, start.column + 1, max(1, end.column - start.column if end.line == start.line else 1))


def _syntax(fault: object, text: str) -> Fault:
    """Returns PyYAML's message for a syntax error, or ours where the cause is a common one."""
    problem = str(getattr(fault, "problem", None) or "it stops making sense here")
    mark = getattr(fault, "problem_mark", None)
    spot = Spot(mark.line + 1, mark.column + 1) if mark else Spot()
    if mark and text[mark.index : mark.index + 1] == "\t":
        return Fault(spot, "a tab can't indent YAML", "use spaces")
    if "mapping values are not allowed" in problem:
        return Fault(spot, "a colon where no key can stand", "put quotes around a text with a colon; check the indent")
    return Fault(spot, f"not valid YAML: {problem}", "check quotes, brackets and the indent")


def _child(node: Node, step: str | int) -> tuple[Spot, Node] | None:
    """Returns a child and the place of its key (of itself, in a list)."""
    if isinstance(node, Listing) and isinstance(step, int) and step < len(node.items):
        return node.items[step].spot, node.items[step]
    if isinstance(node, Table):
        return next(((key.spot, value) for key, value in node.pairs if key.text == step), None)
    return None


def _plain(node: Node) -> Plain:
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Listing):
        return [_plain(item) for item in node.items]
    return {key.text: _plain(value) for key, value in node.pairs if key.text is not None}


def _masked(text: str) -> str:
    """Returns the text without user and password of its URLs, and just as long."""
    return _SECRET.sub(lambda found: "*" * len(found[0]), text)


def _width(text: str) -> int:
    """Returns how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
