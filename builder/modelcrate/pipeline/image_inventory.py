"""What an image at an address contains, for bills of materials of images that exist."""

from __future__ import annotations

from modelcrate.security.sbom.inventory import Inventory, inventory
from modelcrate.security.signing.naming import image_identity
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform


def read_inventory(address: str, platform: Platform | None, variant: str, connections: Connections) -> Inventory:
    """Reads the layers of an image, as far as their contents are not known.

    Args:
        address: Where the image is.
        platform: Which image of an index; None for the only one.
        variant: Which of them, by the name of a variant; empty for the default.
        connections: The connections.

    Raises:
        SourceError: There is no such image, or none for the platform.
        IntegrityError: A layer is damaged.
    """
    image = find(address, connections).image(platform, variant)
    return inventory(image.title or image_identity(address), image, connections.config)
