"""The addresses that an existing image can have, in one grammar for all verbs.

| address                      | means                                                              |
|------------------------------|--------------------------------------------------------------------|
| NAME[:TAG], an id, a digest  | an image of the local store                                        |
| oci:DIR[:TAG]                | an OCI layout                                                      |
| oci-archive:FILE[:TAG]       | a tar of one                                                       |
| docker-archive:FILE[:NAME]   | what docker save, or our docker-archive output, writes             |
| registry:REF                 | an image in a registry                                             |
| anything else                | the local store, and, where the name has a host in it, a registry  |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, has_host, is_registry, split_name, split_tag
from modelcrate.transports import layout_reader, store_reader
from modelcrate.transports.connections import Connections
from modelcrate_layers.errors import SourceError


def find(address: str | Reference, connections: Connections) -> Found:
    """The image at an address; a SourceError or RegistryError where there is none."""
    if isinstance(address, Reference):
        return _registry(address, connections)
    kind, colon, rest = address.partition(":")
    if colon and kind in _KINDS and rest:
        return _KINDS[kind](rest, connections)
    if (found := store_reader.find(address, connections.config)) is not None:
        return found
    if has_host(address) and is_registry(address.partition("/")[0]):
        return _registry(address, connections)
    raise SourceError(
        f"there is no image {address!r} in the local store",
        why=_known(connections),
        hint="an image elsewhere has an address such as registry:REF, oci:DIR or docker-archive:FILE",
    )


def _layout(rest: str, connections: Connections) -> Found:
    folder, tag = (rest, None) if Path(rest).is_dir() else split_tag(rest)
    return layout_reader.find(Path(folder), tag)


def _oci_archive(rest: str, connections: Connections) -> Found:
    from modelcrate.transports import archive_reader

    file, tag = (rest, None) if Path(rest).exists() else split_tag(rest)
    return archive_reader.find_oci(Path(file), tag)


def _docker_archive(rest: str, connections: Connections) -> Found:
    from modelcrate.transports import archive_reader

    file, name = (rest, None) if Path(rest).exists() else split_name(rest)
    return archive_reader.find_docker(Path(file), name)


def _registry(rest: str | Reference, connections: Connections) -> Found:
    from modelcrate.transports import registry_reader

    reference = rest if isinstance(rest, Reference) else Reference.parse(rest)
    return registry_reader.find(reference, connections)


def _known(connections: Connections) -> str:
    names = [name for name, _ in store_reader.images(connections.config)]
    return f"it has: {', '.join(names)}" if names else "it is empty"


_KINDS: dict[str, Callable[[str, Connections], Found]] = {
    "docker-archive": _docker_archive,
    "oci": _layout,
    "oci-archive": _oci_archive,
    "registry": _registry,
}
