"""The library, for the way over an air gap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.api import Built, as_bytes, as_image, as_session, settings_of
from modelcrate.arguments import as_path, as_text, as_texts
from modelcrate.config import Config
from modelcrate.events import Emit
from modelcrate.lifecycle.supply_chain import check_of_signatures

if TYPE_CHECKING:
    from modelcrate.bundles.create import Made as BundleMade
    from modelcrate.bundles.inventory import Inventory
    from modelcrate.transports.output import Delivered


def take_inventory(*places: str, settings: Config | None = None, emit: Emit | None = None) -> Inventory:
    """Returns what a registry or the local store has, for bundles that leave it out.

    Args:
        *places: `store`; or HOST/REPOSITORY, or HOST for all repositories that a registry lists. All of one registry.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        Names, digests and sizes, and the pieces of plain layers. `json()` is what a file of it has.

    Raises:
        UserError: The places are none, or are of several registries.
        RegistryError: The registry can't be reached, or refuses.
    """
    from modelcrate.bundles import inventory

    with as_session(settings, emit) as session:
        return inventory.take_inventory(as_texts("places", places), session.connections, session.emit)


def create_bundle(
    path: str | Path,
    *images: Built | str,
    inventory: Inventory | str | Path | None = None,
    split: int | str | None = None,
    additions: str | Sequence[str] = (),
    settings: Config | None = None,
    emit: Emit | None = None,
) -> BundleMade:
    """Writes images, and what is beside them, into a file that is carried over an air gap. Digests stay what they are.

    Args:
        path: The file; with `split`, what its parts are called after.
        *images: Images of registries or of the local store.
        inventory: What the other side has, or the file with it: it is left out.
        split: Bytes of a part, or a text such as `4GB`.
        additions: What it has besides, as `--with` of the command names it: `wheels`, `base`, `modelcrate=FILE` and the like.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The files, their size, and the digests of the images.

    Raises:
        UserError: An image is named twice, or has no name.
        SourceError: There is no such image, it lacks what it is to have beside it, or the inventory can't be read.
        MachineError: A file can't be written.
    """
    from modelcrate.bundles import create
    from modelcrate.bundles.additions import Additions
    from modelcrate.bundles.inventory import Inventory, read_inventory

    known = (
        read_inventory(as_path("inventory", inventory)) if not isinstance(inventory, Inventory | None) else inventory
    )
    target, part = as_path("path", path), as_bytes("split", split)
    with as_session(settings_of(next(iter(images), None), settings), emit) as session:
        wanted = tuple(as_image("an item of images", each) for each in images)
        more = Additions.parse(as_texts("additions", additions))
        return create.create_bundle(wanted, target, session.connections, session.emit, known, part, more)


def load_bundle(
    path: str | Path,
    to: str,
    *,
    keys: str | Path | Sequence[str | Path] = (),
    policy: str | Path | None = None,
    settings: Config | None = None,
    emit: Emit | None = None,
) -> tuple[Delivered, ...]:
    """Writes the images of a bundle into a registry or the local store, with their digests and with what is beside them.

    Args:
        path: The bundle, or one of its parts.
        to: `store`, or registry:HOST[/PREFIX].
        keys: Files with public keys; nothing is loaded that none of them has signed, but bases that a signed image names.
        policy: The file with a policy; nothing is loaded that it refuses.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        What was written, an entry an image.

    Raises:
        SourceError: The bundle is not there, or leaves out what the target does not have.
        IntegrityError: The bundle is damaged, or an image is not signed as it has to be.
        RegistryError: The registry can't be reached, or refuses.
    """
    from modelcrate.bundles import load

    check = check_of_signatures(keys, policy)
    with as_session(settings, emit) as session:
        return load.load_bundle(as_path("path", path), as_text("to", to), session.connections, session.emit, check)
