"""Logins for indexes: where they are looked for, in which order, and what never gets one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.credentials import IndexCredentials, Login

URL = "https://index.example/team/simple/pkg/"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def credentials(home: Path, *indexes: str, **environment: str) -> IndexCredentials:
    return IndexCredentials(HttpConfig({"HOME": str(home), **environment}), indexes)


def login(home: Path, *indexes: str, url: str = URL, **environment: str) -> tuple[str, str] | None:
    found = credentials(home, *indexes, **environment).find(url)
    return (found.username, found.password) if found else None


@pytest.mark.parametrize(
    "variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"]
)
def test_a_variable_with_a_login_holds_for_its_origin(tmp_path: Path, variable: str) -> None:
    named = {variable: "https://free.example/simple https://me:pa%40ss@index.example/team/simple"}
    assert login(tmp_path, **named) == ("me", "pa@ss")
    for other in (
        "https://free.example/x",
        "http://index.example/x",
        "https://index.example:8443/x",
        "https://evil-index.example/x",
    ):
        assert login(tmp_path, url=other, **named) is None


def test_indexes_of_a_foreign_project_get_no_login_that_fits_any_host(tmp_path: Path) -> None:
    write(tmp_path / ".netrc", "default login me password everywhere\n").chmod(0o600)
    environment = {"HOME": str(tmp_path), "UV_INDEX": "https://mine.example/simple"}
    found = IndexCredentials(HttpConfig(environment, foreign=True), [URL])
    assert found.find_after_refusal(URL) is None
    assert found.find_after_refusal("https://mine.example/simple/pkg/") is not None
    assert found.has_default()
    assert IndexCredentials(HttpConfig(environment), [URL]).find_after_refusal(URL) is not None


def test_the_url_itself_comes_first(tmp_path: Path) -> None:
    named = {"UV_INDEX_URL": "https://a:b@index.example/simple"}
    assert login(tmp_path, url="https://c:d@index.example/x", **named) == ("c", "d")
    assert login(tmp_path, url="https://a@index.example/x", **named) == ("a", "b")
    assert login(tmp_path, url="https://z@index.example/x", **named) is None


def test_the_projects_index_comes_before_the_environment(tmp_path: Path) -> None:
    named = {"UV_INDEX_URL": "https://a:b@index.example/simple"}
    assert login(tmp_path, "https://p:q@index.example/simple", **named) == ("p", "q")


def test_of_two_indexes_of_one_host_the_nearer_path_counts(tmp_path: Path) -> None:
    named = {"UV_INDEX": "https://a:1@index.example/other/simple https://b:2@index.example/team/simple"}
    assert login(tmp_path, **named) == ("b", "2")
    assert login(tmp_path, url="https://index.example/other/files/x.whl", **named) == ("a", "1")
    assert login(tmp_path, url="https://index.example/files/x.whl", **named) == ("a", "1")


def test_the_variables_of_a_named_index(tmp_path: Path) -> None:
    named = {
        "UV_INDEX": "my-own=https://index.example/simple",
        "UV_INDEX_MY_OWN_USERNAME": "me",
        "UV_INDEX_MY_OWN_PASSWORD": "pw",
    }
    assert login(tmp_path, **named) == ("me", "pw")
    assert login(tmp_path, url="https://other.example/", **named) is None
    own = {key: value for key, value in named.items() if key != "UV_INDEX"}
    assert login(tmp_path, "my-own=https://index.example/simple", **own) == ("me", "pw")


def test_configuration_files_of_pip_and_uv(tmp_path: Path) -> None:
    write(tmp_path / "pip/.config/pip/pip.conf", "[global]\nextra-index-url =\n  https://a:b@index.example/simple\n")
    write(tmp_path / "old/.pip/pip.conf", "[install]\nindex-url = https://a:b@index.example/simple\n")
    write(tmp_path / "uv/.config/uv/uv.toml", '[[index]]\nname = "x"\nurl = "https://a:b@index.example/simple"\n')
    write(tmp_path / "named/.config/uv/uv.toml", '[[index]]\nname = "x"\nurl = "https://index.example/simple"\n')
    for home in ("pip", "old", "uv"):
        assert login(tmp_path / home) == ("a", "b")
    assert login(tmp_path / "named", UV_INDEX_X_USERNAME="a", UV_INDEX_X_PASSWORD="b") == ("a", "b")
    assert login(tmp_path / "pip", PIP_CONFIG_FILE=os.devnull) is None
    assert login(tmp_path / "uv", UV_NO_CONFIG="1") is None


def test_netrc_by_host_and_its_default_only_after_a_refusal(tmp_path: Path) -> None:
    write(tmp_path / ".netrc", "machine index.example login me password pw\ndefault login any password one\n")
    found = credentials(tmp_path)
    assert login(tmp_path) == ("me", "pw")
    assert login(tmp_path, url="https://index.example:8443/") == ("me", "pw")
    assert login(tmp_path, url="https://other.example/") is None
    after = found.find_after_refusal("https://other.example/")
    assert after is not None
    assert (after.username, after.password) == ("any", "one")


def test_netrc_named_by_its_variable(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere", "machine index.example login me password pw\n")
    assert login(tmp_path, NETRC=str(path)) == ("me", "pw")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".netrc", "machine index.example login me passwort s3cret\n"),
        (".config/pip/pip.conf", "index-url = https://me:s3cret@index.example\n"),
        (".config/uv/uv.toml", "index-url = s3cret\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_stops_nothing(tmp_path: Path, file: str, text: str) -> None:
    path = write(tmp_path / file, text)
    found = credentials(tmp_path)
    assert found.find(URL) is None
    assert f"{path} can't be read" in found.searched()
    assert "s3cret" not in found.searched()


def test_fifos_and_endless_files_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".netrc")
    write(tmp_path / ".config/pip/pip.conf", "#" * (2 << 20))
    found = credentials(tmp_path, UV_CONFIG_FILE="/dev/zero")
    assert found.find(URL) is None
    assert found.searched().count("can't be read") == 3


def test_the_keyring_is_started_only_where_that_is_switched_on(tmp_path: Path) -> None:
    program = write(
        tmp_path / "bin/keyring", f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$2" = index.example ] && echo pw\n'
    )
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    url = "https://me@index.example/simple/x"
    assert credentials(tmp_path, **path).find_after_refusal(url) is None
    assert not (tmp_path / "asked").exists()
    found = credentials(tmp_path, **path, UV_KEYRING_PROVIDER="subprocess").find_after_refusal(url)
    assert found is not None
    assert (found.username, found.password, found.source) == ("me", "pw", "keyring (index.example)")
    assert (tmp_path / "asked").read_text().splitlines() == [
        "get https://index.example/simple/x me",
        "get index.example me",
    ]


def test_no_secret_shows_in_a_repr(tmp_path: Path) -> None:
    found = credentials(tmp_path, UV_INDEX_URL="https://me:s3cret@index.example/simple")
    assert "s3cret" not in repr(found.find(URL))
    assert "s3cret" not in repr(found._configured())
    assert "s3cret" not in found.searched()


def test_the_login_of_a_projects_index_goes_into_the_urls_that_its_lock_names(tmp_path: Path) -> None:
    named = {"UV_INDEX_OWN_USERNAME": "me", "UV_INDEX_OWN_PASSWORD": "p@ss word"}
    found = credentials(
        tmp_path, "own=https://index.example/simple", **named, UV_INDEX_URL="https://a:b@other.example/simple"
    )
    login = found.find_of_project(URL)
    assert login is not None
    assert login.in_url(URL) == "https://me:p%40ss%20word@index.example/team/simple/pkg/"
    assert found.find(login.in_url(URL)) == Login("me", "p@ss word", "the URL")
    assert found.find_of_project("https://other.example/x") is None


def test_an_index_for_some_packages_only_has_a_login_too(tmp_path: Path) -> None:
    write(
        tmp_path / ".config/uv/uv.toml",
        '[[index]]\nname = "x"\nurl = "https://a:b@index.example/simple"\nexplicit = true\n',
    )
    assert login(tmp_path) == ("a", "b")
