"""Reads a tar of a root file system as a base of one layer.

Plain, gzip and zstd tars are used as they are. xz and bzip2, which the image specification does not have, are compressed anew.
"""

from __future__ import annotations

from pathlib import Path

from modelcrate.config import Config
from modelcrate.events import Emit, ignore_event, track_chunks
from modelcrate.home.folder import open_store
from modelcrate.images.image import ImageLayer
from modelcrate_layers.content import Blob, Descriptor, Digest, canonical_json
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.store import FileBlob
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.codec import Codec
from modelcrate_layers.tar.recipe import Layer, Measuring, Tally
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import file


def read_rootfs(path: Path, config: Config, emit: Emit = ignore_event) -> ImageLayer:
    """Returns the layer; the file is read only if its stamp (inode, size, times) is new."""
    source = FileRange.of_file(str(path))
    stamp = source.stamp
    key = Digest.of(canonical_json(["rootfs", str(path), stamp.inode, stamp.size, stamp.mtime_ns, stamp.ctime_ns]))
    layer = config.layer_cache.get(key)
    if layer is None or (
        layer.codec.name == "zstd" and _stored_anew(path) and not open_store(config).has(layer.descriptor)
    ):
        layer = _read(source, config, emit)
        if settled([file(b"rootfs", source)]):
            config.layer_cache.put(key, layer)
    blob: Blob = open_store(config).blob(layer.descriptor) if _stored_anew(path) else FileBlob(path, layer.descriptor)
    return ImageLayer("base", path.name, layer, blob, "reused", "a root file system")


def _read(source: FileRange, config: Config, emit: Emit) -> Layer:
    chunks = track_chunks(source.chunks(), f"read {Path(source.path).name}", source.size, emit)
    if _stored_anew(Path(source.path)):
        measuring = Measuring(codecs.decode(chunks), codecs.zstd())
        open_store(config).take(measuring, lambda: measuring.descriptor)
        return measuring.layer
    packed, plain = Tally(), Tally()
    for _ in plain.passing(codecs.decode(packed.passing(chunks))):
        pass
    codec = Codec(_packing(Path(source.path)))
    return Layer(Descriptor(codec.media_type, packed.digest, packed.size), plain.digest, plain.size, codec)


def _packing(path: Path) -> str:
    with open_named_file(path) as archive:
        return codecs.sniff(archive.read(6))


def _stored_anew(path: Path) -> bool:
    return _packing(path) in ("xz", "bzip2")
