"""`store:NAME[:TAG]`: the local store, where `modelcrate run`, `push` and `images` look. A build without an output writes to it."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.config import Config
from modelcrate.events import Emit
from modelcrate.home.folder import open_store
from modelcrate.images.image import Deliverable, Image, Index
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, digest_in
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutCollection
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Descriptor, MediaType
from modelcrate_layers.errors import CrateError, SourceError, UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later
from modelcrate_layers.store import REF_NAME, Layout

KIND = "store"
EXAMPLE = "NAME[:TAG]"

_HEX = compile_later(r"(?:sha256:)?([0-9a-f]{6,64})")


def parse(target: str) -> StoreOutput:
    """Returns the output for a target of the command line.

    Raises:
        UserError: It is no name of an image. Capitals may be in it: other engines refuse them, the store need not.
    """
    Reference.parse(target.lower())
    return StoreOutput(target)


@dataclass(frozen=True, slots=True)
class StoreOutput:
    """A name in the local store."""

    name: str

    kind = KIND

    @property
    def target(self) -> str:
        """The name with its tag, by default `latest`."""
        return _add_tag(self.name)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the image. See `Output.deliver`.

        Raises:
            UserError: The name has a digest, and the image another one.
        """
        if (named := digest_in(self.name)) and named != str(image.digest):
            raise UserError(
                f"the image is {image.digest}, so it can't be named {self.name}",
                hint="name a tag, or leave the digest out",
            )
        return oci.write(open_store(connections.config), image, self.target, emit, KIND, self.target)


def find(name: str, config: Config) -> Found | None:
    """Returns the image with a name (`latest` by default), or with an image id or a digest that begins so. Of NAME@DIGEST the digest decides.

    Raises:
        SourceError: Several images have an id or a digest that begins so.
    """
    store = open_store(config)
    manifests = store.manifests()
    digest = digest_in(name)
    for each in manifests:
        if str(each.digest) == digest or each.annotations.get(REF_NAME) in (name, _add_tag(name)):
            return Found(LayoutCollection(store, name), each)
    if match := _HEX.fullmatch(name):
        return _find_by_hex(store, manifests, match[1])
    return None


def list_images(config: Config) -> Iterator[tuple[str, Image | Index]]:
    """Yields the names of the store with their images, ordered by name."""
    store = open_store(config)
    for name, descriptor in _named(store):
        yield name, Found(LayoutCollection(store, name), descriptor).read()


def list_names(config: Config) -> list[str]:
    """Returns the names of the store's images, in order, without reading the images."""
    return [name for name, _ in _named(open_store(config))]


def _named(store: Layout) -> list[tuple[str, Descriptor]]:
    named = [(each.annotations[REF_NAME], each) for each in store.manifests() if REF_NAME in each.annotations]
    return sorted(named, key=lambda pair: pair[0])


def _add_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _find_by_hex(store: Layout, manifests: list[Descriptor], digits: str) -> Found | None:
    fitting = {
        each.digest: each for each in manifests if each.digest.hex.startswith(digits) or _has_id(store, each, digits)
    }
    if own := {digest: each for digest, each in fitting.items() if each.media_type in MediaType.MANIFESTS}:
        fitting = own  # an index has the ids of its images, and one of them may have a name of its own
    if len(fitting) > 1:
        raise SourceError(
            f"{digits} is the beginning of several images", where="the local store", hint="give more digits"
        )
    return next((Found(LayoutCollection(store, digits), each) for each in fitting.values()), None)


def _has_id(store: Layout, descriptor: Descriptor, digits: str) -> bool:
    try:
        image = Found(LayoutCollection(store), descriptor).read()
    except CrateError:
        return False
    return any(each.id.hex.startswith(digits) for each in image.images)
