"""The errors of modelcrate. The class is the kind of cause and decides the exit code.

A message states what happened, where, why, and what to do. It begins in lower case, has no period at the end, and never contains a
secret. Errors that were found together are raised together (`also`).
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class CrateError(Exception):
    """An error inside modelcrate. Please report it, with the output of `--debug`.

    It is the base class of all errors of modelcrate. Errors with another cause are raised as one of its subclasses.

    Attributes:
        what: What happened.
        where: The file, address or option.
        why: The reason, if there is more to say.
        hint: What to do.
        excerpt: Lines of a file, the last one underlining the place.
        also: Other errors that were found with it.
    """

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets errors travel between processes: they are made without `__init__`, which takes something else in each class."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined] # not in typeshed

    @property
    def message(self) -> str:
        """The whole message, as `str` has it."""
        return str(self)

    @property
    def faults(self) -> int:
        """The number of errors, with those that were found with this one."""
        return 1 + sum(other.faults for other in self.also)

    @property
    def sentence(self) -> str:
        """The message in one line, for a notice: where and what, the reason, what to do; without the other errors."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        more = "; ".join(" ".join(part.split()) for part in (self.why, self.hint) if part)
        return f"{head}: {more}" if more else head

    def __str__(self) -> str:
        """Returns the message: what happened and where, the excerpt with the hint at its end, the reason, and the other errors."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        hint = self.hint.splitlines()
        excerpt = [f"    {line}" for line in self.excerpt.splitlines()]
        if excerpt and hint:
            excerpt[-1] += f" {hint.pop(0)}"
        rest = [f"      {line}" for line in (*self.why.splitlines(), *hint)]
        return "\n".join([head, *excerpt, *rest, *map(str, self.also)])


class UserError(CrateError):
    """The project file, an option or an argument is wrong. Nothing was built."""

    exit_code = 2


class SourceError(CrateError):
    """An input file or image is missing, has changed during the work, or can't go into an image."""

    exit_code = 3


class RegistryError(CrateError):
    """A server (a registry, a package index, a mirror) refused, can't be reached, or sent an invalid response."""

    exit_code = 4


class IntegrityError(CrateError):
    """Data does not match its digest, its size or its signature."""

    exit_code = 5


class MachineError(CrateError):
    """This machine can't do the work: the disk is full, a permission or a program is missing."""

    exit_code = 6


class LockedError(CrateError):
    """The lock does not fit the project, or something that it pins is not available any more."""

    exit_code = 7


class LimitError(CrateError):
    """The image is, or would be, larger than the limit that was set for it (`--max-size`, `--max-layer-growth`). It was not delivered."""

    exit_code = 8


def unreadable(fault: OSError, where: object, what: str = "", hint: str = "") -> SourceError:
    """Returns the error for a file that can't be read.

    Args:
        fault: What the operating system said.
        where: The file.
        what: What it is, where the message is to say so.
        hint: What to do.
    """
    return SourceError(f"{what} can't be read: {fault.strerror or fault}".lstrip(), where=str(where), hint=hint)


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Adds a place to errors from inside that have none."""
    try:
        yield
    except CrateError as fault:
        fault.where = fault.where or where
        raise


INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells."""
