"""Regular expressions that are compiled when they are first used.

Python compiles them where they are declared. A build that has nothing to do imports a hundred modules with two hundred of them, and uses
a few: compiling all took a tenth of its time.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Pattern:
    """What `re.compile` returns, once something of it is asked for."""

    def __init__(self, text: str | bytes, flags: int) -> None:
        self._given: tuple[Any, int] = text, flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(*self._given), name)
        setattr(self, name, found)
        return found


def compile_later(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Returns a regular expression, as `re.compile` does. Functions of `re` do not take it; its own methods are all there.

    Raises:
        re.error: It is malformed. This is raised by its first use.
    """
    return cast("re.Pattern[AnyStr]", _Pattern(text, flags))
