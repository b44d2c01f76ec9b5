"""Who is asked for Debian's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.resolve.debian.mirrors import VARIABLE, choose_mirrors
from modelcrate.resolve.debian.release import keyring_of
from modelcrate.resolve.debian.releases import MIRRORS, RELEASES
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
    assert (found.debian, found.security) == (("https://p.example/debian",), ("https://p.example/debian-security",))


def test_then_the_environment(tmp_path: Path) -> None:
    value = "https://e.example/debian/ https://s.example/security/, file:///srv/debian"
    found = choose_mirrors([], {VARIABLE: value}, apt(tmp_path, main=ONE_LINE))
    assert found.debian == ("https://e.example/debian", "file:///srv/debian")
    assert found.security == ("https://s.example/security", "file:///srv/debian-security")


@pytest.mark.parametrize(
    ("files", "name"), [({"debian_sources": DEB822}, "one"), ({"main": ONE_LINE}, "two"), ({"a_list": ONE_LINE}, "two")]
)
def test_then_apts_own_and_no_third_party(tmp_path: Path, files: dict[str, str], name: str) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, **files))
    assert found.debian == (f"https://{name}.example/debian",)
    assert found.security == (f"https://{name}.example/debian-security",)


def test_apts_settings_in_several_files_are_read_in_order(tmp_path: Path) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, main=ONE_LINE, debian_sources=DEB822))
    assert found.debian == ("https://two.example/debian", "https://one.example/debian")


@pytest.mark.parametrize(
    "files", [{}, {"main": "deb https://x.example/ubuntu noble main\n"}, {"x_sources": "\x00:::\n"}]
)
def test_then_the_built_in_list(tmp_path: Path, files: dict[str, str]) -> None:
    found = choose_mirrors([], {}, apt(tmp_path, **files))
    assert list(zip(found.debian, found.security, strict=True)) == list(MIRRORS)
    assert choose_mirrors([], {}, tmp_path / "none") == found


def test_a_snapshot_mirrors_sibling_keeps_its_date() -> None:
    found = choose_mirrors(["https://s.example/archive/debian/20260101T000000Z"], {})
    assert found.security == ("https://s.example/archive/debian-security/20260101T000000Z",)


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


def test_each_archive_of_each_release_has_keys_of_its_own() -> None:
    rings = [keyring_of(release, archive).fingerprints for release in RELEASES.values() for archive in release.keys]
    assert len(set().union(*rings)) == sum(map(len, rings))
