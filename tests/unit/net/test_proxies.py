"""The proxy by scheme, and what NO_PROXY exempts."""

from __future__ import annotations

import pytest

from modelcrate.net.proxies import Proxies


def test_the_lower_case_spelling_counts_first_and_all_proxy_last() -> None:
    given = {"http_proxy": "http://small", "HTTP_PROXY": "http://LARGE", "ALL_PROXY": "http://every"}
    proxies = Proxies.of(given)
    assert proxies.choose("http", "example.com", 80) == "http://small"
    assert proxies.choose("https", "example.com", 443) == "http://every"
    assert Proxies.of({}).choose("https", "example.com", 443) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_needs_no_proxy(host: str) -> None:
    assert Proxies.of({"HTTP_PROXY": "http://p"}).choose("http", host, 80) is None


@pytest.mark.parametrize(
    ("rule", "host", "port", "exempt"),
    [
        ("*", "example.com", 443, True),
        ("example.com", "example.com", 443, True),
        ("example.com", "EXAMPLE.com", 443, True),
        ("example.com", "a.example.com", 443, True),
        ("example.com", "anexample.com", 443, False),
        (".example.com", "a.example.com", 443, True),
        ("*.example.com", "a.example.com", 443, True),
        ("example.com:5000", "example.com", 5000, True),
        ("example.com:5000", "example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 443, True),
        ("10.0.0.0/8", "11.1.2.3", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("fd00::/8", "fd00::1", 443, True),
        ("other.com, example.com", "example.com", 443, True),
        (",", "example.com", 443, False),
        (".", "example.com", 443, False),
    ],
)
def test_hosts_that_are_exempt(rule: str, host: str, port: int, exempt: bool) -> None:
    proxies = Proxies.of({"HTTPS_PROXY": "http://proxy", "NO_PROXY": rule})
    assert proxies.choose("https", host, port) == (None if exempt else "http://proxy")


def test_a_password_of_a_proxy_is_not_shown() -> None:
    assert "secret" not in repr(Proxies.of({"HTTP_PROXY": "http://me:secret@proxy"}))
