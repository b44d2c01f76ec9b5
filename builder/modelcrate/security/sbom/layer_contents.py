"""Gathers the contents of an image's layers: from the cache, from artifacts beside earlier images, or from the layers themselves.

The cache has two folders, keyed by diff id. One has contents that were read on this machine. The other has contents from artifacts of other
builders, which are not used for a signed build. Both hold records (see `records`): what came with a copy of the cache says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from modelcrate.config import Config
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.resolve import scan
from modelcrate.security.sbom import contents_artifact
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.layer_scan import NO_FACTS, KnownFacts, is_local, scan_layer
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.records import read_record, write_record
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.resolve.scan import LayerScan
    from modelcrate.security.signing.keys import PublicKey

VERSION = 6
"""Part of the name of each record. A new number makes all layers be read again."""

READ, RECEIVED = "contents", "received-contents"
"""The folders in the cache."""

KEPT = 256 << 10
"""Bytes of a record up to which it is parsed once for many images: they have their base in common."""

_SCANNING = KeyedLock()


def gather_contents(
    layers: Sequence[ImageLayer],
    config: Config,
    earlier: Sequence[Previous] = (),
    key: PublicKey | None = None,
    fetch: bool = True,
    known_facts: KnownFacts = NO_FACTS,
) -> dict[Digest, LayerContents]:
    """Returns the contents of layers by diff id.

    Args:
        layers: The layers.
        config: Names the cache, and the number of threads.
        earlier: Earlier images; artifacts beside them are used for layers that they share.
        key: If given, only artifacts with a signature of this key are used.
        fetch: Whether remote layers are fetched; otherwise they are left out.
        known_facts: Facts about models' files that were read already.

    Raises:
        IntegrityError: A layer differs from its diff id.
    """
    wanted = {each.layer.diff_id: each for each in layers}
    found = dict(_cached(wanted, config, READ))
    if key is None:
        found |= _cached(wanted.keys() - found.keys(), config, RECEIVED)
    if missing := wanted.keys() - found.keys():
        received = _from_earlier(missing, earlier, config, key)
        for diff_id, contents in received.items() if key is None else ():
            _keep(config, RECEIVED, diff_id, contents)
        found |= received
    left = [each for diff_id, each in wanted.items() if diff_id not in found and (fetch or is_local(each))]
    if left:
        with ThreadPoolExecutor(min(config.workers, len(left)), "scan") as pool:
            scanned = pool.map(partial(_scan_once, config=config, known_facts=known_facts), left)
            found |= dict(zip((each.layer.diff_id for each in left), scanned, strict=True))
    return found


def recall_scans(layers: Iterable[ImageLayer], config: Config, key: PublicKey | None = None) -> dict[Digest, LayerScan]:
    """Returns the scans of layers by diff id that this machine knows; with a key those alone that were made here."""
    folders = (scan.READ,) if key is not None else (scan.READ, scan.RECEIVED)
    found: dict[Digest, LayerScan] = {}
    for each in layers:
        recalled = (known for folder in folders if (known := scan.recall(each, config.cache, folder)) is not None)
        if (first := next(recalled, None)) is not None:
            found[each.layer.diff_id] = first
    return found


def receive_scans(
    layers: Sequence[ImageLayer], config: Config, earlier: Sequence[Previous], key: PublicKey | None = None
) -> dict[Digest, LayerScan]:
    """Returns the scans of layers by diff id that stand beside earlier images.

    Args:
        layers: The layers of a base.
        config: Names the cache, in which scans are kept, unless there is a key.
        earlier: The images.
        key: If given, only artifacts with a signature of this key are used.
    """
    found = recall_scans(layers, config) if key is None else {}
    missing = {each.layer.diff_id: each for each in layers if each.layer.diff_id not in found}
    for each in earlier:
        if each.found is not None and any(layer.layer.diff_id in missing for layer in each.image.layers):
            scans = contents_artifact.read_contents(each.found, each.image, key).scans
            for diff_id in scans.keys() & missing.keys():
                found[diff_id], layer = scans[diff_id], missing.pop(diff_id)
                if key is None:
                    scan.remember(layer, scans[diff_id], config.cache, scan.RECEIVED)
    return found


def _scan_once(layer: ImageLayer, config: Config, known_facts: KnownFacts) -> LayerContents:
    """Reads a layer, and remembers its contents. Of several threads that want the same layer, one reads it."""
    diff_id = layer.layer.diff_id
    with _SCANNING.hold((config.cache, diff_id)):
        for _, known in _cached([diff_id], config, READ):
            return known
        found = scan_layer(layer, known_facts)
        _keep(config, READ, diff_id, found)
        return found


def _from_earlier(
    missing: Iterable[Digest], earlier: Sequence[Previous], config: Config, key: PublicKey | None
) -> dict[Digest, LayerContents]:
    """Reads the contents of these layers from the artifacts of earlier images that have them. An image that lacks them is asked once."""
    found: dict[Digest, LayerContents] = {}
    lacking = ResultCache(config.cache / RECEIVED)
    for each in earlier:
        shared = {layer.layer.diff_id for layer in each.image.layers}.intersection(missing) - found.keys()
        if not shared or each.found is None:
            continue
        question = _lacking_question(each.found.collection.where, each.image, shared, key)
        if lacking.get(question) is None:
            contents = contents_artifact.read_contents(each.found, each.image, key).contents
            found |= {diff_id: contents[diff_id] for diff_id in shared & contents.keys()}
            if shared - contents.keys():
                lacking.put(question, b"")
    return found


def note_lacking(
    image: Image, places: Iterable[str], known: Collection[Digest], config: Config, key: PublicKey | None = None
) -> None:
    """Remembers of which layers an image says nothing that is about to be pushed, so that the next build does not ask its registry for them.

    Args:
        image: The image.
        places: The references that it gets.
        known: The diff ids of the layers whose contents go beside it.
        config: Names the cache.
        key: The key that signs what goes beside it, if there is one.
    """
    lacking = {each.layer.diff_id for each in image.layers}.difference(known)
    kept = ResultCache(config.cache / RECEIVED)
    for place in places if lacking else ():
        question = _lacking_question(place, image, lacking, key)
        if kept.get(question) is None:
            kept.put(question, b"")


def _lacking_question(place: str, image: Image, lacking: Iterable[Digest], key: PublicKey | None) -> object:
    return [VERSION, place, str(image.digest), key.hint if key is not None else "", sorted(map(str, lacking))]


def _cached(wanted: Iterable[Digest], config: Config, folder: str) -> Iterator[tuple[Digest, LayerContents]]:
    for diff_id in wanted:
        data = read_record(config.cache / folder, _name(diff_id))
        with suppress(CrateError):
            if data is not None:
                yield diff_id, _parse_once(data) if len(data) <= KEPT else _parse(data)


def _parse(data: bytes) -> LayerContents:
    return LayerContents.parse(parse_object(data))


_parse_once = lru_cache(64)(_parse)


def _keep(config: Config, folder: str, diff_id: Digest, contents: LayerContents) -> None:
    place = config.cache / folder
    with as_machine_error(place):
        write_record(place, _name(diff_id), canonical_json(contents.json()))


def _name(diff_id: Digest) -> str:
    return f"{diff_id.hex}.{VERSION}"
