"""A package index on loopback (PEP 503, PEP 658 and PEP 691), with what indexes may lack, and a log of what was asked."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class PackageIndex:
    """`files`: file name to bytes. `hash`: the hash that it tells of each; empty for none. `metadata`: whether it tells that. `login`: `user:password` it wants.

    `max_age`: seconds for which its answers are fresh; None where it does not say. `head`: whether the server takes HEAD. `sent`: bytes of all bodies so far. `got`: the paths whose bodies were sent.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    hash: str = "sha256"
    json: bool = True
    login: str = ""
    url: str = ""
    log: list[str] = field(default_factory=list)
    metadata: bool = False
    max_age: int | None = None
    head: bool = True
    sent: int = 0
    got: list[str] = field(default_factory=list)

    def projects(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in sorted(self.files):
            found.setdefault(name.split("-")[0].replace("_", "-").lower(), []).append(name)
        return found

    def downloads(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.log if path.startswith("/files/")]

    def fetched(self) -> list[str]:
        """The names of the wheels whose bytes were sent, wholly or in part."""
        return [path.rpartition("/")[2] for path in self.got if path.endswith(".whl")]

    def metadata_of(self, name: str) -> bytes:
        with zipfile.ZipFile(io.BytesIO(self.files[name])) as wheel:
            return wheel.read(next(each for each in wheel.namelist() if each.endswith(".dist-info/METADATA")))

    def page(self, project: str) -> tuple[str, bytes]:
        names = self.projects()[project]
        digests = {name: hashlib.new(self.hash, self.files[name]).hexdigest() if self.hash else "" for name in names}
        if self.json:
            files = [
                {
                    "filename": name,
                    "url": f"../../files/{name}",
                    "hashes": {self.hash: digests[name]} if self.hash else {},
                    "size": len(self.files[name]),
                    "core-metadata": self.metadata and name.endswith(".whl"),
                }
                for name in names
            ]
            body = {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()
        mark = f"#{self.hash}=" if self.hash else ""
        told = ' data-core-metadata="true"' if self.metadata else ""
        links = "".join(f'<a href="../../files/{name}{mark}{digests[name]}"{told}>{name}</a><br>\n' for name in names)
        return "text/html", f"<!DOCTYPE html><html><body>\n{links}</body></html>".encode()


@contextmanager
def serve(index: PackageIndex) -> Iterator[PackageIndex]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            index.log.append(self.path)
            wanted = "Basic " + base64.b64encode(index.login.encode()).decode()
            parts = self.path.strip("/").split("/")
            whole = parts[-1].removesuffix(".metadata")
            if self.command == "HEAD" and not index.head:
                self._answer(405, "text/plain", b"")
            elif index.login and self.headers.get("Authorization") != wanted:
                self._answer(401, "text/plain", b"who are you")
            elif parts[0] == "simple" and len(parts) == 2 and parts[1] in index.projects():
                self._answer(200, *index.page(parts[1]))
            elif parts[0] == "files" and parts[-1] in index.files:
                self._file(index.files[parts[-1]])
            elif parts[0] == "files" and index.metadata and whole in index.files:
                self._answer(200, "text/plain", index.metadata_of(whole))
            else:
                self._answer(404, "text/plain", b"not here")

        def do_HEAD(self) -> None:
            self.do_GET()

        def _file(self, data: bytes) -> None:
            ranged = None if index.head else re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if ranged is None:
                self._answer(200, "application/octet-stream", data)
                return
            part = data[int(ranged[1]) : int(ranged[2]) + 1]
            whole = f"bytes {ranged[1]}-{int(ranged[1]) + len(part) - 1}/{len(data)}"
            self._answer(206, "application/octet-stream", part, whole)

        def _answer(self, status: int, kind: str, body: bytes, ranged: str = "") -> None:
            self.send_response(status)
            if ranged:
                self.send_header("Content-Range", ranged)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="tests"')
            if index.max_age is not None:
                self.send_header("Cache-Control", f"max-age={index.max_age}, public")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                index.got += [self.path] if status < 300 and len(body) > 1 else []
                index.sent += len(body)
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
