"""Who is asked for Debian's packages."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from modelcrate.resolve.debian.mirrors import VARIABLE, choose_mirrors
from modelcrate.resolve.debian.release import Freshness, keyring_of
from modelcrate.resolve.debian.releases import MIRRORS, RELEASES, UBUNTU_MIRRORS, by_python, release_of
from modelcrate_layers.errors import UserError

DEB822 = """\
Types: deb deb-src
# a comment
URIs: https://one.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://one.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://third.example/linux/debian
Suites: bookworm
Components: main
Signed-By: /etc/apt/keyrings/third.gpg

Types: deb-src
URIs: https://source.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """\
# deb https://comment.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://two.example/debian trixie main # why
deb https://two.example/debian-security trixie-security main
deb [signed-by=/etc/apt/keyrings/x.asc] https://third.example/debian bookworm main
deb https://third.example/linux/debian bookworm stable
deb https://third.example/apt nodistro main
deb https://third.example/repo bookworm-pgdg main
deb cdrom:[Debian]/ bookworm main
nonsense
"""


def apt(folder: Path, **files: str) -> Path:
    (folder / "sources.list.d").mkdir()
    for name, text in files.items():
        path = folder / ("sources.list" if name == "main" else f"sources.list.d/{name.replace('_', '.')}")
        path.write_text(text)
    return folder


def test_the_project_comes_first(tmp_path: Path) -> None:
    found = choose_mirrors(
        ["https://p.example/debian"], {VARIABLE: "https://e.example/debian"}, apt(tmp_path, main=ONE_LINE)
    )
    assert (found.of("debian"), found.of("debian-security")) == (
        ("https://p.example/debian",),
        ("https://p.example/debian-security",),
    )


def test_then_the_environment(tmp_path: Path) -> None:
    value = "https://e.example/debian/ https://s.example/security/, file:///srv/debian"
    found = choose_mirrors([], {VARIABLE: value}, apt(tmp_path, main=ONE_LINE))
    assert found.of("debian") == ("https://e.example/debian", "file:///srv/debian")
    assert found.of("debian-security") == ("https://s.example/security", "file:///srv/debian-security")


@pytest.mark.parametrize(
    ("files", "name"), [({"debian_sources": DEB822}, "one"), ({"main": ONE_LINE}, "two"), ({"a_list": ONE_LINE}, "two")]
)
def test_then_apts_own_and_no_third_party(tmp_path: Path, files: dict[str, str], name: str) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, **files))
    assert found.of("debian") == (f"https://{name}.example/debian",)
    assert found.of("debian-security") == (f"https://{name}.example/debian-security",)


def test_apts_settings_in_several_files_are_read_in_order(tmp_path: Path) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, main=ONE_LINE, debian_sources=DEB822))
    assert found.of("debian") == ("https://two.example/debian", "https://one.example/debian")


@pytest.mark.parametrize(
    "files", [{}, {"main": "deb https://x.example/ubuntu noble main\n"}, {"x_sources": "\x00:::\n"}]
)
def test_then_the_built_in_list(tmp_path: Path, files: dict[str, str]) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, **files))
    assert list(zip(found.of("debian"), found.of("debian-security"), strict=True)) == list(MIRRORS)
    assert choose_mirrors([], {}, tmp_path / "none") == found


def test_a_snapshot_mirrors_sibling_keeps_its_date() -> None:
    found = choose_mirrors(["https://s.example/archive/debian/20260101T000000Z"], {})
    assert found.of("debian-security") == ("https://s.example/archive/debian-security/20260101T000000Z",)
    assert found.freshness is Freshness.ANY, "it is old on purpose"
    assert choose_mirrors(["https://s.example/debian"], {}).freshness is Freshness.REQUIRED


UBUNTU = """\
deb http://archive.example/ubuntu noble main restricted
deb http://archive.example/ubuntu noble-updates main
deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://security.example/ubuntu noble-security main
deb [signed-by=/etc/apt/keyrings/x.gpg] http://third.example/ubuntu noble main
"""


def test_ubuntu_has_mirrors_of_its_own(tmp_path: Path) -> None:
    host = apt(tmp_path, main=UBUNTU + ONE_LINE)
    found = choose_mirrors([], {VARIABLE: "https://e.example/debian"}, host, "ubuntu")
    assert found.of("ubuntu") == ("http://archive.example/ubuntu", "http://security.example/ubuntu")
    assert found.of("ubuntu-ports") == (UBUNTU_MIRRORS[0][1],)
    named = choose_mirrors(["https://p.example/ubuntu"], {}, host, "ubuntu")
    assert (named.of("ubuntu"), named.of("ubuntu-ports")) == (
        ("https://p.example/ubuntu",),
        ("https://p.example/ubuntu-ports",),
    )
    by_variable = choose_mirrors([], {"MODELCRATE_UBUNTU_MIRROR": "https://v.example/ubuntu"}, host, "ubuntu")
    assert by_variable.of("ubuntu") == ("https://v.example/ubuntu",)
    assert choose_mirrors([], {}, host).of("debian") == ("https://two.example/debian",)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "ftp://x.example/debian",
        "https:///debian",
        "https://x.example/other",
        "https://x.example/debian b c",
    ],
)
def test_what_is_no_mirror_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UserError, match="not a Debian mirror") as caught:
        choose_mirrors([text], {})
    assert "debian-security" in caught.value.hint


def test_the_shipped_keys_are_those_that_are_pinned_and_none_is_secret() -> None:
    from pysequoia import Cert

    pinned = {
        key
        for release in RELEASES.values()
        for archive in release.keys
        for key in keyring_of(release, archive).fingerprints
    }
    certificates = keyring_of(RELEASES["bookworm"], "debian").certificates
    assert {cert.fingerprint for cert in Cert.split_bytes(certificates)} == pinned
    assert b"PRIVATE" not in certificates
    assert all(len(key) == 40 for key in pinned)


def test_each_archive_has_keys_of_its_own() -> None:
    rings: dict[str, set[str]] = {}
    for release in RELEASES.values():
        for archive in release.keys:
            rings.setdefault(archive.replace("ubuntu-ports", "ubuntu"), set()).update(
                keyring_of(release, archive).fingerprints
            )
    assert len(set().union(*rings.values())) == sum(map(len, rings.values()))


def test_every_python_has_a_release() -> None:
    assert [each.python for each in by_python()] == ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"]
    for release in RELEASES.values():
        assert release_of(None, release.python) is release
    assert release_of(None, None).codename == release_of(None, "3.99").codename == "bookworm"


@pytest.mark.parametrize(
    ("codename", "today", "words"),
    [
        ("bullseye", date(2026, 8, 31), ""),
        ("bullseye", date(2026, 9, 1), "no security updates since 2026-08-31"),
        ("bookworm", date(2026, 9, 1), ""),
        ("forky", date(2026, 9, 1), "is not released yet"),
        ("jammy", date(2030, 1, 1), "Ubuntu jammy (Python 3.10) is at its end"),
    ],
)
def test_a_release_at_its_end_says_so(codename: str, today: date, words: str) -> None:
    found = RELEASES[codename].notice(today)
    assert words in found
    assert bool(found) is bool(words)
