"""`soci:REF`: the image with SOCI indexes (`images.soci`), so that soci-snapshotter starts containers before their layers are there.

It is made from any image, by one pass over each layer that is large enough; the tables are remembered. The layers are the image's own: a registry that has them
gets documents and tables.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from modelcrate.config import Config
from modelcrate.events import Emit, Notice, track_chunks
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.image import Copy, Deliverable, ImageLayer
from modelcrate.images.soci import ZTOC, with_indexes
from modelcrate.transports import PLACE, parse_nested
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered, NameableOutput, Output
from modelcrate_layers.content import Literal
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.tar.spans import SPAN, UnsuitedLayerError
from modelcrate_layers.tar.ztoc import TOOL, make_ztoc

KIND = "soci"
EXAMPLE = PLACE

MIN_LAYER = 10 << 20
"""Bytes of a layer from which on it gets a table, as soci-snapshotter's own tool has it: a smaller one is pulled as fast as its table."""

RULES = 2
"""The version of what makes a layer unsuited: an answer of older rules is not believed."""

PLACES = frozenset({"registry", "oci", "oci-archive", "store"})
"""Outputs that can have an index with a manifest that is no image."""


def parse(target: str) -> SociOutput:
    """Returns the output for a target of the command line."""
    return SociOutput(KIND, parse_nested(KIND, target, PLACES), target)


@dataclass(frozen=True, slots=True)
class SociOutput:
    """An output for an image with SOCI indexes, at a place that is an output itself.

    Attributes:
        kind: Its kind.
        place: Where the image goes.
        target: The place, in the user's words.
        rows: Whether rows of gzip members get tables.
    """

    kind: str
    place: Output
    target: str
    rows: bool = False

    def with_name(self, name: str) -> SociOutput:
        """Returns the output whose place has a name."""
        return replace(self, place=self.place.with_name(name)) if isinstance(self.place, NameableOutput) else self

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Makes the indexes, and writes the image with them. See `Output.deliver`.

        Raises:
            UserError: There is no image.
            SourceError: No layer can have a table.
        """
        made = self._indexed(image, connections.config, emit)
        if image.graph().attached:
            emit(
                Notice(
                    f"{self.kind}:{self.target} has a digest of its own: signatures and bills of materials stay beside the image without indexes; "
                    "modelcrate sign signs this one"
                )
            )
        return replace(self.place.deliver(made, connections, emit), kind=self.kind, target=self.target)

    def _indexed(self, image: Deliverable, config: Config, emit: Emit) -> Copy:
        if not image.images:
            raise UserError(
                "there is no image in it, so nothing to make indexes for",
                where=f"{self.kind}:{self.target}",
                hint="name an image; artifacts are copied as they are: modelcrate copy",
            )
        layers = {layer.descriptor.digest: layer for each in image.images for layer in each.layers}
        large = [each for each in layers.values() if each.descriptor.size >= MIN_LAYER]
        results = ResultCache(config.home / "soci")
        with ThreadPoolExecutor(config.workers, "soci") as pool:
            made = [*pool.map(lambda each: _table(each, self.rows, results, emit), large)]
        tables = {
            each.descriptor.digest: table for each, table in zip(large, made, strict=True) if isinstance(table, Literal)
        }
        left_out = [f"{_title(each)} {why}" for each, why in zip(large, made, strict=True) if isinstance(why, str)]
        if not tables:
            raise SourceError(
                "no layer can have a SOCI index",
                where=f"{self.kind}:{self.target}",
                why="; ".join(left_out)
                or f"all layers are smaller than {MIN_LAYER >> 20} MiB, and are pulled as fast without",
            )
        for each in left_out:
            emit(Notice(f"pulled as a whole: {each}"))
        return with_indexes(image.images, tables)


def _table(layer: ImageLayer, rows: bool, results: ResultCache, emit: Emit) -> Literal | str:
    """Returns the table of a layer, or why it has none."""
    plain = layer.descriptor
    key = {"layer": str(plain.digest), "rows": rows, "span": SPAN, "tool": TOOL}
    unsuited = {**key, "unsuited": RULES}
    if (known := results.get(key)) is not None:
        return Literal(known, ZTOC)
    if (why := results.get(unsuited)) is not None:
        return why.decode()
    chunks = track_chunks(layer.blob.chunks(), f"index {plain.digest.short}", plain.size, emit)
    try:
        data = make_ztoc(chunks, layer.layer.codec.name, rows=rows)
    except UnsuitedLayerError as fault:
        results.put(unsuited, fault.what.encode())
        return fault.what
    results.put(key, data)
    return Literal(data, ZTOC)


def _title(layer: ImageLayer) -> str:
    return f"{layer.role} {layer.name}" if layer.name else f"the layer {layer.descriptor.digest.short}"
