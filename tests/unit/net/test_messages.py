"""Requests and responses as values."""

from __future__ import annotations

import pytest

from modelcrate.net.messages import Bytes, Headers, Request, Response, follow


def test_a_body_in_memory_starts_again_from_its_first_byte() -> None:
    body = Bytes(b"abc")
    assert (body.length, list(body.chunks()), list(body.chunks())) == (3, [b"abc"], [b"abc"])
    assert list(Bytes(b"").chunks()) == []


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://example.com/a/b?token=secret", "GET https://example.com/a/b"),
        ("https://me:secret@example.com:1/a", "GET https://example.com:1/a"),
        ("https://me:secret@example.com", "GET https://example.com"),
        ("http://example.com/a@b", "GET http://example.com/a@b"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, where: str) -> None:
    request = Request("GET", url, {"Authorization": "secret"})
    assert request.where() == where
    assert "Authorization" not in repr(request)


def test_a_request_that_is_sent_on_keeps_everything_but_its_address() -> None:
    request = Request("PUT", "https://a/", {"X": "1"}, Bytes(b"x"), repeat=False)
    assert follow(request, "https://b/") == Request("PUT", "https://b/", {"X": "1"}, Bytes(b"x"), repeat=False)


def test_header_names_have_no_case_and_repeated_fields_are_kept_apart() -> None:
    headers = Headers((("WWW-Authenticate", "Basic"), ("www-authenticate", "Bearer")))
    assert headers.all("Www-Authenticate") == ["Basic", "Bearer"]
    assert headers.get("WWW-AUTHENTICATE") == "Basic"
    assert headers.get("Link", "none") == "none"


@pytest.mark.parametrize(
    ("body", "page"),
    [(b"<!DOCTYPE HTML><p>", True), (b"\xef\xbb\xbf \n<html>", True), (b"<htm", False), (b'{"a": "<html>"}', False)],
)
def test_a_web_page_is_recognized(body: bytes, page: bool) -> None:
    assert Response(200, Headers(), body).is_web_page is page


def test_the_media_type_is_bare() -> None:
    headers = Headers((("content-type", " Application/JSON ; charset=utf-8"),))
    assert Response(200, headers).media_type == "application/json"
    assert Response(200, Headers()).media_type == ""
