"""A token server with true scopes and a true end of life: RS256 tokens as docker-registry checks them."""

from __future__ import annotations

import base64
import datetime
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from support.real_registry import PASSWORD, USER


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class TokenServer:
    """Grants all to the one user with the right password, and `pull` to everybody. `asked` holds every request's scopes."""

    folder: Path
    seconds: int = 300
    asked: list[list[str]] = field(default_factory=list)
    key: Any = None
    realm: str = ""

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lab-token")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(1))
        self.certificate = builder.not_valid_after(now + datetime.timedelta(2)).sign(self.key, hashes.SHA256())
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def path(self) -> Path:
        return self.folder / "token.crt"

    def token(self, scopes: list[str], user: str) -> str:
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            granted = [one for one in actions.split(",") if user or one == "pull"]
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        der = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()
        head = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        body = {"iss": "lab-issuer", "sub": user, "aud": "lab-registry", "exp": now + self.seconds, "nbf": now - 10}
        body |= {"iat": now, "jti": uuid.uuid4().hex, "access": access}
        message = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(body).encode())}"
        return f"{message}.{_encoded(self.key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@contextmanager
def serving(server: TokenServer) -> Iterator[TokenServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query, user = parse_qs(urlsplit(self.path).query), ""
            server.asked.append(query.get("scope", []))
            if basic := self.headers.get("Authorization", "").removeprefix("Basic "):
                user, _, password = base64.b64decode(basic).decode().partition(":")
                if (user, password) != (USER, PASSWORD):
                    return self._answer(401, {"errors": [{"code": "UNAUTHORIZED"}]})
            token = server.token(query.get("scope", []), user)
            return self._answer(200, {"token": token, "expires_in": server.seconds})

        def _answer(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *parts: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.realm = f"http://127.0.0.1:{http.server_address[1]}/token"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
