"""Where a server may send us."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from modelcrate.net import addresses
from modelcrate.net.addresses import check_hop, is_metadata, is_private
from modelcrate.net.client import HttpClient
from modelcrate.net.config import HttpConfig
from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.messages import Request
from modelcrate.net.tls import Trust
from modelcrate_layers.errors import RegistryError
from support.raw_server import at_once, raw_server

METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.169.254.",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.254.0xa9.254",
    "0251.0376.0251.0376",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::",
    "fe80::1",
    "fe80::1%25eth0",
    "febf::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
]
OTHERS = [
    "10.0.0.1", "127.0.0.1", "::1", "fd12:3456::1", "192.168.1.1", "100.64.0.1", "1.1.1.1", "2606:4700::1111",
    "registry.example", "metadata.example", "a9fe.example", "169.254.example",
]  # fmt: skip


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize("before", ["http://127.0.0.1:5000/v2/", "http://10.0.0.5/v2/", "https://registry.example/v2/"])
def test_no_server_sends_us_to_a_metadata_service(before: str, name: str) -> None:
    assert is_metadata(name)
    host = f"[{name}]" if ":" in name else name
    with pytest.raises(RegistryError, match=r"link-local|private|https to http"):
        check_hop(before, f"{before.partition(':')[0]}://{host}/latest/meta-data/", "a test")


@pytest.mark.parametrize("name", OTHERS)
def test_other_addresses_are_no_metadata_service(name: str) -> None:
    assert not is_metadata(name)


def test_a_user_may_name_such_an_address_and_stay_there() -> None:
    check_hop("http://169.254.1.1:5000/v2/a", "http://169.254.1.1:5000/v2/b", "a test")


@pytest.mark.parametrize("name", ["2002:7f00:1::", "64:ff9b::10.0.0.1", "::10.0.0.1", "2002:c0a8:101::"])
def test_a_private_address_inside_another_is_private(name: str) -> None:
    assert is_private(name)


def test_plain_http_may_lead_to_another_host_where_bytes_are_verified_by_other_means() -> None:
    before, after = "http://deb.example/debian/x.deb", "http://mirror.example/debian/x.deb"
    with pytest.raises(RegistryError, match="without TLS"):
        check_hop(before, after, "a test")
    check_hop(before, after, "a test", plain=True)
    with pytest.raises(RegistryError, match="from https to http"):
        check_hop("https://deb.example/x", "http://mirror.example/x", "a test", plain=True)


def test_a_name_that_leads_to_a_metadata_service_gets_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback stands for the metadata service, whose address no test can have."""
    monkeypatch.setattr(addresses, "METADATA_NETWORKS", (ip_network("127.0.0.0/8"),))
    got: list[bytes] = []
    with raw_server(lambda connection: got.append(b"a request")) as place, HttpClient(HttpConfig()) as client:
        request = Request("GET", f"http://localhost:{place.rpartition(':')[2]}/latest/meta-data/")
        with pytest.raises(ConnectionFailed, match="metadata service") as caught:
            client.exchange(request, Trust(), named=True)
        assert not caught.value.retry
        assert got == []


def test_a_redirect_from_a_loopback_registry_to_a_metadata_service_is_not_followed() -> None:
    answer = b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
    with raw_server(at_once(answer)) as place, HttpClient(HttpConfig()) as client:
        with pytest.raises(RegistryError, match="metadata service"):
            client.exchange_following(Request("GET", f"http://{place}/v2/"), lambda _: Trust(), lambda _: "")
        assert client.counters.read().requests == {"GET": 1}
