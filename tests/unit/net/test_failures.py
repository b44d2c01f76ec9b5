"""Errors of the HTTP library in our words, with the likely cause and without secrets."""

from __future__ import annotations

import ssl

import pytest
from urllib3 import exceptions
from urllib3.connectionpool import HTTPSConnectionPool

from modelcrate.net.connections import ForbiddenPeer
from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.failures import reason, translated
from modelcrate.net.messages import Request
from modelcrate.net.tls import Trust
from modelcrate_layers.errors import MachineError, RegistryError

REQUEST = Request("GET", "https://me:secret@example.com/a?sig=secret")
POOL = HTTPSConnectionPool("example.com")


def words(fault: Exception, trust: Trust | None = None, proxy: str | None = None) -> str:
    made = translated(fault, REQUEST, trust or Trust(), proxy)
    assert "secret" not in str(made)
    return str(made)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (exceptions.ReadTimeoutError(POOL, "/", "Read timed out."), "it fell silent"),
        (exceptions.ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset")), "reset"),
        (exceptions.SSLError(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")), "insecure: http"),
        (exceptions.SSLError(ssl.SSLError(1, "tlsv13 alert certificate required")), "client-cert"),
        (exceptions.SSLError(ssl.SSLError(1, "certificate verify failed")), "SSL_CERT_FILE"),
        (exceptions.ProxySchemeUnknown("ftp"), "http:// or https://"),
        (exceptions.LocationParseError("x"), "not a URL that can be requested"),
        (exceptions.ProtocolError("x", ForbiddenPeer("a private address")), "an attack, or a wrong entry"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_an_error_names_its_cause_and_what_to_do(fault: Exception, said: str) -> None:
    assert said in words(fault)


def test_what_cannot_get_better_is_not_repeated() -> None:
    tls = translated(exceptions.SSLError(ssl.SSLError(1, "handshake failure")), REQUEST, Trust(), None)
    broken = translated(exceptions.ProtocolError("broken"), REQUEST, Trust(), None)
    assert isinstance(tls, ConnectionFailed)
    assert isinstance(broken, ConnectionFailed)
    assert (tls.retry, broken.retry) == (False, True)


def test_a_proxy_is_named_without_its_password() -> None:
    fault = exceptions.ProxyError("Unable to connect to proxy", OSError("Tunnel connection failed: 407"))
    said = words(fault, proxy="http://me:secret@proxy.example:3128")
    assert "the proxy proxy.example did not let us through: Tunnel connection failed: 407" in said


def test_the_certificates_that_were_used_are_named() -> None:
    fault = exceptions.SSLError(ssl.SSLError(1, "certificate verify failed"))
    assert "/etc/ours.pem were used" in words(fault, Trust(verify="/etc/ours.pem"))


def test_a_file_that_is_missing_is_the_machines_fault() -> None:
    made = translated(FileNotFoundError(2, "No such file", "cert.pem"), REQUEST, Trust(), None)
    assert isinstance(made, MachineError)
    assert not isinstance(translated(OSError("x"), REQUEST, Trust(), None), MachineError)
    assert isinstance(translated(exceptions.LocationValueError("x"), REQUEST, Trust(), None), RegistryError)


def test_a_reason_holds_no_url_and_no_address_of_an_object() -> None:
    assert reason(ValueError("see https://host/?sig=secret")) == "ValueError"
    assert reason(ValueError("<Connection object at 0x7f> failed")) == "<Connection "
    assert reason(ValueError()) == "ValueError"
    assert len(reason(ValueError("x" * 1000))) == 200
