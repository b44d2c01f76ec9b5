"""Passwords of keys: from the environment, else asked for on a terminal. The only place that asks."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from modelcrate_layers.errors import UserError


def password_of(key: str, environment: Mapping[str, str]) -> str | None:
    """The password of a key that needs one; None, where it is nowhere to be had."""
    from modelcrate.security.signing.keys import given_password, needs_password

    if not needs_password(key):
        return None
    given = given_password(environment)
    return given if given is not None or not sys.stdin.isatty() else _asked(f"password of {key}: ")


def new_password(environment: Mapping[str, str]) -> str | None:
    """The password for a new key; empty means none."""
    from modelcrate.security.signing.keys import given_password

    given = given_password(environment)
    if given is not None or not sys.stdin.isatty():
        return given or None
    first = _asked("password of the new key (empty: none): ")
    if first and _asked("again: ") != first:
        raise UserError("the two passwords differ; no key was made")
    return first or None


def _asked(prompt: str) -> str:
    from getpass import getpass

    return getpass(prompt)
