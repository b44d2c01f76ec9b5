"""What is in a layer, found in its files.

A layer that we are making is read by its entries, so that a model is not packed only to be unpacked; one that exists is read as the tar
that it is.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from modelcrate.images.blobs import DeferredBlob
from modelcrate.images.image import ImageLayer
from modelcrate.images.previous import RemoteContent
from modelcrate.security.sbom import installed, licences
from modelcrate.security.sbom.contents import LayerContents, ModelFile
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate_layers.content import CHUNK
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.model import MODELS, ROOT
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import MemberKind, read_tar
from modelcrate_layers.tar.recipe import RecipeBlob, Tally
from modelcrate_layers.tar.sources import FileRange, Source, sha256
from modelcrate_layers.tar.tree import Kind, show

if TYPE_CHECKING:
    from modelcrate.modelfiles.recognition import ModelFacts

MANY = 1_000
"""Files of a model in one layer that are told one by one. All are looked at, but of those behind them only what says something of itself is
told: a list of thirty thousand names would be larger than many a layer.
"""

MAX_STATUS = 64 << 20
MAX_TEXT = 4 << 20

_STATUS = re.compile(rb"var/lib/dpkg/(?:status|status\.d/(?!.*\.md5sums$)[^/]+)")
_METADATA = re.compile(rb"(?:.*/)?(?:site|dist)-packages/[^/]+\.dist-info/METADATA")
_CONDA = re.compile(rb"(?:.*/)?conda-meta/[^/]+\.json")
_COPYRIGHT = re.compile(rb"usr/share/doc/([^/]+)/copyright")
_MODEL = re.compile(re.escape(MODELS) + rb"/([^/]+)/([0-9]+)/(.+)")
_CARDS = frozenset({b"readme.md", b"modelcard.md", b"model_card.md"})
"""Model cards, at the top of a model, in small letters."""

_LICENCES = frozenset(
    word + ending for word in (b"license", b"licence", b"copying") for ending in (b"", b".md", b".txt", b".rst")
)
"""Files with a licence, wherever they are, in small letters."""


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """What is known of models' files that were read for something else: what they say of themselves, and their SHA-256."""

    facts: Mapping[FileRange, ModelFacts] = field(default_factory=dict, hash=False)
    hashes: Mapping[FileRange, str] = field(default_factory=dict, hash=False)


NO_FACTS = KnownFacts()


def scan_layer(layer: ImageLayer, learnt: KnownFacts = NO_FACTS) -> LayerContents:
    """A layer looked through: all its bytes are read, fetched where they lie elsewhere, and held to its diff id.

    Files of which enough was `learnt` already are not read again.
    """
    return _collected(_entries(layer), learnt)


def is_local(layer: ImageLayer) -> bool:
    """Whether a layer can be looked through without fetching anything."""
    blob = layer.blob
    if isinstance(blob, DeferredBlob):
        return _whole(blob) or blob.store.has(blob.descriptor)
    return not isinstance(blob, RemoteContent)


def _whole(blob: DeferredBlob) -> bool:
    """Whether all that the layer is made of lies here."""
    return not blob.kind.materials().missing()


class _Item(NamedTuple):
    """A file of a layer: where it will be, and its bytes, opened only when they are wanted. There are ten thousands of them."""

    path: bytes
    size: int
    body: Iterator[bytes] | Source

    def small(self, limit: int) -> bytes:
        if self.size > limit:
            return b""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        return self.body if isinstance(self.body, Iterator) else self.body.chunks()


def _entries(layer: ImageLayer) -> Iterator[_Item]:
    blob = layer.blob
    if isinstance(blob, DeferredBlob) and (_whole(blob) or not blob.store.has(blob.descriptor)):
        blob.fetch(blob.kind)
        tree = blob.kind.tree()
    elif isinstance(blob, RecipeBlob):
        tree = blob.recipe.tree
    else:
        yield from _members(layer)
        return
    for entry in tree.entries:
        if entry.kind is Kind.FILE and entry.source is not None:
            yield _Item(entry.path, entry.size, entry.source)


def _members(layer: ImageLayer) -> Iterator[_Item]:
    tally = Tally()
    for member in read_tar(tally.passing(codecs.decode(layer.blob.chunks())), held=True):
        if member.kind is MemberKind.FILE:
            yield _Item(member.name.removeprefix(b"./"), member.size, member.body)
    if tally.digest != layer.layer.diff_id:
        raise IntegrityError(
            f"a layer is not what its config says: claimed diff id {layer.layer.diff_id}, computed {tally.digest}"
        )


def _collected(items: Iterator[_Item], learnt: KnownFacts) -> LayerContents:
    parts: list[InstalledPackage] = []
    files: list[ModelFile] = []
    copyrights: dict[str, str] = {}
    met: Counter[str] = Counter()
    unlisted: Counter[str] = Counter()
    for item in items:
        if item.path.endswith(b"/METADATA") and _METADATA.fullmatch(item.path):
            parts += installed.wheel(item.small(MAX_TEXT))
        elif item.path.endswith(b".json") and _CONDA.fullmatch(item.path):
            parts += installed.conda(item.small(MAX_TEXT))
        elif match := _MODEL.fullmatch(item.path):
            name, version, inner = match.groups()
            model = f"{show(name)}:{version.decode()}"
            met[model] += 1
            file = _model_file(item, model, inner, learnt, met[model] > MANY)
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


def _model_file(item: _Item, model: str, name: bytes, learnt: KnownFacts, many: bool) -> ModelFile | None:
    """A file of a model; of `many`, None for one that says nothing of itself."""
    source = item.body if isinstance(item.body, FileRange) else None
    told = learnt.facts.get(source) if source else None
    if told is not None and many and not _telling(told, name):
        return None
    digest = learnt.hashes.get(source, "") if source else ""
    licence, card = "", name.lower() in _CARDS
    if told is None or not digest or card:
        with _opened(item, digest) as (handle, digest):
            if told is None:
                from modelcrate.modelfiles.recognition import facts_of  # it reads models, and most layers have none

                told = facts_of(handle, show(name), item.size)
            licence = _card_licence(handle, item.size) if card else ""
    if many and not _telling(told, name):
        return None
    said, verdict = dict(told.facts), _verdict(told)
    return ModelFile(show(item.path), item.size, digest, model, _format(told, name), said, verdict, licence)


def _telling(told: ModelFacts, name: bytes) -> bool:
    """Whether there is more to say of a file than that it is there."""
    return bool(_format(told, name) or told.facts or _verdict(told))


def _format(told: ModelFacts, name: bytes) -> str:
    small = name.lower()
    if small in _CARDS:
        return "model card"
    return "licence" if small.rpartition(b"/")[2] in _LICENCES else told.format


def _verdict(told: ModelFacts) -> str:
    return "damaged" if told.fault else told.verdict.name.lower() if told.pickles else ""


def _card_licence(handle: BinaryIO, size: int) -> str:
    """The `license:` of a model card's head."""
    handle.seek(0)
    text = handle.read(min(size, 64 << 10)).decode("utf-8", "replace")
    head = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
    match = re.search(r"(?m)^license:[ \t]*[\"']?([A-Za-z0-9.+-]{1,64})[\"']?[ \t]*$", head)
    return (licences.expression(match[1]) or licences.reference(match[1])) if match else ""


@contextmanager
def _opened(item: _Item, known: str = "") -> Iterator[tuple[BinaryIO, str]]:
    """A file of a layer to be read anywhere, with its SHA-256, unless that is known: in memory, where it is small; itself, where it lies
    here; else a nameless copy.
    """
    if item.size <= CHUNK:
        data = b"".join(item.chunks())
        yield BytesIO(data), hashlib.sha256(data).hexdigest()
        return
    body, digest = item.body, hashlib.sha256()
    there = isinstance(body, FileRange) and body.offset == 0 and body.size == body.stamp.size
    with open(body.path, "rb") if there and isinstance(body, FileRange) else TemporaryFile() as handle:
        for chunk in item.chunks() if not (there and known) else ():
            digest.update(chunk)
            if not there:
                handle.write(chunk)
        handle.seek(0)
        yield cast("BinaryIO", handle), known or digest.hexdigest()
