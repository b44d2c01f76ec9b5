"""The table of releases of Debian and Ubuntu: names, Pythons, suites, keys, packages. Data, with the reasons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

ARCHIVE, SECURITY = "debian", "debian-security"
"""Debian's two archives, by the folders in which mirrors keep them."""

UBUNTU, UBUNTU_PORTS = "ubuntu", "ubuntu-ports"
"""Ubuntu's archives: that of amd64, and that of all other architectures."""

MAIN, UNIVERSE = "main", "universe"
"""Parts of an archive: Ubuntu has the packages that it does not look after itself in the second."""

ARCHITECTURES = ("amd64", "arm64")
"""The architectures that a base can have; Debian and Go, whose names platforms use, agree about these."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One signed index.

    Attributes:
        archive: The archive that has it.
        name: Its folder under `dists/`.
        field: The field of the index that has to be this name: Ubuntu's indexes of updates have the release's own code name.
    """

    archive: str
    name: str
    field: str = "Codename"


@dataclass(frozen=True, slots=True)
class DebianRelease:
    """A release that can be a base.

    Attributes:
        glibc: The version of its C library, which decides which wheels run on it (PEP 600).
        keys: The full fingerprints of the certificates that may sign, by archive.
        security_until: The last day of public security updates; None for a release that is not out yet.
        distribution: `debian` or `ubuntu`.
    """

    codename: str
    number: str
    python: str
    glibc: tuple[int, int]
    keys: Mapping[str, tuple[str, ...]]
    security_until: date | None
    distribution: str = "debian"

    def __str__(self) -> str:
        return f"{self.distribution.capitalize()} {self.codename}"

    def suites(self, architecture: str) -> tuple[Suite, ...]:
        """Returns the release, its updates between point releases, and its security updates."""
        if self.distribution == UBUNTU:
            archive = UBUNTU if architecture == "amd64" else UBUNTU_PORTS
            names = (self.codename, f"{self.codename}-updates", f"{self.codename}-security")
            return tuple(Suite(archive, name, "Suite") for name in names)
        return (
            Suite(ARCHIVE, self.codename),
            Suite(ARCHIVE, f"{self.codename}-updates"),
            Suite(SECURITY, f"{self.codename}-security"),
        )

    @property
    def components(self) -> tuple[str, ...]:
        """The parts of its archives in which packages are looked for, the first one first: what Debian has in main, Ubuntu has in two."""
        return (MAIN, UNIVERSE) if self.distribution == UBUNTU else (MAIN,)

    def notice(self, today: date) -> str:
        """Returns what a user should know of the release's support; empty where all is well."""
        if self.security_until is None:
            return f"{self} (Python {self.python}) is not released yet: its packages change from day to day"
        if today > self.security_until:
            return f"{self} (Python {self.python}) is at its end: no security updates since {self.security_until}"
        return ""


_DEBIAN_11 = (
    "1f89983e0081fde018f3cc9673a4f27b8dd47936",  # Debian Archive Automatic Signing Key (11/bullseye)
    "a4285295fc7b1a81600062a9605c66f00d6c9793",  # Debian Stable Release Key (11/bullseye)
)
_DEBIAN_12 = (
    "b8b80b5b623eab6ad8775c45b7c5d7d6350947f8",  # Debian Archive Automatic Signing Key (12/bookworm)
    "4d64fec119c2029067d6e791f8d2585b8783d481",  # Debian Stable Release Key (12/bookworm)
)
_DEBIAN_13 = (
    "04b54c3cdca79751b16bc6b5225629df75b188bd",  # Debian Archive Automatic Signing Key (13/trixie)
    "41587f7db8c774bccf131416762f67a0b2c39de4",  # Debian Stable Release Key (13/trixie)
)
_SECURITY_11 = ("ac530d520f2f3269f5e98313a48449044aad5c5d",)  # Security Archive Automatic Signing Key (11/bullseye)
_SECURITY_12 = ("05ab90340c0c5e797f44a8c8254cf3b5aec0a8f0",)  # Security Archive Automatic Signing Key (12/bookworm)
_SECURITY_13 = ("5e04a1e3223a19a20706e20f9904613d4cce68c6",)  # Security Archive Automatic Signing Key (13/trixie)
_UBUNTU_2018 = ("f6ecb3762474eda9d21b7022871920d1991bc93c",)  # Ubuntu Archive Automatic Signing Key (2018)
_UBUNTU_KEYS = {UBUNTU: _UBUNTU_2018, UBUNTU_PORTS: _UBUNTU_2018}

_RELEASES = (
    DebianRelease("bookworm", "12", "3.11", (2, 36), {ARCHIVE: _DEBIAN_12, SECURITY: _SECURITY_12}, date(2028, 6, 30)),
    DebianRelease("trixie", "13", "3.13", (2, 41), {ARCHIVE: _DEBIAN_13, SECURITY: _SECURITY_13}, date(2030, 6, 30)),
    DebianRelease("noble", "24.04", "3.12", (2, 39), _UBUNTU_KEYS, date(2029, 5, 31), UBUNTU),
    DebianRelease("jammy", "22.04", "3.10", (2, 35), _UBUNTU_KEYS, date(2027, 4, 30), UBUNTU),
    # the keys of Debian 13 sign what will be 14, whose own come with its release
    DebianRelease("forky", "14", "3.14", (2, 43), {ARCHIVE: _DEBIAN_13, SECURITY: _SECURITY_13}, None),
    DebianRelease("bullseye", "11", "3.9", (2, 31), {ARCHIVE: _DEBIAN_11, SECURITY: _SECURITY_11}, date(2026, 8, 31)),
)
RELEASES = {release.codename: release for release in _RELEASES}
"""The releases by code name, the ones to prefer first. Each is the one with its Python that is supported longest."""

ENDED_RELEASES = "http://archive.debian.org/debian"
"""The mirror that keeps the releases that the others drop."""

MIRRORS = (
    ("https://mirrors.kernel.org/debian", "https://mirrors.kernel.org/debian-security"),
    ("https://mirrors.tuna.tsinghua.edu.cn/debian", "https://mirrors.tuna.tsinghua.edu.cn/debian-security"),
    (ENDED_RELEASES, "http://archive.debian.org/debian-security"),
)
"""Public mirrors of both archives, tried in this order if no mirror is named. The last one keeps releases at their end."""

UBUNTU_MIRRORS = (("http://archive.ubuntu.com/ubuntu", "http://ports.ubuntu.com/ubuntu-ports"),)
"""The same for Ubuntu's two archives."""

LEFT_OUT: Mapping[str, str] = {
    "adduser": "makes users in scripts; passwd is ours",
    "awk": "base-files needs it in its script",
    "debconf": "asks questions in scripts, and would bring perl",
    "debconf-2.0": "as debconf",
    "dpkg": "nothing is installed in the image",
    "install-info": "documentation is left out",
    "openssl": "ca-certificates needs it in its script, which makes the bundle; the library is libssl",
    "ucf": "keeps settings apart in scripts",
}
"""Packages that others need for their maintainer scripts only, and why an image does not. A project can name them to have them."""


SHELL = ("coreutils", "dash")
"""What a base with a shell has besides: `/bin/sh` and the programs that scripts call."""


def roots(release: DebianRelease) -> tuple[str, ...]:
    """Returns the packages that the base is made of, before their dependencies."""
    return (
        "base-files",  # the folders, os-release, the licences that copyright files point at
        "ca-certificates",  # TLS
        "libc-bin",  # the locale C.UTF-8
        "libgcc-s1",  # wheels of compiled code need these three and bring none of them, or not all
        "libgomp1",
        "libstdc++6",
        "netbase",  # names of services and protocols
        f"python{release.python}",
        "tzdata",  # zoneinfo
    )


def known_release(codename: str) -> DebianRelease:
    """Returns the release of a code name or number; raises a UserError that names the known ones."""
    for release in RELEASES.values():
        if codename in (release.codename, release.number):
            return release
    names = ", ".join(f"{each.codename} (Python {each.python})" for each in by_python())
    raise UserError(f"unknown Debian release {codename[:50]!r}", hint=f"known are {names}")


DEFAULT_RELEASE = "bookworm"
"""The release for a project that names neither a release nor a Python."""


def release_of(codename: str | None, python: str | None) -> DebianRelease:
    """Returns the release of a code name; without one, the release that has a Python, or the default.

    A Python that no release has is refused later, with the Pythons that there are.
    """
    if codename is not None:
        return known_release(codename)
    fitting = (release for release in RELEASES.values() if release.python == python)
    return next(fitting, RELEASES[DEFAULT_RELEASE])


def by_python() -> list[DebianRelease]:
    """Returns the releases in the order of their Pythons."""
    return sorted(RELEASES.values(), key=lambda release: tuple(map(int, release.python.split("."))))


def nearest_python(python: str) -> str | None:
    """Returns the Python of a release that takes the place of a version: the same, or the oldest for an older one; None for any other."""
    known = [release.python for release in by_python()]
    number = re.fullmatch(r"3\.([0-9]{1,2})", python)
    if number and int(number[1]) < int(known[0].removeprefix("3.")):
        return known[0]
    return python if python in known else None
