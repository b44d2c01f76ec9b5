"""What a bundle says of itself, in its member modelcrate-bundle.json. It is foreign: all of it is checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelcrate.bundles.inventory import STORE, Known
from modelcrate.bundles.pieces import Step
from modelcrate.images.reference import Reference, is_registry, is_repository
from modelcrate.resolve.debian.pinned import PinnedDeb
from modelcrate.resolve.pinned import Pinned, PinnedConda, PinnedWheel
from modelcrate_layers.content import Descriptor, Digest, expect_natural, expect_text
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.packages.pinned import Package
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import REF_NAME
from modelcrate_layers.tar.tree import show

NOTES = "modelcrate-bundle.json"

VERSION, WITH_PACKAGES = 1, 2
"""The version of a bundle; one that has packages or tools has the second, which an older modelcrate refuses."""

MAX_LEFT_OUT = 100_000
"""Blobs that a bundle leaves out; its target is asked for each of them."""

MAX_PACKAGES = 50_000
"""Packages of one bundle."""

MAX_STEPS = 500_000
"""Steps of all layers of one bundle; a file of 100,000 tensors has as many at most."""

_MOST = {b"{": MAX_PACKAGES + 4, b"[": 800_000, b":": 1_000_000, b",": 2_000_000}
"""How often a sign may be in notes. Parsed, a value takes thirty times its bytes, so they are counted before."""

BLOBS, PIECES, PACKAGES, TOOLS = "blobs", "pieces", "packages", "tools"
"""The folders of a bundle."""

_NAMED = compile_later(rb"(?:blobs|pieces|packages)/(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})")
_TOOL = compile_later(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_PINS = {each.kind: each.parse for each in (PinnedDeb, PinnedWheel, PinnedConda)}


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How a layer is made: of an earlier layer that the receiver has, and of pieces in the bundle."""

    old: Digest
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of a bundle.

    Attributes:
        place: The registry whose inventory it was made for, or `store`; empty if it leaves nothing out.
        left_out: The blobs that the receiver has.
        rebuilds: The layers that are made of earlier ones.
        packages: The packages that are in it, for builds over there.
        tools: Files of modelcrate itself, by their names.
    """

    place: str = ""
    left_out: Mapping[Digest, Known] = field(default_factory=dict, hash=False, repr=False)
    rebuilds: Mapping[Digest, Rebuild] = field(default_factory=dict, hash=False, repr=False)
    packages: Sequence[Pinned[Package]] = ()
    tools: Mapping[str, Descriptor] = field(default_factory=dict, hash=False)

    def json(self) -> dict[str, Any]:
        """Returns the notes as the value of their member."""
        more = {
            PACKAGES: [{"kind": each.kind, **each.json()} for each in self.packages],
            TOOLS: {name: [str(each.digest), each.size] for name, each in self.tools.items()},
        }
        return {
            "version": WITH_PACKAGES if any(more.values()) else VERSION,
            "place": self.place,
            "left-out": {str(digest): [each.size, each.repository] for digest, each in self.left_out.items()},
            "rebuilds": {
                str(digest): [str(each.old), list(map(list, each.steps))] for digest, each in self.rebuilds.items()
            },
            **{name: value for name, value in more.items() if value},
        }

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Notes:
        """Reads the notes of a bundle.

        Raises:
            IntegrityError: They are of another version, have too much, or a value is malformed.
            KeyError: A member is missing. Also ValueError, TypeError and AttributeError: one has another type.
        """
        if value["version"] != (WITH_PACKAGES if value.keys() & {PACKAGES, TOOLS} else VERSION):
            raise IntegrityError(f"is a bundle of version {value['version']!r:.20}")
        if len(value["left-out"]) > MAX_LEFT_OUT or len(value.get(PACKAGES, ())) > MAX_PACKAGES:
            raise IntegrityError(f"leaves out more than {MAX_LEFT_OUT} blobs, or has more than {MAX_PACKAGES} packages")
        if sum(len(steps) for _, steps in value["rebuilds"].values()) > MAX_STEPS:
            raise IntegrityError(f"has layers of more than {MAX_STEPS} steps")
        return cls(
            _place(value["place"]),
            {Digest.parse(key): _known(each) for key, each in value["left-out"].items()},
            {Digest.parse(key): _rebuild(each) for key, each in value["rebuilds"].items()},
            tuple(map(_package, value.get(PACKAGES, ()))),
            {_tool(name): _file(each) for name, each in value.get(TOOLS, {}).items()},
        )

    def refuse_foreign(self, members: Iterable[bytes]) -> None:
        """Refuses files that no bundle has, and pieces and packages that the notes do not name.

        Raises:
            IntegrityError: There is one.
        """
        known = {b"oci-layout", b"index.json", NOTES.encode(), *(f"{TOOLS}/{name}".encode() for name in self.tools)}
        known |= {member(PIECES, digest) for digest in self.rebuilds}
        known |= {package_member(each) for each in self.packages}
        for name in members:
            if name not in known and not (name.startswith(b"blobs/") and _NAMED.fullmatch(name)):
                raise IntegrityError(f"has a file that no bundle has: {show(name)!r:.200}")


def refuse_many(data: bytes) -> None:
    """Refuses notes with more values than any bundle has, before they are parsed.

    Raises:
        IntegrityError: There are more.
    """
    if any(data.count(sign) > most for sign, most in _MOST.items()):
        raise IntegrityError(f"has a {NOTES} with more steps, blobs or packages than any bundle has")


def member(folder: str, digest: Digest) -> bytes:
    """Returns the name of the member with these bytes."""
    return f"{folder}/{digest.algorithm}/{digest.hex}".encode()


def package_member(package: Pinned[Package]) -> bytes:
    """Returns the name of the member with a package."""
    return member(PACKAGES, Digest("sha256", package.sha256))


def image_name(entry: Descriptor) -> str:
    """Returns the name of an image, which becomes part of URLs and of what is printed.

    Raises:
        IntegrityError: It is no reference, or has the digest of another image.
        KeyError: There is none.
    """
    name = entry.annotations[REF_NAME]
    try:
        named = Reference.parse(name).digest
    except UserError as fault:
        raise IntegrityError(f"has an image with a name that is none: {name!r:.200}", why=fault.why) from None
    if named not in (None, entry.digest):
        raise IntegrityError(f"has an image with the digest of another in its name: {name!r:.200}")
    return name


def tool_name(name: str) -> bool:
    """Returns whether a file of modelcrate may be called so in a bundle."""
    return _TOOL.fullmatch(name) is not None


def _place(value: Any) -> str:
    place = expect_text(value)
    if place not in ("", STORE) and not is_registry(place):
        raise ValueError(place)
    return place


def _known(value: Any) -> Known:
    size, repository = value
    if repository and not is_repository(expect_text(repository)):
        raise ValueError(repository)
    return Known(expect_natural(size), expect_text(repository))


def _rebuild(value: Any) -> Rebuild:
    old, steps = value
    return Rebuild(
        Digest.parse(old),
        tuple(map(_step, steps)),
    )


def _step(value: Any) -> Step:
    size, at = value
    if expect_natural(size) == 0:
        raise ValueError(value)
    return Step(size, None if at is None else expect_natural(at))


def _package(value: Any) -> Pinned[Package]:
    pin = dict(value)
    return _PINS[pin.pop("kind")](pin)


def _tool(value: Any) -> str:
    if not tool_name(expect_text(value)):
        raise ValueError(value)
    return expect_text(value)


def _file(value: Any) -> Descriptor:
    digest, size = value
    return Descriptor("application/octet-stream", Digest.parse(digest), expect_natural(size))
