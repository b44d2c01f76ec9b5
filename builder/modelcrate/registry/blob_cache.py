"""What registries are known to hold, so that nobody asks them twice."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from modelcrate_layers.content import Digest, parse_object
from modelcrate_layers.errors import CrateError

MAX_HOLDERS = 4
"""Repositories that are remembered for a blob that can be mounted: the first one that is asked mostly has it."""


class BlobCache:
    """Blobs that a repository said it has, and those that manifests name which it gave us. Not a value: it learns.

    A manifest is a weaker word than an answer: a registry takes none whose blobs it lacks, but may lose one later. Whoever
    builds on it has to be ready for the refusal of the manifest that names the blob next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, set[Digest]] = {}
        self._named: dict[str, dict[Digest, frozenset[Digest]]] = {}
        self._holders: dict[Digest, list[str]] = {}
        self._mounts: dict[str, bool] = {}
        self._tags: dict[tuple[str, str], Digest | None] = {}

    def said(self, repository: str, digest: Digest) -> None:
        """The repository has this blob."""
        with self._lock:
            self._said.setdefault(repository, set()).add(digest)
            holders = self._holders.setdefault(digest, [])
            if repository not in holders and len(holders) < MAX_HOLDERS:
                holders.append(repository)

    def has(self, repository: str, digest: Digest) -> bool:
        """Whether the repository said that it has this blob."""
        with self._lock:
            return digest in self._said.get(repository, ())

    def lost(self, repository: str, digest: Digest) -> None:
        """The repository doesn't have this blob any more."""
        with self._lock:
            self._said.get(repository, set()).discard(digest)
            self._drop(repository, digest)

    def mounted(self, registry: str, *, taken: bool) -> None:
        """Whether the registry took a blob over from another of its repositories when it was last asked."""
        with self._lock:
            self._mounts[registry] = taken

    def mounts(self, registry: str) -> bool | None:
        """Whether it takes blobs over; None where nobody knows yet."""
        with self._lock:
            return self._mounts.get(registry)

    def tagged(self, repository: str, tag: str, digest: Digest | None) -> None:
        """What a tag named when it was last looked at; None: nothing."""
        with self._lock:
            self._tags[repository, tag] = digest

    def is_other(self, repository: str, tag: str, digest: Digest) -> bool:
        """Whether a tag was seen to name something else than this, or nothing."""
        with self._lock:
            return self._tags.get((repository, tag), digest) != digest

    def gave(self, repository: str, manifest: Digest, data: bytes) -> None:
        """The repository has this manifest, which has been verified."""
        with suppress(CrateError, AttributeError, KeyError, TypeError):
            named = frozenset(_blobs(parse_object(data)))
            with self._lock:
                self._named.setdefault(repository, {})[manifest] = named

    def of(self, repository: str, but: Collection[Digest]) -> frozenset[Digest]:
        """What it holds. Manifests of these digests are no proof: they won't be sent, so a loss would not be noticed."""
        with self._lock:
            named = self._named.get(repository, {})
            return frozenset(self._said.get(repository, ())).union(*(named[each] for each in named.keys() - set(but)))

    def holders(self, digest: Digest) -> list[str]:
        """Repositories that said they have this blob: from those of the same registry it can be mounted."""
        with self._lock:
            return list(self._holders.get(digest, ()))

    def forget(self, repository: str) -> None:
        """It was found to have lost something."""
        with self._lock:
            for digest in self._said.pop(repository, ()):
                self._drop(repository, digest)
            self._named.pop(repository, None)

    def _drop(self, repository: str, digest: Digest) -> None:
        self._holders[digest] = [each for each in self._holders.get(digest, ()) if each != repository]


def _blobs(manifest: Mapping[str, Any]) -> list[Digest]:
    """The blobs that a registry has to have for a manifest; those with addresses of their own may be elsewhere."""
    named = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
    return [Digest.parse(each["digest"]) for each in named if not each.get("urls")]
