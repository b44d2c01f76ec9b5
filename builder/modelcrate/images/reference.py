"""The address of an image: registry, repository, tag and digest, by the distribution specification's grammar.

Every name that becomes part of a URL or a path is parsed here first, so no other module has to check it again.
"""

from __future__ import annotations

import ipaddress
import re

from modelcrate_layers import host
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.patterns import compile_later

HUB = "docker.io"
HUB_API = "registry-1.docker.io"
HUB_ALIASES = frozenset({HUB, "index.docker.io", HUB_API})

MAX_NAME = 255
"""Registry and repository together, by custom of all large registries (distribution-spec, "pulling manifests")."""

_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_REGISTRY = compile_later(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])(?::[0-9]{{1,5}})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = compile_later(rf"{_PART}(?:/{_PART})*")
_IMAGE_ID = compile_later(r"[0-9a-f]{64}")
_TAG = compile_later(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """The address of an image. Where it has a tag and a digest, the digest decides, and the tag is kept."""

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        if not is_registry(self.registry):
            raise _refused(f"{self.registry}/{self.repository}", f"{self.registry!r:.80} is not a host or host:port")
        if not _REPOSITORY.fullmatch(self.repository):
            why = "a repository is lower-case letters, digits, and single '.', '_', '__' or dashes between them"
            raise _refused(f"{self.registry}/{self.repository}", why)
        if len(self.name) > MAX_NAME:
            raise _refused(self.name, f"a name has at most {MAX_NAME} characters, this one {len(self.name)}")
        if self.tag is not None and not _TAG.fullmatch(self.tag):
            raise _refused(f"{self.name}:{self.tag}", "a tag is 1 to 128 letters, digits, '.', '_' or '-'")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parses `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`; without a host it is on Docker Hub. Anything else is a UserError.

        `str` is the inverse: `Reference.parse(str(ref)) == ref`.
        """
        if not text.strip():
            raise _refused(text, "it is empty")
        if "@" in text[: text.find("/") + 1]:
            raise UserError(  # what may be a password is not repeated
                "not an image reference: it has a user or a password",
                hint="log in once: modelcrate login HOST -u USER --password-stdin",
            )
        rest, at, digest = text.partition("@")
        registry, rest = _split_registry(rest, text)
        repository, colon, tag = rest.partition(":")
        if (colon and not tag) or (at and not digest):
            raise _refused(text, "there is nothing behind the last ':' or '@'")
        if registry == HUB and "/" not in repository and repository:
            repository = f"library/{repository}"
        try:
            return cls(registry, repository, tag or None, Digest.parse(digest) if at else None)
        except IntegrityError as fault:
            raise _refused(text, fault.what) from None

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest. A host that only capitals show to be one has them."""
        plain = f"{self.registry}/{self.repository}"
        return plain if has_host(plain) else f"{self.registry.upper()}/{self.repository}"

    @property
    def target(self) -> str:
        """The name of the manifest in a request: the digest, else the tag, else `latest`."""
        return str(self.digest) if self.digest else self.tag or "latest"

    @property
    def api_host(self) -> str:
        """The host (and port) that speaks the protocol; Docker Hub's differs from its name."""
        return HUB_API if self.registry == HUB else self.registry

    @property
    def local(self) -> bool:
        """Whether the registry is on this machine's loopback interface, where plain HTTP is allowed."""
        from modelcrate.net.addresses import is_loopback

        return is_loopback(host_of(self.registry))

    def at(self, digest: Digest) -> Reference:
        """Returns the same repository with this digest and no tag."""
        return replace(self, tag=None, digest=digest)

    def tagged(self, tag: str) -> Reference:
        """Returns the same repository with this tag and no digest."""
        return replace(self, tag=tag, digest=None)


def has_host(text: str) -> bool:
    """Returns whether the first part of a name is a host, by Docker's rule: it has a '.', a ':' or a capital, or is localhost."""
    first, slash, _ = text.partition("/")
    return bool(slash) and (bool(set(first) & set(".:[")) or first == "localhost" or first != first.lower())


_AT_DIGEST = compile_later(r"(?P<rest>.*)@(?P<digest>sha256:[0-9a-f]{64})")


def split_tag(text: str) -> tuple[str, str | None]:
    """Splits `PATH[:TAG]` at its last colon, if a tag follows there; of `PATH[:TAG]@DIGEST` the second part is `[TAG]@DIGEST`."""
    if match := _AT_DIGEST.fullmatch(text):
        path, tag = split_tag(match["rest"].removesuffix(":"))
        return path, f"{tag or ''}@{match['digest']}"
    path, _, tag = text.rpartition(":")
    return (path, tag) if path and not is_drive(path) and _TAG.fullmatch(tag) else (text, None)


def digest_in(name: str) -> str:
    """Returns the digest behind the `@` of a name or a tag, which decides where there is one; empty for none."""
    match = _AT_DIGEST.fullmatch(name)
    return match["digest"] if match else ""


def split_name(text: str) -> tuple[str, str | None]:
    """Splits `PATH[:NAME]` at the first colon that the name of an image follows."""
    for colon in re.finditer(":", text):
        name = text[colon.end() :]
        try:
            Reference.parse(name)
        except UserError:
            continue
        if colon.start() and not is_drive(text[: colon.start()]):
            return text[: colon.start()], name
    return text, None


def is_drive(text: str) -> bool:
    """Returns whether the colon behind this text is that of a drive: one letter, on Windows alone."""
    return host.WINDOWS and len(text) == 1 and text.isalpha()


def is_tag(text: str) -> bool:
    """Returns whether this is a tag by the grammar of the distribution specification."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Returns whether this is the name of a repository by the grammar of the distribution specification."""
    return _REPOSITORY.fullmatch(text) is not None


def is_registry(text: str) -> bool:
    """Returns whether this is a host, or a host and a port below 65536, by grammar alone."""
    if not _REGISTRY.fullmatch(text):
        return False
    host, port = host_of(text), text.rpartition("]")[2].partition(":")[2]
    if int(port or 1) not in range(1, 65536):
        return False
    return not text.startswith("[") or _address(host) is not None


def host_of(registry: str) -> str:
    """Returns the host without port and brackets."""
    return registry[1:].partition("]")[0] if registry.startswith("[") else registry.partition(":")[0]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _split_registry(rest: str, text: str) -> tuple[str, str]:
    """Returns the registry and what follows it.

    64 hex digits are no name, for engines take them for an image id.
    """
    if _IMAGE_ID.fullmatch(rest):
        raise _refused(text, "64 hex digits are an image id, not a name")
    if "://" in rest:
        raise _refused(text, "an image is named without a scheme, for instance registry.example/team/name:tag")
    if not has_host(rest):
        alone = host_of(rest) if "/" not in rest and is_registry(rest) else ""
        if alone == "localhost" or _address(alone) is not None:
            raise _refused(text, "it is a host, and no repository of it is named")
        return HUB, rest
    first, _, remainder = rest.partition("/")
    return (HUB if first.lower() in HUB_ALIASES else first.lower()), remainder


def _refused(text: str, why: str) -> UserError:
    return UserError(
        f"not an image reference: {text[:300]!r}", why=why, hint="expected [HOST[:PORT]/]REPOSITORY[:TAG][@sha256:...]"
    )
