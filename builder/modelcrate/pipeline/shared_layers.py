"""Layers of packages that other projects have pushed: found by a signed list in the registry, and added to it after a push.

The list says in which images layers are (see `images.layer_list`). It counts only with a signature of a key that the user named; the images that it
names are read by their digests, so they count as what the signer has said. A list that does not count is told and left as it is.
Only layers that this build has made, or knows from making them, or has taken by the list itself, are added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, cast

from modelcrate.events import Emit, Notice
from modelcrate.images.image import Image
from modelcrate.images.layer_list import PATHS, LayerList, ListedImage
from modelcrate.images.previous import Previous
from modelcrate.images.reference import Reference
from modelcrate.net.errors import NotFound
from modelcrate.pipeline.plan import Plan, PlannedLayer
from modelcrate.pipeline.request import Request
from modelcrate.security.signing.layer_lists import read_list, write_list
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, Literal, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.kinds import DependencyKind, LayerKind
from modelcrate_layers.packages.conflicts import LayerPaths, owned_paths
from modelcrate_layers.tar import codec

if TYPE_CHECKING:
    from modelcrate.security.signing.keys import PublicKey, Signer

SHARED_ROLES = frozenset({"base", "dependencies", "server"})
"""Roles whose layers are listed: what is in them is published, and not the user's own."""

MAX_PATHS = 8 << 20
"""Bytes of a blob of paths, as it is stored; that of PyTorch has some 100,000. Unpacked it may have eight times as many."""

ATTEMPTS = 3
"""How often a list is written where others write it at the same time."""


@dataclass(frozen=True, slots=True)
class SharedLayers:
    """What a list had for a build.

    Attributes:
        listed: The list; empty where none was read, or it does not count.
        previous: Images by platform, with those of their layers that the list names.
        gone: Digests of listed images that could not be read.
    """

    listed: LayerList = LayerList()
    previous: Mapping[Platform, tuple[Previous, ...]] = field(default_factory=dict, repr=False, hash=False)
    gone: frozenset[Digest] = frozenset()

    @property
    def believed(self) -> frozenset[tuple[Digest | None, Digest]]:
        """The layers that may be taken by the list: their keys, and the digests that its images have for them."""
        images = (one.image for found in self.previous.values() for one in found)
        return frozenset((each.key, each.descriptor.digest) for image in images for each in image.layers)

    def lacking(self, missing: Collection[Digest]) -> SharedLayers:
        """Returns the same where these blobs have vanished from the registry: the images that name them count as gone."""
        images = (one.image for found in self.previous.values() for one in found)
        gone = (each.digest for each in images if any(layer.descriptor.digest in missing for layer in each.layers))
        return replace(self, gone=self.gone.union(gone))


def find_shared(
    place: Reference, request: Request, plans: Iterable[Plan], connections: Connections, emit: Emit
) -> SharedLayers:
    """Returns what a list has of the layers that would have to be made. A list that can't be read, or does not count, is told and has nothing.

    Args:
        place: Where the list is.
        request: The request, which names the keys that count.
        plans: The plans, made without the list.
        connections: The connections of the run.
        emit: Gets the notices.

    Raises:
        UserError: No key was named by which a list counts.
    """
    keys = _keys(place, request)
    wanted = {plan.platform: [each.key for each in plan.layers if each.new and _is_shared(each.kind)] for plan in plans}
    if not request.reuse or request.paranoid or not any(wanted.values()):
        return SharedLayers()
    listed = _read(place, keys, connections, emit) or LayerList()
    previous: dict[Platform, tuple[Previous, ...]] = {}
    gone: set[Digest] = set()
    for platform, missing in wanted.items():
        found = []
        for each in listed.holding((key for key in missing if key is not None), platform):
            try:
                found.append(_find(each, place, connections))
            except NotFound:
                gone.add(each.digest)
            except CrateError as fault:
                emit(Notice(f"nothing to reuse in {place.registry}/{each.repository}: {fault.what}"))
        previous[platform] = tuple(found)
    return SharedLayers(listed, previous, frozenset(gone))


def _find(listed: ListedImage, place: Reference, connections: Connections) -> Previous:
    """Returns an image with those of its layers only that the list names."""
    reference = Reference(place.registry, listed.repository, digest=listed.digest)
    found = find(reference, connections)
    image = found.image(listed.platform)
    layers = tuple(each for each in image.layers if each.key in listed.layers)
    return Previous(str(reference), replace(image, layers=layers), found=found, partial=True)


def _is_shared(kind: LayerKind) -> bool:
    return kind.role in SHARED_ROLES and kind.key() is not None


def _keys(place: Reference, request: Request) -> tuple[PublicKey, ...]:
    """Returns the keys by which a list counts: those of the policy's rule for its repository, else that of the signer."""
    signer = request.attestations.signer
    if request.policy is not None:
        from modelcrate.security.signing.policy import read_policy

        rule = read_policy(request.policy).rule_for(place.name)
        if rule.refuse:
            raise IntegrityError(f"the policy refuses {place.name}", where=str(request.policy))
        return rule.keys
    if signer is None:
        raise UserError(
            "no key was named by which the list of layers counts",
            where=str(place),
            why="what it says is believed without looking at the bytes, so it has to be signed",
            hint="--sign KEY reads and writes a list that this key has signed; --policy FILE, with a rule for its repository, reads one",
        )
    return (signer.public,)


def _read(place: Reference, keys: Sequence[PublicKey], connections: Connections, emit: Emit) -> LayerList | None:
    """Returns the list, empty where there is none; None, with a notice, where it can't be read or does not count."""
    try:
        return read_list(place, keys, connections)
    except CrateError as fault:
        emit(Notice(f"the list of layers {place} is not used: {fault.what}"))
        return None


def read_paths(
    place: Reference, shared: SharedLayers, plans: Iterable[Plan], connections: Connections, emit: Emit
) -> dict[Digest, LayerPaths]:
    """Returns the paths of the known layers whose packages are not on this machine, by key, as far as the list has them.

    Args:
        place: Where the list is.
        shared: What the list has.
        plans: The plans of the build.
        connections: The connections of the run.
        emit: Gets a notice for a blob that can't be read: the packages are fetched then.
    """
    blobs, client = shared.listed.paths, connections.registries
    found: dict[Digest, LayerPaths] = {}
    numbers = count()
    for plan in plans:
        wanted = {key: each for each in plan.layers if (key := _fetchable(each)) is not None and key in blobs}
        for number, image in zip(numbers, shared.listed.holding(wanted, plan.platform), strict=False):
            for key in wanted.keys() & image.layers.keys() - found.keys():
                try:
                    found[key] = LayerPaths(number, _unpacked(client.blob(place, blobs[key]).read(MAX_PATHS)))
                except CrateError as fault:
                    emit(
                        Notice(f"the paths of {wanted[key].name} are not used, its packages are fetched: {fault.what}")
                    )
    return found


def _fetchable(planned: PlannedLayer) -> Digest | None:
    """Returns the key of a known layer of packages of which some are not on this machine."""
    known = planned.role == "dependencies" and not planned.new
    return planned.key if known and planned.kind.materials().missing() else None


@dataclass(frozen=True, slots=True)
class PushedImages:
    """Images that were pushed, with what they were made by.

    Attributes:
        images: The images.
        repository: Their repository, in the registry of the list.
        plans: The plans that they were made by.
        shared: What was read of the list before.
    """

    images: Sequence[Image]
    repository: str
    plans: Sequence[Plan] = field(repr=False)
    shared: SharedLayers = field(repr=False)


def share(place: Reference, signer: Signer, pushed: PushedImages, connections: Connections, emit: Emit) -> None:
    """Adds the layers of images that were pushed to a list, if it lacks any. What goes wrong is told: the images are pushed already.

    Args:
        place: Where the list is.
        signer: The key that signs it. A list that it has not signed is left alone.
        pushed: The images.
        connections: The connections of the run.
        emit: Gets the notices.
    """
    try:
        for _ in range(ATTEMPTS):
            listed = read_list(place, (signer.public,), connections)
            made: dict[Digest, Literal] = {}
            new = tuple(_listed(each, pushed, listed.paths, made) for each in pushed.images)
            longer = listed.with_images(new, pushed.shared.gone)
            if longer == listed:
                return
            write_list(place, longer, made, signer, connections)
            added = len(longer.paths.keys() - listed.paths.keys())
            emit(Notice(f"the list of layers {place} has {added} more layer{'s' * (added != 1)}"))
        emit(Notice(f"others write the list of layers {place} at the same time; what it lacks, the next build adds"))
    except CrateError as fault:
        emit(Notice(f"nothing was added to the list of layers {place}: {fault.what}"))


def _listed(
    image: Image, pushed: PushedImages, there: Mapping[Digest, Descriptor], made: dict[Digest, Literal]
) -> ListedImage:
    """Returns what is listed of an image. Blobs of paths that no list has go into `made`."""
    kinds = {each.key: each.kind for plan in pushed.plans for each in plan.layers if _is_shared(each.kind)}
    layers: dict[Digest, Descriptor] = {}
    for each in image.layers:
        kind = kinds.get(each.key)
        if each.key is None or kind is None:
            continue
        if each.origin == "reused" and (each.key, each.descriptor.digest) not in pushed.shared.believed:
            continue  # of the project's own tag or of --cache-from: bytes that nobody has signed
        if each.key in there:
            layers[each.key] = there[each.key]
        elif kind.role != "dependencies" or not kind.materials().missing():
            blob = _packed(kind)
            layers[each.key] = blob.descriptor
            made[blob.descriptor.digest] = blob
    return ListedImage(pushed.repository, image.digest, image.platform, layers)


def _packed(kind: LayerKind) -> Literal:
    """Returns the blob with the paths of a layer's packages; without any for a layer of which no package may lack one."""
    owned: Iterable[bytes] = ()
    if kind.role == "dependencies":
        owned = owned_paths(cast("DependencyKind", kind).installed())
    data = b"\0".join(sorted(owned))
    return Literal(b"".join(codec.zstd().encode([data], len(data))), PATHS)


def _unpacked(stored: bytes) -> frozenset[bytes]:
    unpacked = bytearray()
    for chunk in codec.decode([stored]):
        unpacked += chunk
        if len(unpacked) > 8 * MAX_PATHS:
            raise IntegrityError("they are too many")
    return frozenset(bytes(unpacked).split(b"\0")) - {b""}
