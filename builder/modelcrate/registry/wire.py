"""The distribution protocol as values: requests to send, and what responses mean.

Nothing here opens a connection, sleeps or reads a clock. Section numbers (end-N) refer to the table of endpoints of the OCI distribution specification 1.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from modelcrate.net.messages import Body, Bytes, Request, Response
from modelcrate.net.resume import length
from modelcrate.net.urls import resolve
from modelcrate_layers.content import Descriptor, Digest, MediaType
from modelcrate_layers.errors import IntegrityError, placed
from modelcrate_layers.frozen import dataclass

OCTETS = "application/octet-stream"

ACCEPT = ", ".join((MediaType.INDEX, MediaType.MANIFEST, MediaType.DOCKER_INDEX, MediaType.DOCKER_MANIFEST))
"""One joined header with every manifest type; docker-registry 2.8.2 answers 404 for an OCI manifest without it."""


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One scope of the token protocol: a repository and the actions on it."""

    repository: str
    actions: frozenset[str]

    def __str__(self) -> str:
        order = [name for name in ("pull", "push", "delete") if name in self.actions]
        return f"repository:{self.repository}:{','.join([*order, *sorted(self.actions - set(order))])}"


def pull_access(repository: str) -> Access:
    """Returns the access for reading."""
    return Access(repository, frozenset({"pull"}))


def push_access(repository: str) -> Access:
    """Returns the access for reading and writing."""
    return Access(repository, frozenset({"pull", "push"}))


def delete_access(repository: str) -> Access:
    """Returns the access for deleting."""
    return Access(repository, frozenset({"delete", "pull"}))


@dataclass(frozen=True, slots=True)
class RegistryRequest(Request):
    """A request of the distribution protocol, with the accesses that its token must grant."""

    access: tuple[Access, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """A repository at the address that serves it. `namespace` names the origin to a proxying mirror (`ns=`)."""

    origin: str
    repository: str
    namespace: str | None = None

    def url(self, path: str) -> str:
        """Returns the URL of a path of this repository."""
        mark = f"?ns={quote(self.namespace, safe='')}" if self.namespace else ""
        return f"{self.origin}/v2/{self.repository}/{path}{mark}"


def ping(origin: str, method: str = "GET") -> RegistryRequest:
    """Returns the request that finds out whether this is a registry, and which login it wants (end-1)."""
    return RegistryRequest(method, f"{origin}/v2/")


def head_manifest(address: RepositoryAddress, target: str, access: Sequence[Access]) -> RegistryRequest:
    """Returns the request for the header of a manifest (end-3, without the body)."""
    return RegistryRequest("HEAD", address.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=tuple(access))


def get_manifest(address: RepositoryAddress, target: str) -> RegistryRequest:
    """Returns the request for a manifest (end-3)."""
    access = (pull_access(address.repository),)
    return RegistryRequest("GET", address.url(f"manifests/{target}"), {"Accept": ACCEPT}, access=access)


def put_manifest(address: RepositoryAddress, target: str, data: bytes, media_type: str) -> RegistryRequest:
    """Returns the request that stores a manifest under a tag or digest (end-7)."""
    headers = {"Content-Type": media_type}
    return RegistryRequest(
        "PUT", address.url(f"manifests/{target}"), headers, Bytes(data), access=(push_access(address.repository),)
    )


def delete_manifest(address: RepositoryAddress, target: str) -> RegistryRequest:
    """Returns the request that deletes a manifest (end-9)."""
    return RegistryRequest("DELETE", address.url(f"manifests/{target}"), access=(delete_access(address.repository),))


def head_blob(address: RepositoryAddress, digest: Digest, access: Sequence[Access]) -> RegistryRequest:
    """Returns the request that checks for a blob (end-2, without the body)."""
    return RegistryRequest("HEAD", address.url(f"blobs/{digest}"), access=tuple(access))


def get_blob(address: RepositoryAddress, digest: Digest) -> RegistryRequest:
    """Returns the request for a blob (end-2)."""
    return RegistryRequest("GET", address.url(f"blobs/{digest}"), access=(pull_access(address.repository),))


def start_upload(address: RepositoryAddress) -> RegistryRequest:
    """Returns the request that opens an upload session (end-4a).

    Repeating it leaves an unused session behind, which every registry removes after a while.
    """
    return RegistryRequest(
        "POST", address.url("blobs/uploads/"), body=Bytes(b""), access=(push_access(address.repository),)
    )


def mount(address: RepositoryAddress, digest: Digest, source: str) -> RegistryRequest:
    """Returns the request that mounts a blob from `source`, another repository of the registry (end-11)."""
    query = f"?mount={quote(str(digest), safe='')}&from={quote(source, safe='')}"
    access = (push_access(address.repository), pull_access(source))
    return RegistryRequest("POST", address.url("blobs/uploads/") + query, body=Bytes(b""), access=access, repeat=False)


def send_part(address: RepositoryAddress, location: str, body: Body, offset: int | None = None) -> RegistryRequest:
    """Returns the request that appends bytes to an upload (end-5).

    With an offset they are a chunk (Content-Range is inclusive, without unit), else a stream.
    """
    headers = {"Content-Type": OCTETS}
    if offset is not None and body.length:
        headers["Content-Range"] = f"{offset}-{offset + body.length - 1}"
    return RegistryRequest("PATCH", location, headers, body, access=(push_access(address.repository),), repeat=False)


def finish_upload(
    address: RepositoryAddress, location: str, digest: Digest, body: Body | None = None
) -> RegistryRequest:
    """Returns the request that closes an upload: with the digest, and in a monolithic upload with the bytes (end-6)."""
    joint = "&" if "?" in location else "?"
    url = f"{location}{joint}digest={quote(str(digest), safe='')}"
    sent = body or Bytes(b"")
    return RegistryRequest(
        "PUT", url, {"Content-Type": OCTETS}, sent, access=(push_access(address.repository),), repeat=False
    )


def upload_status(address: RepositoryAddress, location: str) -> RegistryRequest:
    """Returns the request for the number of bytes of this upload that the registry holds (end-13)."""
    return RegistryRequest("GET", location, access=(push_access(address.repository),))


def cancel_upload(address: RepositoryAddress, location: str) -> RegistryRequest:
    """Returns the request that cancels an upload (end-14, optional in every registry)."""
    return RegistryRequest("DELETE", location, access=(push_access(address.repository),), repeat=False)


def list_tags(address: RepositoryAddress) -> RegistryRequest:
    """Returns the request for the tags of a repository (end-8a)."""
    return RegistryRequest("GET", address.url("tags/list"), access=(pull_access(address.repository),))


def list_repositories(origin: str) -> RegistryRequest:
    """Returns the request for the repositories of a registry: no part of the specification, and answered by most registries."""
    return RegistryRequest("GET", f"{origin}/v2/_catalog?n=1000")


def list_referrers(address: RepositoryAddress, digest: Digest, artifact_type: str | None = None) -> RegistryRequest:
    """Returns the request for the referrers of a digest (end-12)."""
    url = address.url(f"referrers/{digest}")
    if artifact_type:
        url += ("&" if "?" in url else "?") + f"artifactType={quote(artifact_type, safe='')}"
    return RegistryRequest("GET", url, {"Accept": MediaType.INDEX}, access=(pull_access(address.repository),))


def upload_location(answer: Response, before: str, where: str) -> str:
    """Returns where the upload goes on: the Location of this response, as an absolute URL."""
    return resolve(answer.url or before, answer.headers.get("Location"), where)


def stored_bytes(answer: Response) -> int | None:
    """Returns how many bytes of an upload the registry holds (the header Range, inclusive); None without that header.

    Registries answer `0-0` for no byte and for one byte, so it counts as none.
    """
    found = re.fullmatch(r"(?:bytes[= ])?0-(\d{1,18})", answer.headers.get("Range").strip())
    if not found:
        return None
    last = int(found[1])
    return last + 1 if last else 0


def minimum_chunk(answer: Response) -> int:
    """Returns OCI-Chunk-Min-Length; 0 where there is none."""
    text = answer.headers.get("OCI-Chunk-Min-Length").strip()
    return int(text) if re.fullmatch(r"\d{1,12}", text) else 0


def next_page(answer: Response) -> str | None:
    """Returns the target of `Link: <...>; rel="next"` (RFC 8288) as it stands; None on the last page."""
    for value in answer.headers.all("Link"):
        for target, rest in re.findall(r"<([^>]*)>([^<]*)", value):
            if re.search(r";\s*rel\s*=\s*\"?next\"?(?:[\s;,]|$)", rest, re.IGNORECASE):
                return str(target)
    return None


def warnings(answer: Response) -> list[str]:
    """Returns the texts of `Warning: 299 - "text"`, at most 500 characters each."""
    found = [re.match(r'299 \S+ "((?:[^"\\]|\\.)*)"', value.strip()) for value in answer.headers.all("Warning")]
    return [re.sub(r"\\(.)", r"\1", match[1])[:500] for match in found if match]


def confirm_digest(answer: Response, digest: Digest, where: str) -> None:
    """Raises IntegrityError where Docker-Content-Digest is of our algorithm and of other bytes."""
    claimed = answer.headers.get("Docker-Content-Digest").strip()
    if claimed.startswith(f"{digest.algorithm}:") and claimed != str(digest):
        raise IntegrityError(f"the registry names other bytes: ours are {digest}, it says {claimed[:200]}", where=where)


def descriptor_of(answer: Response, where: str) -> Descriptor | None:
    """Returns the descriptor in the header of a manifest (HEAD); None where something is missing."""
    claimed, size = answer.headers.get("Docker-Content-Digest").strip(), length(answer)
    if not claimed or size is None or answer.media_type not in MediaType.MANIFESTS | MediaType.INDEXES:
        return None
    with placed(where):
        return Descriptor(answer.media_type, Digest.parse(claimed), size)
