"""Images of the local store, by name, id or digest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelcrate.config import Config
from modelcrate.home.folder import open_store
from modelcrate.images.image import Image, Index
from modelcrate.images.reading import Found
from modelcrate.transports.layout_reader import LayoutCollection
from modelcrate_layers.content import Descriptor
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.store import REF_NAME, Layout

_HEX = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")


def find(name: str, config: Config) -> Found | None:
    """What the store has under a name (`latest` where no tag is given), or under the beginning of an image id or digest."""
    store = open_store(config)
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    manifests = store.manifests()
    for each in manifests:
        if each.annotations.get(REF_NAME) in (name, tagged):
            return Found(LayoutCollection(store), each)
    if match := _HEX.fullmatch(name):
        return _by_hex(store, manifests, match[1])
    return None


def images(config: Config) -> Iterator[tuple[str, Image | Index]]:
    """All that the store has a name for, by name."""
    store = open_store(config)
    named = [(each.annotations[REF_NAME], each) for each in store.manifests() if REF_NAME in each.annotations]
    for name, descriptor in sorted(named, key=lambda pair: pair[0]):
        yield name, Found(LayoutCollection(store), descriptor).read()


def _by_hex(store: Layout, manifests: list[Descriptor], digits: str) -> Found | None:
    fitting = {
        each.digest: each for each in manifests if each.digest.hex.startswith(digits) or _has_id(store, each, digits)
    }
    if len(fitting) > 1:
        raise SourceError(
            f"{digits} is the beginning of several images", where="the local store", hint="give more digits"
        )
    return next((Found(LayoutCollection(store), each) for each in fitting.values()), None)


def _has_id(store: Layout, descriptor: Descriptor, digits: str) -> bool:
    try:
        whole = Found(LayoutCollection(store), descriptor).read()
    except CrateError:
        return False
    return any(image.id.hex.startswith(digits) for image in whole.images)
