"""`oci-archive:FILE`: an OCI image layout as one tar."""

from __future__ import annotations

from modelcrate.events import Emit
from modelcrate.images.image import Deliverable
from modelcrate.transports import archive_writer
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.frozen import dataclass

KIND = "oci-archive"
EXAMPLE = "FILE"


def parse(target: str) -> OciArchiveOutput:
    return OciArchiveOutput(target)


@dataclass(frozen=True, slots=True)
class OciArchiveOutput:
    target: str

    kind = KIND

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        size = archive_writer.write(
            self.target, archive_writer.members(image.graph(), image.descriptor, None, None, (), emit)
        )
        return Delivered(KIND, self.target, image.digest, size)
