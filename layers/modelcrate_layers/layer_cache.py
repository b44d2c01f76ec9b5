"""What is remembered of recipes, so that an unchanged layer is neither read nor made again.

A fact is one small file under the key of the recipe, with a checksum: a fact that is damaged is no fact. Facts are never
believed beyond their key; whoever sends bytes still holds them to their digest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from modelcrate_layers.atomic import file_lock, write_file
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import as_machine_error
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry

_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LayerCache:
    """Facts in a folder."""

    root: Path

    def get(self, key: Digest) -> Layer | None:
        """The layer that a recipe with this key gave, or None."""
        return _read(self._path(key))

    def facts(self) -> Iterator[tuple[Path, Layer | None]]:
        """Every file in the folder, with the layer that it remembers; None for one that can't be believed."""
        for path in sorted(self.root.rglob("*")):
            if path.is_file():
                yield path, _read(path)

    def put(self, key: Digest, layer: Layer) -> None:
        """Remember a layer."""
        fact = canonical_json(layer.json())
        path = self._path(key)
        with as_machine_error(self.root):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, b"%b\n%b" % (str(Digest.of(fact)).encode(), fact))

    @contextmanager
    def making(self, key: Digest) -> Iterator[None]:
        """While a layer is made: who wants the same one meanwhile, in whatever process, waits, and finds it in the memo then."""
        path = self._path(key).with_suffix(".making")
        with ExitStack() as stack:
            with as_machine_error(self.root):
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(file_lock(path))
            yield

    def _path(self, key: Digest) -> Path:
        return self.root / key.hex[:2] / f"{key.hex}.json"


def _read(path: Path) -> Layer | None:
    with suppress(OSError, CrateError):
        checksum, _, fact = path.read_bytes().partition(b"\n")
        if checksum == str(Digest.of(fact)).encode():
            return Layer.parse(parse_object(fact))
    return None


def settled(entries: Iterable[Entry], now_ns: int | None = None) -> bool:
    """Whether the stamps of these files can be trusted later: none is so young that another write could leave it as it is.

    Git calls such files racily clean. File systems with fine times need a tenth of a second, those with whole seconds two.
    """
    now = time.time_ns() if now_ns is None else now_ns
    stamps = [entry.source.stamp for entry in entries if isinstance(entry.source, FileRange)]
    coarse = bool(stamps) and all(stamp.mtime_ns % _SECOND == 0 for stamp in stamps)
    margin = 2 * _SECOND if coarse else _SECOND // 10
    return all(max(stamp.mtime_ns, stamp.ctime_ns) < now - margin for stamp in stamps)
