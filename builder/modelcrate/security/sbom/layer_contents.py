"""What is known of the layers of an image: remembered, told by what travels beside an earlier image, or looked up in their bytes.

What was read here is remembered by the layer's diff id in one folder; what somebody else wrote down, in another, for it never counts
where a key is to vouch for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.config import Config
from modelcrate.images.image import ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.security.sbom import contents_artifact
from modelcrate.security.sbom.contents import LayerContents
from modelcrate.security.sbom.layer_scan import NO_FACTS, KnownFacts, is_local, scan_layer
from modelcrate_layers.atomic import write_file as write
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey

VERSION = 5
"""Raised when layers are to be looked through anew."""

READ, TOLD = "contents", "told"
"""The folders in the cache."""


def gather_contents(
    layers: Sequence[ImageLayer],
    config: Config,
    earlier: Sequence[Previous] = (),
    key: PublicKey | None = None,
    fetch: bool = True,
    learnt: KnownFacts = NO_FACTS,
) -> dict[Digest, LayerContents]:
    """What layers hold, by diff id; without `fetch`, a layer that lies elsewhere and that nobody tells of is left out.

    `learnt` is what is known of models' files that were read already.

    What travels beside `earlier` images is believed as their layers' keys are; with a key, only if that key signed it.
    """
    wanted = {each.layer.diff_id: each for each in layers}
    found = dict(_remembered(wanted, config, READ))
    if key is None:
        found |= _remembered(wanted.keys() - found.keys(), config, TOLD)
    if lacking := wanted.keys() - found.keys():
        told = _told(lacking, earlier, key)
        for diff_id, contents in told.items() if key is None else ():
            _keep(config, TOLD, diff_id, contents)
        found |= told
    left = [each for diff_id, each in wanted.items() if diff_id not in found and (fetch or is_local(each))]
    if left:
        with ThreadPoolExecutor(min(config.workers, len(left)), "look") as pool:
            seen = pool.map(partial(scan_layer, learnt=learnt), left)
            found |= dict(zip((each.layer.diff_id for each in left), seen, strict=True))
    for each in left:
        _keep(config, READ, each.layer.diff_id, found[each.layer.diff_id])
    return found


def _told(lacking: Iterable[Digest], earlier: Sequence[Previous], key: PublicKey | None) -> dict[Digest, LayerContents]:
    """What earlier images that have some of these layers tell of them."""
    found: dict[Digest, LayerContents] = {}
    for each in earlier:
        of_it = {layer.layer.diff_id for layer in each.image.layers}.intersection(lacking) - found.keys()
        if of_it and each.found is not None:
            told = contents_artifact.read_contents(each.found, each.image, key)
            found |= {diff_id: told[diff_id] for diff_id in of_it & told.keys()}
    return found


def _place(config: Config, folder: str, diff_id: Digest) -> Path:
    return config.cache / folder / f"{diff_id.hex}.json"


def _remembered(wanted: Iterable[Digest], config: Config, folder: str) -> Iterator[tuple[Digest, LayerContents]]:
    for diff_id in wanted:
        with suppress(OSError, CrateError):
            seen = parse_object(_place(config, folder, diff_id).read_bytes())
            if seen.pop("version", None) == VERSION:
                yield diff_id, LayerContents.parse(seen)


def _keep(config: Config, folder: str, diff_id: Digest, contents: LayerContents) -> None:
    path = _place(config, folder, diff_id)
    with as_machine_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, canonical_json({"version": VERSION, **contents.json()}))
