"""Secrets in files that would become a layer: by the file's name, and by what stands in it. Pure; what is found is never repeated.

Only what is a secret by its own form counts (a private key, a token with its maker's prefix). Random-looking text doesn't: a guard that
cries often is turned off.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode, urlsafe_b64decode
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import accumulate
from os.path import basename, splitext
from typing import TYPE_CHECKING, TypeAlias

from modelcrate.security.scan.secret_forms import JWT, LONG, URL, Form, marks
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

MAX_BYTES = 4 << 20
"""A file above this is data: its head is looked at, and its name counts."""

MAX_DEPTH = 4
"""How often what is encoded is decoded: JSON in JSON in base64 takes three."""

MANY = 1 << 19
"""Bytes from which on the faster search is worth its making."""

WINDOW = 64 << 10
"""Bytes behind a mark in which escapes are undone and base64 is decoded; from where they end, it is done anew for the next mark."""

SHORT = 24
"""Characters of base64 that are too few for a secret; most marks in base64 stand in words or paths."""

BEFORE, BEHIND, FAR = 256, 640, 12 << 10
"""Bytes before a mark and behind it in which its form is looked for; FAR behind it, for tokens and documents of any length."""

HEAD = 8 << 10
"""The bytes at the beginning of a file that decide whether it is text."""

MAX_FOUND = 20
"""The number of findings that are reported for one file."""


Mark: TypeAlias = "tuple[int, int, int]"
"""Which mark, and where it begins and ends."""


@dataclass(frozen=True, slots=True)
class Secret:
    """What kind of secret, and in which line of the file; line 0: the file as a whole."""

    kind: str
    line: int = 0
    warns: bool = False
    """Whether it is only warned about."""


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
    "kaggle.json": "a token of Kaggle's",
    "rclone.conf": "cloud credentials",
    "credentials.tfrc.json": "a token of HashiCorp's",
    "terraform.tfstate": "the state of Terraform, which has every value",
    "terraform.tfstate.backup": "the state of Terraform, which has every value",
    ".terraformrc": "a token of HashiCorp's",
    ".databrickscfg": "a token of Databricks'",
    ".s3cfg": "cloud credentials",
    ".my.cnf": "database passwords",
    ".mylogin.cnf": "database passwords",
    ".modal.toml": "a token of Modal's",
    ".vault_pass": "a password",
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
    "/.kaggle/access_token": "a token of Kaggle's",
    "/.streamlit/secrets.toml": "secrets",
    "/.snowflake/connections.toml": "database passwords",
    "/.codex/auth.json": "a token of OpenAI's",
    "/.m2/settings-security.xml": "a password",
}
_ENDINGS = {
    ".kdbx": "a password store",
    ".p12": "a private key",
    ".pfx": "a private key",
    ".jks": "a private key",
    ".ppk": "a private key",
    ".keystore": "a private key",
    ".keytab": "a private key",
}
_VALUES = (".tfvars", ".tfvars.json")
"""How the files with the values of Terraform's variables end. Most have no secret, so they are only warned about."""

_SUSPECT = (*_PATHS, *_ENDINGS, *_VALUES)
"""How a path ends that may name a secret and isn't among the files."""

_EXAMPLES = compile_later(r"(^|[._-])(example|sample|template|dist)($|[._-])")

_ESCAPE = compile_later(rb"\\(?:[\\/\"'nrt]|u00[0-9a-fA-F]{2}|x[0-9a-fA-F]{2})|%[0-9a-fA-F]{2}")
_ESCAPING = compile_later(rb"[\\%]")
_BEFORE_AT = compile_later(rb"://[^\s@\"'<>{}$]{1,640}+@")
"""What a URL with a login begins with, its escapes included."""

_UNESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_RUN = compile_later(rb"(?:[A-Za-z0-9+/_-]++|\r?\n[ \t]*+)*+")
_BREAK = compile_later(rb"\r?\n[ \t]*")
_IN_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_VALUE = compile_later(rb"(?m)^[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*[\"']?[^\s\"'$#]")


def by_name(path: str) -> Secret | None:
    """What a file must be, by its path alone. An example of such a file isn't one."""
    whole = "/" + path.lower()
    name = whole[whole.rindex("/") + 1 :]
    kind = _FILES.get(".env" if name.startswith(".env.") else name)
    if kind is None and not whole.endswith(_SUSPECT):
        return None  # nearly all of them
    kind = kind or _ENDINGS.get(splitext(name)[1])
    kind = next((kind for ending, kind in _PATHS.items() if whole.endswith(ending)), kind)
    if warns := name.endswith(_VALUES):
        kind = "values of Terraform's variables, which may be secrets,"
    return Secret(kind, warns=warns) if kind and not _EXAMPLES.search(name) else None


def by_content(data: bytes) -> Iterator[Secret]:
    """Yields what stands in a file, with line numbers, in the order of the file.

    It is searched around the marks: as it is, with escapes undone (JSON in JSON, Python, URLs), and with base64 decoded.
    """
    line, counted = 1, 0
    told: set[Secret] = set()
    for start, form in sorted(set(_forms_in(data, MAX_DEPTH)), key=lambda each: (each[0], each[1].kind)):
        line, counted = line + data.count(b"\n", counted, start), start
        secret = Secret(form.kind, line, form.warns)
        if secret not in told and len(told) < MAX_FOUND:
            told.add(secret)
            yield secret


def _forms_in(data: bytes, depth: int) -> Iterator[tuple[int, Form]]:
    """Yields the forms in a text and their places; those in what is encoded are where their mark is. `depth`: how often to decode."""
    searched: dict[object, int] = {}  # up to where, by what is done there: many marks may stand in one place
    all_marks = marks()
    for number, start, _ in _search(len(data) > MANY, every=True).find_matches_as_indexes(data, overlapping=True):
        _, form, place = all_marks[number]
        if form is not None and _is_plain_url(form, data, start):
            continue
        if form is not None:
            reach = FAR if form.kind in LONG else BEHIND
            if start + reach > searched.get(form, 0):
                searched[form] = start + 4 * reach
                yield from ((at, form) for at in _matches(form, data, max(0, start - BEFORE), start + 4 * reach))
        if not depth:
            continue
        if start + FAR > searched.get("line", 0):
            end = data.find(b"\n", start, start + WINDOW)
            searched["line"] = start + WINDOW if end < 0 else end + FAR
            begin = max(data.rfind(b"\n", max(0, start - FAR), start) + 1, start - FAR)
            line = data[begin : start + WINDOW if end < 0 else end]
            plain = _ESCAPE.sub(_unescape, line)
            if plain != line:
                yield from ((start, each) for _, each in _forms_in(plain, depth - 1))
        if place >= 0 and start + FAR > searched.get((start - place) % 4, 0):
            for text in _decoded(data, start, place):
                searched[(start - place) % 4] = start + WINDOW
                yield from ((start, each) for _, each in _forms_in(text, depth - 1))


def _is_plain_url(form: Form, data: bytes, start: int) -> bool:
    """Whether a mark of a URL's login has no login behind it, not even one in escapes. Nearly none has."""
    if form.marks != URL:
        return False
    if data.find(b"@", start, start + BEHIND) < 0:
        return True
    found = _BEFORE_AT.match(data, start)
    if found is None or _ESCAPING.search(found[0]):
        return found is None
    return _compiled(form.pattern).match(data, start) is None


def _matches(form: Form, data: bytes, start: int, end: int) -> Iterator[int]:
    """The places where a form is in a part of some bytes."""
    for match in _compiled(form.pattern).finditer(data, start, end):
        if not _is_example(match[0]) and not (form.kind == JWT and _is_expired(match[0])):
            yield match.start()


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


def _decoded(data: bytes, start: int, place: int) -> Iterator[bytes]:
    """Yields what base64 around a mark stands for; `place` is the mark's in a group of four characters.

    What is before the mark is read up to the beginning of its line, and once more with the lines above: they may belong to it or not.
    """
    found = _RUN.match(data, start, start + WINDOW)
    behind = _BREAK.sub(b"", found[0]) if found else b""
    above = data[max(0, start - 2 * BEFORE) : start]
    lines = {above.rpartition(b"\n")[2].lstrip(b" \t"), _BREAK.sub(b"", above)}
    for before in {each[len(each.rstrip(_IN_BASE64)) :] for each in lines}:
        whole = (before[(len(before) - place) % 4 :] + behind).translate(_URL_SAFE)
        if len(before) >= place and len(whole) >= SHORT:
            yield b64decode(whole[: len(whole) - (len(whole) % 4 == 1)] + b"=" * (-len(whole) % 4))


def _unescape(match: re.Match[bytes]) -> bytes:
    raw = match[0]
    if raw[:1] == b"%":
        return bytes([int(raw[1:], 16)])
    if raw[1:2] in b"ux":
        return bytes([int(raw[-2:], 16)])
    return _UNESCAPED.get(raw[1:], raw[1:])


def _is_example(found: bytes) -> bool:
    """Whether a token is one of documents: with EXAMPLE in it, or of one character, as in `ghp_xxxx`."""
    tail = found.rstrip(b"=\"'")[-12:]
    return b"EXAMPLE" in found or len(set(tail.lower())) <= 2


def _is_expired(token: bytes) -> bool:
    """Whether a JWT (RFC 7519) says that it is no longer valid, or says nothing that can be read."""
    payload = token.split(b".")[1]
    with suppress(ValueError, CrateError):
        claims = parse_json(urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
        expires = claims.get("exp") if isinstance(claims, dict) else 0
        return isinstance(expires, (int, float)) and expires < time.time()
    return True


def find_marks(texts: Sequence[bytes], many: bool = False) -> list[Mark]:
    """Finds the marks in some texts by one search, which lets go of the interpreter's lock.

    Args:
        texts: The texts, as `text_of` returns them.
        many: Whether there are more than these. A search that is faster takes some milliseconds to make.
    """
    return _search(many).find_matches_as_indexes(b"\0".join(texts))  # no mark has a NUL


def suspects(names: Sequence[str], texts: Sequence[bytes], found: Iterable[Mark]) -> set[int]:
    """Returns the numbers, from 0 on, of the files that may have a secret in them, by their names and the marks in their texts.

    Nearly all have none, which shows in a hundredth of the time that the patterns take.
    """
    told = {number for number, name in enumerate(names) if by_name(name)}
    ends = list(accumulate(len(text) + 1 for text in texts))
    for mark, start, _ in found:
        file = bisect_right(ends, start)
        if file not in told and _is_suspect(texts[file], mark, start - ends[file] + len(texts[file]) + 1):
            told.add(file)
    return told


def _is_suspect(text: bytes, number: int, start: int) -> bool:
    """Whether a mark is more than a part of a word or of a URL, which nearly all are."""
    _, form, place = marks()[number]
    if form is not None:
        return not _is_plain_url(form, text, start)
    return place < 0 or any(_decoded(text, start, place))


def text_of(data: bytes) -> bytes:
    """Returns a text as UTF-8 or what is like it, nothing for other bytes. Windows' shell writes UTF-16, with a mark at its beginning."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    return data if data.find(b"\0", 0, HEAD) < 0 else b""


@cache
def _search(many: bool = False, every: bool = False) -> BytesAhoCorasick:
    """Returns a search that finds whether there is any mark; or one for `every` mark, those within others included, which is slower."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    kind = MatchKind.Standard if every else MatchKind.LeftmostFirst
    return BytesAhoCorasick(
        [each.text for each in marks()], kind, Implementation.DFA if many else Implementation.ContiguousNFA
    )


def secrets_in(path: str, data: bytes) -> list[Secret]:
    """All of it; a file of variables without values, or an empty one, is none. Of a file above MAX_BYTES, `data` is its HEAD."""
    named = by_name(path)
    if named is not None and basename(path).lower().startswith(".env") and not _VALUE.search(data):
        named = None
    content = list(by_content(text_of(data)))
    return ([named] if named is not None and data.strip() and not content else []) + content
