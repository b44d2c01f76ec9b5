"""PyTorch's index, download.pytorch.org, on loopback: uv has its address built in, so a proxy answers in its place, with a certificate of its own."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

HOST = "download.pytorch.org"


@dataclass
class PyTorchIndex:
    """`files`: by the name of a build (`cpu`, `cu126`), file names to bytes. `log`: what was asked of it, and hosts that it refused."""

    files: Mapping[str, Mapping[str, bytes]]
    proxy: str = ""
    ca: Path = Path()
    log: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HTTPS_PROXY": self.proxy,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(self.ca),
        }

    def body(self, path: str) -> tuple[str, bytes] | None:
        """The page of a package (in the index's own old HTML: no sizes, no JSON), a wheel, or its metadata."""
        _, _, build, name, *rest = f"{path.rstrip('/')}/".split("/")
        files = self.files.get(build, {})
        if name in files and rest == [""]:
            return "binary/octet-stream", files[name]
        whole = name.removesuffix(".metadata")
        if whole != name and whole in files:
            with zipfile.ZipFile(io.BytesIO(files[whole])) as wheel:
                found = next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
                return "binary/octet-stream", wheel.read(found)
        links = [
            f'<a href="/whl/{build}/{each.replace("+", "%2B")}#sha256={hashlib.sha256(data).hexdigest()}" '
            f'data-dist-info-metadata="true" data-core-metadata="true">{each}</a><br/>'
            for each, data in files.items()
            if each.split("-")[0].replace("_", "-").lower() == name
        ]
        return ("text/html", "".join(links).encode()) if links else None


@contextmanager
def serve(index: PyTorchIndex, folder: Path) -> Iterator[PyTorchIndex]:
    import ssl

    import trustme

    authority = trustme.CA()
    index.ca = folder / "pytorch-ca.pem"
    authority.cert_pem.write_to_path(str(index.ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            from urllib.parse import unquote

            index.log.append(f"{self.command} {unquote(self.path)}")
            found = index.body(unquote(self.path))
            kind, body = found or ("text/plain", b"not here")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    def answer(client: socket.socket, address: tuple[str, int]) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (chunk := client.recv(4096)):
                    return
                head += chunk
            target = head.split(b" ")[1].decode()
            if not head.startswith(b"CONNECT") or target != f"{HOST}:443":
                index.log.append(f"refused {target}")
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                with context.wrap_socket(client, server_side=True) as secured:
                    Handler(secured, address, None)  # type: ignore[arg-type]  # it needs no server
            except (OSError, ValueError):
                return

    def accept() -> None:
        while True:
            try:
                client, address = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client, address), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    index.proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield index
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
