"""Outputs for the models of a project alone, in a shape of their own: `KIND:REF`, or `KIND:OUTPUT` for any other output.

A shape is made from what the build was made from, and not from the image: a tar holds the paths of its files, so a shape with other paths has
other layers. What the files are is the same for every shape, and is said here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from modelcrate.events import Emit, Notice
from modelcrate.images.image import Deliverable, Image, ImageLayer
from modelcrate.images.image_config import EPOCH
from modelcrate.images.sinks import Discard, Sink
from modelcrate.images.unpack import unpack
from modelcrate.transports import parse_nested
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered, NameableOutput, Output, open_output
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.kinds.model import CAR, folder
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.tar.listing import Listing, list_path
from modelcrate_layers.tar.tree import Kind

if TYPE_CHECKING:
    from modelcrate.pipeline.prepare import Prepared

IMAGE_PLACES = frozenset({"registry", "oci", "oci-archive", "docker-archive", "docker", "store"})
"""Outputs that can have an image."""

ARTIFACT_PLACES = frozenset({"registry", "oci", "oci-archive"})
"""Outputs that can have an artifact, which is no image: engines have no place for one."""


@dataclass(frozen=True, slots=True)
class ShapedModel:
    """A model of the project, with its files.

    Attributes:
        name: Its name.
        version: Its version.
        listing: Its files, below `kinds.model.folder(name, version)`.
        under: Its folder in a modelcar, below `kinds.model.CAR` where there are several models.
    """

    name: str
    version: int
    listing: Listing = field(repr=False)
    under: bytes = CAR


@dataclass(frozen=True, slots=True)
class Making:
    """What a shape is made from, and with.

    Attributes:
        source: The prepared build.
        image: What it has built; None where nothing but shapes is wanted.
        models: The models with their files.
        sink: Takes layers while they are measured.
    """

    source: Prepared
    image: Image | None
    models: tuple[ShapedModel, ...]
    connections: Connections
    sink: Sink
    emit: Emit

    @property
    def created(self) -> datetime:
        """The creation time, as the image has it."""
        return self.source.request.project.created or self.connections.config.created or EPOCH

    @property
    def shared(self) -> tuple[ImageLayer, ...]:
        """The image's layers of models, where they are those of a modelcar, too; else none."""
        if self.image is None or not self.source.request.project.modelcar:
            return ()
        own = self.image.layers[len(self.source.plans[0].base) :]  # a base that modelcrate built may have models, too
        return tuple(each for each in own if each.role == "model")


Make = Callable[[Making], Deliverable]
"""Makes a shape. Its files are there until it is delivered."""


@dataclass(frozen=True, slots=True)
class ShapeOutput:
    """An output for a shape, at a place that is an output itself."""

    kind: str
    place: Output
    target: str
    make: Make = field(repr=False, compare=False)
    source: Prepared | None = field(default=None, repr=False, compare=False)

    def with_name(self, name: str) -> ShapeOutput:
        """Returns the output whose place has a name."""
        return replace(self, place=self.place.with_name(name)) if isinstance(self.place, NameableOutput) else self

    def prepared(self, source: Prepared) -> Self:
        """Returns the output for a prepared build."""
        return replace(self, source=source)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Makes the shape and writes it. See `Output.deliver`.

        Raises:
            UserError: There is no prepared build, or it has no models.
        """
        return self.write(image.images[0] if image.images else None, connections, emit)

    def write(self, image: Image | None, connections: Connections, emit: Emit) -> Delivered:
        """The same; without an image nothing is shared with one."""
        if self.source is None:
            raise UserError(
                f"a {self.kind} is made from a project, not from an image",
                hint=f"modelcrate build PROJECT -o {self.kind}:{self.target}",
            )
        if not self.source.files.named:
            raise UserError(
                f"a {self.kind} is made of models, and the project has none",
                hint="name a file or folder: models: [model/]",
            )
        if self.source.request.attestations.signer is not None:
            emit(Notice(f"{self.kind}:{self.target} is not signed: modelcrate sign {self.target} signs it"))
        with ExitStack() as stack:
            models = stack.enter_context(_gathered(self.source, connections))
            place = stack.enter_context(open_output(self.place, connections, emit))
            sink = place if isinstance(place, Sink) else Discard()
            made = self.make(Making(self.source, image, models, connections, sink, emit))
            done = place.deliver(made, connections, emit)
        return replace(done, kind=self.kind, target=self.target)


def parse_shape(kind: str, target: str, make: Make, places: frozenset[str] = IMAGE_PLACES) -> ShapeOutput:
    """Returns the output for a target of the command line: a reference, or another output with its kind.

    Args:
        kind: The kind of the shape.
        target: The target.
        make: Makes the shape.
        places: The kinds of outputs that can have it.

    Raises:
        UserError: The target is neither.
    """
    return ShapeOutput(kind, parse_nested(kind, target, places), target, make)


@contextmanager
def _gathered(source: Prepared, connections: Connections) -> Iterator[tuple[ShapedModel, ...]]:
    """The models with their files. Those of a registered model, which is layers alone, are unpacked while this is open."""
    files, home = source.files, connections.config.home
    home.mkdir(parents=True, exist_ok=True)
    several = len(files.named) > 1
    found = []
    with ExitStack() as stack:
        for named, layers, entries in zip(files.named, files.models, files.by_model, strict=True):
            assert named.version is not None, "`prepare` fills it in"
            under = CAR + b"/" + named.name.encode() if several else CAR
            ready = [each for each in layers if isinstance(each, ReadyLayer)]
            if ready:
                place = stack.enter_context(scratch_folder(home, "shape-"))
                listing = _unpacked(ready, named.name, named.version, place)
            else:
                listing = Listing(entries)
            if all(each.kind is not Kind.FILE for each in listing.entries):
                raise SourceError(f"the model {named.name} has no files", hint="name a folder that has some, or a file")
            found.append(ShapedModel(named.name, named.version, listing, under))
        yield tuple(found)


def _unpacked(layers: Sequence[ReadyLayer], name: str, version: int, place: Path) -> Listing:
    under = folder(name, version)
    unpack([each.blob for each in layers], place)
    tops = sorted((place / os.fsdecode(under)).iterdir())
    return Listing(tuple(entry for top in tops for entry in list_path(top, under).entries))
