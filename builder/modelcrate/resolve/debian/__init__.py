"""The Debian base: signed indexes, versions, dependencies, mirrors. Names for other rooms, imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelcrate.resolve.debian.mirrors import Mirrors, choose_mirrors
    from modelcrate.resolve.debian.pin import DebianWanted, fetch_debs, newest_debs, resolve_debian
    from modelcrate.resolve.debian.pinned import PinnedDeb, debs_in
    from modelcrate.resolve.debian.release import Freshness, Keyring
    from modelcrate.resolve.debian.releases import known_release, release_of

__all__ = [
    "DebianWanted",
    "Freshness",
    "Keyring",
    "Mirrors",
    "PinnedDeb",
    "choose_mirrors",
    "debs_in",
    "fetch_debs",
    "known_release",
    "newest_debs",
    "release_of",
    "resolve_debian",
]

_HOMES = {
    "mirrors": ("Mirrors", "choose_mirrors"),
    "pin": ("DebianWanted", "fetch_debs", "newest_debs", "resolve_debian"),
    "pinned": ("PinnedDeb", "debs_in"),
    "release": ("Freshness", "Keyring"),
    "releases": ("known_release", "release_of"),
}


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
