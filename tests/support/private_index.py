"""A private package index: pypiserver, with a password, behind TLS of an authority of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

USER, PASSWORD = "reader", "pa:ss w@rd"

SERVER = """
import logging, ssl, sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server
import pypiserver
from passlib.apache import HtpasswdFile
folder = Path(sys.argv[1])
users = HtpasswdFile(str(folder / "htpasswd"), new=True, default_scheme="apr_md5_crypt")
users.set_password(*sys.argv[2:])
users.save()
app = pypiserver.app(roots=[folder / "wheels"], password_file=str(folder / "htpasswd"), authenticate=["list", "download"],
                     disable_fallback=True, hash_algo="sha256")
class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        with open(folder / "log", "a") as log:
            log.write(f"{self.command} {self.path} {code} {self.headers.get('Authorization') is not None}\\n")
server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.crt", folder / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class PrivateIndex:
    """`ca` is the certificate of the authority that its own certificate is from."""

    folder: Path
    host: str

    @property
    def url(self) -> str:
        return f"https://{self.host}/simple/"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def log(self) -> list[str]:
        """Method, path, status, and whether a login came with it."""
        return (self.folder / "log").read_text().splitlines() if (self.folder / "log").exists() else []


def installed(name: str) -> bool:
    """Whether a package is installed. It is not imported, for pypiserver changes how others are imported."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def private_index(folder: Path, wheels: Mapping[str, bytes]) -> Iterator[PrivateIndex]:
    """An index of these wheels, by file name."""
    import trustme

    (folder / "wheels").mkdir(parents=True)
    for name, data in wheels.items():
        (folder / "wheels" / name).write_bytes(data)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    command = [sys.executable, "-W", "ignore", "-c", SERVER, str(folder), USER, PASSWORD]
    with open(folder / "errors", "wb") as errors:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(os.environ))
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        assert port, (folder / "errors").read_text()
        yield PrivateIndex(folder, f"localhost:{port}")
    finally:
        server.terminate()
        server.wait()
