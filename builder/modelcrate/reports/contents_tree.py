"""The map of an image as a tree: layer, package, folder, file, tensor. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from modelcrate.images.image import ImageLayer
from modelcrate.modelfiles.tensor_places import TensorPlace
from modelcrate.reports.facts import Kind, Node
from modelcrate.reports.listing import Listing, PackageFiles
from modelcrate_layers.frozen import dataclass

MAX_DEPTH = 12
"""Folders below one another; what lies deeper is shown as one name."""

MAX_NAME = 120
"""Characters of a name; of a longer one the middle is left out."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Says whose a file is.

    Attributes:
        packages: The packages of an image, as `name version`, by their kind and name.
        files: The label of a package for each of its paths.
    """

    packages: Mapping[tuple[str, str], PackageFiles]
    files: Mapping[str, str]

    def of(self, path: str) -> str:
        """Returns the label of the package that a path belongs to; empty for none."""
        found = self.files.get(path)
        if found is None and path.endswith(".pyc"):
            found = self.files.get(_module_of(path))
        if found is None and ".dist-info/" in path:  # what an installer adds, such as INSTALLER
            found = self.files.get(f"{path.rpartition('/')[0]}/METADATA")
        return found or ""


def label(package: PackageFiles) -> str:
    """Returns a package as it is called in the map."""
    return f"{package.name} {package.version}".strip()


def find_owners(listings: Iterable[Listing]) -> Owner:
    """Returns the packages of an image, from its layers, lowest first. A higher layer's word counts."""
    packages: dict[tuple[str, str], PackageFiles] = {}
    told: list[PackageFiles] = []
    for listing in listings:
        for each in listing.packages:
            told.append(each)
            if each.version:
                packages[each.kind, each.name] = each
    files = {
        path: label(packages[each.kind, each.name])
        for each in told
        if (each.kind, each.name) in packages
        for path in each.files
    }
    for (kind, name), each in packages.items():
        if kind == "deb":
            files[f"var/lib/dpkg/status.d/{name}"] = files[f"var/lib/dpkg/status.d/{name}.md5sums"] = label(each)
    return Owner(packages, files)


def layer_node(layer: ImageLayer, listing: Listing | None, owner: Owner) -> Node:
    """Returns the box of a layer. One that was not read is a box without boxes in it."""
    name = layer.name or layer.descriptor.digest.short
    stored, tar = layer.descriptor.size, layer.layer.tar_size
    if listing is None:
        return Node(name, "layer", tar if tar >= 0 else stored, (), stored, layer.role)
    owned: dict[str, list[tuple[str, int]]] = {}
    for path, size in listing.files:
        owned.setdefault(owner.of(path), []).append((path, size))
    children = list(_tree(owned.pop("", ()), listing.tensors))
    children += [_package(name, files, listing.tensors) for name, files in sorted(owned.items())]
    if listing.more[0]:
        children.append(Node(f"{listing.more[0]} more files", "more", listing.more[1]))
    size = sum(each.size for each in children)
    if tar > size:
        children.append(Node("names and padding", "rest", tar - size))
    return Node(name, "layer", max(size, tar), tuple(children), stored, layer.role)


def _package(name: str, files: list[tuple[str, int]], tensors: Mapping[str, tuple[TensorPlace, ...]]) -> Node:
    """Returns the box of a package. Its paths are those in `site-packages`, where it has them there, which all packages share."""

    def inside(path: str) -> str:
        return path.partition("/site-packages/")[2] or path

    return _container(name, "package", _tree([(inside(path), size) for path, size in files], tensors))


def path_tree(files: Iterable[tuple[str, int, str]]) -> tuple[Node, ...]:
    """Returns paths with sizes and states as folders and files."""
    listed = list(files)
    states = {path: state for path, _, state in listed}
    return tuple(_tree([(path, size) for path, size, _ in listed], {}, states))


def short(name: str) -> str:
    """Returns a name with as many characters as the map shows."""
    half = (MAX_NAME - 1) // 2
    return name if len(name) <= MAX_NAME else f"{name[:half]}…{name[-half:]}"


def _tree(
    files: Iterable[tuple[str, int]],
    tensors: Mapping[str, tuple[TensorPlace, ...]],
    states: Mapping[str, str] | None = None,
) -> Iterator[Node]:
    def leaf(name: str, at: tuple[str, int]) -> Node:
        path, size = at
        inner = tuple(_of_tensors(tensors[path], size)) if path in tensors else ()
        return Node(short(name), "file", size, inner, state=(states or {}).get(path, ""))

    return _nested(((path.split("/"), (path, size)) for path, size in files), "/", "folder", leaf)


def _of_tensors(found: tuple[TensorPlace, ...], size: int) -> Iterator[Node]:
    def leaf(name: str, each: TensorPlace) -> Node:
        return Node(short(name), "tensor", each.size, what=short(each.what))

    yield from _nested(((each.name.split("."), each) for each in found), ".", "group", leaf)
    left = size - sum(each.size for each in found)
    if left > 0:
        yield Node("header", "rest", left)


def _nested(
    paths: Iterable[tuple[list[str], Any]], between: str, kind: Kind, leaf: Callable[[str, Any], Node]
) -> Iterator[Node]:
    """Yields names in folders; a folder with a single thing in it is one with it."""
    root: dict[str, Any] = {}
    for parts, value in paths:
        if len(parts) > MAX_DEPTH:
            parts = [*parts[: MAX_DEPTH - 1], between.join(parts[MAX_DEPTH - 1 :])]
        at = root
        for part in parts[:-1]:
            at = at.setdefault(part + between, {})
        at[parts[-1]] = value  # folders have the separator at their ends, so that none has the name of a file

    def made(at: dict[str, Any]) -> Iterator[Node]:
        for name in sorted(at):
            value = at[name]
            if not isinstance(value, dict):
                yield leaf(name, value)
                continue
            while isinstance(value, dict) and len(value) == 1:
                name, value = name + next(iter(value)), next(iter(value.values()))
            if isinstance(value, dict):
                yield _container(short(name.removesuffix(between)), kind, made(value))
            else:
                yield leaf(name, value)

    yield from made(root)


def _container(name: str, kind: Kind, children: Iterable[Node]) -> Node:
    inner = tuple(children)
    return Node(name, kind, sum(each.size for each in inner), inner)


def _module_of(path: str) -> str:
    """Returns the module whose bytecode a path is: `a/__pycache__/b.cpython-311.pyc` is that of `a/b.py`."""
    folder, _, name = path.rpartition("/")
    return f"{folder.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
