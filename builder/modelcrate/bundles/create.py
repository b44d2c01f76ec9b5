"""Makes a bundle: images with all that is beside them, without what the receiver has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from modelcrate.bundles.additions import Additions, gather, stored
from modelcrate.bundles.inventory import Inventory, has_pieces, list_pieces
from modelcrate.bundles.notes import MAX_STEPS, NOTES, PACKAGES, TOOLS, Notes, Rebuild, package_member
from modelcrate.bundles.parts import LEAST_PART, write_parts
from modelcrate.bundles.pieces import Step, find_steps, lacking
from modelcrate.events import Emit, track_chunks
from modelcrate.images import artifact
from modelcrate.images.image import Graph
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, has_host
from modelcrate.transports import archive, archive_file
from modelcrate.transports.addresses import find, name_of
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Blob, Descriptor, Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.tree import Entry, directory, file

SMALL = 64 << 10
"""Bytes of a blob that is in a bundle even where the receiver has it: what is needed to look at images, and costs nothing."""

NOTHING = Additions()

WORTH = 0.9
"""The share of a layer that may be lacking from an earlier one; above it, the layer is sent whole."""


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was written.

    Attributes:
        paths: Its files.
        size: Their bytes.
        images: The digests of its images by their names.
        left_out: Bytes of blobs that the receiver has.
        rebuilt: Bytes of layers that the receiver makes of earlier ones, with what of them is in the bundle.
        packages: How many packages are in it, with those that the receiver has.
    """

    paths: tuple[Path, ...]
    size: int
    images: Mapping[str, Digest]
    left_out: int
    rebuilt: int
    packages: int = 0


@dataclass(frozen=True, slots=True)
class _Rebuilt:
    """A layer that is made of an earlier one."""

    blob: Blob = field(repr=False)
    old: Digest
    steps: tuple[Step, ...] = field(repr=False)


def create_bundle(
    addresses: Sequence[str],
    path: Path,
    connections: Connections,
    emit: Emit,
    inventory: Inventory | None = None,
    part: int | None = None,
    additions: Additions = NOTHING,
) -> Made:
    """Writes images, and the documents beside them, into a bundle. Their digests stay what they are.

    Args:
        addresses: The images: in registries, or in the local store.
        path: The file; with `part`, what the parts are called after.
        connections: The open connections.
        emit: Gets the progress.
        inventory: What the receiver has: it is left out, and layers are written as what changed in them.
        part: Bytes of a part; None for one file.
        additions: What it is to have besides.

    Raises:
        UserError: No image is named, two have one name, or the size of a part is too small.
        SourceError: There is no such image, or it lacks what it is to have beside it.
        MachineError: A file can't be written.
    """
    if part is not None and part < LEAST_PART:
        raise UserError(f"parts of {part} bytes are too small", hint="expected at least 1MiB, for instance --split 4GB")
    if not addresses:
        raise UserError("no image is named", hint="name one: HOST/REPOSITORY:TAG, or a name in the local store")
    images = {_name(address): find(address, connections) for address in addresses}
    if len(images) != len(addresses):
        raise UserError("an image is named twice", hint="name each image once")
    tool = additions.tool_blob()
    named = dict(_copied(images))
    for name, (_, graph) in named.items():
        additions.check(name, graph.attached)
    gathered = gather(images, additions, connections, emit)
    named |= dict(_copied(gathered.bases))
    graphs = {name: found[1] for name, found in named.items()}
    blobs = {blob.descriptor.digest: blob for graph in graphs.values() for blob in _blobs(graph)}
    known = inventory if inventory is not None else Inventory("")
    absent = {digest: known.blobs[digest] for digest, blob in blobs.items() if _is_there(blob.descriptor, known)}
    rest = {digest: blob for digest, blob in blobs.items() if digest not in absent}
    rebuilt = {each.blob.descriptor.digest: each for each in _rebuilt(rest.values(), known, emit)}
    kept = [blob for digest, blob in rest.items() if digest not in rebuilt]
    notes = Notes(
        known.place,
        absent | {each.old: known.blobs[each.old] for each in rebuilt.values()},
        {digest: Rebuild(each.old, each.steps) for digest, each in rebuilt.items()},
        tuple(gathered.packages.values()),
        {tool[0]: tool[1].descriptor} if tool is not None else {},
    )
    members = archive.layout_members(
        [archive.index_entry(graph.attached, root, name, name) for name, (root, graph) in named.items()],
        kept,
        [
            archive.json_entry(NOTES, notes.json()),
            *_folder(TOOLS, [(f"{TOOLS}/{name}".encode(), blob) for name, blob in [tool]] if tool else [], emit),
            *_folder(
                f"{PACKAGES}/sha256",
                [
                    (package_member(each), stored(each, connections))
                    for each in notes.packages
                    if each.sha256 not in known.packages
                ],
                emit,
            ),
            *_pieces(rebuilt.values(), emit),
        ],
        emit,
    )
    size = writer.Tar(members).size
    if part is None:
        archive_file.write(str(path), members)
        paths: tuple[Path, ...] = (path,)
    else:
        paths = write_parts(path, writer.stream(members), part)
    return Made(
        paths,
        size,
        {name: root.digest for name, (root, _) in named.items()},
        sum(each.size for each in absent.values()),
        sum(each.blob.descriptor.size for each in rebuilt.values()),
        len(notes.packages),
    )


def _copied(images: Mapping[str, Found]) -> Iterator[tuple[str, tuple[Descriptor, Graph]]]:
    for name, found in images.items():
        copy = found.copy()
        yield name, (copy.descriptor, copy.graph())


def _folder(folder: str, members: Iterable[tuple[bytes, Blob]], emit: Emit) -> Iterator[Entry]:
    """Yields a folder with files; nothing without a file."""
    found = [file(name, archive.BlobSource(blob, emit), 0o644) for name, blob in members]
    if found:
        above = folder.split("/")
        yield from (directory("/".join(above[: depth + 1]).encode(), 0o755) for depth in range(len(above)))
        yield from found


def _name(address: str) -> str:
    """Returns the name that an image has in a bundle: its reference, or its name in the local store."""
    text = name_of(address)
    if text is None:
        raise UserError(
            f"the image at {address!r:.200} has no name to be loaded under",
            hint=f"give it one: modelcrate copy {address} store:NAME:TAG, and name that",
        )
    reference = Reference.parse(text)  # a name of the store has the same grammar
    if reference.digest is None and reference.tag is None:
        reference = reference.tagged("latest")
    return str(reference) if has_host(text) else str(reference).partition("/")[2].removeprefix("library/")


def _blobs(graph: Graph) -> tuple[Blob, ...]:
    return (*graph.documents, *artifact.list_blobs(graph.attached), *graph.blobs)


def _is_there(descriptor: Descriptor, known: Inventory) -> bool:
    found = known.blobs.get(descriptor.digest)
    return found is not None and found.size == descriptor.size and descriptor.size > SMALL


def _rebuilt(blobs: Iterable[Blob], known: Inventory, emit: Emit) -> Iterator[_Rebuilt]:
    """Yields the layers that an earlier layer of the receiver has most of. Each layer is read once for that."""
    if not known.pieces:
        return
    left = MAX_STEPS  # what would take more is sent whole
    for blob in blobs:
        descriptor = blob.descriptor
        if not has_pieces(descriptor):
            continue
        pieces = list_pieces(blob, emit)
        ways = ((find_steps(pieces, descriptor.size, old), digest) for digest, old in known.pieces.items())
        steps, digest = min(ways, key=lambda way: (lacking(way[0]), str(way[1])))
        if lacking(steps) <= WORTH * descriptor.size and len(steps) <= left:
            left -= len(steps)
            yield _Rebuilt(blob, digest, tuple(steps))


def _pieces(rebuilt: Iterable[_Rebuilt], emit: Emit) -> Iterator[Entry]:
    found = [
        file(f"pieces/{digest.algorithm}/{digest.hex}".encode(), _Lacking(each, emit), 0o644)
        for each in rebuilt
        for digest in [each.blob.descriptor.digest]
    ]
    if found:
        yield from (directory(b"pieces", 0o755), directory(b"pieces/sha256", 0o755), *found)


@dataclass(frozen=True, slots=True)
class _Lacking:
    """What the earlier layer lacks of a layer, as the content of a member. See `tar.sources.Source`."""

    layer: _Rebuilt
    emit: Emit

    @property
    def size(self) -> int:
        """The number of bytes."""
        return lacking(self.layer.steps)

    def chunks(self) -> Iterator[bytes]:
        """Yields the bytes. The layer is read to its end, and verified."""
        blob, steps = self.layer.blob, iter(self.layer.steps)
        label = f"write changes of {blob.descriptor.digest.short}"
        left, wanted = 0, False
        for chunk in track_chunks(blob.chunks(), label, blob.descriptor.size, self.emit):
            rest = chunk
            while rest:
                if not left:
                    left, old = next(steps)
                    wanted = old is None
                taken = rest[:left]
                left, rest = left - len(taken), rest[left:]
                if wanted:
                    yield taken
