"""The Debian base: signed indexes, versions, dependencies, mirrors. What others need of it is `resolve_debian` and `fetch_debs`."""

from modelcrate.resolve.debian.mirrors import Mirrors, choose_mirrors
from modelcrate.resolve.debian.pin import DebianWanted, PinnedDeb, debs_in, fetch_debs, resolve_debian
from modelcrate.resolve.debian.release import Freshness, Keyring
from modelcrate.resolve.debian.releases import known_release

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
    "resolve_debian",
]
