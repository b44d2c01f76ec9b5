"""What is known about registries: one table, with the source of each row, which users extend (docs/reference/registry-matrix.md shows it).

Names of fields are those of registries.yaml (docs/reference/registries.md), with '_' for '-'.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from modelcrate_layers.frozen import dataclass, replace

MIB = 1 << 20
GB = 1000**3

Upload = Literal["put", "stream", "chunks"]
"""How a blob is uploaded. put: POST, then one PUT with all bytes. stream: POST, one PATCH, PUT. chunks: POST, PATCHes, PUT;
only this one can be resumed."""

Referrers = Literal["probe", "api", "tag"]

_WILD = frozenset("*?[")
"""What makes a name a pattern. Others are compared: for each pattern a regular expression is compiled."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Another registry with the same repositories, which is tried first when pulling. `proxy`: it takes `ns=` for the origin."""

    host: str
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for the registries that `match` names (`host[:port]`, or with `*`). None leaves it to an earlier rule."""

    match: str
    upload: Upload | None = None
    chunk_size: int | None = None
    max_put: int | None = None
    max_layer: int | None = None
    concurrency: int | None = None
    referrers: Referrers | None = None
    plain_http: bool | None = None
    skip_verify: bool | None = None
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    mirrors: tuple[Mirror, ...] | None = None
    source: str = ""

    def concerns(self, registry: str) -> bool:
        """Returns whether the rule holds for this registry."""
        registry, match = registry.lower(), self.match.lower()
        return fnmatchcase(registry, match) if _WILD.intersection(match) else registry == match


TABLE: tuple[Rule, ...] = (
    Rule(
        "*", upload="chunks", chunk_size=16 * MIB, referrers="probe", concurrency=4,
        source="the specification; chunks are the only uploads that can be resumed",
    ),
    Rule("docker.io", upload="put", referrers="tag", source="docker/roadmap#724: no referrers API"),
    Rule(
        "ghcr.io", upload="put", max_layer=10 * GB, referrers="tag",
        source="oras-project/rust-oci-client#35: a PATCH with a length over 4 MiB is 416; oras-project/oras-java#773: no referrers API",
    ),
    Rule(
        "*.dkr.ecr.*.amazonaws.com*", upload="put", max_layer=52 * GB, concurrency=3,
        source="aws/containers-roadmap#2831: Range stands still after the first chunk; dotnet/sdk-container-builds#424: chunks under 5 MB are refused",
    ),
    Rule("public.ecr.aws", upload="put", max_layer=52 * GB, source="as ECR"),
    Rule("*.pkg.dev", upload="put", source="kitops-ml/kitops#777: no chunked uploads"),
    Rule("gcr.io", upload="put", source="kitops-ml/kitops#777: no chunked uploads"),
    Rule("*.gcr.io", upload="put", source="kitops-ml/kitops#777: no chunked uploads"),
    Rule("quay.io", upload="put", max_put=20 * GB, source="oras-project/oras-py#137: a single PUT takes about 20 GB"),
    Rule("registry.gitlab.com", referrers="tag", source="fluxcd/flux2#3724: no referrers API; dash-digest tags"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RegistryProfile:
    """What holds for one registry: the table, and the user's rules over it."""

    upload: Upload = "chunks"
    chunk_size: int = 16 * MIB
    max_put: int | None = None
    max_layer: int | None = None
    concurrency: int = 4
    referrers: Referrers = "probe"
    plain_http: bool = False
    skip_verify: bool = False
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    mirrors: tuple[Mirror, ...] = ()

    def upload_method(self, size: int | None) -> Upload:
        """Returns how a blob of this size is uploaded.

        What fits into one chunk goes in one PUT; what is larger than the registry takes in a PUT goes in chunks.
        """
        if size is None:
            return "stream"
        if self.upload == "put" and self.max_put is not None and size > self.max_put:
            return "chunks"
        return "put" if self.upload == "chunks" and size <= self.chunk_size else self.upload

    def stream_method(self, key: str | None, size: int | None) -> Upload:
        """Returns how a blob whose digest is not known yet is uploaded: in chunks if it could be resumed, else as a stream."""
        return "chunks" if key is not None and size is not None and self.upload == "chunks" else "stream"


def profile_of(registry: str, rules: Sequence[Rule] = ()) -> RegistryProfile:
    """Returns what holds for this registry. Of two rules with a value the later counts; the user's come last."""
    profile = RegistryProfile()
    for rule in (*TABLE, *rules):
        if rule.concerns(registry):
            values = {name: getattr(rule, name) for name in RegistryProfile.__match_args__}
            profile = replace(profile, **{name: value for name, value in values.items() if value is not None})
    return profile
