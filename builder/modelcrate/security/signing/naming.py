"""Names of images in signatures and policies: a repository, without tag and digest. Pure."""

from __future__ import annotations

from modelcrate.images.reference import Reference
from modelcrate_layers.errors import CrateError

_KINDS = ("oci:", "oci-archive:", "docker-archive:", "registry:", "store:")


def image_identity(address: str) -> str:
    """Returns the repository of an address with a host; of an image on this machine, the address without its kind."""
    text = address.removeprefix("registry:")
    if text == address and address.startswith(_KINDS):
        return address.partition(":")[2]
    host = text.partition("/")[0]
    if "/" not in text or not ("." in host or ":" in host or host == "localhost"):
        return text.partition("@")[0].rpartition(":")[0] if ":" in text else text
    try:
        return Reference.parse(text).name
    except CrateError:
        return text
