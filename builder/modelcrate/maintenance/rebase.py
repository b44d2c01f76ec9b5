"""Puts an image onto another base: manifest work, after a proof that what is above the base runs on the new one.

What is proved, from the bytes of both bases and of the image:

- the platform is the same, and so is the Python: its place, and its version, major and minor;
- the C library is of the same kind and not older;
- every library that a file above the base needs, and that the old base gave, is in the new base with the same versions of symbols;
- the standard library has no module less.

What a program starts or opens by itself is not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from copy import copy
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

from modelcrate.events import Emit
from modelcrate.images.image import DEFAULT_VARIANT, MAX_IMAGE_LAYERS, Image, ImageLayer, Index, combine, replaced
from modelcrate.images.image_config import BASE_DIGEST, BASE_NAME, environment
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference
from modelcrate.maintenance.libraries import NO_LIBRARIES, LayerLibraries, Libraries, read_libraries
from modelcrate.maintenance.settings import move_settings
from modelcrate.net.keyed_lock import KeyedLock
from modelcrate.resolve.base_python import Interpreter, Libc, find_libc, interpreters, lacking_modules
from modelcrate.resolve.find_python import Look, look_at
from modelcrate.transports.addresses import find as find_image
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import find
from modelcrate_layers.content import Digest, Literal, MediaType, Platform, canonical_json, parse_object
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, field, replace

_OF_A_PROJECT = frozenset({"server", "model", "entry"})
"""Roles of layers that are no base's."""


class _Memory:
    """What was found for the first of many images. It is not a value: it grows. Of threads that want the same, one finds it."""

    def __init__(self) -> None:
        self._locks, self._found = KeyedLock(), dict[object, object]()

    def of(self, key: Hashable, find: Callable[[], object]) -> object:
        with self._locks.hold(key):
            if key not in self._found:
                self._found[key] = find()
            return self._found[key]


@dataclass(frozen=True, slots=True)
class NewBase:
    """A base to put images onto: what was found at an address, and the name that images get for it."""

    found: Found
    name: str
    _known: _Memory = field(default_factory=_Memory, repr=False, compare=False)

    @classmethod
    def at(cls, address: str, connections: Connections) -> NewBase:
        """Finds a base. Images get its address as the name of their base, without a digest."""
        return cls(find_image(address, connections), address.removeprefix("registry:").partition("@")[0])

    def image(self, platform: Platform) -> Image:
        """Returns the image for a platform, which is read once.

        Raises:
            UserError: It is no base: it has a model or a program of its own, which would be in every image on it.
        """
        return cast("Image", self._known.of(platform, lambda: self._base(platform)))

    def _base(self, platform: Platform) -> Image:
        image = self.found.image(platform)
        own = [each.role for each in image.layers if each.role in _OF_A_PROJECT]
        if own:
            below = image.annotations.get(BASE_NAME)
            raise UserError(
                f"{self.name} is the image of a project and no base: it has layers of its own ({', '.join(dict.fromkeys(own))})",
                hint=f"name what is below it: --onto {below}"
                if below
                else "name an image that has a system and Python alone",
            )
        return image

    def prove(self, above: Mapping[Digest, LayerLibraries], before: Side, after: Side, bases: Hashable) -> None:
        """Proves that layers of images run on this base. That is done once for the same layers.

        Args:
            above: What the layers have for the dynamic linker, lowest first.
            before: The old base.
            after: This one.
            bases: The digests of both.

        Raises:
            IntegrityError: They do not; each reason is named.
        """

        def find() -> tuple[CrateError, ...]:
            libraries = Libraries.of(above.values())
            return (*_python_faults(before, after, self.name), *_library_faults(libraries, before, after, self.name))

        faults = cast("tuple[CrateError, ...]", self._known.of((tuple(above), bases), find))
        if faults:
            first, *rest = map(copy, faults)
            first.also = tuple(rest)
            raise first

    def settings_below(self, image: Image, connections: Connections) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        """Returns the config of the base that an image names, asked for once for all images; None, and a notice, where it can't be had."""
        notes = image.annotations
        name, digest = notes.get(BASE_NAME), notes.get(BASE_DIGEST)
        if not name or not digest:
            return None, ("the image names no base, so all its settings count as its own",)
        key = (name, digest, image.platform)
        found = self._known.of(key, lambda: _settings(name, digest, image.platform, connections))
        return cast("tuple[dict[str, Any] | None, tuple[str, ...]]", found)


@dataclass(frozen=True, slots=True)
class Rebased:
    """An image on another base. `notices` are what could not be proved or kept."""

    image: Image | Index
    notices: tuple[str, ...]


def rebase(found: Found, base: NewBase, connections: Connections, emit: Emit, variants: Sequence[str] = ()) -> Rebased:
    """Returns an image on another base.

    No layer of the image changes; layers of both bases are read once on a machine, for the proof. Of an index with variants, those that are on
    another base than its default stay as they are, and that is said.

    Args:
        found: The image, or an index of several platforms and variants.
        base: The new base, which has all platforms of the image.
        connections: The open connections; from them the old base's settings are asked.
        emit: Gets the progress.
        variants: The variants that are put onto it, `default` among them, whatever their base is; the others stay.

    Raises:
        UserError: The image has no base, or the new one has too many layers.
        SourceError: The new base has no image for a platform, or the image no such variant.
        IntegrityError: The image would not run on the new base; each reason is named.
    """
    image = found.read()
    moving = _moving(found, image.images, variants)
    stay = [
        f"the variant {name or DEFAULT_VARIANT} stays on its base; --variant {name or DEFAULT_VARIANT} moves it alone"
        for name in dict.fromkeys(each.variant for each in image.images if each not in moving)
    ]
    moved = [
        _rebase_one(each, base, connections, emit) if each in moving else Rebased(each, ()) for each in image.images
    ]
    notices = (*stay, *dict.fromkeys(notice for each in moved for notice in each.notices))
    images = [one for each in moved for one in each.image.images]
    if isinstance(image, Image):
        return Rebased(images[0], notices)
    return Rebased(combine(images), notices)


def _moving(found: Found, images: Sequence[Image], variants: Sequence[str]) -> list[Image]:
    """Returns the images of variants; without a name those that are on the base of the default for their platform."""
    if variants:
        wanted = {image.digest for name in variants for image in found.variant(name).images}
        return [each for each in images if each.digest in wanted]
    first = {each.platform: _base_of(each) for each in reversed(images) if not each.variant}
    return [each for each in images if _base_of(each) == first.get(each.platform, _base_of(each))]


def _base_of(image: Image) -> object:
    """Returns what tells the base of an image from others: its repository, else its layers."""
    notes = image.annotations
    try:
        return Reference.parse(str(notes[BASE_NAME])).name
    except (KeyError, CrateError):
        return tuple(each.layer.diff_id for each in base_layers(image.layers))


def _rebase_one(image: Image, base: NewBase, connections: Connections, emit: Emit) -> Rebased:
    onto = base.image(image.platform)
    old, new = base_layers(image.layers), base_layers(onto.layers)
    if not old or not new:
        raise UserError(
            f"{'the image' if not old else base.name} has no base", hint="its lowest layers are what is replaced"
        )
    own = image.layers[len(old) :]
    if len(new) + len(own) > MAX_IMAGE_LAYERS:
        raise UserError(
            f"the image would have {len(new) + len(own)} layers, and container engines take {MAX_IMAGE_LAYERS}",
            hint="take a base with fewer layers",
        )
    cache = connections.config.cache
    before, after = (find_side(each, layers, cache, emit) for each, layers in ((image, old), (onto, new)))
    read = {each.layer.descriptor.digest: read_libraries(each, cache, emit) for each in own}
    above = {digest: each for digest, each in read.items() if each != NO_LIBRARIES}
    base.prove(above, before, after, tuple(each.layer.descriptor.digest for each in (*old, *new)))
    settings, notices = base.settings_below(image, connections)
    layers = (*new, *own)
    document = move_settings(
        image.settings, settings, onto.settings, [each.layer.diff_id for each in layers], (len(old), len(new))
    )
    config = Literal(canonical_json(document), MediaType.CONFIG)
    made = replaced(Image(image.platform, config, image.manifest, layers), layers)
    return Rebased(_annotated(made, base.name, onto), (*notices, *_unread(Libraries.of(above.values()))))


def base_layers(layers: Sequence[ImageLayer]) -> tuple[ImageLayer, ...]:
    """Returns the layers that are an image's base: all of a foreign image, and the lowest ones of ours."""
    return tuple(takewhile(lambda each: each.role == "base", layers))


@dataclass(frozen=True, slots=True)
class Side:
    """A base: its Pythons, its C library, its shared libraries."""

    pythons: tuple[Interpreter, ...]
    libc: Libc | None
    look: Look
    libraries: Libraries


_SIDES = KeyedLock()


@lru_cache(maxsize=64)
def _side(path: tuple[str, ...], layers: tuple[ImageLayer, ...], cache: Path, emit: Emit) -> Side:
    """Returns what a base is, which many images may have in common. `path` are the folders of its PATH."""
    look = look_at(layers, cache, emit)
    found = interpreters(look.files, path)
    libc = find_libc(look.files, found[0].loader if found else "")
    return Side(tuple(found), libc, look, Libraries.of(read_libraries(each, cache, emit) for each in layers))


def find_side(image: Image, layers: tuple[ImageLayer, ...], cache: Path, emit: Emit) -> Side:
    """Returns what the base of an image is; `layers` are the base's. They are read once on a machine."""
    path = tuple(filter(None, environment(image.settings).get("PATH", "").split(":")))
    with _SIDES.hold((path, *(each.layer.descriptor.digest for each in layers))):  # of many threads, one reads it
        return _side(path, layers, cache, emit)


def _python_faults(before: Side, after: Side, name: str) -> Iterator[CrateError]:
    if before.libc is not None:
        there = after.libc
        if there is None or there.name != before.libc.name or there.version < before.libc.version:
            yield _refusal(f"{name} has {there or 'no C library'}, and the image was made for {before.libc}")
    for python in before.pythons[:1]:
        there_too = next((each for each in after.pythons if each.path == python.path), None)
        if there_too is None or there_too.python != python.python:
            has = ", ".join(f"{each.path} ({each.python})" for each in after.pythons[:3]) or "none"
            yield _refusal(
                f"{name} has no Python {python.python} at {python.path}, where the image's packages are for",
                f"it has {has}",
            )
            continue
        seen = before.look.modules | after.look.modules
        had, has_now = (
            lacking_modules(side.look.files, seen, which, complete=True)
            for side, which in ((before, python), (after, there_too))
        )
        if gone := sorted(has_now - had):
            yield _refusal(f"Python in {name} lacks modules that the old base has: {', '.join(gone[:8])}")


def _library_faults(above: Libraries, before: Side, after: Side, name: str) -> Iterator[CrateError]:
    own, told = above.names, set[tuple[str, str]]()
    for path, file in sorted(above.files.items()):
        for library in file.needed:
            had = before.libraries.find(library)
            if library in own or had is None:  # without the old base's help, the new one's is not needed either
                continue
            has = after.libraries.find(library)
            lacking = [
                each for each in file.wants.get(library, ()) if each in had.gives and has and each not in has.gives
            ]
            for what in ("",) if has is None else lacking:
                if (library, what) not in told:
                    told.add((library, what))
                    needed = f"{library} with {what}" if what else library
                    yield _refusal(f"/{path} needs {needed}, which {name} does not have")


def _refusal(what: str, why: str = "") -> IntegrityError:
    return IntegrityError(
        what, why=why, hint="take another base, or build the image anew: modelcrate build chooses what fits the base"
    )


def _unread(above: Libraries) -> Iterator[str]:
    if above.unread:
        names = ", ".join(above.unread[:3])
        yield f"files that begin as libraries could not be read, so nothing is known of what they need: {names}"


def _settings(
    name: str, digest: str, platform: Platform, connections: Connections
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    try:
        reference = Reference.parse(name).at(Digest.parse(digest))
        return find(reference, connections).image(platform).settings, ()
    except CrateError as fault:
        text = f"the settings of the old base {name} can't be had, so all settings of the image count as its own"
        return None, (f"{text} ({fault.what})",)


def _annotated(image: Image, name: str, base: Image) -> Image:
    """Returns the image with its new base in its annotations."""
    manifest = parse_object(image.manifest.data)
    notes = {**(manifest.get("annotations") or {}), BASE_NAME: name, BASE_DIGEST: str(base.digest)}
    manifest["annotations"] = notes
    return replace(image, manifest=Literal(canonical_json(manifest), MediaType.MANIFEST))
