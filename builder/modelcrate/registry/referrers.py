"""Artifacts that refer to an image (signatures, SBOMs, provenance): by the API where it works, else by the fallback tag.

The header OCI-Subject does not prove that the API exists (ECR sent it without), so each registry is probed once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from modelcrate.images.artifact import newest
from modelcrate.images.reference import Reference, is_repository, is_tag
from modelcrate.net.errors import ErrorResponse
from modelcrate.net.messages import Response, follow
from modelcrate.net.urls import resolve
from modelcrate.registry import addresses, documents, wire
from modelcrate.registry.remote import Remote
from modelcrate.registry.transport import RegistryTransport
from modelcrate.registry.wire import RegistryRequest
from modelcrate_layers.content import Descriptor, Digest, MediaType, canonical_json, parse_object
from modelcrate_layers.errors import IntegrityError, RegistryError, placed
from modelcrate_layers.frozen import replace

MAX_PAGES = 100
RACES = 3
"""How often the fallback tag is written again when another writer was faster."""

Put = Callable[[Reference, bytes, str], Descriptor]


def fallback_tag(digest: Digest) -> str:
    """Returns the tag that lists the referrers of a digest (distribution-spec, "referrers tag schema")."""
    return f"{digest.algorithm[:32]}-{digest.hex[:64]}"


def described(data: bytes, media_type: str) -> tuple[Descriptor, Digest]:
    """Returns a referrer's descriptor as an index lists it, and the digest of its subject."""
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
    transport: RegistryTransport, remote: Remote, request: RegistryRequest, doing: str, read: Callable[[Response], None]
) -> None:
    """Reads a list page by page, following `Link` on the same host.

    Raises:
        RegistryError: A page leads to another host or to an earlier page, or there are more than 100.
    """
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        answer = transport.send(request, remote, doing)
        with placed(request.where()):
            read(answer)
        link = wire.next_page(answer)
        if link is None:
            return
        target = resolve(answer.url, link, request.where())
        addresses.check_page(request.url, target, request.where())
        if target in seen:
            raise RegistryError("the pages of the registry's list lead in circles", where=request.where())
        seen.add(target)
        request = follow(request, target)
    raise RegistryError(f"a list of more than {MAX_PAGES} pages", where=request.where())


class Referrers:
    """Reads and writes referrers. The transport remembers which registries have the API."""

    def __init__(self, transport: RegistryTransport, put: Put) -> None:
        self._transport, self._put = transport, put

    def find(self, ref: Reference, subject: Digest, artifact_type: str | None = None) -> list[Descriptor]:
        """Returns the referrers of a digest, of one type where one is given."""
        found = self._by_api(ref, subject, artifact_type) if self._has_api(ref, subject) else self._by_tag(ref, subject)
        kinds = {one.digest: one for one in found}
        return [one for one in kinds.values() if artifact_type in (None, one.rest.get("artifactType"))]

    def push(self, ref: Reference, documents: Sequence[bytes]) -> list[Descriptor]:
        """Publishes manifests that have a `subject`. Where there is no API, they are listed under the fallback tag."""
        kinds = [str(parse_object(data).get("mediaType") or MediaType.MANIFEST) for data in documents]
        found = list(map(described, documents, kinds))
        about: dict[Digest, list[Descriptor]] = {}
        for descriptor, subject in found:
            about.setdefault(subject, []).append(descriptor)
        places = [ref.at(descriptor.digest) for descriptor, _ in found]
        pushed = list(self._transport.pool.map(self._put, places, documents, kinds))
        for subject, descriptors in about.items():
            if not self._has_api(ref, subject):
                self._add_to_tag(ref, subject, descriptors)
        return pushed

    def forget(self, ref: Reference, data: bytes, media_type: str) -> None:
        """Removes a deleted referrer from the list under the fallback tag."""
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
        remote = self._transport.remote(ref.registry)
        if remote.profile.referrers != "probe":
            return remote.profile.referrers == "api"
        known = self._transport.referrers
        with self._transport.locks.hold(("referrers", ref.registry)):
            if ref.registry not in known:
                known[ref.registry] = self._probe(remote, ref, subject)
            return known[ref.registry]

    def _probe(self, remote: Remote, ref: Reference, subject: Digest) -> bool:
        """Whether the API exists: 200 with the type of an index means yes, another refusal means no."""
        request = wire.list_referrers(remote.repository(ref.repository), subject)
        try:
            answer = self._transport.send(request, remote, "list of referrers")
        except ErrorResponse as fault:
            if fault.status in (401, 403, 429) or (fault.status >= 500 and fault.status != 501):
                raise
            return False
        return answer.media_type == MediaType.INDEX

    def _by_api(self, ref: Reference, subject: Digest, artifact_type: str | None) -> list[Descriptor]:
        remote = self._transport.remote(ref.registry)
        found: list[Descriptor] = []

        def read(answer: Response) -> None:
            document = parse_object(answer.body, request.where())
            entries = document.get("manifests") or []
            found.extend(Descriptor.parse(one) for one in entries)

        request = wire.list_referrers(remote.repository(ref.repository), subject, artifact_type)
        pages(self._transport, remote, request, "list of referrers", read)
        return found

    def _by_tag(self, ref: Reference, subject: Digest) -> list[Descriptor]:
        """The entries under the fallback tag; none where there is no such tag yet."""
        remote = self._transport.remote(ref.registry)
        tagged = ref.tagged(fallback_tag(subject))
        request = wire.get_manifest(remote.repository(ref.repository), tagged.target)
        answer = self._transport.send(request, remote, "list of referrers", (200, 404))
        if answer.status == 404:
            return []
        media_type = documents.type_of(answer, str(tagged))
        if Digest.of(answer.body) == subject or media_type != MediaType.INDEX:
            raise RegistryError(
                "this registry can't list referrers", where=str(tagged),
                why="the tag that should list them names something else (GitLab takes it for the digest)",
            )  # fmt: skip
        document = documents.check_kind(answer.body, media_type, request.where())
        return [Descriptor.parse(one) for one in document["manifests"]]

    def _add_to_tag(self, ref: Reference, subject: Digest, descriptors: Sequence[Descriptor]) -> None:
        """Reads the list, adds, writes it, and reads it again: there is no lock, so another writer may have been faster.

        What a new entry stands for is not listed any more (see `newest`).
        """
        for left in range(RACES, -1, -1):
            listed = self._by_tag(ref, subject)
            wanted = newest([*listed, *_missing(descriptors, listed)])
            if not _missing(wanted, listed):
                return
            if left:
                self._write(ref, subject, wanted)
        raise RegistryError("another writer kept changing the list of referrers", where=str(ref), hint="try again")

    def _write(self, ref: Reference, subject: Digest, entries: list[Descriptor]) -> None:
        index = {"schemaVersion": 2, "mediaType": MediaType.INDEX, "manifests": [one.json() for one in entries]}
        self._put(ref.tagged(fallback_tag(subject)), canonical_json(index), MediaType.INDEX)


def _missing(wanted: Sequence[Descriptor], listed: Sequence[Descriptor]) -> list[Descriptor]:
    have = {one.digest for one in listed}
    return [one for one in wanted if one.digest not in have]


def read_tags(answer: Response) -> list[str]:
    """Returns the tags of one page; a repository without tags has null."""
    document = parse_object(answer.body)
    tags = document.get("tags") or []
    if not isinstance(tags, list):
        raise IntegrityError("the registry's list of tags can't be read")
    if wrong := next((tag for tag in tags if not isinstance(tag, str) or not is_tag(tag)), None):
        raise IntegrityError(f"the registry's list of tags has one that is none: {wrong!r:.80}")
    return tags


def read_repositories(answer: Response) -> list[str]:
    """Returns the repositories of one page of a registry's list."""
    found = parse_object(answer.body).get("repositories") or []
    if not isinstance(found, list) or not all(isinstance(each, str) and is_repository(each) for each in found):
        raise IntegrityError("the registry's list of repositories can't be read")
    return found
