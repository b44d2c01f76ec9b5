"""Compares two images: config, layers, packages, models, files, tensors. Only layers whose tars differ are fetched and read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from modelcrate.images.image import Image, ImageLayer
from modelcrate.inspect import explain
from modelcrate.inspect.explain import Explanation
from modelcrate.modelfiles import summary
from modelcrate_layers.content import canonical_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import Member, MemberKind, read_tar
from modelcrate_layers.tar.tree import show

State = Literal["added", "removed", "changed"]

_APART = frozenset({"rootfs", "history"})
"""Members of a config that describe the layers."""


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """A value of the config that differs. The values are JSON, or empty where one image has none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """One entry of a layer. `sha256` is the digest of a file's bytes, `link` the target of a link."""

    kind: str
    mode: int
    owner: str
    size: int
    sha256: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class EntryDifference:
    """A path that differs."""

    path: str
    state: State
    before: EntryFacts | None = None
    after: EntryFacts | None = None

    @property
    def how(self) -> str:
        """The difference in a few words: `size 3 -> 5, sha256 ab12... -> cd34...`."""
        if self.before is None or self.after is None:
            return self.state
        return ", ".join(
            f"{name} {_short(name, old)} -> {_short(name, new)}"
            for name in ("kind", "mode", "owner", "size", "sha256", "link")
            if (old := getattr(self.before, name)) != (new := getattr(self.after, name))
        )


@dataclass(frozen=True, slots=True)
class HeaderDifference:
    """A tensor, or another value in the header of a model file, that differs. It is empty where one of the files has none."""

    path: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences between two images. `layers` has all layers of both, the other members only what differs."""

    config: tuple[SettingDifference, ...]
    layers: tuple[Explanation, ...]
    packages: tuple[str, ...]
    models: tuple[str, ...]
    files: tuple[EntryDifference, ...] = field(repr=False)
    tensors: tuple[HeaderDifference, ...] = field(repr=False)

    @property
    def same(self) -> bool:
        """Whether containers of both images would be the same."""
        return not self.config and not self.files and all(line.state == "same" for line in self.layers)


def diff(old: Image, new: Image) -> Difference:
    """Compares all levels of two images.

    Raises:
        IntegrityError: A layer that differs is damaged.
    """
    lines = tuple(explain.explain(old, new))
    before, after = map(_entries, select_differing_layers(old, new))
    return Difference(
        tuple(compare_configs(old.settings, new.settings)),
        lines,
        tuple(explain.compare_inputs(_inputs(old), _inputs(new))),
        tuple(f"{line.name}: {_describe(line)}" for line in lines if line.role == "model" and line.state != "same"),
        tuple(_files(before, after)),
        tuple(_tensors(before, after)),
    )


def compare_configs(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[SettingDifference]:
    """Yields the differences between two configs by dotted names. Environment variables are compared one by one."""
    before, after = dict(_flat(old)), dict(_flat(new))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield SettingDifference(name, before.get(name, ""), after.get(name, ""))


def select_differing_layers(old: Image, new: Image) -> tuple[list[ImageLayer], list[ImageLayer]]:
    """Returns, for each image, the layers whose tars the other does not have."""
    first, second = ({layer.layer.diff_id for layer in image.layers} for image in (old, new))
    return (
        [each for each in old.layers if each.layer.diff_id not in second],
        [each for each in new.layers if each.layer.diff_id not in first],
    )


def compare_files(old: Iterable[ImageLayer], new: Iterable[ImageLayer]) -> Iterator[EntryDifference]:
    """Yields the differences between the entries of two stacks of layers, by path. Upper layers hide lower ones."""
    return _files(_entries(old), _entries(new))


def _files(before: _Entries, after: _Entries) -> Iterator[EntryDifference]:
    for path in sorted({*before, *after}):
        one, other = before.get(path, _NOTHING)[0], after.get(path, _NOTHING)[0]
        if one != other:
            state: State = "added" if one is None else "removed" if other is None else "changed"
            yield EntryDifference(show(path), state, one, other)


def _tensors(before: _Entries, after: _Entries) -> Iterator[HeaderDifference]:
    """Yields the differences in the headers of model files that both images have."""
    for path in sorted(before.keys() & after.keys()):
        one, other = before[path][1], after[path][1]
        for name in sorted({*one, *other}):
            if one.get(name) != other.get(name):
                yield HeaderDifference(show(path), name, one.get(name, ""), other.get(name, ""))


_Entries = Mapping[bytes, tuple[EntryFacts | None, summary.Summary]]
_NOTHING: tuple[None, summary.Summary] = None, {}


def _entries(layers: Iterable[ImageLayer]) -> _Entries:
    found: dict[bytes, tuple[EntryFacts | None, summary.Summary]] = {}
    for layer in layers:
        for member in read_tar(codecs.decode(layer.blob.chunks()), held=True):
            found[member.name.removeprefix(b"./").rstrip(b"/")] = _facts(member, model=layer.role == "model")
    return found


def _facts(member: Member, *, model: bool) -> tuple[EntryFacts, summary.Summary]:
    """Returns an entry, and the header of a model file if the layer is a model's. The content is read once."""
    hashed = hashlib.sha256()
    faults: list[CrateError] = []

    def hashed_body() -> Iterator[bytes]:
        try:
            for chunk in member.body:
                hashed.update(chunk)
                yield chunk
        except CrateError as fault:  # damage of the layer; a reader of model files must not hide it
            faults.append(fault)
            raise

    body = hashed_body()
    file = model and member.kind is MemberKind.FILE
    header = summary.summarise(show(member.name), member.size, body) if file else {}
    for _ in body:
        pass
    if faults:
        raise faults[0]
    digest = hashed.hexdigest() if member.kind is MemberKind.FILE else ""
    owner = f"{member.uid}:{member.gid}"
    return EntryFacts(member.kind.name.lower(), member.mode, owner, member.size, digest, show(member.link)), header


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if name == "config" and isinstance(value, dict):
            for inner, setting in value.items():
                if inner == "Env" and isinstance(setting, list):
                    yield from ((f"Env {key}", text) for key, _, text in (str(line).partition("=") for line in setting))
                else:
                    yield inner, canonical_json(setting).decode()
        elif name not in _APART:
            yield name, canonical_json(value).decode()


def _inputs(image: Image) -> list[str]:
    """Returns the packages of an image: the inputs of its base and its dependencies."""
    return [text for each in image.layers if each.role in ("base", "dependencies") for text in each.layer.inputs]


def _describe(line: Explanation) -> str:
    return f"{line.state}, {line.cause}" if line.cause else line.state


def _short(name: str, value: object) -> str:
    if name == "mode":
        return f"{value:04o}"
    return f"{str(value)[:12]}..." if name == "sha256" else str(value)
