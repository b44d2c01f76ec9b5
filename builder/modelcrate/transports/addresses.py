"""The addresses of existing images, the same for all commands.

| address                      | means                                                              |
|------------------------------|--------------------------------------------------------------------|
| NAME[:TAG], an id, a digest  | an image of the local store                                        |
| oci:DIR[:TAG]                | an OCI layout                                                      |
| oci-archive:FILE[:TAG]       | a tar of one                                                       |
| docker-archive:FILE[:NAME]   | what `docker save`, or the output docker-archive, writes           |
| registry:REF                 | an image in a registry                                             |
| anything else                | the local store, and, where the name has a host in it, a registry  |

Behind a name, and behind a folder or file with or without its tag, `@DIGEST` may stand, which decides then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from modelcrate.images.reading import Found
from modelcrate.images.reference import Reference, has_host, is_registry, split_name, split_tag
from modelcrate.transports import oci, store
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Output
from modelcrate_layers.errors import SourceError, UserError


def find(address: str | Reference, connections: Connections) -> Found:
    """Returns the image at an address.

    Args:
        address: An address as in the table above, or a reference of a registry.
        connections: The open connections.

    Raises:
        SourceError: There is no such image on this machine.
        UserError: It has a host, and is no reference.
        RegistryError: The registry has no such image, or can't be reached.
    """
    if isinstance(address, Reference):
        return _registry(address, connections)
    kind, colon, rest = address.partition(":")
    if colon and kind in KINDS and rest:
        return KINDS[kind](rest, connections)
    if (found := store.find(address, connections.config)) is not None:
        return found
    if has_host(address) and not address.startswith("."):  # a path
        return _registry(address, connections)
    raise SourceError(
        f"there is no image {address!r} in the local store",
        why=_list_names(connections),
        hint="an image elsewhere has an address such as registry:REF, oci:DIR or docker-archive:FILE",
    )


def find_there(outputs: Iterable[Output], connections: Connections) -> Iterator[tuple[str, Found]]:
    """Yields the images that outputs have now, each with the target of its output.

    Archives of Docker are passed over: what they store is not compressed, and nothing is beside it.
    """
    from modelcrate.net.errors import NotFound

    for each in outputs:
        with suppress(NotFound, SourceError):  # there is nothing yet
            found = None
            if each.kind == store.KIND:
                found = store.find(each.target, connections.config)
            elif each.kind in ("registry", "oci") or (each.kind == "oci-archive" and each.target != "-"):
                found = find(f"{each.kind}:{each.target}", connections)
            if found is not None:
                yield each.target, found


def name_of(address: str) -> str | None:
    """Returns the reference, or the name in the local store, that an address is; None for an archive or a layout."""
    kind, colon, rest = address.partition(":")
    if colon and kind in KINDS:
        return rest if kind == "registry" else None
    return address


def output_for(address: str, output: str = "") -> Output:
    """Returns the output that a user names; without one, that which writes an image under the name that it was found by.

    Args:
        address: The address of the image that was found.
        output: KIND:TARGET, or nothing: the new image takes the place of that one.

    Raises:
        UserError: There is no such output; or the address is no name: an archive, a layout, or a digest.
    """
    from modelcrate.transports import parse
    from modelcrate.transports.registry import RegistryOutput

    if output:
        return parse(output)
    named = name_of(address)
    if named is None or "@" in named:
        raise UserError(
            f"nothing takes the place of {address[:200]!r}",
            hint="name an output: -o KIND:TARGET, such as -o store:NAME:TAG",
        )
    if named != address or (has_host(named) and is_registry(named.partition("/")[0])):
        return RegistryOutput.of(Reference.parse(named))
    return store.StoreOutput(named)


def _layout(rest: str, connections: Connections) -> Found:
    folder, tag = (rest, None) if Path(rest).is_dir() else split_tag(rest)
    return oci.find(Path(folder), tag)


def _oci_archive(rest: str, connections: Connections) -> Found:
    from modelcrate.transports import oci_archive

    file, tag = (rest, None) if Path(rest).exists() else split_tag(rest)
    return oci_archive.find(Path(file), tag)


def _docker_archive(rest: str, connections: Connections) -> Found:
    from modelcrate.transports import docker_archive

    file, name = (rest, None) if Path(rest).exists() else split_name(rest)
    return docker_archive.find(Path(file), name)


def _registry(rest: str | Reference, connections: Connections) -> Found:
    from modelcrate.transports import registry

    reference = rest if isinstance(rest, Reference) else Reference.parse(rest)
    return registry.find(reference, connections)


def _list_names(connections: Connections) -> str:
    names = store.list_names(connections.config)
    return f"it has: {', '.join(names)}" if names else "it is empty"


KINDS: dict[str, Callable[[str, Connections], Found]] = {
    "docker-archive": _docker_archive,
    "oci": _layout,
    "oci-archive": _oci_archive,
    "registry": _registry,
}
