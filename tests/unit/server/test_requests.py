"""Requests as raw scripts see them, and forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate_server.form import FormError, parse_multipart
from modelcrate_server.request import AMLRequest, HttpError
from support.wsgi import environ_of

PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
    b'--b\r\nContent-Disposition: form-data; name="up"; filename="x.bin"\r\nContent-Type: image/png\r\n\r\n'
    b"\x00\r\n--\xff\r\n--b--\r\n"
)


def request(method: str = "POST", path: str = "/score", body: bytes | str = b"", **headers: str) -> AMLRequest:
    return AMLRequest(environ_of(method, path, body, headers))


def test_addresses() -> None:
    asked = request("GET", "/score?a=1", Host="h:1")
    assert (asked.host, asked.url, asked.base_url) == ("h:1", "http://h:1/score?a=1", "http://h:1/score")
    assert (asked.full_path, asked.query_string, asked.remote_addr) == ("/score?a=1", b"a=1", None)
    assert request("GET", "/score").url == "http://localhost:5001/score"


def test_json() -> None:
    asked = request(body='{"a": 1}', content_type="application/x+json")
    assert asked.is_json
    assert asked.json == {"a": 1}
    assert request(body="1").get_json(force=True) == 1
    assert request(body="{", content_type="application/json").get_json(silent=True) is None
    assert request(body="1").get_json(silent=True) is None


@pytest.mark.parametrize(("kind", "status"), [("application/json", 400), ("text/plain", 415)])
def test_json_that_is_none_is_refused(kind: str, status: int) -> None:
    with pytest.raises(HttpError) as refused:
        _ = request(body="{", content_type=kind).json
    assert refused.value.status == status


def test_the_body_may_be_read_again_and_as_a_stream() -> None:
    asked = request(body="caf\u00e9")
    assert (asked.get_data(as_text=True), asked.data, asked.stream.read()) == (
        "caf\u00e9",
        b"caf\xc3\xa9",
        b"caf\xc3\xa9",
    )
    assert asked.content_length == 5


def test_a_body_without_a_length_is_none() -> None:
    environ = environ_of("POST", "/score", b"abc")
    del environ["CONTENT_LENGTH"]
    assert AMLRequest(environ).get_data() == b""
    assert AMLRequest({**environ, "wsgi.input_terminated": True}).get_data() == b"abc"


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(HttpError) as refused:
        AMLRequest({**environ_of("POST", "/score", b"abc"), "CONTENT_LENGTH": "9"}).get_data()
    assert refused.value.status == 400


def test_a_body_of_unknown_length_is_limited_too() -> None:
    environ = environ_of("POST", "/score", b"abc")
    del environ["CONTENT_LENGTH"]
    with pytest.raises(HttpError) as refused:
        AMLRequest({**environ, "wsgi.input_terminated": True}, max_body_bytes=2).get_data()
    assert refused.value.status == 413


def test_cookies() -> None:
    assert request(Cookie='a=1; b="two"; a=3').cookies.to_dict() == {"a": "1", "b": "two"}


def test_urlencoded_forms() -> None:
    asked = request("POST", "/score?q=0", "a=1&a=2&b=%C3%A9", content_type="application/x-www-form-urlencoded")
    assert asked.form.to_dict(flat=False) == {"a": ["1", "2"], "b": ["\u00e9"]}
    assert list(asked.values) == ["q", "a", "b"]
    assert asked.data == b""
    assert request(body=b"\xff", content_type="application/x-www-form-urlencoded").form == {}


def test_multipart_forms(tmp_path: Path) -> None:
    asked = request(body=PARTS, content_type='multipart/form-data; boundary="b"')
    assert asked.form["field"] == "value"
    upload = asked.files["up"]
    assert (upload.filename, upload.content_type) == ("x.bin", "image/png")
    upload.save(tmp_path / "saved")
    assert (tmp_path / "saved").read_bytes() == b"\x00\r\n--\xff"
    assert upload.read() == b""


@pytest.mark.parametrize(
    "body",
    [b"", b"no delimiter", b"--b\r\nA: b\r\n\r\nno end", b"--b\r\nno empty line\r\n--b--", b"--b\r\n\r\n\r\n" * 2000],
)
def test_a_broken_multipart_body_is_no_form(body: bytes) -> None:
    with pytest.raises(FormError):
        parse_multipart(body, "b")
    assert request(body=body, content_type="multipart/form-data; boundary=b").form == {}


def test_a_multipart_body_needs_a_boundary() -> None:
    with pytest.raises(FormError):
        parse_multipart(PARTS, "")
