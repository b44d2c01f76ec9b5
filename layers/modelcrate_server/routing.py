"""From a path and a method to the one who answers: the routes of all platforms that are served, in one table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .platforms import Handler, Platform

_NAME = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True)
class Found:
    """Whose path it is. Without a handler, the method is none that is answered there."""

    platform: Platform
    handler: Handler | None
    names: Mapping[str, str]
    logged: bool = False
    probe: bool = False
    path: str = ""


class Routing:
    """Earlier platforms go first where two have the same path; those that leave bodies to the script go last."""

    def __init__(self, platforms: Sequence[Platform], environ: Mapping[str, str]) -> None:
        self._platforms = sorted(platforms, key=lambda each: each.free_bodies)  # sorting is stable
        self._routes = [
            (_pattern(route.path), route, each) for each in self._platforms for route in each.routes(environ)
        ]

    def find(self, path: str, method: str) -> Found | None:
        """Nothing, where no platform has such a path."""
        matches = [(found, route, owner) for pattern, route, owner in self._routes if (found := pattern.match(path))]
        for found, route, owner in matches:
            if method in route.methods:
                return Found(owner, route.handler, found.groupdict(), route.logged, route.probe, route.path)
        return Found(matches[0][2], None, {}) if matches else None

    @property
    def logged_paths(self) -> list[str]:
        """The paths whose requests are logged and counted."""
        return [route.path for _, route, _ in self._routes if route.logged]

    def nearest(self, path: str) -> Platform:
        """In whose form a path that nobody has is refused: theirs, whose paths begin like it, else the first one's."""
        top = path.split("/")[1]
        owners = [owner for _, route, owner in self._routes if route.path.split("/")[1] == top]
        return (owners or self._platforms)[0]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub(r"(?P<\1>[^/:]+)", re.escape(path)) + r"\Z")
