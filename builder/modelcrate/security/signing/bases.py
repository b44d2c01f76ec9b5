"""The base of a project held to a policy, before anything is built on it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from modelcrate.project.values import DebianBase, Project, RegistryBase, RootfsBase, ScratchBase
from modelcrate.resolve.existing_base import find_base
from modelcrate.security.signing.naming import image_identity
from modelcrate.security.signing.policy import Policy, check
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import IntegrityError


def check_base(
    project: Project, folder: Path, pinned: tuple[Digest, ...], policy: Policy, connections: Connections, now: datetime
) -> tuple[str, ...]:
    """What was checked, in words. `pinned` are the digests that were resolved: the image that is verified has to be, or to name, them.

    A Debian base is made from packages that Debian signed, which is always checked; a tar of a root file system has nobody who signs.
    """
    base = project.base
    if isinstance(base, DebianBase | ScratchBase):
        return ("the base is made here, from packages that Debian has signed",) if isinstance(base, DebianBase) else ()
    if isinstance(base, RootfsBase):
        raise IntegrityError("a tar of a root file system can't be signed, and there is a policy", where=str(base))
    found = find_base(base, folder, connections)
    name = image_identity(base.reference if isinstance(base, RegistryBase) else str(base))
    verified = check(found, name, policy, now)
    known = {verified.digest, found.descriptor.digest, *verified.members}
    if not known.issuperset(pinned):
        raise IntegrityError(
            "the base that was verified is not the one that is built on",
            where=str(base),
            hint="somebody moved its tag; build again",
        )
    return (f"the base {name} is signed: {verified.digest}",)
