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
from support.command import Crate
from support.images import StillClock
from support.private_index import PASSWORD, USER, PrivateIndex, installed, private_index
from support.small_projects import SCRIPT, write_project
from support.wheels import filename, wheel_bytes

LACKING = [name for name in ("pypiserver", "passlib", "keyring", "keyrings.alt") if not installed(name)]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(LACKING), reason=f"not installed, though in the extra modelcrate[dev]: {LACKING}"),
]

NAME, DATA = filename("own-lib", "1.0"), wheel_bytes("own-lib", "1.0")
WHEELS = {NAME: DATA, filename("gunicorn", "23.0"): wheel_bytes("gunicorn", "23.0")}
LOGIN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateIndex]:
    with private_index(tmp_path_factory.mktemp("index") / "index", WHEELS) as running:
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


def project(folder: Path, index_url: str) -> Path:
    write_project(
        folder,
        f"""\
        name: private
        python: "3.11"
        base: {{from: scratch, interpreter: /usr/bin/python3.11}}
        dependencies: {{requirements: [own-lib]{f", index-url: {index_url!r}" if index_url else ""}}}
        entry: {{source: src, script: score.py}}
        """,
    )
    (folder / "src").mkdir()
    (folder / "src" / "score.py").write_text(SCRIPT)
    return folder


@pytest.mark.parametrize("place", ["netrc", "variable", "named", "pip.conf", "uv.toml", "project's uv.toml"])
def test_a_login_counts_for_lock_and_build_alike_and_is_kept_nowhere(
    index: PrivateIndex, tmp_path: Path, place: str
) -> None:
    home, url, environment = tmp_path / "user", f"https://{LOGIN}@{index.host}/simple/", dict[str, str]()
    home.mkdir()
    folder = project(tmp_path / "project", index.url if place == "netrc" else "")
    if place == "netrc":
        (home / ".netrc").write_text(f'machine localhost login {USER} password "{PASSWORD}"\n')
    elif place == "variable":
        environment = {"PIP_INDEX_URL": url}
    elif place == "named":
        (folder / "uv.toml").write_text(f'[[index]]\nname = "own"\nurl = "{index.url}"\ndefault = true\n')
        environment = {"UV_INDEX_OWN_USERNAME": USER, "UV_INDEX_OWN_PASSWORD": PASSWORD}
    elif place == "pip.conf":
        write(home / ".config/pip/pip.conf", f"[global]\nindex-url = {url}\n")
    else:
        file = folder / "uv.toml" if place != "uv.toml" else home / ".config/uv/uv.toml"
        write(file, f'[[index]]\nurl = "{url}"\ndefault = true\n')
    crate = Crate.at(tmp_path / "home", HOME=str(home), SSL_CERT_FILE=str(index.ca), **environment)
    locked = crate("lock", folder, "-v").succeeded()
    built = crate("build", folder, "-o", f"oci:{tmp_path}/image:1", "-v").succeeded()
    shown = locked.out + locked.err + built.out + built.err + (folder / "modelcrate.lock").read_text()
    assert "own-lib" in shown or "own_lib" in shown
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in shown
        for kept in (tmp_path / "home" / "cache", tmp_path / "home" / "store", tmp_path / "image"):
            named = subprocess.run(["grep", "-rlaF", secret, str(kept)], capture_output=True, text=True).stdout
            assert named == ""


def test_without_a_login_the_command_ends_with_401_and_the_host(index: PrivateIndex, tmp_path: Path) -> None:
    crate = Crate.at(tmp_path / "home", SSL_CERT_FILE=str(index.ca))
    done = crate("lock", project(tmp_path / "project", index.url))
    assert done.code == 4
    assert "401" in done.err
    assert index.host in done.err


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
