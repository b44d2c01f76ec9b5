"""A private index with a password behind TLS (pypiserver), and the program keyring: every place where a login may stand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Download, Downloader
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from support.images import StillClock
from support.private_index import PASSWORD, USER, PrivateIndex, installed, private_index
from support.wheels import filename, wheel_bytes

LACKING = [name for name in ("pypiserver", "passlib", "keyring", "keyrings.alt") if not installed(name)]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(LACKING), reason=f"not installed, though in the extra modelcrate[dev]: {LACKING}"),
]

NAME, DATA = filename("own-lib", "1.0"), wheel_bytes("own-lib", "1.0")
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateIndex]:
    with private_index(tmp_path_factory.mktemp("index") / "index", {NAME: DATA}) as running:
        yield running


def fetch(
    index: PrivateIndex, folder: Path, *, login: str = "", clock: StillClock | None = None, **environment: str
) -> bytes:
    """The wheel, by a downloader with this environment and a home of its own."""
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"], "SSL_CERT_FILE": str(index.ca), **environment}
    with Downloader(HttpConfig(environment), clock=clock or StillClock()) as fetcher:
        page = fetcher.text(f"https://{login}{index.host}/simple/own-lib/", 1 << 20)
        assert NAME.encode() in page
        url = f"https://{login}{index.host}/packages/{NAME}"
        return fetcher.download(
            Download(NAME, (url,), folder / NAME, hashlib.sha256(DATA).hexdigest(), len(DATA))
        ).read_bytes()


def test_a_login_in_the_url(index: PrivateIndex, tmp_path: Path) -> None:
    assert fetch(index, tmp_path, login=f"{LOGIN}@") == DATA


@pytest.mark.parametrize(
    "variable", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"]
)
def test_a_login_in_a_variable(index: PrivateIndex, tmp_path: Path, variable: str) -> None:
    assert fetch(index, tmp_path, **{variable: f"https://{LOGIN}@{index.host}/simple/"}) == DATA


def test_a_login_of_a_named_index(index: PrivateIndex, tmp_path: Path) -> None:
    named = {"UV_INDEX": f"own={index.url}", "UV_INDEX_OWN_USERNAME": USER, "UV_INDEX_OWN_PASSWORD": PASSWORD}
    assert fetch(index, tmp_path, **named) == DATA


def test_a_login_in_pips_and_in_uvs_configuration(index: PrivateIndex, tmp_path: Path) -> None:
    for home, name, text in (
        ("pip", "pip/pip.conf", f"[global]\nindex-url = https://{LOGIN}@{index.host}/simple/\n"),
        ("uv", "uv/uv.toml", f'[[index]]\nurl = "https://{LOGIN}@{index.host}/simple/"\n'),
    ):
        path = tmp_path / home / ".config" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
        assert fetch(index, tmp_path / home) == DATA


def test_a_login_in_netrc(index: PrivateIndex, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f'machine localhost login {USER} password "{PASSWORD}"\n')
    assert fetch(index, tmp_path) == DATA


def test_a_login_in_a_keyring_where_it_is_switched_on(index: PrivateIndex, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("keyring")
    kept = {
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    words = [str(program), "set", index.host, USER]
    subprocess.run(words, input=PASSWORD, text=True, check=True, env={**os.environ, **kept}, capture_output=True)
    with pytest.raises(ErrorResponse, match="401"):
        fetch(index, tmp_path / "off", login=f"{USER}@", **kept)
    assert fetch(index, tmp_path, login=f"{USER}@", UV_KEYRING_PROVIDER="subprocess", **kept) == DATA


def test_without_a_login_the_answer_is_a_401_and_says_where_was_looked(index: PrivateIndex, tmp_path: Path) -> None:
    with pytest.raises(ErrorResponse, match="answered 401 Unauthorized") as caught:
        fetch(index, tmp_path)
    assert caught.value.status == 401
    assert index.host in str(caught.value)
    assert "no login was found: the URL, the index variables" in caught.value.why


def test_a_wrong_login_is_tried_once_and_not_shown(index: PrivateIndex, tmp_path: Path) -> None:
    before = len(index.log)
    with pytest.raises(ErrorResponse, match="403") as caught:  # which is what pypiserver says then
        fetch(index, tmp_path, UV_INDEX_URL=f"https://{USER}:wr0ng@{index.host}/simple/")
    assert "the login from uv's variables in the environment was refused" in str(caught.value)
    assert "wr0ng" not in f"{caught.value!r} {caught.value}"
    assert len(index.log) == before + 1


def test_its_certificate_is_checked(index: PrivateIndex, tmp_path: Path) -> None:
    before, clock = len(index.log), StillClock()
    with pytest.raises(ConnectionFailed, match="TLS failed") as caught:
        fetch(index, tmp_path, login=f"{LOGIN}@", clock=clock, SSL_CERT_FILE="")
    assert "SSL_CERT_FILE" in caught.value.hint
    assert clock.slept == []
    assert len(index.log) == before


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"])
def test_other_variables_name_the_authority_as_well(index: PrivateIndex, tmp_path: Path, variable: str) -> None:
    assert fetch(index, tmp_path, login=f"{LOGIN}@", SSL_CERT_FILE="", **{variable: str(index.ca)}) == DATA
