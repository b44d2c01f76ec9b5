"""Where an image can go, one file a kind. A kind is found by its file: a module here
with `KIND`, `EXAMPLE`, `parse` and an Output."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass

if TYPE_CHECKING:
    from modelcrate.events import Emit
    from modelcrate.home.settings import Settings
    from modelcrate.images.image import Deliverable
    from modelcrate.pipeline.session import Prepared


_SHARED = frozenset(
    {"addresses", "archive_reader", "archive_writer", "layout_reader", "registry_reader", "store_reader"}
)
"""Modules of this folder that are no outputs."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of an image at one output: `sent` bytes of blobs and documents, `there` bytes that it had already."""

    kind: str
    target: str
    digest: Digest
    sent: int
    there: int = 0
    requests: int = 0


class Output(Protocol):
    """A place where an image can go."""

    @property
    def kind(self) -> str: ...

    @property
    def target(self) -> str:
        """The place, in the user's words."""
        ...

    def deliver(self, image: Deliverable, settings: Settings, emit: Emit) -> Delivered:
        """Put the image there. Afterwards all of it is there under its name, or nothing is changed and an error says why."""
        ...


@runtime_checkable
class NameableOutput(Protocol):
    """An output whose target may lack the image's name."""

    def named(self, name: str) -> Output: ...


@runtime_checkable
class PreparedOutput(Protocol):
    """An output that takes more than an image: what it was made from."""

    def prepared(self, source: Prepared) -> Output: ...


@contextmanager
def opened(output: Output, settings: Settings, emit: Emit) -> Iterator[Output]:
    """The output with its connections kept between calls, where it has any (a method `session`)."""
    session = getattr(output, "session", None)
    if session is None:
        yield output
    else:
        with session(settings, emit) as live:
            yield live


@cache
def kinds() -> Mapping[str, str]:
    """The outputs of this folder: their kinds, which are their files' names with dashes, and their modules."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = {name.replace("_", "-"): f"{__name__}.{name}" for name in names if name not in _SHARED}
    return {**found, "dockerfile": "modelcrate.export.dockerfile"}


def parse(text: str) -> Output:
    """An output as the command line writes it, `KIND:TARGET`. Only its own module is imported."""
    kind, colon, target = text.partition(":")
    if kind not in kinds() or not colon or not target:
        known = ", ".join(f"{name}:{importlib.import_module(module).EXAMPLE}" for name, module in kinds().items())
        raise UserError(f"not an output: {text!r}", hint=f"known are {known}")
    output: Output = importlib.import_module(kinds()[kind]).parse(target)
    return output
