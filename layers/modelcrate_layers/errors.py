"""What can go wrong, by whose fault it is. The class decides the exit code; the words decide whether one can act.

Every error says what happened, where, why, and what to do about it. Messages begin in lower case, have no period at the end
and never contain a secret. Errors that were found together are raised together (`also`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class CrateError(Exception):
    """The root of all errors that a user may meet. An error of this class itself is a fault of modelcrate."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        why: str = "",
        hint: str = "",
        excerpt: str = "",
        also: Sequence[CrateError] = (),
    ) -> None:
        super().__init__(what)
        self.what, self.where, self.why, self.hint, self.excerpt = what, where, why, hint, excerpt
        self.also = tuple(also)

    @property
    def faults(self) -> int:
        """How many faults this error tells."""
        return 1 + sum(other.faults for other in self.also)

    def __str__(self) -> str:
        """This error and those found with it: the head, an excerpt whose last line (the underline) the hint follows, the reason."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        hint = self.hint.splitlines()
        shown = [f"    {line}" for line in self.excerpt.splitlines()]
        if shown and hint:
            shown[-1] += f" {hint.pop(0)}"
        rest = [f"      {line}" for line in (*self.why.splitlines(), *hint)]
        return "\n".join([head, *shown, *rest, *map(str, self.also)])


class UserError(CrateError):
    """The project file, the command line or an argument is wrong."""

    exit_code = 2


class SourceError(CrateError):
    """A file that goes into the image, or that was given as input, is missing, changed, or of a kind that can't be packed."""

    exit_code = 3


class RegistryError(CrateError):
    """A server (a registry, an index, a mirror) refused, vanished, or answered nonsense."""

    exit_code = 4


class IntegrityError(CrateError):
    """Bytes are not what their digest, size or signature says."""

    exit_code = 5


class MachineError(CrateError):
    """This machine can't do it: a full disk, a missing right, a missing program."""

    exit_code = 6


class LockedError(CrateError):
    """What was pinned can't be had, or differs from what the project now asks for."""

    exit_code = 7


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Gives errors from inside that have no place this one."""
    try:
        yield
    except CrateError as fault:
        fault.where = fault.where or where
        raise


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""
