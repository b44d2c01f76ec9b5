"""The distribution protocol as values: requests out, answers in.

Nothing here opens a connection, sleeps or reads a clock, so every rule is tested with two literals.
Section numbers (end-N) refer to the table of endpoints of the OCI distribution specification 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from modelcrate.net.messages import Body, Bytes, Request, Response
from modelcrate.net.resume import length
from modelcrate.net.urls import resolve
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass

OCTETS = "application/octet-stream"

ACCEPT = ", ".join((MediaType.INDEX, MediaType.MANIFEST, MediaType.DOCKER_INDEX, MediaType.DOCKER_MANIFEST))
"""One joined header with every manifest type; docker-registry 2.8.2 answers 404 for an OCI manifest without it."""


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
class RegistryRequest(Request):
    """A request of the distribution protocol, with the accesses that its token has to grant."""

    access: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """A repository behind the address that serves it. `namespace` names the origin to a proxying mirror (`ns=`)."""

    origin: str
    repository: str
    namespace: str | None = None

    def url(self, path: str) -> str:
        mark = f"?ns={quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{self.origin}/v2/{self.repository}/{path}{mark}"


def ping(origin: str, method: str = "GET") -> RegistryRequest:
    """end-1: is this a registry, and what does it want to be asked with."""
    return RegistryRequest(method, f"{origin}/v2/")


def head_manifest(place: RepositoryAddress, target: str, access: Sequence[Access]) -> RegistryRequest:
    """end-3, without the body."""
    return RegistryRequest("HEAD", place.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=tuple(access))


def get_manifest(place: RepositoryAddress, target: str) -> RegistryRequest:
    """end-3."""
    access = (pulls(place.repository),)
    return RegistryRequest("GET", place.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=access)


def put_manifest(place: RepositoryAddress, target: str, data: bytes, media_type: str) -> RegistryRequest:
    """end-7: these very bytes, under this tag or digest."""
    headers = {"Content-Type": media_type}
    return RegistryRequest(
        "PUT", place.url(f"manifests/{target}"), headers, Bytes(data), access=(pushes(place.repository),)
    )


def delete_manifest(place: RepositoryAddress, target: str) -> RegistryRequest:
    """end-9."""
    return RegistryRequest("DELETE", place.url(f"manifests/{target}"), access=(deletes(place.repository),))


def head_blob(place: RepositoryAddress, digest: Digest, access: Sequence[Access]) -> RegistryRequest:
    """end-2, without the body."""
    return RegistryRequest("HEAD", place.url(f"blobs/{digest}"), access=tuple(access))


def get_blob(place: RepositoryAddress, digest: Digest) -> RegistryRequest:
    """end-2."""
    return RegistryRequest("GET", place.url(f"blobs/{digest}"), access=(pulls(place.repository),))


def start_upload(place: RepositoryAddress) -> RegistryRequest:
    """end-4a. Repeating it leaves an orphan session behind, which every registry sweeps away."""
    return RegistryRequest("POST", place.url("blobs/uploads/"), body=Bytes(b""), access=(pushes(place.repository),))


def mount(place: RepositoryAddress, digest: Digest, source: str) -> RegistryRequest:
    """end-11: take the blob over from `source`, a repository of the same registry."""
    query = f"?mount={quote(str(digest), safe='')}&from={quote(source, safe='')}"
    access = (pushes(place.repository), pulls(source))
    return RegistryRequest("POST", place.url("blobs/uploads/") + query, body=Bytes(b""), access=access, repeat=False)


def send_part(place: RepositoryAddress, location: str, body: Body, offset: int | None = None) -> RegistryRequest:
    """end-5: append these bytes. With an offset it is a chunk (Content-Range is inclusive and has no unit),
    else a stream."""
    headers = {"Content-Type": OCTETS}
    if offset is not None and body.length:
        headers["Content-Range"] = f"{offset}-{offset + body.length - 1}"
    return RegistryRequest("PATCH", location, headers, body, access=(pushes(place.repository),), repeat=False)


def finish_upload(place: RepositoryAddress, location: str, digest: Digest, body: Body | None = None) -> RegistryRequest:
    """end-6: the digest, and with a monolithic upload the bytes too."""
    joint = "&" if "?" in location else "?"
    url = f"{location}{joint}digest={quote(str(digest), safe='')}"
    sent = body or Bytes(b"")
    return RegistryRequest("PUT", url, {"Content-Type": OCTETS}, sent, access=(pushes(place.repository),), repeat=False)


def upload_status(place: RepositoryAddress, location: str) -> RegistryRequest:
    """end-13: how much of this upload the registry holds."""
    return RegistryRequest("GET", location, access=(pushes(place.repository),))


def cancel_upload(place: RepositoryAddress, location: str) -> RegistryRequest:
    """end-14, optional in every registry."""
    return RegistryRequest("DELETE", location, access=(pushes(place.repository),), repeat=False)


def list_tags(place: RepositoryAddress) -> RegistryRequest:
    """end-8a."""
    return RegistryRequest("GET", place.url("tags/list"), access=(pulls(place.repository),))


def list_referrers(place: RepositoryAddress, digest: Digest, artifact_type: str | None = None) -> RegistryRequest:
    """end-12."""
    url = place.url(f"referrers/{digest}")
    if artifact_type:
        url += ("&" if "?" in url else "?") + f"artifactType={quote(artifact_type, safe='')}"
    return RegistryRequest("GET", url, {"Accept": MediaType.INDEX}, access=(pulls(place.repository),))


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
