"""Finds the contents of a layer in its files.

A layer that is being built is read by its entries, so a model is not packed and unpacked again. An existing layer is read as a tar.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from modelcrate.images.blobs import DeferredBlob
from modelcrate.images.image import ImageLayer
from modelcrate.images.previous import RemoteContent
from modelcrate.security.sbom import installed, licences
from modelcrate.security.sbom.contents import LayerContents, ModelFile
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import NamedTuple, dataclass, field
from modelcrate_layers.kinds.model import CAR, MODELS, ROOT
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import MemberKind, read_tar
from modelcrate_layers.tar.recipe import RecipeBlob, Tally
from modelcrate_layers.tar.sources import FileRange, Source, sha256
from modelcrate_layers.tar.tree import Kind, show

if TYPE_CHECKING:
    from modelcrate.modelfiles.facts import ModelFacts

MANY = 1_000
"""Files of one model in a layer that are listed one by one. Of further files only those with facts are listed, and the others are counted:
a list of 30,000 names would be larger than many layers. All files are read.
"""

MAX_STATUS = 64 << 20
MAX_TEXT = 4 << 20

_STATUS = compile_later(rb"var/lib/dpkg/(?:status|status\.d/(?!.*\.md5sums$)[^/]+)")
_METADATA = compile_later(rb"(?:.*/)?(?:site|dist)-packages/[^/]+\.dist-info/METADATA")
_CONDA = compile_later(rb"(?:.*/)?conda-meta/[^/]+\.json")
_COPYRIGHT = compile_later(rb"usr/share/doc/([^/]+)/copyright")
_MODEL = compile_later(re.escape(MODELS) + rb"/([^/]+)/([0-9]+)/(.+)")
_CARDS = frozenset({b"readme.md", b"modelcard.md", b"model_card.md"})
"""Names of model cards in a model's top folder, in lower case."""

_LICENCES = frozenset(
    word + ending for word in (b"license", b"licence", b"copying") for ending in (b"", b".md", b".txt", b".rst")
)
"""Names of licence files in any folder, in lower case."""


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """Facts about models' files that another step has read.

    Attributes:
        facts: Facts from their headers.
        hashes: SHA-256 in hex.
    """

    facts: Mapping[FileRange, ModelFacts] = field(default_factory=dict, hash=False)
    hashes: Mapping[FileRange, str] = field(default_factory=dict, hash=False)


NO_FACTS = KnownFacts()


def scan_layer(layer: ImageLayer, known_facts: KnownFacts = NO_FACTS) -> LayerContents:
    """Returns the contents of a layer. A remote layer is fetched.

    Args:
        layer: The layer.
        known_facts: Facts about files; a file with all its facts is not read again.

    Raises:
        IntegrityError: An existing layer differs from its diff id.
    """
    own = layer.name.partition(" ")[0] if layer.role == "model" else ""
    return _collected(layer_files(layer), known_facts, own)


def is_local(layer: ImageLayer) -> bool:
    """Returns whether a layer can be read without a download."""
    blob = layer.blob
    if isinstance(blob, DeferredBlob):
        return _materials_local(blob) or blob.store.has(blob.descriptor)
    return not isinstance(blob, RemoteContent)


def _materials_local(blob: DeferredBlob) -> bool:
    """Returns whether all inputs of the layer are on this machine."""
    return not blob.kind.materials().missing()


class LayerFile(NamedTuple):
    """A file of a layer: its path in the image, and its bytes, which are opened only when they are needed. A layer may have 10,000s."""

    path: bytes
    size: int
    body: Iterator[bytes] | Source

    def small(self, limit: int) -> bytes:
        """Returns the bytes; none of a file with more than `limit`."""
        if self.size > limit:
            return b""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Returns the bytes. Those of a member of a tar can be read once, and only until the next file is taken."""
        return self.body if isinstance(self.body, Iterator) else self.body.chunks()


def layer_files(layer: ImageLayer) -> Iterator[LayerFile]:
    """Yields the regular files of a layer: of its entries if it is being built, else of its tar, which is held to its diff id.

    Raises:
        IntegrityError: An existing layer is damaged, or differs from its diff id.
    """
    blob = layer.blob
    if isinstance(blob, DeferredBlob) and (_materials_local(blob) or not blob.store.has(blob.descriptor)):
        blob.fetch(blob.kind)
        tree = blob.kind.tree()
    elif isinstance(blob, RecipeBlob):
        tree = blob.recipe.tree
    else:
        yield from _members(layer)
        return
    for entry in tree.entries:
        if entry.kind is Kind.FILE and entry.source is not None:
            yield LayerFile(entry.path, entry.size, entry.source)


def _members(layer: ImageLayer) -> Iterator[LayerFile]:
    tally = Tally()
    for member in read_tar(tally.passing(codecs.decode(layer.blob.chunks())), held=True):
        if member.kind is MemberKind.FILE:
            yield LayerFile(member.name.removeprefix(b"./"), member.size, member.body)
    if tally.digest != layer.layer.diff_id:
        raise IntegrityError(
            f"a layer differs from its config: claimed diff id {layer.layer.diff_id}, computed {tally.digest}"
        )


def _collected(items: Iterator[LayerFile], known_facts: KnownFacts, own: str) -> LayerContents:
    """Returns what the files of a layer say. In a modelcar's layer, files below `models` are of the model `own` (`NAME:VERSION`)."""
    parts: list[InstalledPackage] = []
    files: list[ModelFile] = []
    copyrights: dict[str, str] = {}
    counts: Counter[str] = Counter()
    unlisted: Counter[str] = Counter()
    for item in items:
        if item.path.endswith(b"/METADATA") and _METADATA.fullmatch(item.path):
            parts += installed.wheel(item.small(MAX_TEXT))
        elif item.path.endswith(b".json") and _CONDA.fullmatch(item.path):
            parts += installed.conda(item.small(MAX_TEXT))
        elif (match := _MODEL.fullmatch(item.path)) or (own and item.path.startswith(CAR + b"/")):
            model, inner = own, item.path[len(CAR) + 1 :]
            if match:
                model, inner = f"{show(match[1])}:{match[2].decode()}", match[3]
            counts[model] += 1
            file = _model_file(item, model, inner, known_facts, counts[model] > MANY)
            if file is None:
                unlisted[model] += 1
            else:
                files.append(file)
        elif _STATUS.fullmatch(item.path):
            parts += installed.debs(item.small(MAX_STATUS))
        elif match := _COPYRIGHT.fullmatch(item.path):
            copyrights[show(match[1])] = licences.of_debian(item.small(MAX_TEXT).decode("utf-8", "replace"))
        elif item.path.startswith(ROOT + b"/"):
            files.append(ModelFile(show(item.path), item.size, sha256(item)))
    unique = {(each.kind, each.name, each.version, each.architecture): each for each in parts}
    ordered = sorted(unique.values(), key=lambda each: (each.kind, each.name, each.version))
    return LayerContents(
        tuple(ordered),
        tuple(sorted(files, key=lambda each: each.path)),
        {k: v for k, v in sorted(copyrights.items()) if v},
        dict(sorted(unlisted.items())),
    )


def _model_file(item: LayerFile, model: str, name: bytes, known_facts: KnownFacts, many: bool) -> ModelFile | None:
    """Returns a file of a model. If the model has `many` files, None for one without facts."""
    source = item.body if isinstance(item.body, FileRange) else None
    facts = known_facts.facts.get(source) if source else None
    if facts is not None and many and not _has_facts(facts, name):
        return None
    digest = known_facts.hashes.get(source, "") if source else ""
    licence, card = "", name.lower() in _CARDS
    if facts is None or not digest or card:
        with _opened(item, digest) as (handle, digest):
            if facts is None:
                from modelcrate.modelfiles.recognition import facts_of  # a slow import, and most layers have no models

                facts = facts_of(handle, show(name), item.size)
            licence = _card_licence(handle, item.size) if card else ""
    if many and not _has_facts(facts, name):
        return None
    return ModelFile(
        show(item.path), item.size, digest, model, _format(facts, name), dict(facts.facts), _verdict(facts), licence
    )


def _has_facts(facts: ModelFacts, name: bytes) -> bool:
    """Returns whether more than its path is known about a file."""
    return bool(_format(facts, name) or facts.facts or _verdict(facts))


def _format(facts: ModelFacts, name: bytes) -> str:
    lower = name.lower()
    if lower in _CARDS:
        return "model card"
    return "licence" if lower.rpartition(b"/")[2] in _LICENCES else facts.format


def _verdict(facts: ModelFacts) -> str:
    return "damaged" if facts.fault else facts.verdict.name.lower() if facts.pickles else ""


def _card_licence(handle: BinaryIO, size: int) -> str:
    """Returns the licence in the YAML header of a model card; empty if it has none."""
    handle.seek(0)
    text = handle.read(min(size, 64 << 10)).decode("utf-8", "replace")
    head = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    match = re.search(r"(?m)^license:[ \t]*[\"']?([A-Za-z0-9.+-]{1,64})[\"']?[ \t]*$", head)
    return (licences.expression(match[1]) or licences.reference(match[1])) if match else ""


@contextmanager
def _opened(item: LayerFile, known: str = "") -> Iterator[tuple[BinaryIO, str]]:
    """Opens a file of a layer for random access, and returns it with its SHA-256.

    A small file is read into memory, a whole file on this machine is opened itself, and any other is copied to a temporary file.
    """
    if item.size <= CHUNK:
        data = b"".join(item.chunks())
        yield BytesIO(data), hashlib.sha256(data).hexdigest()
        return
    body, digest = item.body, hashlib.sha256()
    in_place = isinstance(body, FileRange) and body.offset == 0 and body.size == body.stamp.size
    with open(body.path, "rb") if in_place and isinstance(body, FileRange) else TemporaryFile() as handle:
        for chunk in item.chunks() if not (in_place and known) else ():
            digest.update(chunk)
            if not in_place:
                handle.write(chunk)
        handle.seek(0)
        yield cast("BinaryIO", handle), known or digest.hexdigest()
