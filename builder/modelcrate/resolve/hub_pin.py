"""A hub's model as a lock holds it. Apart from what resolves it, so that reading a lock imports no client of a hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class HubPin:
    """A model of a hub at one commit, with the hash of each file.

    Attributes:
        repo: ORG/NAME.
        wanted: The revision and the patterns that the project names.
        revision: The commit.
        files: Paths, sizes in bytes, and SHA-256 in hex, by path.
    """

    repo: str
    wanted: str
    revision: str
    files: tuple[tuple[str, int, str], ...]

    def json(self) -> dict[str, Any]:
        """Returns the pin as a lock holds it."""
        files = {path: {"sha256": sha256, "size": size} for path, size, sha256 in self.files}
        return {"repo": self.repo, "wanted": self.wanted, "revision": self.revision, "files": files}

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> HubPin:
        """Reads a pin of a lock; anything malformed is an IntegrityError."""
        texts = [value[key] for key in ("repo", "wanted", "revision")]
        files = [(path, each["size"], each["sha256"]) for path, each in value["files"].items()]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(size, int) for _, size, _ in files):
            raise IntegrityError(f"not a pinned model of a hub: {dict(value)!r:.120}")
        for path, _, sha256 in files:
            Digest("sha256", sha256)
            if any(part in ("", ".", "..") for part in path.split("/")):
                raise IntegrityError(f"not a path in a model: {path[:80]!r}")
        repo, wanted, revision = texts
        return cls(repo, wanted, revision, tuple(sorted(files)))

    def changes(self, now: HubPin | None) -> str:
        """Returns how another pin of the same model differs, in words; empty where it is the same."""
        if now is None:
            return "it came from a hub, and does not any more"
        if (self.repo, self.wanted) != (now.repo, now.wanted):
            return f"was {self.repo} {self.wanted}, is {now.repo} {now.wanted}"
        if self.revision != now.revision:
            return f"was at commit {self.revision}, is at {now.revision}"
        return "" if self.files == now.files else "has other files than when it was locked"
