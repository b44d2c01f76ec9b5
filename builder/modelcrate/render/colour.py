"""Colour for a terminal, where it is wanted: NO_COLOR, FORCE_COLOR, CLICOLOR and TERM, as most programs read them."""

from __future__ import annotations

from collections.abc import Mapping

_RED, _DIM, _PLAIN = "\x1b[1;31m", "\x1b[2m", "\x1b[0m"


def wants_colour(environment: Mapping[str, str], terminal: bool) -> bool:
    """Returns whether an output gets colours.

    Args:
        environment: The variables. NO_COLOR with any value switches colours off; FORCE_COLOR and CLICOLOR_FORCE switch them on, unless they are 0;
            CLICOLOR=0 and TERM=dumb switch them off for terminals.
        terminal: Whether the output is a terminal.
    """
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return terminal and environment.get("CLICOLOR") != "0" and environment.get("TERM") != "dumb"


def colour_error(text: str) -> str:
    """Returns the text of an error in colours: each fault red, its reasons and hints plain, the last line dim. The text has been made printable."""
    lines = text.split("\n")
    shown = [f"{_RED}{line}{_PLAIN}" if line and not line.startswith(" ") else line for line in lines[:-1]]
    return "\n".join([*shown, f"{_DIM}{lines[-1]}{_PLAIN}"])
