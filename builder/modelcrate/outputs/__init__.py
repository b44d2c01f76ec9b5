"""Where an image can go, one file a kind. A kind is found by its file: a module here with `KIND`, `parse` and an Output."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.events import Emit
    from modelcrate.image import Image, Index
    from modelcrate.settings import Settings


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

    def deliver(self, image: Image | Index, settings: Settings, emit: Emit) -> Delivered:
        """Put the image there. Afterwards all of it is there under its name, or nothing is changed and an error says why."""
        ...


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
def kinds() -> Mapping[str, ModuleType]:
    """The modules of this folder that are outputs, by their kind."""
    found: dict[str, ModuleType] = {}
    for each in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{each.name}")
        if kind := getattr(module, "KIND", None):
            if kind in found:
                raise AssertionError(f"two outputs are called {kind}: {found[kind].__file__} and {module.__file__}")
            found[kind] = module
    return found


def parse(text: str) -> Output:
    """An output as the command line writes it, `KIND:TARGET`."""
    kind, colon, target = text.partition(":")
    if kind not in kinds() or not colon or not target:
        known = ", ".join(f"{name}:{module.EXAMPLE}" for name, module in kinds().items())
        raise UserError(f"not an output: {text!r}", hint=f"known are {known}")
    output: Output = kinds()[kind].parse(target)
    return output
