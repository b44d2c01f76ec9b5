"""Errors of the HTTP library as errors of ours, which name the likely cause."""

from __future__ import annotations

from urllib.parse import urlsplit

from modelcrate.net.errors import ConnectionFailed
from modelcrate.net.messages import Request
from modelcrate.net.tls import Trust
from modelcrate_layers.errors import MachineError, RegistryError

_SLOW = "run the same command again: what the registry keeps of an upload is not sent again"


def translated(fault: Exception, request: Request, trust: Trust, proxy: str | None) -> RegistryError | MachineError:
    """Returns the error of ours for one of the HTTP library."""
    import ssl

    from urllib3 import exceptions

    from modelcrate.net.connections import ForbiddenPeer

    text, cause = reason(fault), _innermost(fault)
    if isinstance(cause, ForbiddenPeer):
        return ConnectionFailed(request, text, retry=False, hint="an attack, or a wrong entry of a name server")
    if isinstance(fault, exceptions.ProxyError) and proxy:
        name = urlsplit(proxy).hostname
        return ConnectionFailed(
            request, f"the proxy {name} did not let us through: {text}", hint="see HTTPS_PROXY and NO_PROXY"
        )
    if isinstance(fault, exceptions.ProxySchemeUnknown):
        return ConnectionFailed(
            request, f"no proxy that can be used: {text}", retry=False, hint="its URL begins with http:// or https://"
        )
    if isinstance(fault, exceptions.SSLError | ssl.SSLError):
        return ConnectionFailed(request, f"TLS failed: {text}", retry=False, hint=_tls_hint(text, trust))
    if isinstance(fault, FileNotFoundError):
        return MachineError("a certificate file is missing", where=request.where(), why=str(fault)[:300])
    if isinstance(fault, exceptions.LocationValueError):
        return RegistryError("not a URL that can be requested", where=request.where())
    if isinstance(fault, exceptions.ProtocolError) and isinstance(cause, TimeoutError):
        return ConnectionFailed(request, f"it takes our bytes too slowly: {text}", silent=True, hint=_SLOW)
    # a refused connection is a timeout by urllib3's class, and not by its nature
    silent = isinstance(fault, exceptions.TimeoutError) and not isinstance(fault, exceptions.NewConnectionError)
    return ConnectionFailed(
        request, f"{'it fell silent' if silent else 'the connection failed'}: {text}", silent=silent
    )


def _innermost(fault: BaseException) -> BaseException:
    """Returns the first cause of an error of the HTTP library."""
    for _ in range(6):
        held = (getattr(fault, "reason", None), *fault.args, fault.__cause__)
        deeper = next((each for each in held if isinstance(each, BaseException)), None)
        if deeper is None:
            break
        fault = deeper
    return fault


def reason(fault: BaseException) -> str:
    """Returns the first cause in words, without addresses of objects and without URLs (they may hold signatures)."""
    inner = _innermost(fault)
    text = " ".join(str(part) for part in inner.args if isinstance(part, str)) or inner.__class__.__name__
    if "://" in text:
        return inner.__class__.__name__
    return text.split("(Caused by")[0].partition("object at 0x")[0][:200]


def _tls_hint(text: str, trust: Trust) -> str:
    if "WRONG_VERSION_NUMBER" in text or "wrong version number" in text or "record layer" in text:
        return "the server speaks plain HTTP; for a registry, set `insecure: http` in registries.yaml if that is meant"
    if "CERTIFICATE_REQUIRED" in text or "certificate required" in text or "handshake failure" in text:
        return "the server wants a client certificate; for a registry, set `client-cert` and `client-key` in registries.yaml"
    used = (
        f"the certificate authorities of {trust.verify} were used"
        if isinstance(trust.verify, str)
        else "the system's certificate authorities were used"
    )
    return f"{used}; name others in SSL_CERT_FILE or, for a registry, in `ca` of registries.yaml"
