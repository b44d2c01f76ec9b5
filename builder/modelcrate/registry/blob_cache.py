"""What registries are known to hold, so that no request is sent twice."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from modelcrate_layers.content import Digest, parse_object
from modelcrate_layers.errors import CrateError

MAX_HOLDERS = 4
"""Repositories that are remembered for a blob that can be mounted: the first one mostly still has it."""


class BlobCache:
    """The blobs that repositories confirmed, and those that their manifests name. It changes as answers come in.

    A manifest proves less than an answer: a registry accepts none whose blobs it lacks, but may lose a blob later. Code
    that relies on it has to handle the refusal of the next manifest that names the blob.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._confirmed: dict[str, set[Digest]] = {}
        self._named: dict[str, dict[Digest, frozenset[Digest]]] = {}
        self._holders: dict[Digest, list[str]] = {}
        self._mounts: dict[str, bool] = {}
        self._tags: dict[tuple[str, str], Digest | None] = {}

    def add(self, repository: str, digest: Digest) -> None:
        """Records that the repository has this blob."""
        with self._lock:
            self._confirmed.setdefault(repository, set()).add(digest)
            holders = self._holders.setdefault(digest, [])
            if repository not in holders and len(holders) < MAX_HOLDERS:
                holders.append(repository)

    def has(self, repository: str, digest: Digest) -> bool:
        """Returns whether the repository confirmed that it has this blob."""
        with self._lock:
            return digest in self._confirmed.get(repository, ())

    def discard(self, repository: str, digest: Digest) -> None:
        """Records that the repository does not have this blob any more."""
        with self._lock:
            self._confirmed.get(repository, set()).discard(digest)
            self._drop_holder(repository, digest)

    def set_mounts(self, registry: str, *, taken: bool) -> None:
        """Records whether the registry mounted a blob from another repository. One that did once may lack the next blob there, and still mounts."""
        with self._lock:
            self._mounts[registry] = taken or self._mounts.get(registry, False)

    def mounts(self, registry: str) -> bool | None:
        """Returns whether the registry mounts blobs; None where none was tried."""
        with self._lock:
            return self._mounts.get(registry)

    def set_tag(self, repository: str, tag: str, digest: Digest | None) -> None:
        """Records what a tag named when it was last read; None for nothing."""
        with self._lock:
            self._tags[repository, tag] = digest

    def tag(self, repository: str, tag: str) -> Digest | None:
        """Returns what a tag named when it was last read or written; None for nothing, and where that is not known."""
        with self._lock:
            return self._tags.get((repository, tag))

    def tag_differs(self, repository: str, tag: str, digest: Digest) -> bool:
        """Returns whether a tag is known to name something else than this, or nothing."""
        with self._lock:
            return self._tags.get((repository, tag), digest) != digest

    def add_manifest(self, repository: str, manifest: Digest, data: bytes) -> None:
        """Records the blobs of a manifest of the repository. Its bytes have been verified."""
        with suppress(CrateError, AttributeError, KeyError, TypeError):
            named = frozenset(_blobs(parse_object(data)))
            with self._lock:
                self._named.setdefault(repository, {})[manifest] = named

    def known(self, repository: str, without: Collection[Digest]) -> frozenset[Digest]:
        """Returns the blobs that the repository holds.

        Args:
            repository: Registry and repository.
            without: Manifests that prove nothing. They will not be sent again, so a loss would not be noticed.
        """
        with self._lock:
            named = self._named.get(repository, {})
            confirmed = frozenset(self._confirmed.get(repository, ()))
            return confirmed.union(*(named[each] for each in named.keys() - set(without)))

    def holders(self, digest: Digest) -> list[str]:
        """Returns repositories that confirmed this blob. From those of the same registry it can be mounted."""
        with self._lock:
            return list(self._holders.get(digest, ()))

    def forget(self, repository: str) -> None:
        """Removes all that is known of a repository, because it lost something."""
        with self._lock:
            for digest in self._confirmed.pop(repository, ()):
                self._drop_holder(repository, digest)
            self._named.pop(repository, None)

    def _drop_holder(self, repository: str, digest: Digest) -> None:
        self._holders[digest] = [each for each in self._holders.get(digest, ()) if each != repository]


def _blobs(manifest: Mapping[str, Any]) -> list[Digest]:
    """The blobs that a registry needs for a manifest. Those with addresses of their own may be elsewhere."""
    named = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
    return [Digest.parse(each["digest"]) for each in named if not each.get("urls")]
