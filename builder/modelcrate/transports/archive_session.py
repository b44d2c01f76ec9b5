"""An archive as an output that is open: it has room for the tars of layers before they are made, and reads each of them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from modelcrate.events import Emit, ignore_event
from modelcrate.images.image import Deliverable
from modelcrate.images.plain_layers import GuessedSizes, TarSize, plain_size
from modelcrate.transports import archive_file
from modelcrate.transports.archive_file import ArchiveFile, Place
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.tree import Entry


class ArchiveOutput(Protocol):
    """A kind of archive."""

    @property
    def kind(self) -> str:
        """The kind as in `KIND:TARGET`."""
        ...

    @property
    def target(self) -> str:
        """The place, in the user's words."""
        ...

    @property
    def file(self) -> str:
        """The path of the file; `-` is standard output."""
        ...

    def has_tar(self, codec: Codec) -> bool:
        """Returns whether the archive has the tar of a layer as it is, where the image has it in a codec."""
        ...

    def members(self, image: Deliverable, sizes: TarSize, emit: Emit) -> tuple[Digest, Sequence[Entry]]:
        """Returns the digest of the image as it is in the archive, and the members.

        Args:
            image: The image.
            sizes: Tells the lengths of tars.
            emit: Gets the progress of the blobs.

        Raises:
            UserError: There can't be such an image in it.
        """
        ...


class ArchiveSession:
    """An archive that is being written. It is no value: it has an open file."""

    def __init__(self, output: ArchiveOutput, file: ArchiveFile | None) -> None:
        self._output, self._file = output, file
        self._sizes = GuessedSizes()

    @property
    def kind(self) -> str:
        """The kind as in `KIND:TARGET`."""
        return self._output.kind

    @property
    def target(self) -> str:
        """The place, in the user's words."""
        return self._output.target

    def takes(self, codec: Codec) -> bool:
        """Returns whether there can be room for the tar of a layer that has a codec in its image."""
        return self._file is not None and self._output.has_tar(codec)

    def reserve(self, expected: Deliverable) -> Mapping[Digest, Place]:
        """Returns the places of blobs in the archive of an image. See `images.sinks.PlacingOutput`."""
        if self._file is None:
            return {}
        return self._file.reserve(self._output.members(expected, self._sizes, ignore_event)[1])

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image, but for the tars that are there. See `Output.deliver`."""
        if self._file is None:
            digest, entries = self._output.members(image, plain_size, emit)
            return Delivered(self.kind, self.target, digest, archive_file.stream(self._output.file, entries))
        digest, entries = self._output.members(image, self._sizes, emit)
        try:
            written = self._file.write(entries)
        except IntegrityError:
            if not self._sizes.correct():
                raise
            self._file.clear()
            digest, entries = self._output.members(image, self._sizes, emit)
            written = self._file.write(entries)
        return Delivered(self.kind, self.target, digest, written)


@contextmanager
def open_archive(output: ArchiveOutput) -> Iterator[ArchiveSession]:
    """Opens an archive for writing. Nothing of it is left, unless it is delivered.

    Raises:
        MachineError: There can't be a file.
    """
    with archive_file.open_file(output.file) as file:
        yield ArchiveSession(output, file)
