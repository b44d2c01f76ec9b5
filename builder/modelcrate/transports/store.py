"""`store:NAME[:TAG]`: the local store, where `modelcrate run`, `push` and `images` look. The output where none is named."""

from __future__ import annotations

from modelcrate.events import Emit
from modelcrate.home.folder import open_store
from modelcrate.images.image import Deliverable
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.frozen import dataclass

KIND = "store"
EXAMPLE = "NAME[:TAG]"


def parse(target: str) -> StoreOutput:
    return StoreOutput(target)


@dataclass(frozen=True, slots=True)
class StoreOutput:
    name: str

    kind = KIND

    @property
    def target(self) -> str:
        """The name with its tag; `latest` where none was given."""
        return self.name if ":" in self.name.rpartition("/")[2] else f"{self.name}:latest"

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        return oci.write(open_store(connections.config), image, self.target, emit, KIND, self.target)
