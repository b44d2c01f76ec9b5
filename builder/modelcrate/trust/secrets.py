"""Secrets in files that would become a layer: by the file's name, and by what stands in it. Pure; what is found is never repeated.

Only what is a secret by its own form counts (a private key, a token with its maker's prefix). Random-looking text doesn't: a guard that
cries often is turned off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from modelcrate_layers.value import dataclass

MAX_BYTES = 4 << 20
"""A file above this is data; its name still counts."""

MAX_FOUND = 20
"""How many are told of one file."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What kind of secret, and in which line of the file; line 0: the file as a whole."""

    kind: str
    line: int = 0


_FILES = {
    ".env": "a file of environment variables with values",
    ".netrc": "logins",
    "_netrc": "logins",
    ".pypirc": "logins to package indexes",
    ".git-credentials": "logins to Git servers",
    ".pgpass": "database passwords",
    ".htpasswd": "password hashes",
    "id_rsa": "a private SSH key",
    "id_dsa": "a private SSH key",
    "id_ecdsa": "a private SSH key",
    "id_ed25519": "a private SSH key",
    ".dockercfg": "logins to registries",
    "credentials.json": "cloud credentials",
    "application_default_credentials.json": "cloud credentials",
    "kubeconfig": "a login to a cluster",
    "cosign.key": "a signing key",
}
_PATHS = {
    ".aws/credentials": "cloud credentials",
    ".docker/config.json": "logins to registries",
    ".config/gcloud/credentials.db": "cloud credentials",
    ".azure/accesstokens.json": "cloud credentials",
    ".azure/msal_token_cache.json": "cloud credentials",
    ".kube/config": "a login to a cluster",
    ".cargo/credentials.toml": "a login to a package index",
    ".config/gh/hosts.yml": "a token of GitHub's",
    ".cache/huggingface/token": "a token of Hugging Face's",
    ".huggingface/token": "a token of Hugging Face's",
}
_ENDINGS = {
    ".kdbx": "a password store",
    ".p12": "a private key",
    ".pfx": "a private key",
    ".jks": "a private key",
    ".ppk": "a private key",
}
_EXAMPLES = re.compile(r"(^|[._-])(example|sample|template|dist)($|[._-])")

_WORD = rb"(?<![A-Za-z0-9_-])"
_END = rb"(?![A-Za-z0-9_-])"
_FORMS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("a private key", rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----\s*(?:[A-Za-z0-9+/=:, -]+\s+){1,4}"),
        ("an access key of AWS", _WORD + rb"(?:AKIA|ASIA)[A-Z2-7]{16}" + _END),
        ("a secret key of AWS", rb"(?i)aws_?secret_?access_?key[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
        ("a token of GitHub's", _WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})" + _END),
        ("a token of GitLab's", _WORD + rb"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,64}" + _END),
        ("a token of Hugging Face's", _WORD + rb"hf_[A-Za-z]{34,40}" + _END),
        ("a token of Slack's", _WORD + rb"xox[abeoprs]-[0-9A-Za-z-]{20,250}"),
        ("an API key of OpenAI's", _WORD + rb"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}"),
        ("an API key of Anthropic's", _WORD + rb"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{80,120}"),
        ("an API key of Google's", _WORD + rb"AIza[0-9A-Za-z_-]{35}" + _END),
        ("a service account of Google's", rb"\"type\"\s*:\s*\"service_account\"[^}]{0,4000}\"private_key\""),
        ("a key of Stripe's", _WORD + rb"[sr]k_live_[0-9A-Za-z]{20,250}" + _END),
        ("a token of PyPI's", _WORD + rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
        ("a token of npm's", _WORD + rb"npm_[A-Za-z0-9]{36}" + _END),
        ("a token of npm's", rb"//[^\s:]{1,200}/:_authToken\s*=\s*[^\s$]{8,400}"),
        ("an account key of Azure's", rb"(?i)AccountKey=[A-Za-z0-9+/]{86}=="),
        ("a shared access signature of Azure's", rb"[?&]sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s\"']{0,400}sig=[A-Za-z0-9%+/]{40,100}"),
        ("a token of Databricks'", _WORD + rb"dapi[0-9a-f]{32}(?:-[0-9])?" + _END),
        ("a token of DigitalOcean's", _WORD + rb"do[opr]_v1_[0-9a-f]{64}" + _END),
        ("a token of SendGrid's", _WORD + rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _END),
        ("a registry login", rb"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{8,400}={0,2}\""),
        ("a login in a URL", rb"[a-z][a-z0-9+.-]{1,12}://[^\s/:@\"'<>{}$]{1,64}:(?!\*+@|x+@|password@|pass@|secret@|token@|PASSWORD@)[^\s/:@\"'<>{}$%]{6,128}@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    )
)  # fmt: skip
_VALUE = re.compile(rb"(?m)^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*[\"']?[^\s\"'$#]")


def by_name(path: str) -> Secret | None:
    """What a file must be, by its path alone. An example of such a file isn't one."""
    pure = PurePosixPath(path)
    name = pure.name.lower()
    if _EXAMPLES.search(name):
        return None
    for ending, kind in _PATHS.items():
        if path.lower() == ending or path.lower().endswith("/" + ending):
            return Secret(kind)
    if name.startswith(".env."):
        name = ".env"
    named = _FILES.get(name) or _ENDINGS.get(pure.suffix.lower())
    return Secret(named) if named else None


def by_content(data: bytes) -> Iterator[Secret]:
    """What stands in a file, a line number each, in the order of the file."""
    found = sorted(
        {(data.count(b"\n", 0, match.start()) + 1, kind) for kind, form in _FORMS for match in form.finditer(data)}
    )
    for line, kind in found[:MAX_FOUND]:
        yield Secret(kind, line)


def secrets_in(path: str, data: bytes) -> list[Secret]:
    """All of it; a file of variables without values, or an empty one, is none."""
    named = by_name(path)
    if named is not None and PurePosixPath(path).name.lower().startswith(".env") and not _VALUE.search(data):
        named = None
    content = list(by_content(data[:MAX_BYTES])) if b"\0" not in data[:8192] else []
    return ([named] if named is not None and data.strip() and not content else []) + content
