"""What is known beforehand of Debian's releases: names, the Python they bring, suites, keys, packages. Data, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

ARCHIVE, SECURITY = "debian", "debian-security"
"""Debian's two archives, by the folders in which mirrors keep them."""

ARCHITECTURES = ("amd64", "arm64")
"""The architectures that a base can have; Debian and Go, whose names platforms use, agree about these."""


@dataclass(frozen=True, slots=True)
class Suite:
    """One signed index: `name` is its folder under `dists/`, and what its code name has to be."""

    archive: str
    name: str


@dataclass(frozen=True, slots=True)
class DebianRelease:
    """A release that can be a base. `keys` are the full fingerprints of the certificates that may sign, by archive.

    `glibc` is the version of its C library, which decides which wheels run on it (PEP 600).
    """

    codename: str
    number: str
    python: str
    glibc: tuple[int, int]
    keys: Mapping[str, tuple[str, ...]]

    @property
    def suites(self) -> tuple[Suite, ...]:
        """The release, its updates between point releases, its security updates."""
        return (
            Suite(ARCHIVE, self.codename),
            Suite(ARCHIVE, f"{self.codename}-updates"),
            Suite(SECURITY, f"{self.codename}-security"),
        )


RELEASES = {
    "bookworm": DebianRelease(
        "bookworm",
        "12",
        "3.11",
        (2, 36),
        {
            ARCHIVE: (
                "b8b80b5b623eab6ad8775c45b7c5d7d6350947f8",  # Debian Archive Automatic Signing Key (12/bookworm)
                "4d64fec119c2029067d6e791f8d2585b8783d481",  # Debian Stable Release Key (12/bookworm)
            ),
            SECURITY: (
                "05ab90340c0c5e797f44a8c8254cf3b5aec0a8f0",
            ),  # Security Archive Automatic Signing Key (12/bookworm)
        },
    ),
    "trixie": DebianRelease(
        "trixie",
        "13",
        "3.13",
        (2, 41),
        {
            ARCHIVE: (
                "04b54c3cdca79751b16bc6b5225629df75b188bd",  # Debian Archive Automatic Signing Key (13/trixie)
                "41587f7db8c774bccf131416762f67a0b2c39de4",  # Debian Stable Release Key (13/trixie)
            ),
            SECURITY: (
                "5e04a1e3223a19a20706e20f9904613d4cce68c6",
            ),  # Security Archive Automatic Signing Key (13/trixie)
        },
    ),
}

MIRRORS = (
    ("https://mirrors.kernel.org/debian", "https://mirrors.kernel.org/debian-security"),
    ("https://mirrors.tuna.tsinghua.edu.cn/debian", "https://mirrors.tuna.tsinghua.edu.cn/debian-security"),
)
"""Public mirrors of both archives, asked in this order where nobody named one."""

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
"""Packages that others depend on for their maintainer scripts only, and why each is not needed. Asked for by name, they come."""


def roots(release: DebianRelease) -> tuple[str, ...]:
    """What the base is made of, before its dependencies."""
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
    """The release of a code name or number; a UserError that names the known ones."""
    for release in RELEASES.values():
        if codename in (release.codename, release.number):
            return release
    names = ", ".join(f"{each.codename} (Python {each.python})" for each in RELEASES.values())
    raise UserError(f"unknown Debian release {codename[:50]!r}", hint=f"known are {names}")
