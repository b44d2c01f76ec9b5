"""What may be a secret, and how a text or a value of another tool's file is told without one. What is not known to be plain is hidden."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date

from modelcrate.security.scan.secrets import by_content
from modelcrate_layers.errors import CrateError
from modelcrate_layers.patterns import compile_later

MAX_SHOWN = 120
"""Characters of a value in a message."""

_MAX_TOLD = 20_000
"""Characters of a line that are told."""

_NAMED = (
    r"secret|passw|passphrase|passcode|(?<!by)(?<!com)pass(?![a-z])|(?<![a-z])(?:pw|pwd|auth|jwt|sas|dsn)(?![a-z])|authorization|bearer"
    r"|token(?!i[sz])|credential|cookie|connection_?string|webhook|signature|(?<![a-z])sig(?![a-z])"
    r"|(?:api|access|private|account|signing|encryption|ssh|master|deploy|license)[_-]?keys?|[_-]key(?![a-z0-9])"
)
_NAME = compile_later(_NAMED, re.IGNORECASE)
_COUNTED = compile_later(r"tokens|token_?(ids?|limit|count|len|length|size|budget)(?![a-z])", re.IGNORECASE)
"""Names of numbers of tokens, which are no secrets."""

_LOGINS = compile_later(
    r"(?<=//)(?!git@)(?:[^\s/@'\"]{0,1000}:(?![0-9]+(?:[/\s'\"]|$))[^\s'\"]{0,1000}@|[^\s/@'\"]+@|[^\s/@:'\"]+:(?![0-9])[^\s/'\"]+)"
    r"|(?<![\w/.@%+-])[\w.%+-]+:(?!//)[^\s@'\"]{1,1000}@(?!sha256:)(?=[\w\[])"
)
"""Users and passwords of addresses, also of one that was cut off before its @, and of one without a scheme.

Numbers of characters are limited, here and below, so that a long text takes time by its length alone.
"""
_QUERY = compile_later(r"(?<=://)([^\s?'\"]{0,1000})\?[^\s'\"]+")
_ASSIGNED = compile_later(r"(?<![\w.-])([\w.-]+)([ =])(?=\S)(?!\.\.\.)")
_WORD = compile_later(r"\S+")
_HEADER = compile_later(r"(?i)\b(authorization:?\s{1,9}\S{1,99}|bearer|basic)\s{1,9}(?!\.\.\.)[A-Za-z0-9+/=_.-]{3,}")


def is_secret_name(name: str) -> bool:
    """Returns whether what is called so may be a secret."""
    return _NAME.search(name) is not None


def is_secret(name: str, value: object) -> bool:
    """Returns whether the value of a variable or of a key may be a secret, by its name or by its own form."""
    text = "" if value is None or isinstance(value, bool) else str(value) if is_plain(value) else "nested"
    if not text or text.lower() in ("true", "false"):
        return False
    if is_secret_name(name):
        return not (_COUNTED.search(name) and re.fullmatch(r"[0-9.]+", text))
    return is_plain(value) and holds_secret(text)


def holds_secret(text: str) -> bool:
    """Returns whether a text has a secret in it: by its form, as a login or a query of an address, or assigned to a name."""
    return has_secret(text) or any(each.search(text) for each in (_LOGINS, _QUERY, _HEADER)) or _assigned(text) != text


def has_argument(command: str) -> bool:
    """Returns whether a command has a secret among its words. A variable of a shell is none, and neither is a number of tokens."""
    words = re.split(r"[\s'\"]+", command)
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        value = value if equals else after if name.startswith("-") and not after.startswith("-") else ""
        if not value.startswith("$") and is_secret_name(name) and is_secret(name, value) and not _COUNTED.search(name):
            return True
    return has_secret(command) or any("$" not in each[0] for each in _LOGINS.finditer(command))


def has_secret(text: str) -> bool:
    """Returns whether a text has a secret in it, by the secret's own form."""
    try:
        return any(not each.warns for each in by_content(text.encode()))
    except (CrateError, UnicodeError):
        return True


def is_plain(value: object) -> bool:
    """Returns whether a value of YAML is a text, a number, a truth value or a date, so that `str` of it is short."""
    return value is None or isinstance(value, str | bool | int | float | date)


def tell(text: str) -> str:
    """Returns a line of a message without what may be a secret in it: logins and queries of addresses, and what is assigned to names of secrets."""
    text = text if len(text) <= _MAX_TOLD else f"{text[:_MAX_TOLD]}..."
    text = _QUERY.sub(r"\1?...", _LOGINS.sub("", text))
    text = _assigned(_HEADER.sub(r"\1 ...", text))
    if has_secret(text):
        text = re.sub(r"\S+", lambda word: "..." if has_secret(word[0]) else word[0], text)
    return "a text that has a secret in it" if has_secret(text) else text


def tell_name(name: str) -> str:
    """Returns the name of a key, whose first word is one; what comes after it may be a value without the space that YAML wants."""
    first, *more = re.split(r"[\s:=]+", name, maxsplit=1)
    return tell(f"{first} ..." if more else first)


def _assigned(text: str) -> str:
    """Returns a text without what is assigned to names of secrets: NAME=VALUE, --NAME=VALUE and --NAME VALUE."""
    pieces, at = list[str](), 0
    while (found := _ASSIGNED.search(text, at)) is not None:
        name, mark = found[1], found[2]
        hidden = (mark == "=" or name.startswith("-")) and is_secret_name(name)
        pieces += [text[at : found.start()], name, mark, "..." if hidden else ""]
        at = found.end()  # what stands after a name may itself be one
        if hidden and (value := _WORD.match(text, at)):
            at = value.end()
    return "".join([*pieces, text[at:]])


def tell_value(key: str, value: object) -> str:
    """Returns a value as it may be shown: short and plain, else what it is; empty for one that may be a secret.

    Args:
        key: Its key with those above it, each of which may say that it is a secret.
        value: The value.
    """
    if value is None or (is_secret_name(key) and not isinstance(value, bool)):
        return ""
    if isinstance(value, Mapping):
        return _count(value, "key")
    if isinstance(value, list) and len(value) <= 20 and all(map(is_plain, value)):
        told = "[" + ", ".join(_word(str(each)) for each in value) + "]"
        return told if len(told) <= MAX_SHOWN else _count(value, "item")
    if not is_plain(value):
        return _count(value, "item") if isinstance(value, Collection) else "(no text)"
    return _word(str(value).lower() if isinstance(value, bool) else str(value))


def _word(text: str) -> str:
    """Returns a text of one word; of more, which may be a command, the first. What is assigned in it is left out."""
    first, *more = text.split(maxsplit=1) or [""]
    shown = tell(re.sub(r"(?<![=<>!~?])=(?!=)\S*", "=...", tell(first)) if "://" not in first else first)
    cut = shown[:MAX_SHOWN] + "..." if len(shown) > MAX_SHOWN else shown
    return f"{cut} ..." if more else cut


def _count(value: Collection[object], what: str) -> str:
    return f"({len(value)} {what}{'' if len(value) == 1 else 's'})"
