"""The keys of another tool's file, each of which is taken over, left out with a reason, or named as unknown: none is passed over."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modelcrate.importers.secrecy import is_plain, tell_name
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.importers.reading import Reading

MAX_LINES = 2000
"""Keys and items of one file; real ones have some dozen."""

UNUSED = "nothing in a project file says that"
"""The reason for a key whose value came to nothing, so that none is passed over."""

_CONTROLS = compile_later("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Keys:
    """One mapping of a file. Each key is taken or left; `close` leaves those of which nothing was said."""

    def __init__(self, reading: Reading, data: Mapping[str, object], above: str, unknown: str) -> None:
        self.reading, self.above, self._unknown = reading, above, unknown
        self.data = {str(key): value for key, value in data.items()}
        self._rest = dict(self.data)
        self._open, self._known = dict[str, None](), set[str]()

    def __contains__(self, key: str) -> bool:
        return not _is_empty(self.data.get(key))

    def value(self, key: str) -> object:
        """Returns a value as it stands; None where there is none, which is noted for a key without one."""
        self._known.add(key)
        if key not in self._rest:
            return self.data.get(key) if key in self else None
        value = self._rest.pop(key)
        if _is_empty(value):
            self.reading.leave(self._name(key), None, "it is empty")
            return None
        self._open[key] = None
        return value

    def text(self, key: str) -> str:
        """Returns a text, also one that YAML reads as a number; empty where there is none."""
        value = self.value(key)
        if value is None:
            return ""
        if not is_plain(value):
            self.wrong(key, "no text", "write one text behind it")
            return ""
        if _CONTROLS.search(str(value)):
            self.wrong(key, "a text with control characters", "write it without them")
            return ""
        return str(value).lower() if isinstance(value, bool) else str(value).strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """Returns a list of texts; a text alone is a list of one."""
        value = self.value(key)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_LINES or any(not is_plain(each) or _CONTROLS.search(str(each)) for each in items):
            self.wrong(key, "no list of texts", "write one text a line, each behind a dash")
            return ()
        found = tuple(str(each).strip() for each in items if each is not None)
        if not any(found):
            self.leave(key, "it is empty")
        return found

    def flag(self, key: str) -> bool | None:
        """Returns a truth value; None where there is none."""
        value = self.value(key)
        if value is None or isinstance(value, bool):
            return value
        self.wrong(key, "neither true nor false", "write true or false")
        return None

    def number(self, key: str) -> int | None:
        """Returns a whole number; None where there is none."""
        value = self.value(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
            return int(value)
        self.wrong(key, "no whole number", "write a number")
        return None

    def mapping(self, key: str, unknown: str = "") -> Keys | None:
        """Returns the keys of a mapping below a key; None where there is none."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.wrong(key, "no mapping", "write its keys below it, indented")
            return None
        self._open.pop(key, None)
        return self.reading.keys(value, f"{self._name(key)}.", unknown or self._unknown)

    def mappings(self, key: str, short: str = "") -> Iterator[Keys]:
        """Yields the mappings of a list; a text stands for the mapping with the key `short` alone, if that is named."""
        value = self.value(key)
        items = [] if value is None else value if isinstance(value, list) else [value]
        self._open.pop(key, None)
        for number, each in enumerate(items[: MAX_LINES + 1]):
            made = {short: each} if short and isinstance(each, str | int | float) else each
            if made is None or made == {}:
                self.reading.leave(f"{self._name(key)}[{number}]", None, "it is empty")
            elif isinstance(made, Mapping):
                place = f"{self._name(key)}[{number}]." if isinstance(value, list) else f"{self._name(key)}."
                yield self.reading.keys(made, place, self._unknown)
            else:
                self.wrong(key, "no list of mappings", "write its keys behind each dash")

    def pairs(self, key: str) -> dict[str, str]:
        """Returns a mapping of names to texts, such as variables; truth values as true and false."""
        value = self.value(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or any(
            not is_plain(each) or _CONTROLS.search(f"{name}{each}") for name, each in value.items()
        ):
            self.wrong(key, "no mapping of names to texts", "write NAME: value")
            return {}
        as_text = {True: "true", False: "false", None: ""}
        return {
            str(name): as_text[each] if each is None or isinstance(each, bool) else str(each)
            for name, each in value.items()
        }

    def take(self, key: str, became: str) -> bool:
        """Notes that a key was taken over, and what it became, if it is there and nothing was noted of it yet; returns whether it was."""
        if key not in self._open:
            return False
        del self._open[key]
        self.reading.take(self._name(key), became)
        return True

    def is_told(self, key: str) -> bool:
        """Returns whether something was said of a key."""
        return key not in self._rest and key not in self._open

    def leave(self, key: str, why: str) -> None:
        """Notes a key that an image can't have, with what to do, if it is there."""
        value = self.value(key)
        if key in self._open:
            del self._open[key]
            self.reading.leave(self._name(key), value, why)

    def leave_items(self, key: str, why: str) -> None:
        """Does the same for each item of a list."""
        value = self.value(key)
        if not isinstance(value, list) or key not in self._open:
            return self.leave(key, why)
        del self._open[key]
        for number, each in enumerate(value):
            self.reading.leave(f"{self._name(key)}[{number}]", each, why)
        return None

    def done(self, key: str) -> None:
        """Marks a key of which everything was noted, part by part."""
        self._open.pop(key, None)

    def leave_all(self, reasons: Mapping[str, str]) -> None:
        """Notes those of these keys that are there, with their reasons."""
        for key, why in reasons.items():
            self.leave(key, why)

    def wrong(self, key: str, what: str, hint: str) -> None:
        """Notes that a value has another form."""
        self._open.pop(key, None)
        self.reading.fault(f"{self._name(key)!r} is {what}", hint)

    def close(self) -> None:
        """Names the keys that nobody asked for, and those whose value came to nothing."""
        for key in list(self._open):
            self.leave(key, UNUSED)
        for key, value in self._rest.items():
            near = difflib.get_close_matches(key, self._known - self.data.keys(), 1)
            hint = (
                f"did you mean {near[0]!r}?" if near else self._unknown or f"{self.reading.tool} has no such key there"
            )
            self.reading.leave(tell_name(self._name(key))[:200], value, f"it is unknown; {hint}")
        self._rest = {}

    def _name(self, key: str) -> str:
        return f"{self.above}{key}"


def _is_empty(value: object) -> bool:
    """Returns whether a value says nothing, as `[]` and a key without a value."""
    return value is None or value == "" or value == [] or value == {}
