"""Secrets in files that would become a layer: by the file's name, and by what stands in it. Pure; what is found is never repeated.

Only what is a secret by its own form counts (a private key, a token with its maker's prefix). Random-looking text doesn't: a guard that
cries often is turned off.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode, urlsafe_b64decode
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import accumulate
from os.path import basename, splitext
from typing import TYPE_CHECKING

from modelcrate.security.scan.secret_forms import BASE64_MARKS, ESCAPED_MARKS, FORMS, JWT, LONG, Form
from modelcrate_layers.content import parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick

MAX_BYTES = 4 << 20
"""A file above this is data: its head is looked at, and its name counts."""

MAX_LINE = 256 << 10
"""Bytes of a line in which escapes are undone: configurations of many keys have some thousand."""

BEFORE, BEHIND, FAR = 256, 640, 12 << 10
"""Bytes before a mark and behind it in which its form is looked for; FAR behind it, for tokens and documents of any length."""

HEAD = 8 << 10
"""The bytes at the beginning of a file that decide whether it is text."""

MAX_FOUND = 20
"""The number of findings that are reported for one file."""


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

_MARKED: tuple[tuple[bytes, Form], ...] = tuple((mark, form) for form in FORMS for mark in form.marks)
_FIRST_IN_BASE64 = len(_MARKED) + len(ESCAPED_MARKS)
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{20}")
_URL_MARK = next(at for at, (mark, _) in enumerate(_MARKED) if mark == b"://")
_ESCAPE = re.compile(rb"\\(?:[\\/\"'nrt]|u00[0-9a-fA-F]{2}|x[0-9a-fA-F]{2})|%[0-9a-fA-F]{2}")
_UNESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_WRAPPED_ABOVE = re.compile(rb"(?:^|(?<=\n))(?:[A-Za-z0-9+/]{40,128}\r?\n)+\Z")
_WRAPPED_BELOW = re.compile(rb"(?:[A-Za-z0-9+/]{40,128}\r?\n)+(?:[A-Za-z0-9+/]{1,128}={0,2}(?=\s|\Z))?")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}|[A-Za-z0-9_-]{24,}={0,2}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
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
    """Yields what stands in a file, with line numbers, in the order of the file.

    It is searched around the marks: as it is, and in their lines with escapes undone (JSON in JSON, Python, URLs) and base64 decoded.
    """
    found: set[tuple[int, Form]] = set()
    unfolded: set[int] = set()
    packed: list[tuple[int, int]] = [(-1, -1)]
    for mark, start in _marks_in(data):
        if mark == _URL_MARK and data.find(b"@", start, start + BEHIND) < 0:
            continue  # nearly all of them
        if mark >= _FIRST_IN_BASE64 and not _RUN.match(data, start):
            continue  # most of these are parts of words
        form = _MARKED[mark][1] if mark < len(_MARKED) else None
        begin = data.rfind(b"\n", 0, start) + 1
        if form is not None:
            reach = FAR if form.kind in LONG else BEHIND
            found |= {(at, form) for at in _matches(form, data, max(begin, start - BEFORE), start + reach)}
        end = data.find(b"\n", start)
        line = data[begin : end if end >= 0 else len(data)] if begin not in unfolded else b""
        unfolded.add(begin)
        if len(line) <= MAX_LINE:
            for text in _unfolded(line):
                forms = {_MARKED[each][1] for each, _ in _marks_in(text) if each < len(_MARKED)}
                found |= {(start, each) for each in forms if list(_matches(each, text, 0, len(text)))}
        if mark >= len(_MARKED) and start >= packed[-1][1]:
            packed.append(_block(data, begin, end))
            found |= {(start, each) for each in _packed(data[slice(*packed[-1])])}
    kinds = {(data.count(b"\n", 0, start) + 1, form.kind, form.warns) for start, form in found}
    for line_number, kind, warns in sorted(kinds)[:MAX_FOUND]:
        yield Secret(kind, line_number, warns)


def _marks_in(data: bytes) -> Iterator[tuple[int, int]]:
    """The numbers of all marks in some bytes, and their places."""
    return ((mark, start) for mark, start, _ in _marks()[1].find_matches_as_indexes(data.lower(), overlapping=True))


def _matches(form: Form, data: bytes, start: int, end: int) -> Iterator[int]:
    """The places where a form is in a part of some bytes."""
    for match in _compiled(form.pattern).finditer(data, start, end):
        if not _is_example(match[0]) and not (form.kind == JWT and _is_expired(match[0])):
            yield match.start()


@cache
def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern)


def _block(data: bytes, begin: int, end: int) -> tuple[int, int]:
    """Returns the lines of base64 to which a line belongs, as programs wrap it. It reaches at most MAX_LINE bytes in each direction."""
    first, last = max(0, begin - MAX_LINE), (end if end >= 0 else len(data)) + MAX_LINE
    above, below = _WRAPPED_ABOVE.search(data[first:begin]), _WRAPPED_BELOW.match(data[begin:last])
    return (first + above.start() if above else begin), (begin + below.end() if below else begin)


def _packed(block: bytes) -> Iterator[Form]:
    """Yields the forms in the base64 of several lines."""
    with suppress(ValueError):
        decoded = b64decode(b"".join(block.split()))
        for text in (decoded, *_unescaped(decoded)):
            for form in {_MARKED[each][1] for each, _ in _marks_in(text) if each < len(_MARKED)}:
                if list(_matches(form, text, 0, len(text))):
                    yield form


def _unfolded(line: bytes) -> Iterator[bytes]:
    """The texts in a line that is escaped up to three times, and those in its base64."""
    plain = line
    for plain in _unescaped(line):
        yield plain
    for match in _BASE64.finditer(plain):
        with suppress(ValueError):
            decoded = b64decode(match[0].translate(_URL_SAFE) + b"=" * (-len(match[0]) % 4))
            if not decoded.translate(None, _PRINTABLE):
                yield decoded
                yield from _unescaped(decoded)


def _unescaped(text: bytes) -> Iterator[bytes]:
    for _ in range(3):
        if b"\\" not in text and b"%" not in text:
            return
        plain = _ESCAPE.sub(_unescape, text)
        if plain == text:
            return
        yield plain
        text = plain


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


_PRINTABLE = bytes([*range(0x20, 0x7F), *b"\t\n\r"])


def may_have_secrets(files: Sequence[tuple[str, bytes]]) -> frozenset[int]:
    """Which of these files, each a name and its bytes, may have a secret in them; the others have none.

    Nearly all files have no mark in them. It takes one search to see that of many files, and a hundredth of the time that the patterns take.
    """
    texts = [(at, text) for at, (_, data) in enumerate(files) if (text := _text_of(data)) is not None]
    met = {at for at, (name, _) in enumerate(files) if by_name(name)}
    begins = list(accumulate((len(data) + 1 for _, data in texts), initial=0))
    joined = b"\0".join([data for _, data in texts]).lower()
    for mark, start, _ in _marks()[0].find_matches_as_indexes(joined):
        which = bisect(begins, start) - 1  # no mark has a NUL in it, so none is in two files
        if mark == _URL_MARK and joined.find(b"@", start, min(start + BEHIND, begins[which + 1])) < 0:
            continue  # nearly all of them
        met.add(texts[which][0])
    return frozenset(met)


def _text_of(data: bytes) -> bytes | None:
    """Returns a text as UTF-8 or what is like it, None for other bytes. Windows' shell writes UTF-16, with a mark at its beginning."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace").encode("utf-8", "surrogatepass")
    return data if data.find(b"\0", 0, HEAD) < 0 else None


@cache
def _marks() -> tuple[BytesAhoCorasick, BytesAhoCorasick]:
    """A search that finds whether there is any mark, and one that finds all, those within others included, at an eighth of the speed."""
    from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

    dfa = Implementation.DFA  # for more than a hundred marks the library itself takes one that has a third of its speed
    marks = [*(mark for mark, _ in _MARKED), *ESCAPED_MARKS, *BASE64_MARKS]
    return BytesAhoCorasick(marks, MatchKind.LeftmostFirst, dfa), BytesAhoCorasick(marks, implementation=dfa)


def secrets_in(path: str, data: bytes) -> list[Secret]:
    """All of it; a file of variables without values, or an empty one, is none. Of a file above MAX_BYTES, `data` is its HEAD."""
    named = by_name(path)
    if named is not None and basename(path).lower().startswith(".env") and not _VALUE.search(data):
        named = None
    text = _text_of(data)
    content = list(by_content(text)) if text is not None else []
    return ([named] if named is not None and data.strip() and not content else []) + content
