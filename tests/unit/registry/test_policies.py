"""Rows 16, 32, 47, 48, 52, 65, 81 and 89 of the client's checklist, as far as they are decided without a wire."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.net.addresses import check_hop, is_private
from modelcrate.net.config import Patience
from modelcrate.net.events import silent
from modelcrate.net.messages import Headers, Response
from modelcrate.net.proxies import Proxies
from modelcrate.net.retry import RetryEngine, parse_retry_after
from modelcrate.net.urls import redacted, resolve
from modelcrate.registry import wire
from modelcrate.registry.addresses import check_page
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.config_rules import read_rules
from modelcrate.registry.profiles import TABLE, Mirror, Rule, profile_of
from modelcrate.registry.tokens import parse_token
from modelcrate.registry.wire import RepositoryAddress
from modelcrate_layers.content import Digest, parse_json
from modelcrate_layers.errors import IntegrityError, RegistryError, UserError
from support.images import StillClock

GB = 1000**3


@pytest.mark.parametrize("told", ["", "0", "-5", "3", "1e400", '"soon"', "null"])
def test_a16_a_token_lives_at_least_a_minute(told: str) -> None:
    body = b'{"token": "t"' + (f', "expires_in": {told}'.encode() if told else b"") + b"}"
    token = parse_token(Response(200, Headers(), body, "https://x/"), [], 1000.0)
    assert token.ends == 1060.0
    assert token.lasts(1049.0, fresh=False)
    assert not token.lasts(1051.0, fresh=False)
    assert not token.lasts(1031.0, fresh=True)


@pytest.mark.parametrize(
    "registry",
    ["ghcr.io", "123456.dkr.ecr.eu-west-1.amazonaws.com", "1.dkr.ecr.cn-north-1.amazonaws.com.cn", "europe-docker.pkg.dev", "gcr.io",
     "eu.gcr.io", "public.ecr.aws", "docker.io"],
)  # fmt: skip
def test_a47_registries_without_chunks_get_one_put(registry: str) -> None:
    assert profile_of(registry).upload_method(5 * GB) == "put"


def test_a47_others_get_chunks_and_small_blobs_one_put() -> None:
    known = profile_of("registry.example")
    assert [known.upload_method(size) for size in (0, 16 << 20, (16 << 20) + 1)] == ["put", "put", "chunks"]
    assert known.upload_method(None) == "stream"


def test_a47_every_row_of_the_table_has_a_source_and_the_user_has_the_last_word() -> None:
    assert all(rule.source for rule in TABLE)
    assert (
        profile_of("ghcr.io", [Rule("ghcr.io", upload="chunks", chunk_size=4 << 20)]).upload_method(5 * GB) == "chunks"
    )


def test_a48_what_is_over_the_limit_of_a_put_goes_in_chunks() -> None:
    assert profile_of("quay.io").upload_method(19 * GB) == "put"
    assert profile_of("quay.io").upload_method(21 * GB) == "chunks"
    assert profile_of("x.y", [Rule("x.y", upload="put", max_put=100)]).upload_method(101) == "chunks"


def test_a89_digests_and_documents_of_a_layout_are_checked_before_they_are_paths() -> None:
    """Row 89 is about reading layouts, which `inputs/layout` does and its tests judge; the parts it stands on are these."""
    for text in ("sha256:../../x", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "../x", "", None, 7):
        with pytest.raises(IntegrityError):
            Digest.parse(text)
    with pytest.raises(IntegrityError, match="limit"):
        parse_json(b" " * ((8 << 20) + 1))


@pytest.mark.parametrize(
    ("rules", "host", "port", "direct"),
    [
        ("example.org", "example.org", 443, True), ("example.org", "a.example.org", 443, True), (".example.org", "a.example.org", 443, True),
        ("*.example.org", "a.example.org", 443, True), ("example.org", "badexample.org", 443, False), ("*", "x.y", 443, True),
        ("example.org:5000", "example.org", 5000, True), ("example.org:5000", "example.org", 443, False),
        ("10.0.0.0/8", "10.2.3.4", 443, True), ("10.0.0.0/8", "11.2.3.4", 443, False), ("fd00::/8", "fd00::1", 443, True),
        ("", "localhost", 80, True), ("", "127.0.0.1", 80, True), ("", "x.y", 443, False),
    ],
)  # fmt: skip
def test_a81_who_is_reached_without_the_proxy(rules: str, host: str, port: int, direct: bool) -> None:
    chosen = Proxies.of({"https_proxy": "http://p:1", "HTTP_PROXY": "http://q:1", "NO_PROXY": rules})
    scheme = "https" if port == 443 else "http"
    assert (chosen.choose(scheme, host, port) is None) is direct


def test_a81_all_proxy_is_for_what_has_none() -> None:
    chosen = Proxies.of({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://one:1"})
    assert (chosen.choose("https", "x.y", 443), chosen.choose("http", "x.y", 80)) == ("http://one:1", "http://all:1")


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "192.168.0.1", "172.16.9.9", "127.0.0.1", "localhost", "a.localhost", "169.254.169.254", "::1", "fe80::1", "fd00::1",
     "::ffff:10.0.0.1", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", ""],
)  # fmt: skip
def test_private_addresses_are_known_in_every_spelling(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize(
    "host", ["example.org", "1.1.1.1", "registry-1.docker.io", "2606:4700::1111", "10.example.org", "a1"]
)
def test_public_hosts_are_not_private(host: str) -> None:
    assert not is_private(host)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("https://r.example/a", "https://cdn.example/b", True),
        ("https://r.example/a", "https://r.example:8443/b", True),
        ("https://r.example/a", "http://r.example/b", False),
        ("https://r.example/a", "https://10.0.0.1/b", False),
        ("https://r.example/a", "https://169.254.169.254/latest", False),
        ("https://r.example/a", "https://[::1]/b", False),
        ("https://10.0.0.1/a", "https://10.0.0.2/b", True),
        ("https://10.0.0.1/a", "https://127.0.0.1/b", False),
        ("http://127.0.0.1:1/a", "http://localhost:2/b", True),
        ("http://127.0.0.1:1/a", "https://cdn.example/b", True),
    ],
)
def test_a70_where_a_registry_may_send_us(before: str, after: str, allowed: bool) -> None:
    if allowed:
        check_hop(before, after, "")
        return
    with pytest.raises(RegistryError):
        check_hop(before, after, "")


@pytest.mark.parametrize("after", ["https://evil.example/x", "http://r.example/x", "https://r.example:8443/x"])
def test_a_page_is_on_the_same_origin(after: str) -> None:
    with pytest.raises(RegistryError):
        check_page("https://r.example/v2/", after, "")
    check_page("https://r.example/v2/", "https://r.example:443/x", "")


@pytest.mark.parametrize(
    "location",
    [
        "",
        "ftp://x/y",
        "https://u:p@x/y",
        "https://x/\r\nHost: evil",
        "https://x/a b",
        "javascript:x",
        "\x00",
        "http://[",
        "https://a]b/c",
        "//[::1",
        "https://x:99999/y",
    ],
)
def test_a_location_that_is_none_is_refused(location: str) -> None:
    with pytest.raises(RegistryError):
        resolve("https://r.example/v2/", location, "")


@given(st.text(alphabet="abc%2B=&+/?:.;~-_", max_size=60))
def test_a32_any_query_is_kept_to_the_byte(query: str) -> None:
    location = resolve("https://r.example/v2/x", f"/y?{query}", "")
    place = RepositoryAddress("https://r.example", "x")
    asked = wire.finish_upload(place, location, Digest.of(b"")).url
    assert asked == f"https://r.example/y?{query}" + f"&digest=sha256%3A{Digest.of(b'').hex}" if query else True


@pytest.mark.parametrize(
    ("text", "held"), [("0-0", 0), ("0-1", 2), ("0-99", 100), ("bytes=0-9", 10), ("", None), ("5-9", None), ("x", None)]
)
def test_the_registry_s_count(text: str, held: int | None) -> None:
    assert wire.stored_bytes(Response(202, Headers((("Range", text),)))) == held


def test_waits_double_up_to_a_bound_and_are_drawn_below_it() -> None:
    clock = StillClock()
    engine = RetryEngine(Patience(), clock, silent)
    assert [engine.wait(n, "") for n in (1, 2, 3, 8, 99)] == [0.5, 1, 2, 30, 30]
    clock.chance = 0.25
    assert engine.wait(3, "") == 0.5
    assert parse_retry_after("nonsense", 0.0) is None
    assert parse_retry_after("Sat, 31 Oct 77777777772026 10:00:00 UTC", 0.0) is None


DOCUMENT = {
    "registries": [
        {
            "match": "registry.example:5000", "upload": "chunks", "chunk-size": "50MB", "max-layer": "10GiB", "max-put": 20,
            "concurrency": 2, "referrers": "tag", "insecure": "skip-verify", "ca": "ca.crt", "client-cert": "/etc/c.crt",
            "client-key": "/etc/c.key", "mirrors": [{"host": "mirror.example", "proxy": True}], "source": "our wiki",
        },
        {"match": "*.lab", "insecure": "http"},
    ]
}  # fmt: skip


def test_the_file_of_rules_is_read(tmp_path: Path) -> None:
    rules = read_rules(DOCUMENT, tmp_path)
    settled = RegistryConfig(rules=rules).profile("registry.example:5000")
    assert (settled.upload, settled.chunk_size, settled.max_layer) == ("chunks", 50_000_000, 10 << 30)
    assert (settled.ca, settled.client_cert) == (tmp_path / "ca.crt", Path("/etc/c.crt"))
    assert settled.mirrors == (Mirror("mirror.example", proxy=True),)
    assert (settled.skip_verify, settled.plain_http) == (True, False)
    assert RegistryConfig(rules=rules).profile("a.lab").plain_http
    assert RegistryConfig(rules=rules).profile("registry.example").upload == profile_of("registry.example").upload


def test_every_fault_of_the_file_is_told_at_once(tmp_path: Path) -> None:
    document = {
        "registries": [
            {"match": "x", "uplod": "put", "chunk-size": "big"},
            {"upload": "put"},
            {"match": "y", "concurrency": 0},
        ]
    }
    with pytest.raises(UserError) as caught:
        read_rules(document, tmp_path)
    told = [caught.value, *caught.value.also]
    assert len(told) == 4
    assert "did you mean 'upload'?" in told[0].hint


@pytest.mark.parametrize("document", [None, [], {}, {"registries": {}}, {"registries": [], "more": 1}])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(UserError, match="registries"):
        read_rules(document, tmp_path)


def test_what_is_shown_of_a_url() -> None:
    shown = redacted("https://u:p@h:1/a?X-Amz-Signature=abc&n=1&sig=x&flag&_state=zz")
    assert shown == "https://h:1/a?X-Amz-Signature=...&n=1&sig=...&flag&_state=..."
