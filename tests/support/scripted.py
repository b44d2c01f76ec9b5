"""A registry on loopback, in memory, with faults that a test plans for any request, and the oddities of real registries.

It speaks HTTP/1.1 and is reachable under two host names (`127.0.0.1` and `localhost`), which are two hosts to a client.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Reply:
    """A fixed response. `promise`: the Content-Length, where it differs from the body's."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    promise: int | None = None


@dataclass(frozen=True)
class Drop:
    """End the connection after `after` bytes of the request's body, without an answer. `done`: do the work first."""

    after: int = 0
    done: bool = False


@dataclass(frozen=True)
class Stall:
    """Send nothing until the server ends."""


@dataclass(frozen=True)
class Short:
    """Answer as usual, but close the connection after so many bytes of the body."""

    size: int


@dataclass(frozen=True)
class Again:
    """A redirect to the address that was requested."""

    status: int


Change = Callable[[Reply], Reply]
Fault = Reply | Drop | Stall | Short | Again | Change


@dataclass
class Planned:
    method: str
    path: str
    fault: Fault
    times: int
    skip: int = 0


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `body` is the number of bytes of its body, `content` the first of them."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: int
    content: bytes = b""

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


@dataclass
class Script:
    """What the registry holds, how it behaves, and the requests that came."""

    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    seen: list[Seen] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    challenge: str | list[str] | None = None
    allowed: Callable[[str, Seen], bool] = lambda authorization, seen: True
    location: Callable[[str, str], str] = lambda host, path: path
    referrers: bool = True
    keeps_cut: bool = True
    stuck: bool = False
    keeps: int | None = None
    patch_limit: int | None = None
    body_limit: int | None = None
    """Bytes of a body from which on a proxy in front of it refuses, as nginx does by default from 1 MiB on."""
    minimum: int = 0
    dash_digest: bool = False
    manifest_headers: bool = True
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    host: str = ""
    arriving: int = 0
    started: int = 0
    on_arrival: Callable[[int], None] = lambda total: None
    inside: int = 0
    most_inside: int = 0

    def plan(self, method: str, path: str, fault: Fault, times: int = 1, skip: int = 0) -> None:
        """Plans a fault for the next `times` requests of this kind (a regular expression on the path), after `skip` good ones."""
        self.planned.append(Planned(method, path, fault, times, skip))

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for one in self.planned:
                if one.times and re.fullmatch(one.method, method) and re.search(one.path, path):
                    if one.skip:
                        one.skip -= 1
                        continue
                    one.times -= 1
                    return one.fault
        return None

    def count(self, method: str, path: str = "") -> int:
        return sum(one.method == method and bool(re.search(path, one.path)) for one in self.seen)

    @property
    def verbs(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.seen]

    @property
    def received(self) -> int:
        return sum(one.body for one in self.seen)

    @property
    def other_host(self) -> str:
        """The same server by its other host name."""
        return self.host.replace("127.0.0.1", "localhost")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def error(status: int, code: str, message: str = "said the registry") -> Reply:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, {"Content-Type": "application/json"}, body)


class _Gone(Exception):
    """The client went away in the middle of a body."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script
    timeout = 30

    def handle_one_request(self) -> None:
        with suppress(ConnectionError, TimeoutError, _Gone):
            super().handle_one_request()
            return
        self.close_connection = True

    def do_any(self) -> None:
        script, parts = self.script, urlsplit(self.path)
        self.route, self.query = parts.path, parts.query
        with script.lock:
            script.inside += 1
            script.most_inside = max(script.most_inside, script.inside)
        try:
            self._serve(script)
        finally:
            with script.lock:
                script.inside -= 1

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def _serve(self, script: Script) -> None:
        fault = script.next_fault(self.command, self.route)
        cut = fault.after if isinstance(fault, Drop) and not fault.done else None
        body, complete = self._body(cut)
        seen = Seen(
            self.command,
            self.route,
            self.query,
            {k.lower(): v for k, v in self.headers.items()},
            len(body),
            body[:2000],
        )
        with script.lock:
            script.seen.append(seen)
        if not complete:
            self._keep_cut(script, body)
            self._reset()
        if isinstance(fault, Stall):
            script.ended.wait(30)
            self._reset()
        if isinstance(fault, Again):
            fault = Reply(fault.status, {"Location": self.path})
        if isinstance(fault, Reply):
            self._send(fault)
            return
        reply = self._guarded(script, seen, body)
        if isinstance(fault, Drop):
            self._reset()
        if isinstance(fault, Short):
            self._send(Reply(reply.status, reply.headers, reply.body[: fault.size], len(reply.body)))
            self._reset(gently=True)
        self._send(fault(reply) if callable(fault) else reply)

    def _body(self, cut: int | None) -> tuple[bytes, bool]:
        """The bytes that arrived and whether they are all; where the connection is to be cut, those before the cut."""
        data = bytearray()
        try:
            for piece in self._pieces():
                data += piece
                self.script.arriving += len(piece)
                self.script.on_arrival(self.script.arriving)
                if cut is not None and len(data) >= cut:
                    return bytes(data[:cut]), False
        except (OSError, ValueError, _Gone):
            return bytes(data), False
        return bytes(data), cut is None

    def _pieces(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            while size := int(self.rfile.readline().strip() or b"0", 16):
                yield self._exactly(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read1(min(left, 1 << 16))
            if not piece:
                raise _Gone
            left -= len(piece)
            yield piece

    def _exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise _Gone
        return data

    def _keep_cut(self, script: Script, body: bytes) -> None:
        found = re.search(r"/blobs/uploads/(\w+)$", self.route)
        if found and self.command == "PATCH" and found[1] in script.uploads:
            if script.keeps_cut:
                script.uploads[found[1]] += body
            elif body:
                script.spoilt.add(found[1])

    def _reset(self, *, gently: bool = False) -> None:
        if not gently:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        raise _Gone

    def _guarded(self, script: Script, seen: Seen, body: bytes) -> Reply:
        if (
            script.challenge is not None
            and seen.path.startswith("/v2/")
            and not script.allowed(seen.authorization, seen)
        ):
            told = script.challenge if isinstance(script.challenge, list) else [script.challenge]
            return Reply(401, {f"WWW-Authenticate#{n}": one for n, one in enumerate(told)})
        with script.lock:
            return Answer(script, self.command, self.route, self.query, seen, body).answer()

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name.partition("#")[0], value)
        if not any(name.lower() == "content-length" for name in reply.headers) and reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body) if reply.promise is None else reply.promise))
        self.end_headers()
        if self.command != "HEAD" and reply.status != 204:
            self.wfile.write(reply.body)
            self.wfile.flush()

    def log_message(self, *parts: object) -> None:
        pass


@dataclass
class Answer:
    """The response to one request, from what the registry holds."""

    script: Script
    method: str
    path: str
    query: str
    seen: Seen
    body: bytes

    def answer(self) -> Reply:
        if self.script.body_limit is not None and len(self.body) > self.script.body_limit:
            return Reply(413, {"Content-Type": "text/html"}, b"<html><h1>413 Request Entity Too Large</h1></html>")
        for pattern, action in (
            (r"/v2/", lambda: Reply(200)),
            (r"/v2/(.+)/blobs/uploads/", self.start),
            (r"/v2/(.+)/blobs/uploads/(\w+)", self.upload),
            (r"/v2/(.+)/blobs/([^/]+)", self.blob),
            (r"/v2/(.+)/manifests/([^/]+)", self.manifest),
            (r"/v2/(.+)/tags/list", self.tags),
            (r"/v2/(.+)/referrers/([^/]+)", self.list_referrers),
        ):
            found = re.fullmatch(pattern, self.path)
            if found:
                return action(*found.groups())  # type: ignore[operator]
        return Reply(404, {"Content-Type": "text/plain"}, b"404 page not found")

    def start(self, name: str) -> Reply:
        asked = parse_qs(self.query)
        if "mount" in asked and (asked["from"][0], asked["mount"][0]) in self.script.blobs:
            self.script.blobs[name, asked["mount"][0]] = self.script.blobs[asked["from"][0], asked["mount"][0]]
            return Reply(201, {"Location": f"/v2/{name}/blobs/{asked['mount'][0]}"})
        self.script.started += 1
        key = f"u{self.script.started:04}"
        self.script.uploads[key] = bytearray()
        headers = self._where(name, key)
        if self.script.minimum:
            headers["OCI-Chunk-Min-Length"] = str(self.script.minimum)
        return Reply(202, headers)

    def _where(self, name: str, key: str) -> dict[str, str]:
        held = len(self.script.uploads[key])
        location = self.script.location(self.script.host, f"/v2/{name}/blobs/uploads/{key}?_state=s{held}&x=&x=%2B")
        return {"Location": location, "Range": f"0-{max(0, held - 1)}"}

    def upload(self, name: str, key: str) -> Reply:
        held = self.script.uploads.get(key)
        if held is None or key in self.script.spoilt:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        return getattr(self, f"upload_{self.method.lower()}")(name, key, held)

    def upload_get(self, name: str, key: str, held: bytearray) -> Reply:
        return Reply(204, self._where(name, key))

    def upload_patch(self, name: str, key: str, held: bytearray) -> Reply:
        limit = self.script.patch_limit
        if limit is not None and len(self.body) > limit and "content-length" in self.seen.headers:
            return error(416, "RANGE_INVALID", "body too large")
        if not (self.script.stuck and held):
            held += self.body[: self.script.keeps]
        return Reply(202, self._where(name, key))

    def upload_put(self, name: str, key: str, held: bytearray) -> Reply:
        data, wanted = bytes(held) + self.body, parse_qs(self.query)["digest"][0]
        if digest_of(data) != wanted:
            return error(400, "DIGEST_INVALID")
        self.script.blobs[name, wanted] = data
        del self.script.uploads[key]
        return Reply(201, {"Docker-Content-Digest": wanted, "Location": f"/v2/{name}/blobs/{wanted}"})

    def upload_delete(self, name: str, key: str, held: bytearray) -> Reply:
        del self.script.uploads[key]
        return Reply(204)

    def blob(self, name: str, digest: str) -> Reply:
        data = self.script.blobs.get((name, digest))
        if data is None:
            return error(404, "BLOB_UNKNOWN")
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{digest}"', "Docker-Content-Digest": digest}
        if self.method == "HEAD":
            return Reply(200, {**headers, "Content-Length": str(len(data))})
        ranged = re.fullmatch(r"bytes=(\d+)-", self.seen.headers.get("range", ""))
        if ranged:
            start = int(ranged[1])
            return Reply(206, {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}, data[start:])
        return Reply(200, headers, data)

    def manifest(self, name: str, target: str) -> Reply:
        return getattr(self, f"manifest_{self.method.lower()}")(name, target)

    def manifest_put(self, name: str, target: str) -> Reply:
        document = json.loads(self.body)
        wanted = [*document.get("layers", []), *([document["config"]] if "config" in document else [])]
        if any((name, one["digest"]) not in self.script.blobs for one in wanted):
            return error(400, "MANIFEST_BLOB_UNKNOWN")
        if any((name, one["digest"]) not in self.script.manifests for one in document.get("manifests", [])):
            return error(400, "MANIFEST_BLOB_UNKNOWN")
        digest = digest_of(self.body)
        for key in {digest, target}:
            self.script.manifests[name, key] = (self.seen.headers["content-type"], self.body)
        headers = {"Docker-Content-Digest": digest, "Location": f"/v2/{name}/manifests/{digest}"}
        if "subject" in document and self.script.referrers:
            headers["OCI-Subject"] = document["subject"]["digest"]
        return Reply(201, headers)

    def manifest_get(self, name: str, target: str) -> Reply:
        if self.script.dash_digest and (found := re.fullmatch(r"sha256-([0-9a-f]{64})", target)):
            target = f"sha256:{found[1]}"
        kept = self.script.manifests.get((name, target))
        if kept is None or kept[0] not in self.seen.headers.get("accept", ""):
            return error(404, "MANIFEST_UNKNOWN")
        headers = {"Content-Type": kept[0]}
        if self.script.manifest_headers:
            headers["Docker-Content-Digest"] = digest_of(kept[1])
        if self.method == "HEAD":
            return Reply(200, {**headers, "Content-Length": str(len(kept[1]))})
        return Reply(200, headers, kept[1])

    manifest_head = manifest_get

    def manifest_delete(self, name: str, target: str) -> Reply:
        kept = self.script.manifests.get((name, target))
        if kept is None:
            return error(404, "MANIFEST_UNKNOWN")
        for key in [key for key, value in self.script.manifests.items() if key[0] == name and value == kept]:
            del self.script.manifests[key]
        return Reply(202)

    def tags(self, name: str) -> Reply:
        found = [target for (where, target) in self.script.manifests if where == name and ":" not in target]
        return self._json({"name": name, "tags": found or None})

    def list_referrers(self, name: str, digest: str) -> Reply:
        if not self.script.referrers:
            return Reply(404, {"Content-Type": "text/plain"}, b"404 page not found")
        found = []
        for (where, target), (kind, data) in self.script.manifests.items():
            document = json.loads(data)
            if where == name and ":" in target and document.get("subject", {}).get("digest") == digest:
                found.append(
                    {
                        "mediaType": kind,
                        "digest": target,
                        "size": len(data),
                        "artifactType": document.get("artifactType"),
                    }
                )
        return self._json({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}, INDEX)

    def _json(self, value: object, kind: str = "application/json") -> Reply:
        return Reply(200, {"Content-Type": kind}, json.dumps(value).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def scripted(**traits: Any) -> Iterator[Script]:
    """A scripted registry at `script.host`; it ends with the block."""
    script = Script(**traits)
    server = _Server(("127.0.0.1", 0), type("Bound", (Handler,), {"script": script}))
    script.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
