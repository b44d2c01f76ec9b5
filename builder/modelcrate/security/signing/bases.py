"""Checks the base of a project against a policy, before anything is built on it."""

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
    """Checks the base of a project against a policy, and returns one sentence for each check.

    A Debian base is made from packages with Debian's signature, which is always checked. A tar of a root file system has no signature.

    Args:
        project: The project whose base is checked.
        folder: The project's folder; paths of the base are relative to it.
        pinned: The digests that were resolved. The verified image has to be one of them, or an index that names them.
        policy: The policy.
        connections: Opens registries, layouts and archives.
        now: The time by which `max-age` is counted.

    Raises:
        IntegrityError: The base is not what the policy requires, or it is another image than the resolved one.
    """
    base = project.base
    if isinstance(base, DebianBase | ScratchBase):
        return ("the base is made from packages with Debian's signature",) if isinstance(base, DebianBase) else ()
    if isinstance(base, RootfsBase):
        raise IntegrityError(
            "a tar of a root file system has no signature, and the policy requires one", where=str(base)
        )
    found = find_base(base, folder, connections)
    name = image_identity(base.reference if isinstance(base, RegistryBase) else str(base))
    verified = check(found, name, policy, now)
    accepted = {verified.digest, found.descriptor.digest, *verified.members}
    if not accepted.issuperset(pinned):
        raise IntegrityError(
            "the verified base is not the one that is built on",
            where=str(base),
            hint="its tag has moved meanwhile; build again",
        )
    return (f"the base {name} has a valid signature: {verified.digest}",)
