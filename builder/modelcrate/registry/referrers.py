"""What refers to an image (signatures, SBOMs, provenance): by the API where it works, else by the tag that
stands in for it.

A header OCI-Subject is no proof of the API (ECR sent it without), so each registry is probed once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from modelcrate.images.reference import Reference
from modelcrate.net.errors import ErrorResponse
from modelcrate.net.messages import Response, follow
from modelcrate.net.urls import resolve
from modelcrate.registry import addresses, documents, wire
from modelcrate.registry.registry_transport import RegistryTransport
from modelcrate.registry.remote import Remote
from modelcrate.registry.wire import RegistryRequest
from modelcrate_layers.content import Descriptor, Digest, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError, RegistryError

MAX_PAGES = 100
RACES = 3
"""How often the stand-in tag is written again when another writer was faster."""

Put = Callable[[Reference, bytes, str], Descriptor]


def fallback_tag(digest: Digest) -> str:
    """The tag that lists the referrers of a digest (distribution-spec, "referrers tag schema")."""
    return f"{digest.algorithm[:32]}-{digest.hex[:64]}"


def described(data: bytes, media_type: str) -> tuple[Descriptor, Digest]:
    """A referrer's descriptor as an index lists it, and the digest of its subject."""
    document = documents.check_kind(data, media_type, "a referrer")
    subject = Descriptor.parse(document.get("subject"))
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else None)
    rest = {"artifactType": kind} if isinstance(kind, str) else {}
    notes = Descriptor.parse(
        {**Descriptor.of(data, media_type).json(), "annotations": document.get("annotations")}
    ).annotations
    return replace(Descriptor.of(data, media_type), annotations=notes, rest=rest), subject.digest


def pages(
    courier: RegistryTransport, remote: Remote, request: RegistryRequest, doing: str, read: Callable[[Response], None]
) -> None:
    """Read a list page by page, as long as `Link` leads on, on the same host, and to a page not seen yet."""
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        answer = courier.send(request, remote, doing)
        read(answer)
        link = wire.next_page(answer)
        if link is None:
            return
        target = resolve(answer.url, link, request.where())
        addresses.check_page(request.url, target, request.where())
        if target in seen:
            raise RegistryError("the registry's pages lead in circles", where=request.where())
        seen.add(target)
        request = follow(request, target)
    raise RegistryError(f"a list of more than {MAX_PAGES} pages", where=request.where())


class Referrers:
    """Reading and writing referrers; it remembers which registries have the API."""

    def __init__(self, courier: RegistryTransport, put: Put) -> None:
        self._courier, self._put = courier, put
        self._lock = threading.Lock()
        self._api: dict[str, bool] = {}

    def find(self, ref: Reference, subject: Digest, artifact_type: str | None = None) -> list[Descriptor]:
        """All referrers of a digest, of one type where that is asked for."""
        found = self._by_api(ref, subject, artifact_type) if self._has_api(ref, subject) else self._by_tag(ref, subject)
        kinds = {one.digest: one for one in found}
        return [one for one in kinds.values() if artifact_type in (None, one.rest.get("artifactType"))]

    def push(self, ref: Reference, documents: Sequence[bytes]) -> list[Descriptor]:
        """Publish manifests that have a `subject`; where there is no API, list them under the stand-in tag of theirs."""
        kinds = [str(parse_object(data).get("mediaType") or MediaType.MANIFEST) for data in documents]
        told = list(map(described, documents, kinds))
        about: dict[Digest, list[Descriptor]] = {}
        for descriptor, subject in told:
            about.setdefault(subject, []).append(descriptor)
        places = [ref.at(descriptor.digest) for descriptor, _ in told]
        pushed = list(self._courier.pool.map(self._put, places, documents, kinds))
        for subject, descriptors in about.items():
            if not self._has_api(ref, subject):
                self._enlist(ref, subject, descriptors)
        return pushed

    def forget(self, ref: Reference, data: bytes, media_type: str) -> None:
        """Take a deleted referrer off the stand-in tag."""
        if "subject" not in parse_object(data):
            return
        descriptor, subject = described(data, media_type)
        if self._has_api(ref, subject):
            return
        listed = self._by_tag(ref, subject)
        left = [one for one in listed if one.digest != descriptor.digest]
        if len(left) != len(listed):
            self._write(ref, subject, left)

    def _has_api(self, ref: Reference, subject: Digest) -> bool:
        remote = self._courier.remote(ref.registry)
        if remote.habits.referrers != "probe":
            return remote.habits.referrers == "api"
        with self._lock:
            if ref.registry not in self._api:
                self._api[ref.registry] = self._probe(remote, ref, subject)
            return self._api[ref.registry]

    def _probe(self, remote: Remote, ref: Reference, subject: Digest) -> bool:
        """200 with the type of an index is a yes, and all other refusals are a no."""
        request = wire.list_referrers(remote.place(ref.repository), subject)
        try:
            answer = self._courier.send(request, remote, "question for referrers")
        except ErrorResponse as fault:
            if fault.status in (401, 403, 429) or (fault.status >= 500 and fault.status != 501):
                raise
            return False
        return answer.media_type == MediaType.INDEX

    def _by_api(self, ref: Reference, subject: Digest, artifact_type: str | None) -> list[Descriptor]:
        remote = self._courier.remote(ref.registry)
        found: list[Descriptor] = []

        def read(answer: Response) -> None:
            document = parse_object(answer.body, request.where())
            entries = document.get("manifests") or []
            found.extend(Descriptor.parse(one) for one in entries)

        request = wire.list_referrers(remote.place(ref.repository), subject, artifact_type)
        pages(self._courier, remote, request, "list of referrers", read)
        return found

    def _by_tag(self, ref: Reference, subject: Digest) -> list[Descriptor]:
        """The entries under the stand-in tag; none where there is no such tag yet."""
        remote = self._courier.remote(ref.registry)
        tagged = ref.tagged(fallback_tag(subject))
        request = wire.get_manifest(remote.place(ref.repository), tagged.target)
        answer = self._courier.send(request, remote, "list of referrers", (200, 404))
        if answer.status == 404:
            return []
        if Digest.of(answer.body) == subject or answer.media_type != MediaType.INDEX:
            raise RegistryError(
                "this registry can't list referrers", where=str(tagged),
                why="it answers the tag that should list them with something else (GitLab takes it for the digest)",
            )  # fmt: skip
        document = documents.check_kind(answer.body, answer.media_type, request.where())
        return [Descriptor.parse(one) for one in document["manifests"]]

    def _enlist(self, ref: Reference, subject: Digest, descriptors: Sequence[Descriptor]) -> None:
        """Read, add, write, and look again: there is no lock, so another writer may have been faster."""
        listed = self._by_tag(ref, subject)
        for _ in range(RACES):
            if not (lacking := _lacking(descriptors, listed)):
                return
            self._write(ref, subject, [*listed, *lacking])
            listed = self._by_tag(ref, subject)
        if _lacking(descriptors, listed):
            raise RegistryError("another writer kept changing the list of referrers", where=str(ref), hint="try again")

    def _write(self, ref: Reference, subject: Digest, entries: list[Descriptor]) -> None:
        index = {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [one.json() for one in entries]}
        self._put(ref.tagged(fallback_tag(subject)), canonical_json(index), MediaType.INDEX)


def _lacking(wanted: Sequence[Descriptor], listed: Sequence[Descriptor]) -> list[Descriptor]:
    have = {one.digest for one in listed}
    return [one for one in wanted if one.digest not in have]


def read_tags(answer: Response) -> list[str]:
    """The tags of one page; a repository without any has null."""
    document = parse_object(answer.body)
    tags = document.get("tags") or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) and len(tag) <= 128 for tag in tags):
        raise IntegrityError("a list of tags that is none")
    return tags
