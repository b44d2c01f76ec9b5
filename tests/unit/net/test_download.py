"""Downloads over the one HTTP client: logins, redirects, cuts, servers that lie, and what messages say."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.events import Notice
from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Download, Downloader
from modelcrate.net.errors import ErrorResponse, NotFound
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from support.images import StillClock, noise
from support.scripted import Drop, Reply, Script, Short, digest_of, scripted

DATA = noise(3 << 20, 5)


@pytest.fixture
def script() -> Iterator[Script]:
    with scripted(blobs={("files", digest_of(DATA)): DATA}) as running:
        yield running


def url(script: Script, login: str = "", host: str = "") -> str:
    return f"http://{login}{host or script.host}/v2/files/blobs/{digest_of(DATA)}"


def fetch(
    tmp_path: Path, *urls: str, size: int | None = len(DATA), events: list[object] | None = None, **environment: str
) -> bytes:
    wanted = Download("the file", urls, tmp_path / "got", hashlib.sha256(DATA).hexdigest(), size)
    with Downloader(
        HttpConfig(environment), (events if events is not None else []).append, clock=StillClock()
    ) as fetcher:
        return fetcher.download(wanted).read_bytes()


def guarded(script: Script, login: str = "me:s3cret") -> None:
    script.challenge = 'Basic realm="files"'
    wanted = "Basic " + base64.b64encode(login.encode()).decode()
    script.allowed = lambda authorization, seen: authorization == wanted


@pytest.mark.parametrize("size", [None, len(DATA)])
def test_a_download_that_breaks_off_goes_on_where_it_was(script: Script, tmp_path: Path, size: int | None) -> None:
    script.plan("GET", "/blobs/", Short(1_000_000), times=2)
    assert fetch(tmp_path, url(script), size=size) == DATA
    assert [one.headers.get("range", "").partition("-")[0] for one in script.seen][1:] != ["", ""]
    assert script.count("GET") == 3


def test_a_server_without_ranges_starts_again(script: Script, tmp_path: Path) -> None:
    script.plan("GET", "/blobs/", Short(1_000_000))
    script.plan("GET", "/blobs/", Reply(416))
    assert fetch(tmp_path, url(script)) == DATA
    assert script.count("GET") == 3


def test_failures_are_retried_and_said_once(script: Script, tmp_path: Path) -> None:
    events: list[object] = []
    script.plan("GET", "/blobs/", Reply(503), times=2)
    script.plan("GET", "/blobs/", Drop())
    assert fetch(tmp_path, url(script), events=events) == DATA
    assert [event.text.partition(":")[0] for event in events if isinstance(event, Notice)] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "lie", [Reply(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"), Reply(200, {}, bytes(len(DATA)))]
)
def test_a_place_that_lies_is_left_for_the_next_one(script: Script, tmp_path: Path, lie: Reply) -> None:
    script.plan("GET", "/blobs/", lie)
    assert fetch(tmp_path, url(script), url(script, host=script.other_host)) == DATA


def test_wrong_bytes_everywhere_are_an_integrity_error_and_leave_nothing(script: Script, tmp_path: Path) -> None:
    script.plan("GET", "/blobs/", Reply(200, {}, bytes(len(DATA))), times=9)
    with pytest.raises(IntegrityError, match="any of 2 places"):
        fetch(tmp_path, url(script), url(script))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_nowhere_is_not_found(script: Script, tmp_path: Path) -> None:
    missing = f"http://{script.host}/v2/files/blobs/sha256:{'0' * 64}"
    with pytest.raises(NotFound, match="404 Not Found"):
        fetch(tmp_path, missing)
    with pytest.raises(NotFound, match="any of 2 places"):
        fetch(tmp_path, missing, (tmp_path / "nothing").as_uri())


def test_a_login_of_the_url_is_sent_and_never_shown(script: Script, tmp_path: Path) -> None:
    guarded(script)
    assert fetch(tmp_path, url(script, "me:s3cret@")) == DATA
    with pytest.raises(ErrorResponse, match="401 Unauthorized") as caught:
        fetch(tmp_path / "again", url(script, "me:wr0ng@"))
    assert "the login from the URL was refused" in str(caught.value)
    assert "wr0ng" not in str(caught.value) + repr(caught.value)
    assert script.count("GET") == 2


def test_a_login_that_is_missing_is_a_401_with_the_places_that_were_looked_at(script: Script, tmp_path: Path) -> None:
    guarded(script)
    (tmp_path / ".netrc").write_text("machine elsewhere.example login a password b\n")
    with pytest.raises(RegistryError, match="401 Unauthorized") as caught:
        fetch(tmp_path, url(script), HOME=str(tmp_path))
    assert script.host in str(caught.value)
    assert f"{tmp_path}/.netrc" in caught.value.why
    assert "not the keyring" in caught.value.why


def test_netrc_is_used_and_its_default_only_after_a_refusal(script: Script, tmp_path: Path) -> None:
    guarded(script)
    home = {"HOME": str(tmp_path)}
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    assert fetch(tmp_path / "one", url(script), **home) == DATA
    assert script.count("GET") == 1
    (tmp_path / ".netrc").write_text("default login me password s3cret\n")
    assert fetch(tmp_path / "two", url(script), **home) == DATA
    assert [bool(one.authorization) for one in script.seen] == [True, False, True]


def test_a_redirect_to_another_host_takes_no_login_along(script: Script, tmp_path: Path) -> None:
    moved = f"http://{script.other_host}/v2/files/blobs/{digest_of(DATA)}"
    script.plan("GET", "/blobs/", Reply(302, {"Location": moved}))
    assert fetch(tmp_path, url(script, "me:s3cret@")) == DATA
    assert [bool(one.authorization) for one in script.seen] == [True, False]


def test_a_login_for_one_port_is_none_for_another(tmp_path: Path, script: Script) -> None:
    with scripted() as other:
        script.plan("GET", "/blobs/", Reply(302, {"Location": f"http://{other.host}/v2/files/blobs/x"}))
        with pytest.raises(NotFound):
            fetch(tmp_path, url(script), UV_INDEX_URL=f"http://me:s3cret@{script.host}/simple")
        assert [one.authorization for one in other.seen] == [""]


@pytest.mark.parametrize(
    "address",
    ["ftp://host.example/x", "http://", "https://[::1", "nonsense", "http://h:99999/x", "http://me:s3cret@[/x"],
)
def test_what_is_no_address_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(CrateError, match=r"not an address|can be fetched") as caught:
        fetch(tmp_path, address)
    assert "s3cret" not in str(caught.value)


def test_an_offline_downloader_opens_no_connection(script: Script, tmp_path: Path) -> None:
    with Downloader(HttpConfig(offline=True)) as fetcher:
        with pytest.raises(RegistryError, match="--offline"):
            fetcher.text(url(script), 1000)
        assert fetcher.traffic.total == 0
    assert script.seen == []
