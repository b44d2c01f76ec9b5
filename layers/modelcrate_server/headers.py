"""Header fields and query values: names may repeat, and keep their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any


class Headers:
    """Header fields of a response. Names compare without case and may repeat; values become text."""

    def __init__(self, fields: Iterable[tuple[str, object]] = ()) -> None:
        self._fields: list[tuple[str, str]] = []
        self._names: list[str] = []  # of the fields, in lower case
        for name, value in fields:
            self.add(name, value)

    def add(self, name: str, value: object) -> None:
        """Adds a field. ValueError for a line break in it."""
        text = str(value)
        if "\r" in text or "\n" in text or "\r" in name or "\n" in name:
            raise ValueError("a header field must not contain line breaks")
        self._fields.append((name, text))
        self._names.append(name.lower())

    add_header = add

    def copy(self) -> Headers:
        """Returns the same fields in a list of their own."""
        copied = Headers()
        copied._fields, copied._names = self._fields[:], self._names[:]
        return copied

    def get(self, name: str, default: str | None = None) -> str | None:
        """Returns the first value of a name."""
        own = name.lower()
        return self._fields[self._names.index(own)][1] if own in self._names else default

    def getlist(self, name: str) -> list[str]:
        """Returns all values of a name."""
        return [self._fields[place][1] for place in self._places(name)]

    def remove(self, name: str) -> None:
        """Removes all fields of a name."""
        for place in reversed(self._places(name)):
            del self._fields[place], self._names[place]

    def items(self) -> list[tuple[str, str]]:
        """Returns all names and values."""
        return list(self._fields)

    def _places(self, name: str) -> list[int]:
        own = name.lower()
        return [place for place, each in enumerate(self._names) if each == own]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: object) -> None:
        places = self._places(name) if name.lower() in self._names else []
        self.add(name, value)
        if places:  # in the place of the first; the others go
            self._fields[places[0]] = self._fields.pop()
            self._names.pop()
            for place in reversed(places[1:]):
                del self._fields[place], self._names[place]

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class RequestHeaders:
    """Header fields of a request, from the WSGI environment, with names such as X-Request-Id."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def items(self) -> Iterator[tuple[str, str]]:
        """Yields all names and values."""
        for key, value in self._environ.items():
            if key.startswith("HTTP_") and key not in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
                yield key[5:].replace("_", "-").title(), value
            elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
                yield key.replace("_", "-").title(), value

    __iter__ = items

    def keys(self) -> Iterator[str]:
        """Yields all names."""
        return (name for name, _ in self.items())

    def values(self) -> Iterator[str]:
        """Yields all values."""
        return (value for _, value in self.items())

    def get(self, name: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # noqa: A002
        """Returns the value of a name, converted by `type` where it can be."""
        key = name.upper().replace("-", "_")
        value = self._environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}")
        return default if value is None else _converted(value, default, type)

    def getlist(self, name: str) -> list[str]:
        """Returns the value of a name in a list."""
        value = self.get(name)
        return [] if value is None else [value]

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return str(value)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self.items())


class MultiDict(dict):  # type: ignore[type-arg]  # subscripted dict bases would cost nothing but say less: key to all its values
    """Values by name. A name may have several: a look-up gives the first, `getlist` all."""

    def __init__(self, pairs: Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        for name, value in pairs:
            super().setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[Any]:
        """Returns all values of a name."""
        return list(super().get(name, ()))

    def get(self, name: str, default: Any = None, type: Callable[[str], Any] | None = None) -> Any:  # noqa: A002
        """Returns the first value of a name, converted by `type` where it can be."""
        return _converted(self[name], default, type) if name in self else default

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name)[0]

    def items(self) -> Any:
        """Returns each name with its first value."""
        return [(name, self[name]) for name in self]

    def values(self) -> Any:
        """Returns the first value of each name."""
        return [self[name] for name in self]

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        """Returns a dictionary of the first values, or of the lists of all values."""
        return {name: self[name] if flat else self.getlist(name) for name in self}


def _converted(value: str, default: Any, type: Callable[[str], Any] | None) -> Any:  # noqa: A002
    if type is None:
        return value
    try:
        return type(value)
    except (TypeError, ValueError):
        return default
