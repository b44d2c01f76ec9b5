"""A small hub on loopback, as Hugging Face's is seen by its clients: a list of files by revision, large files by a redirect to another host.

The other host is another port. It has a log of its own, with the credentials that came along.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_" + "s3cr3tTokenOfATest" * 2
LFS = (".safetensors", ".bin", ".gguf", ".h5", ".msgpack", ".onnx", ".pt")


@dataclass
class Hub:
    """`repos`: by ORG/NAME, the files of each commit, by path. `refs`: by ORG/NAME, branches and their commits.

    `token`: what a client has to send. `ranges`: whether the other host sends parts of files. `lies`: paths whose bytes are other ones.
    """

    repos: dict[str, dict[str, dict[str, bytes]]]
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    token: str = ""
    ranges: bool = True
    lies: set[str] = field(default_factory=set)
    page: bytes = b""
    """What it answers everything with, such as the sign-in page of a proxy."""
    url: str = ""
    storage: str = ""
    log: list[str] = field(default_factory=list)
    stored: list[tuple[str, str, str]] = field(default_factory=list)
    """Path, range and Authorization of each request to the other host."""
    sent: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {"HF_ENDPOINT": self.url, **({"HF_TOKEN": self.token} if self.token else {})}

    def commit(self, repo: str, revision: str) -> str:
        known = self.refs.get(repo, {}).get(revision, revision)
        return known if known in self.repos.get(repo, {}) else ""

    def listing(self, repo: str, revision: str) -> dict[str, Any] | None:
        commit = self.commit(repo, revision)
        if not commit:
            return None
        files = self.repos[repo][commit]
        return {
            "id": repo,
            "sha": commit,
            "private": False,
            "siblings": [
                {"rfilename": path, "size": len(data), "blobId": git_blob(data), **lfs(path, data)}
                for path, data in files.items()
            ],
        }

    def tree(self, repo: str, revision: str) -> list[dict[str, Any]] | None:
        """The files as newer clients list them."""
        found = self.listing(repo, revision)
        return found and [
            {
                "type": "file",
                "path": each["rfilename"],
                "size": each["size"],
                "oid": each["blobId"],
                **({"lfs": {**each["lfs"], "oid": each["lfs"]["sha256"]}} if "lfs" in each else {}),
            }
            for each in found["siblings"]
        ]

    def body(self, repo: str, commit: str, path: str) -> bytes:
        data = self.repos[repo][commit][path]
        return bytes(len(data)) if path in self.lies else data


def lfs(path: str, data: bytes) -> dict[str, Any]:
    if not path.endswith(LFS):
        return {}
    return {"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}}


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Quiet(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes, kind: str = "application/octet-stream", **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                hub.sent += len(body)
                with suppress(ConnectionError):  # a client may have seen enough
                    self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()  # type: ignore[attr-defined]

        def log_message(self, *args: object) -> None:
            pass

    class Front(Quiet):
        def do_GET(self) -> None:
            hub.log.append(f"{self.command} {self.path}")
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                self.answer(
                    401, b'{"error": "Invalid username or password."}', "application/json", X_Error_Code="RepoNotFound"
                )
                return
            if hub.page:
                self.answer(200, hub.page, "text/html")
                return
            path = urlsplit(self.path).path
            if asked := re.fullmatch(r"/api/models/(.+)/revision/([^/]+)", path):
                found = hub.listing(unquote(asked[1]), unquote(asked[2]))
                body = json.dumps(found or {"error": "Repository not found"}).encode()
                self.answer(200 if found else 404, body, "application/json")
            elif asked := re.fullmatch(r"/api/models/(.+)/tree/([^/]+)", path):
                listed = hub.tree(unquote(asked[1]), unquote(asked[2]))
                self.answer(200 if listed else 404, json.dumps(listed or {}).encode(), "application/json")
            elif asked := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self.file(*map(unquote, asked.groups()))
            else:
                self.answer(404, b"")

        def file(self, repo: str, revision: str, path: str) -> None:
            commit = hub.commit(repo, revision)
            if path not in hub.repos.get(repo, {}).get(commit, {}):
                self.answer(404, b"Entry not found", X_Error_Code="EntryNotFound")
                return
            data = hub.body(repo, commit, path)
            if not lfs(path, data):
                self.answer(200, data, ETag=f'"{git_blob(data)}"', X_Repo_Commit=commit)
                return
            digest = lfs(path, hub.repos[repo][commit][path])["lfs"]["sha256"]
            place = f"{hub.storage}/{repo}/{commit}/{path}?Signature=of-an-hour"
            size = str(len(data))
            self.answer(302, b"", Location=place, X_Linked_Etag=f'"{digest}"', X_Linked_Size=size, X_Repo_Commit=commit)

    class Storage(Quiet):
        def do_GET(self) -> None:
            asked, ranged = urlsplit(self.path), self.headers.get("Range") or ""
            hub.stored.append((asked.path, ranged, self.headers.get("Authorization") or ""))
            org, name, commit, path = unquote(asked.path).lstrip("/").split("/", 3)
            if parse_qs(asked.query).get("Signature") != ["of-an-hour"]:
                self.answer(403, b"")
                return
            data = hub.body(f"{org}/{name}", commit, path)
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", ranged) if hub.ranges else None
            if part is None:
                self.answer(200, data, Accept_Ranges="bytes" if hub.ranges else "none")
                return
            start, end = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
            self.answer(206, data[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(data)}")

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), each) for each in (Front, Storage)]
    threads = []
    for server in servers:
        server.daemon_threads = True
        threads.append(threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}))
        threads[-1].start()
    hub.url, hub.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def safetensors(size: int, seed: int = 0) -> bytes:
    """A file of weights with one tensor of so many bytes."""
    from support.images import noise

    header = json.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + noise(size, seed)
