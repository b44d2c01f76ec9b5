"""Verifies all bytes of an image: digests, sizes, diff ids, the lengths and codecs of its tars, and tables of them. The image may be any tool's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from modelcrate.images.image import ANNOTATION
from modelcrate.images.layer_table import read_table
from modelcrate.images.manifests import MAX_DEPTH, SOCI_INDEX, parse_document
from modelcrate.images.reading import Found, named_codec
from modelcrate.images.soci import SociTable, tables_of
from modelcrate.inspect.verify_tables import compare_table, make_ztoc_again
from modelcrate.net.errors import NotFound
from modelcrate_layers.content import Descriptor, Digest, MediaType, parse_object, verified
from modelcrate_layers.errors import CrateError, IntegrityError, RegistryError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.recipe import Tally


@dataclass(frozen=True, slots=True)
class ByteCheck:
    """The numbers of documents, blobs and bytes that were read, the mismatches that were found, and what could not be compared."""

    documents: int
    blobs: int
    bytes: int
    mismatches: tuple[str, ...]
    unchecked: tuple[str, ...] = ()


@dataclass(slots=True)
class _Run:
    """One walk over an image. Not frozen: its counts and mismatches grow."""

    found: Found
    visited: set[Digest] = field(default_factory=set)
    documents: int = 0
    blobs: int = 0
    total: int = 0
    mismatches: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    tars: dict[Digest, Descriptor] = field(default_factory=dict)
    tables: list[SociTable] = field(default_factory=list)

    @contextmanager
    def noting(self, what: str) -> Iterator[None]:
        """Adds an error about bytes, or about missing ones, to the mismatches. An error of the registry ends the walk."""
        try:
            yield
        except CrateError as fault:
            if isinstance(fault, RegistryError) and not isinstance(fault, NotFound):
                raise
            self.mismatches.append(f"{what}: {fault.what}" + (f" ({fault.why})" if fault.why else ""))

    def document(self, descriptor: Descriptor, depth: int = 0) -> None:
        if descriptor.digest in self.visited:
            return
        self.visited.add(descriptor.digest)
        if depth > MAX_DEPTH:
            raise IntegrityError(f"indexes nested more than {MAX_DEPTH} deep", where=self.found.collection.where)
        kind = "index" if descriptor.media_type in MediaType.INDEXES else "manifest"
        with self.noting(f"{kind} {descriptor.digest}"):
            document = parse_document(self.read(descriptor), descriptor, self.found.collection.where)
            self.documents += 1
            if kind == "index":
                for each in document["manifests"]:
                    self.document(Descriptor.parse(each), depth + 1)
            else:
                self.manifest(document)

    def manifest(self, document: dict[str, Any]) -> None:
        config = Descriptor.parse(document.get("config"))
        layers = [Descriptor.parse(each) for each in document.get("layers") or []]
        diff_ids: list[Digest | None] = [None] * len(layers)
        with self.noting(f"config {config.digest}"):
            data = self.read(config)
            self.blobs += 1
            if config.media_type in (MediaType.CONFIG, MediaType.DOCKER_CONFIG):
                claimed = _diff_ids(data)
                if len(claimed) != len(layers):
                    raise IntegrityError(f"has {len(claimed)} diff ids for {len(layers)} layers")
                diff_ids = [*claimed]
                self.tars |= {each.digest: each for each in layers}
        if config.media_type == SOCI_INDEX:
            self.tables += tables_of(document)
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            if layer.digest not in self.visited:
                self.visited.add(layer.digest)
                with self.noting(f"layer {layer.digest}"):
                    self.layer(layer, diff_id)

    def layer(self, descriptor: Descriptor, diff_id: Digest | None) -> None:
        stored = Tally()
        chunks = verified(stored.passing(self.found.collection.blob(descriptor).chunks()), descriptor)
        self.blobs += 1
        if diff_id is None:  # a layer of an artifact is not a tar
            for _ in chunks:
                pass
        else:
            head, chunks = _peeked(chunks)
            plain = Tally()
            tar = plain.passing(codecs.decode(chunks))
            entries = None
            with self.noting(f"layer {descriptor.digest}"):  # the tar is read in any case
                entries = read_table(self.found.collection.blob(descriptor), descriptor.annotations)
            if entries is not None:
                self.mismatches += (f"layer {descriptor.digest}: {each}" for each in compare_table(entries, tar))
            for _ in tar:
                pass
            self.mismatches += _differing(descriptor, diff_id, plain, codecs.sniff(head))
        self.total += stored.size

    def soci_table(self, table: SociTable) -> None:
        """Compares a table for soci-snapshotter with its layer."""
        layer = self.tars.get(table.layer)
        if layer is None:
            raise IntegrityError(f"is a table of {table.layer}, which is no layer of the image")
        if not table.ours:
            self.unchecked.append(f"table {table.descriptor.digest}: made by another tool, it can't be compared")
            return
        if (made := make_ztoc_again(self.found.collection.blob(layer))) != table.descriptor.digest:
            raise IntegrityError(f"is not the table of {table.layer}, which is {made}")

    def read(self, descriptor: Descriptor) -> bytes:
        data = b"".join(verified([self.found.collection.read(descriptor)], descriptor))
        self.total += len(data)
        return data


def verify_bytes(found: Found) -> ByteCheck:
    """Reads everything once, and lists every mismatch.

    Raises:
        RegistryError: The registry can't be reached, or refuses.
        SourceError: The place of the image can't be read.
    """
    run = _Run(found)
    run.document(found.descriptor)
    for table in run.tables:
        with run.noting(f"table {table.descriptor.digest}"):
            run.soci_table(table)
    return ByteCheck(run.documents, run.blobs, run.total, tuple(run.mismatches), tuple(run.unchecked))


def _differing(descriptor: Descriptor, diff_id: Digest, plain: Tally, name: str) -> Iterator[str]:
    what = f"layer {descriptor.digest}"
    if plain.digest != diff_id:
        yield f"{what}: its tar is not what the config says: claimed {diff_id}, computed {plain.digest}"
    claimed_size = descriptor.annotations.get(f"{ANNOTATION}layer.tar-size", "")
    if claimed_size and claimed_size != str(plain.size):
        yield f"{what}: its tar has {plain.size} bytes, and its annotation says {claimed_size}"
    if (claimed := named_codec(descriptor.media_type)) not in (None, name):
        yield f"{what}: it is stored as {name}, and its type says {claimed}"


def _diff_ids(data: bytes) -> list[Digest]:
    rootfs = parse_object(data).get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise IntegrityError("has no diff ids")
    return [Digest.parse(each) for each in diff_ids]


def _peeked(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 6:
            break

    return head, chain([head], chunks)
