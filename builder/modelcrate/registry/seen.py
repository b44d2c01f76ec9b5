"""What registries are known to hold, so that nobody asks them twice."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from modelcrate_layers.content import Digest, parse_object
from modelcrate_layers.errors import CrateError


class Seen:
    """Blobs that a repository said it has, and those that manifests name which it gave us. Not a value: it learns.

    A manifest is a weaker word than an answer: a registry takes none whose blobs it lacks, but may lose one later. Whoever
    builds on it has to be ready for the refusal of the manifest that names the blob next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: dict[str, set[Digest]] = {}
        self._named: dict[str, dict[Digest, frozenset[Digest]]] = {}

    def said(self, repository: str, digest: Digest) -> None:
        """The repository has this blob."""
        with self._lock:
            self._said.setdefault(repository, set()).add(digest)

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
        """The repositories that said they have this blob, sorted: from those of the same registry it can be mounted."""
        with self._lock:
            return sorted(name for name, said in self._said.items() if digest in said)

    def forget(self, repository: str) -> None:
        """It was found to have lost something."""
        with self._lock:
            self._said.pop(repository, None)
            self._named.pop(repository, None)


def _blobs(manifest: Mapping[str, Any]) -> list[Digest]:
    """The blobs that a registry has to have for a manifest; those with addresses of their own may be elsewhere."""
    named = [manifest["config"], *manifest["layers"]] if "layers" in manifest else []
    return [Digest.parse(each["digest"]) for each in named if not each.get("urls")]
