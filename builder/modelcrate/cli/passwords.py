"""Passwords of keys: from the environment, else from the terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from modelcrate_layers.errors import UserError


def password_of(key: str, environment: Mapping[str, str]) -> str | None:
    """Returns the password of a key; None if the key needs none, or there is no terminal to read it from."""
    from modelcrate.security.signing.keys import given_password, needs_password

    if not needs_password(key):
        return None
    given = given_password(environment)
    return given if given is not None or not sys.stdin.isatty() else _read_password(f"password of {key}: ")


def new_password(environment: Mapping[str, str]) -> str | None:
    """Returns the password for a new key; None if it is to have none.

    Raises:
        UserError: The two passwords from the terminal differ.
    """
    from modelcrate.security.signing.keys import given_password

    given = given_password(environment)
    if given is not None or not sys.stdin.isatty():
        return given or None
    first = _read_password("password of the new key (empty: none): ")
    if first and _read_password("again: ") != first:
        raise UserError("the two passwords differ; no key was made", hint="type the same password twice")
    return first or None


def _read_password(prompt: str) -> str:
    from getpass import getpass

    return getpass(prompt)
