"""Puts all images of a registry that have an earlier base of one name onto its new one, several at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from functools import partial

from modelcrate.events import Emit
from modelcrate.images.artifact import is_artifact_tag
from modelcrate.images.image import DEFAULT_VARIANT, VARIANT, Image, Index
from modelcrate.images.image_config import BASE_DIGEST, BASE_NAME
from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, is_registry
from modelcrate.maintenance.rebase import NewBase, rebase
from modelcrate.net.errors import ErrorResponse, NotFound
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import RegistryOutput, find_whole
from modelcrate_layers.content import Descriptor
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import dataclass

AT_ONCE = 16
"""Images that are worked on at a time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image, in words, and the exit code of its failure; 0 without one."""

    name: str
    what: str
    exit_code: int = 0


Attest = Callable[[Image | Index, Found, str], Image | Index]
"""Returns an image with what belongs beside it; it gets the image that it was made of, and its name."""


def rebase_all(
    pattern: str, base: NewBase, connections: Connections, emit: Emit, attest: Attest, *, check: bool = False
) -> list[Outcome]:
    """Rebases the images of all repositories that fit a pattern; those with another base, or with the new one, are left alone.

    Args:
        pattern: HOST/PATTERN, where `*` stands for any characters.
        base: The new base. Images are on an earlier one if theirs has the same name, its tag aside.
        connections: The open connections.
        emit: Gets the progress.
        attest: Called for each image before it is written.
        check: Whether nothing is written.

    Returns:
        What became of each image that is on an earlier base, by their names.

    Raises:
        UserError: The pattern names no registry, or nothing fits.
        RegistryError: The registry does not list its repositories.
    """
    host, _, wanted = pattern.removeprefix("registry:").partition("/")
    if not is_registry(host) or not wanted:
        raise UserError(
            f"not a pattern for images: {pattern[:200]!r}", hint="expected HOST/PATTERN, such as 'HOST/team/*'"
        )
    repositories = [wanted]
    if set(wanted) & set("*?["):  # a registry that lists no repositories still takes one that is named
        repositories = [each for each in connections.registries.repositories(host) if fnmatchcase(each, wanted)]
    if not repositories:
        raise _none_fits(host, wanted)
    work = partial(_rebase_one, base=base, connections=connections, emit=emit, attest=None if check else attest)
    with ThreadPoolExecutor(AT_ONCE, "rebase") as pool:
        named = wanted in repositories
        tagged = list(pool.map(lambda each: _tagged(Reference(host, each), connections, named), repositories))
        images = [each for found in tagged if not isinstance(found, Outcome) for each in found]
        outcomes = [*(each for each in tagged if isinstance(each, Outcome)), *pool.map(work, images)]
        return sorted((each for each in outcomes if each is not None), key=lambda each: each.name)


def _none_fits(host: str, wanted: str) -> UserError:
    return UserError(f"no repository of {host} fits {wanted[:200]!r}", hint="quote the pattern, and try 'HOST/*'")


def _tagged(repository: Reference, connections: Connections, named: bool) -> list[Reference] | Outcome:
    """Returns the images of a repository; none where all of its tags were deleted, and the registry lists it still.

    Raises:
        UserError: The registry has no repository of this name, which the user has given.
    """
    try:
        return [repository.tagged(tag) for tag in connections.registries.tags(repository) if not is_artifact_tag(tag)]
    except NotFound:
        if named:
            raise _none_fits(repository.registry, repository.repository) from None
        return []
    except ErrorResponse as fault:
        return Outcome(repository.name, fault.sentence, fault.exit_code)


def _rebase_one(
    reference: Reference, base: NewBase, connections: Connections, emit: Emit, attest: Attest | None
) -> Outcome | None:
    try:
        found = find_whole(reference, connections)
        members = found.members() or (found.descriptor,)
        earlier = [each.annotations.get(VARIANT, DEFAULT_VARIANT) for each in members if _is_earlier(each, found, base)]
        if not earlier:
            return None
        several = any(VARIANT in each.annotations for each in members)
        done = rebase(found, base, connections, emit, list(dict.fromkeys(earlier)) if several else ())
        if attest is None:
            return Outcome(str(reference), "would run there")
        made = attest(done.image, found, str(reference))
        RegistryOutput.of(reference).deliver(made, connections, emit)
        return Outcome(str(reference), str(made.digest))
    except CrateError as fault:
        return Outcome(str(reference), fault.sentence, fault.exit_code)


def _is_earlier(descriptor: Descriptor, found: Found, base: NewBase) -> bool:
    """Returns whether an image names an earlier base of that name."""
    notes = Found(found.collection, descriptor).document().get("annotations") or {}
    own = base.found.descriptor.digest, *(each.digest for each in base.found.members())
    digest = str(notes.get(BASE_DIGEST, ""))
    return digest not in set(map(str, own)) and _repository(notes.get(BASE_NAME, "")) == _repository(base.name)


def _repository(name: str) -> str:
    try:
        return Reference.parse(name).name
    except CrateError:
        return ""
