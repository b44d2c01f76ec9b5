"""The routes of all platforms that are served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .platforms import Handler, Platform

_NAME = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True)
class Found:
    """The route of a request. The handler is None when the path has no such method."""

    platform: Platform
    handler: Handler | None
    names: Mapping[str, str]
    logged: bool = False
    probe: bool = False
    path: str = ""


class Routing:
    """The routes of some platforms. Where two have the same path, the earlier one is taken, after those that fix the form of bodies."""

    def __init__(self, platforms: Sequence[Platform], environ: Mapping[str, str]) -> None:
        self.platforms = sorted(platforms, key=lambda each: each.free_bodies)  # sorting is stable
        self._found: dict[tuple[str, str], Found] = {}
        self._routes = [
            (_pattern(route.path), route, each) for each in self.platforms for route in each.routes(environ)
        ]

    def find(self, path: str, method: str) -> Found | None:
        """Returns the route of a path and a method, or None when no platform has the path."""
        known = self._found.get((path, method))
        if known is not None:
            return known
        found = self._search(path, method)
        if found is not None and found.path == path:  # without names in it, so that there are few of them
            self._found[path, method] = found
        return found

    def _search(self, path: str, method: str) -> Found | None:
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
        """Returns the platform in whose form an unknown path is refused: one with a path that begins alike, else the first."""
        top = path.split("/")[1]
        owners = [owner for _, route, owner in self._routes if route.path.split("/")[1] == top]
        return (owners or self.platforms)[0]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub(r"(?P<\1>[^/:]+)", re.escape(path)) + r"\Z")
