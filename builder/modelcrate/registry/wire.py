"""The distribution protocol as values: requests out, answers in.

Nothing here opens a connection, sleeps or reads a clock, so every rule is tested with two literals.
Section numbers (end-N) refer to the table of endpoints of the OCI distribution specification 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Protocol
from urllib.parse import quote

from modelcrate.net.urls import resolve
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

OCTETS = "application/octet-stream"

ACCEPT = ", ".join((MediaType.INDEX, MediaType.MANIFEST, MediaType.DOCKER_INDEX, MediaType.DOCKER_MANIFEST))
"""One joined header with every manifest type; docker-registry 2.8.2 answers 404 for an OCI manifest without it."""


class Body(Protocol):
    """Bytes to be sent. `chunks` may be called again where a request has to be repeated, and begins anew then."""

    @property
    def length(self) -> int | None: ...

    def chunks(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Bytes:
    """A body that is at hand."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        if self.data:
            yield self.data


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One scope of the token protocol: what shall be done with which repository."""

    repository: str
    actions: frozenset[str]

    def __str__(self) -> str:
        order = [name for name in ("pull", "push", "delete") if name in self.actions]
        return f"repository:{self.repository}:{','.join([*order, *sorted(self.actions - set(order))])}"


def pulls(repository: str) -> Access:
    return Access(repository, frozenset({"pull"}))


def pushes(repository: str) -> Access:
    return Access(repository, frozenset({"pull", "push"}))


def deletes(repository: str) -> Access:
    return Access(repository, frozenset({"delete", "pull"}))


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `repeat` says that sending it twice does no harm, so the retry engine may."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    access: tuple[Access, ...] = ()
    repeat: bool = True

    def where(self) -> str:
        """Method and URL without its query, which may hold a signature."""
        return f"{self.method} {self.url.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in their order; names without case, repeated ones kept apart."""

    fields: tuple[tuple[str, str], ...] = ()

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str, default: str = "") -> str:
        found = self.all(name)
        return found[0] if found else default


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: the status, the header fields, the (capped) body, and the URL that was asked in the end."""

    status: int
    headers: Headers
    body: bytes = b""
    url: str = ""

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """A repository behind the address that serves it. `namespace` names the origin to a proxying mirror (`ns=`)."""

    origin: str
    repository: str
    namespace: str | None = None

    def url(self, path: str) -> str:
        mark = f"?ns={quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{self.origin}/v2/{self.repository}/{path}{mark}"


def ping(origin: str, method: str = "GET") -> Request:
    """end-1: is this a registry, and what does it want to be asked with."""
    return Request(method, f"{origin}/v2/")


def head_manifest(place: RepositoryAddress, target: str, access: Sequence[Access]) -> Request:
    """end-3, without the body."""
    return Request("HEAD", place.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=tuple(access))


def get_manifest(place: RepositoryAddress, target: str) -> Request:
    """end-3."""
    access = (pulls(place.repository),)
    return Request("GET", place.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=access)


def put_manifest(place: RepositoryAddress, target: str, data: bytes, media_type: str) -> Request:
    """end-7: these very bytes, under this tag or digest."""
    headers = {"Content-Type": media_type}
    return Request("PUT", place.url(f"manifests/{target}"), headers, Bytes(data), (pushes(place.repository),))


def delete_manifest(place: RepositoryAddress, target: str) -> Request:
    """end-9."""
    return Request("DELETE", place.url(f"manifests/{target}"), access=(deletes(place.repository),))


def head_blob(place: RepositoryAddress, digest: Digest, access: Sequence[Access]) -> Request:
    """end-2, without the body."""
    return Request("HEAD", place.url(f"blobs/{digest}"), access=tuple(access))


def get_blob(place: RepositoryAddress, digest: Digest, start: int = 0, etag: str = "") -> Request:
    """end-2; from byte `start` where that is not 0, on condition that the bytes are still those of `etag`."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    if start and etag:
        headers["If-Range"] = etag
    return Request("GET", place.url(f"blobs/{digest}"), headers, access=(pulls(place.repository),))


def start_upload(place: RepositoryAddress) -> Request:
    """end-4a. Repeating it leaves an orphan session behind, which every registry sweeps away."""
    return Request("POST", place.url("blobs/uploads/"), body=Bytes(b""), access=(pushes(place.repository),))


def mount(place: RepositoryAddress, digest: Digest, source: str) -> Request:
    """end-11: take the blob over from `source`, a repository of the same registry."""
    query = f"?mount={quote(str(digest), safe='')}&from={quote(source, safe='')}"
    access = (pushes(place.repository), pulls(source))
    return Request("POST", place.url("blobs/uploads/") + query, body=Bytes(b""), access=access, repeat=False)


def send_part(place: RepositoryAddress, location: str, body: Body, offset: int | None = None) -> Request:
    """end-5: append these bytes. With an offset it is a chunk (Content-Range is inclusive and has no unit),
    else a stream."""
    headers = {"Content-Type": OCTETS}
    if offset is not None and body.length:
        headers["Content-Range"] = f"{offset}-{offset + body.length - 1}"
    return Request("PATCH", location, headers, body, (pushes(place.repository),), repeat=False)


def finish_upload(place: RepositoryAddress, location: str, digest: Digest, body: Body | None = None) -> Request:
    """end-6: the digest, and with a monolithic upload the bytes too."""
    joint = "&" if "?" in location else "?"
    url = f"{location}{joint}digest={quote(str(digest), safe='')}"
    sent = body or Bytes(b"")
    return Request("PUT", url, {"Content-Type": OCTETS}, sent, (pushes(place.repository),), repeat=False)


def upload_status(place: RepositoryAddress, location: str) -> Request:
    """end-13: how much of this upload the registry holds."""
    return Request("GET", location, access=(pushes(place.repository),))


def cancel_upload(place: RepositoryAddress, location: str) -> Request:
    """end-14, optional in every registry."""
    return Request("DELETE", location, access=(pushes(place.repository),), repeat=False)


def list_tags(place: RepositoryAddress) -> Request:
    """end-8a."""
    return Request("GET", place.url("tags/list"), access=(pulls(place.repository),))


def list_referrers(place: RepositoryAddress, digest: Digest, artifact_type: str | None = None) -> Request:
    """end-12."""
    url = place.url(f"referrers/{digest}")
    if artifact_type:
        url += ("&" if "?" in url else "?") + f"artifactType={quote(artifact_type, safe='')}"
    return Request("GET", url, {"Accept": MediaType.INDEX}, access=(pulls(place.repository),))


def follow(request: Request, url: str) -> Request:
    """The same request to another address."""
    return replace(request, url=url)


def upload_location(answer: Response, before: str, where: str) -> str:
    """Where the upload goes on: the Location of this answer, against the URL that was asked."""
    return resolve(answer.url or before, answer.headers.get("Location"), where)


def stored(answer: Response) -> int | None:
    """How many bytes of an upload the registry says it holds (the header Range, inclusive); None where it doesn't say.

    `0-0` is answered for none and for one byte alike, so it counts as none; callers that have sent bytes must
    ask themselves.
    """
    found = re.fullmatch(r"(?:bytes[= ])?0-(\d{1,18})", answer.headers.get("Range").strip())
    if not found:
        return None
    last = int(found[1])
    return last + 1 if last else 0


def minimum_chunk(answer: Response) -> int:
    """OCI-Chunk-Min-Length, 0 where there is none."""
    text = answer.headers.get("OCI-Chunk-Min-Length").strip()
    return int(text) if re.fullmatch(r"\d{1,12}", text) else 0


def partial_start(answer: Response) -> int | None:
    """The first byte of a 206 (Content-Range), None where it can't be read."""
    found = re.match(r"bytes (\d{1,18})-", answer.headers.get("Content-Range").strip())
    return int(found[1]) if found else None


def length(answer: Response) -> int | None:
    """Content-Length, None where there is none."""
    text = answer.headers.get("Content-Length").strip()
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def next_page(answer: Response) -> str | None:
    """The target of `Link: <...>; rel="next"` (RFC 5988) as it stands, None on the last page."""
    for value in answer.headers.all("Link"):
        for target, rest in re.findall(r"<([^>]*)>([^<]*)", value):
            if re.search(r";\s*rel\s*=\s*\"?next\"?(?:[\s;,]|$)", rest, re.IGNORECASE):
                return str(target)
    return None


def warnings(answer: Response) -> list[str]:
    """The texts of `Warning: 299 - "text"`, at most a few hundred characters each."""
    found = [re.match(r'299 \S+ "((?:[^"\\]|\\.)*)"', value.strip()) for value in answer.headers.all("Warning")]
    return [re.sub(r"\\(.)", r"\1", match[1])[:500] for match in found if match]


def confirm_digest(answer: Response, digest: Digest, where: str) -> None:
    """Docker-Content-Digest, where there is one of our algorithm, has to be ours."""
    claimed = answer.headers.get("Docker-Content-Digest").strip()
    if claimed.startswith(f"{digest.algorithm}:") and claimed != str(digest):
        raise IntegrityError(f"the registry names other bytes: ours are {digest}, it says {claimed[:200]}", where=where)


def described(answer: Response, where: str) -> Descriptor | None:
    """The descriptor that a HEAD of a manifest tells, None where it leaves something out."""
    claimed, size = answer.headers.get("Docker-Content-Digest").strip(), length(answer)
    if not claimed or size is None or answer.media_type not in MediaType.MANIFESTS | MediaType.INDEXES:
        return None
    return Descriptor(answer.media_type, Digest.parse(claimed), size)
