"""Secrets in files that would become a layer: by the file's name, and by what stands in it. Pure; what is found is never repeated.

Only what is a secret by its own form counts (a private key, a token with its maker's prefix). Random-looking text doesn't: a guard that
cries often is turned off.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import accumulate
from os.path import basename, splitext
from typing import TYPE_CHECKING

from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

MAX_BYTES = 4 << 20
"""A file above this is data: its head is looked at, and its name counts."""

HEAD = 8 << 10
"""Bytes at the beginning of a file that say whether it is text."""

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
    "/.aws/credentials": "cloud credentials",
    "/.docker/config.json": "logins to registries",
    "/.config/gcloud/credentials.db": "cloud credentials",
    "/.azure/accesstokens.json": "cloud credentials",
    "/.azure/msal_token_cache.json": "cloud credentials",
    "/.kube/config": "a login to a cluster",
    "/.cargo/credentials.toml": "a login to a package index",
    "/.config/gh/hosts.yml": "a token of GitHub's",
    "/.cache/huggingface/token": "a token of Hugging Face's",
    "/.huggingface/token": "a token of Hugging Face's",
}
_ENDINGS = {
    ".kdbx": "a password store",
    ".p12": "a private key",
    ".pfx": "a private key",
    ".jks": "a private key",
    ".ppk": "a private key",
}
_SUSPECT = (*_PATHS, *_ENDINGS)
"""How a path ends that may name a secret and isn't among the files."""

_EXAMPLES = re.compile(r"(^|[._-])(example|sample|template|dist)($|[._-])")

_WORD = rb"(?<![A-Za-z0-9_-])"
_END = rb"(?![A-Za-z0-9_-])"


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of secret looks like. Every match of `pattern` has one of the `marks` in it, with small letters for capitals."""

    kind: str
    marks: tuple[bytes, ...]
    pattern: bytes


FORMS: tuple[Form, ...] = tuple(
    Form(kind, marks, pattern)
    for kind, marks, pattern in (
        ("a private key", (b"-----begin ",), rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----\s*(?:[A-Za-z0-9+/=:, -]+\s+){1,4}"),
        ("an access key of AWS", (b"akia", b"asia"), _WORD + rb"(?:AKIA|ASIA)[A-Z2-7]{16}" + _END),
        ("a secret key of AWS", (b"secretaccess", b"secret_access"), rb"(?i)aws_?secret_?access_?key[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"),
        ("a token of GitHub's", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"), _WORD + rb"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})" + _END),
        ("a token of GitLab's", (b"glpat-", b"gldt-", b"glrt-", b"glcbt-", b"glptt-", b"glft-", b"glsoat-"), _WORD + rb"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,64}" + _END),
        ("a token of Hugging Face's", (b"hf_",), _WORD + rb"hf_[A-Za-z]{34,40}" + _END),
        ("a token of Slack's", (b"xox",), _WORD + rb"xox[abeoprs]-[0-9A-Za-z-]{20,250}"),
        ("an API key of OpenAI's", (b"t3blbkfj",), _WORD + rb"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,200}T3BlbkFJ[A-Za-z0-9_-]{20,200}"),
        ("an API key of Anthropic's", (b"sk-ant-",), _WORD + rb"sk-ant-[a-z0-9]{3,10}-[A-Za-z0-9_-]{80,120}"),
        ("an API key of Google's", (b"aiza",), _WORD + rb"AIza[0-9A-Za-z_-]{35}" + _END),
        ("a service account of Google's", (b"\"service_account\"",), rb"\"type\"\s*:\s*\"service_account\"[^}]{0,4000}\"private_key\""),
        ("a key of Stripe's", (b"k_live_",), _WORD + rb"[sr]k_live_[0-9A-Za-z]{20,250}" + _END),
        ("a token of PyPI's", (b"pypi-age",), _WORD + rb"pypi-AgE[A-Za-z0-9_-]{50,1000}"),
        ("a token of npm's", (b"npm_",), _WORD + rb"npm_[A-Za-z0-9]{36}" + _END),
        ("a token of npm's", (b":_authtoken",), rb"//[^\s:]{1,200}/:_authToken\s*=\s*[^\s$]{8,400}"),
        ("an account key of Azure's", (b"accountkey=",), rb"(?i)AccountKey=[A-Za-z0-9+/]{86}=="),
        ("a shared access signature of Azure's", (b"sv=20",), rb"[?&]sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\s\"']{0,400}sig=[A-Za-z0-9%+/]{40,100}"),
        ("a token of Databricks'", (b"dapi",), _WORD + rb"dapi[0-9a-f]{32}(?:-[0-9])?" + _END),
        ("a token of DigitalOcean's", (b"_v1_",), _WORD + rb"do[opr]_v1_[0-9a-f]{64}" + _END),
        ("a token of SendGrid's", (b"sg.",), _WORD + rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _END),
        ("a registry login", (b"\"auth\"",), rb"\"auth\"\s*:\s*\"[A-Za-z0-9+/]{8,400}={0,2}\""),
        ("a login in a URL", (b"://",), rb"://(?<=[a-z][a-z0-9+.-]://)[^\s/:@\"'<>{}$]{1,64}:(?!\*+@|x+@|password@|pass@|secret@|token@|PASSWORD@)[^\s/:@\"'<>{}$%]{6,128}@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    )
)  # fmt: skip
_MARKED: tuple[tuple[bytes, Form], ...] = tuple((mark, form) for form in FORMS for mark in form.marks)
_VALUE = re.compile(rb"(?m)^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*[\"']?[^\s\"'$#]")


def by_name(path: str) -> Secret | None:
    """What a file must be, by its path alone. An example of such a file isn't one."""
    whole = "/" + path.lower()
    name = whole[whole.rindex("/") + 1 :]
    kind = _FILES.get(".env" if name.startswith(".env.") else name)
    if kind is None and not whole.endswith(_SUSPECT):
        return None  # nearly all of them
    kind = kind or _ENDINGS.get(splitext(name)[1])
    kind = next((kind for ending, kind in _PATHS.items() if whole.endswith(ending)), kind)
    return Secret(kind) if kind and not _EXAMPLES.search(name) else None


def by_content(data: bytes) -> Iterator[Secret]:
    """What stands in a file, a line number each, in the order of the file."""
    found = sorted(
        {
            (data.count(b"\n", 0, match.start()) + 1, form.kind)
            for form in _promising(data)
            for match in re.finditer(form.pattern, data)
        }
    )
    for line, kind in found[:MAX_FOUND]:
        yield Secret(kind, line)


def may_have_secrets(files: Sequence[tuple[str, bytes]]) -> frozenset[int]:
    """Which of these files, each a name and its bytes, may have a secret in them; the others have none.

    Nearly all files have no mark in them. It takes one search to see that of many files, and a hundredth of the time that the patterns take.
    """
    texts = [(at, data) for at, (_, data) in enumerate(files) if _is_text(data)]
    met = {at for at, (name, _) in enumerate(files) if by_name(name)}
    begins = list(accumulate((len(data) + 1 for _, data in texts), initial=0))
    for _, start, _ in _marks()[0].find_matches_as_indexes(b"\0".join([data for _, data in texts]).lower()):
        met.add(texts[bisect(begins, start) - 1][0])  # no mark has a NUL in it, so none is in two files
    return frozenset(met)


def _promising(data: bytes) -> list[Form]:
    """The forms whose marks are in a file."""
    met = {at for at, _, _ in _marks()[1].find_matches_as_indexes(data.lower(), overlapping=True)}
    return list(dict.fromkeys(form for at, (_, form) in enumerate(_MARKED) if at in met))


def _is_text(data: bytes) -> bool:
    return data.find(b"\0", 0, HEAD) < 0


@cache
def _marks() -> tuple[BytesAhoCorasick, BytesAhoCorasick]:
    """A search that finds whether there is any mark, and one that finds all, those within others included, at an eighth of the speed."""
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

    marks = [mark for mark, _ in _MARKED]
    return BytesAhoCorasick(marks, matchkind=MatchKind.LeftmostFirst), BytesAhoCorasick(marks)


def secrets_in(path: str, data: bytes) -> list[Secret]:
    """All of it; a file of variables without values, or an empty one, is none. Of a file above MAX_BYTES, `data` is its HEAD."""
    named = by_name(path)
    if named is not None and basename(path).lower().startswith(".env") and not _VALUE.search(data):
        named = None
    content = list(by_content(data)) if _is_text(data) else []
    return ([named] if named is not None and data.strip() and not content else []) + content
