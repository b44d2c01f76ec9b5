"""Reads what a page needs of layers, each once: from the cache, from this machine, or, where that is wanted, from a registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from modelcrate.config import Config
from modelcrate.events import Emit, track_chunks
from modelcrate.images.image import ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.reports.listing import Listing, list_layer
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.layer_contents import gather_contents
from modelcrate.security.sbom.layer_scan import NO_FACTS, KnownFacts, is_local
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import MAX_JSON, Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.records import read_record, write_record
from modelcrate_layers.store import FileBlob, as_machine_error

VERSION = 1
"""Part of the name of each record. A new number makes all layers be read again."""

MAX_LISTED = 500_000
"""Files of all layers that are known one by one; those of further layers are counted."""

FOLDER = "listings"
"""The folder in the cache."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What layers have, by diff id. A layer that was not read is in neither.

    Attributes:
        listings: Their files.
        contents: Their packages, and what is known of the files of models.
        fetched: The layers that were fetched for it.
    """

    listings: dict[Digest, Listing]
    contents: dict[Digest, LayerContents]
    fetched: tuple[ImageLayer, ...] = ()


def gather(
    layers: Sequence[ImageLayer],
    config: Config,
    emit: Emit,
    *,
    earlier: Sequence[Previous] = (),
    fetch: bool = False,
    known_facts: KnownFacts = NO_FACTS,
) -> Gathered:
    """Returns what layers have.

    Args:
        layers: The layers. One that several images share may come several times.
        config: Names the cache.
        emit: Gets the progress of what is fetched.
        earlier: Images that may have the contents of the same layers beside them.
        fetch: Whether layers that are not on this machine are fetched. They are not kept; what was found in them is.
        known_facts: Facts about models' files that were read already.

    Raises:
        IntegrityError: A layer is damaged.
        RegistryError: A layer can't be fetched.
    """
    wanted = {each.layer.diff_id: each for each in layers}
    listings = {diff_id: found for diff_id in wanted if (found := _remembered(config, diff_id)) is not None}
    contents = gather_contents(tuple(wanted.values()), config, earlier, fetch=False, known_facts=known_facts)
    fetched: list[ImageLayer] = []
    for diff_id, each in wanted.items():
        if diff_id in listings and diff_id in contents:
            continue
        if is_local(each):
            listings.setdefault(diff_id, _listed(config, each))
        elif fetch:
            fetched.append(each)
            with _fetched(each, emit) as here:
                listings[diff_id] = _listed(config, here)
                contents |= gather_contents([here], config)
    return Gathered(dict(_bounded(listings)), contents, tuple(fetched))


def _bounded(listings: Mapping[Digest, Listing]) -> Iterator[tuple[Digest, Listing]]:
    """Yields the listings, those beyond the limit without their files."""
    count = 0
    for diff_id, each in listings.items():
        count += len(each.files)
        if count <= MAX_LISTED:
            yield diff_id, each
        else:
            number, size = each.more
            more = (number + len(each.files), size + sum(size for _, size in each.files))
            yield diff_id, replace(each, files=(), tensors={}, more=more)


def _listed(config: Config, layer: ImageLayer) -> Listing:
    """Lists a layer, and remembers it."""
    found, place = list_layer(layer), config.cache / FOLDER
    data = canonical_json(found.json())
    if len(data) <= MAX_JSON:
        with as_machine_error(place):
            write_record(place, _name(layer.layer.diff_id), data)
    return found


def _remembered(config: Config, diff_id: Digest) -> Listing | None:
    data = read_record(config.cache / FOLDER, _name(diff_id))
    with suppress(CrateError):
        return None if data is None else Listing.parse(parse_object(data))
    return None


@contextmanager
def _fetched(layer: ImageLayer, emit: Emit) -> Iterator[ImageLayer]:
    """Fetches a layer into a file that is gone after the block: it is read twice, and memory stays flat."""
    with scratch_folder() as folder:
        path, descriptor = folder / "layer", layer.descriptor
        label = f"fetch {layer.role} {layer.name or descriptor.digest.short}"
        with as_machine_error(folder), open(path, "wb") as file:
            for chunk in track_chunks(layer.blob.chunks(), label, descriptor.size, emit):
                file.write(chunk)
        yield replace(layer, blob=FileBlob(path, descriptor))


def _name(diff_id: Digest) -> str:
    return f"{diff_id.hex}.{VERSION}"
