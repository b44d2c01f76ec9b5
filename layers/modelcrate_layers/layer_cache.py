"""What is remembered of recipes, so that an unchanged layer is neither read nor made again.

A layer is one record (see `records`) under the key of its recipe. It is trusted for its key only: bytes that are sent are held to
their digest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from modelcrate_layers.atomic import file_lock
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.records import MARKER, read_record, write_record
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Measured layers in a folder."""

    root: Path

    def get(self, key: Digest) -> Layer | None:
        """Returns the layer that a recipe with this key gave, or None."""
        return self._layer(_name(key))

    def facts(self) -> Iterator[tuple[Path, Layer | None]]:
        """Yields every file in the folder, with the layer that it remembers; None for one that is not valid."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.name != MARKER:
                yield path, self._layer(str(path.relative_to(self.root)))

    def put(self, key: Digest, layer: Layer) -> None:
        """Remembers a layer."""
        with as_machine_error(self.root):
            write_record(self.root, _name(key), canonical_json(layer.json()))

    @contextmanager
    def making(self, key: Digest) -> Iterator[None]:
        """Waits until no other thread or process makes the layer with this key, and keeps others from making it meanwhile."""
        path = (self.root / _name(key)).with_suffix(".making")
        with ExitStack() as stack:
            with as_machine_error(self.root):
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(path))
            yield

    def _layer(self, name: str) -> Layer | None:
        data = read_record(self.root, name)
        with suppress(CrateError):
            return None if data is None else Layer.parse(parse_object(data))
        return None


def _name(key: Digest) -> str:
    return f"{key.hex[:2]}/{key.hex}.json"


def settled(entries: Iterable[Entry], now_ns: int | None = None) -> bool:
    """Returns whether the stamps of these files can be trusted later: none is so young that another write could leave it as it is.

    Git calls such files racily clean. File systems with fine times need a tenth of a second, those with whole seconds two.
    """
    now = time.time_ns() if now_ns is None else now_ns
    stamps = [entry.source.stamp for entry in entries if isinstance(entry.source, FileRange)]
    coarse = bool(stamps) and all(stamp.mtime_ns % _SECOND == 0 for stamp in stamps)
    margin = 2 * _SECOND if coarse else _SECOND // 10
    return all(max(stamp.mtime_ns, stamp.ctime_ns) < now - margin for stamp in stamps)
