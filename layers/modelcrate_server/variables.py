"""Variables of the environment as values: numbers within bounds, and switches."""

from __future__ import annotations

from collections.abc import Mapping


class SettingsError(Exception):
    """A variable or the config file is wrong; the text names it. The server ends with code 3."""


def whole_number(values: Mapping[str, str], name: str, default: int, *, low: int, high: int | None = None) -> int:
    """Returns the number in a variable.

    Raises:
        SettingsError: It is not a whole number, or outside of its bounds.
    """
    text = values.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}, which is not a whole number") from None
    if number < low or (high is not None and number > high):
        raise SettingsError(f"{name} is {number}; it must be at least {low}" + (f" and at most {high}" if high else ""))
    return number


def switch(values: Mapping[str, str], name: str) -> bool:
    """Returns whether a variable is 1, true, yes or on."""
    return values.get(name, "").strip().lower() in {"1", "true", "yes", "on"}
