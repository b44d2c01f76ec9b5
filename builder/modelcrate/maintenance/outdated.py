"""What of an image is behind its sources: Debian's packages, wheels, the base; and what lists of vulnerabilities say of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from modelcrate.events import Emit
from modelcrate.images.image import Image
from modelcrate.images.image_config import BASE_DIGEST, BASE_NAME
from modelcrate.images.reference import Reference
from modelcrate.maintenance.advisories import Advisories, Advisory
from modelcrate.maintenance.rebase import base_layers, find_side
from modelcrate.net.config import HttpConfig
from modelcrate.net.index_config import tool_settings
from modelcrate.resolve.debian import DebianWanted, choose_mirrors, known_release, newest_debs
from modelcrate.resolve.debian.releases import DebianRelease
from modelcrate.resolve.debian.versions import version_key
from modelcrate.resolve.index import Index
from modelcrate.resolve.pylock import versions
from modelcrate.resolve.target import Target
from modelcrate.resolve.uv import Uv
from modelcrate.security.sbom.inventory import InventoryItem, inventory
from modelcrate.transports.connections import Connections
from modelcrate.transports.registry import find
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import dataclass

_UBUNTU = {"12": "jammy", "13": "noble"}
"""The releases of Ubuntu by the version of their package base-files. Debian's has the release's own number."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A package that is behind, or that a list of vulnerabilities names.

    Attributes:
        kind: deb or wheel.
        name: Its name.
        version: The version in the image.
        newest: The newest one of its source that fits the image; empty if the image has that, or it is not known.
        advisories: The vulnerabilities of the image's version.
    """

    kind: str
    name: str
    version: str
    newest: str
    advisories: tuple[Advisory, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What of an image is behind.

    Attributes:
        packages: How many packages were looked at.
        findings: Those that are behind or affected, by kind and name.
        base: The digest of the base that its name has now; empty if the image has that one, or names none.
        base_name: The name of the base.
        notices: What could not be looked at.
    """

    packages: int
    findings: tuple[Finding, ...]
    base: str
    base_name: str
    notices: tuple[str, ...]


def find_outdated(
    name: str, image: Image, advisories: Advisories, connections: Connections, now: datetime, emit: Emit
) -> Report:
    """Compares the packages of an image with their sources: the release's signed lists, and the package index.

    Args:
        name: The image's name.
        image: The image, whose layers are read once on a machine.
        advisories: Lists of vulnerabilities; may be empty.
        connections: The open connections.
        now: The time, for the last day of Debian's lists.
        emit: Gets the progress.

    Raises:
        RegistryError: A layer can't be fetched.
        IntegrityError: A layer, or one of Debian's lists, is not what it has to be.
    """
    config = connections.config
    items = inventory(name, image, config).items
    debs = {each.part.name: each for each in items if each.part.kind == "deb"}
    wheels = {each.part.name: each for each in items if each.part.kind == "wheel"}
    notices: list[str] = []
    release = _release(debs)
    newest: dict[tuple[str, str], str] = {}
    if debs and release is None:
        notices.append("the release of its Debian packages is not known, so they were not compared")
    elif release is not None and debs:
        newest |= _newest_debs(release, image, debs, connections, now)
    if wheels:
        found, told = _newest_wheels(image, wheels, connections, emit)
        newest |= {("wheel", each): version for each, version in found.items()}
        notices += told
    findings = []
    for each in sorted(items, key=lambda item: (item.part.kind, item.part.name)):
        part = each.part
        after = newest.get((part.kind, part.name), "")
        known = _advisories(each, advisories, release)
        if after or known:
            findings.append(Finding(part.kind, part.name, part.version, after, tuple(known)))
    base, base_name, told_of_base = _base(image, connections)
    return Report(len(debs) + len(wheels), tuple(findings), base, base_name, (*notices, *told_of_base))


def _release(debs: Mapping[str, InventoryItem]) -> DebianRelease | None:
    """Returns the release that the packages are of, by the version of base-files."""
    found = debs.get("base-files")
    number = re.match(r"[0-9]+", found.part.version) if found is not None else None
    if found is None or number is None:
        return None
    try:
        return known_release(_UBUNTU.get(number[0], "") if "ubuntu" in found.part.version else number[0])
    except UserError:
        return None


def _newest_debs(
    release: DebianRelease, image: Image, debs: Mapping[str, InventoryItem], connections: Connections, now: datetime
) -> dict[tuple[str, str], str]:
    config = connections.config
    mirrors = choose_mirrors((), config.environment, distribution=release.distribution)
    wanted = DebianWanted(release.codename, image.platform.architecture, tuple(debs))
    known = newest_debs(wanted, mirrors, connections.downloader, config.cache, now)
    found = ((name, known.get(name), each.part.version) for name, each in debs.items())
    return {
        ("deb", name): package.version
        for name, package, version in found
        if package is not None and package.key > version_key(version)
    }


def _newest_wheels(
    image: Image, wheels: Mapping[str, InventoryItem], connections: Connections, emit: Emit
) -> tuple[dict[str, str], list[str]]:
    """Returns the newest versions that have a wheel for the image, of those that are behind, and what could not be asked."""
    from packaging.utils import canonicalize_name

    target, config = _target(image, connections, emit), connections.config
    if target is None:
        return {}, ["the Python of the image was not found, so its wheels were not compared"]
    settings = tool_settings(HttpConfig(config.environment))
    index = Index(settings.default, settings.extra, merged=settings.pip, source=settings.name)
    uv = Uv(config.cache / "uv", HttpConfig(config.environment, config.offline))
    newest = _newest_versions(sorted(wheels), target, index, uv)
    behind, unknown = {}, []
    for name, each in wheels.items():
        after = newest.get(canonicalize_name(name), "")
        if not after:
            unknown.append(name)
        elif _is_newer(after, each.part.version):
            behind[name] = after
    told = [f"not on the index, or without a wheel for {target}: {', '.join(sorted(unknown)[:8])}"] if unknown else []
    return behind, told


def _newest_versions(names: Sequence[str], target: Target, index: Index, uv: Uv) -> dict[str, str]:
    """Returns the newest versions with a wheel for the target. Where one name can't be had, the others are asked without it."""
    if not names:
        return {}
    try:
        with scratch_folder() as scratch:
            file = scratch / "requirements.txt"
            file.write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="\n")
            text = uv.compile([file], target, index, "--no-deps")
        return versions(text, "the index")
    except UserError:
        half = len(names) // 2
        if not half:
            return {}
        return {
            **_newest_versions(names[:half], target, index, uv),
            **_newest_versions(names[half:], target, index, uv),
        }


def _target(image: Image, connections: Connections, emit: Emit) -> Target | None:
    """Returns what wheels of an image are for, from the files of its base."""
    side = find_side(image, base_layers(image.layers), connections.config.cache, emit)
    if not side.pythons:
        return None
    of_libc = {side.libc.name: side.libc.version} if side.libc is not None else {}
    architecture = image.platform.architecture
    return Target(side.pythons[0].python, architecture, of_libc.get("glibc", (2, 36)), of_libc.get("musl"))


def _is_newer(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) > Version(other)
    except InvalidVersion:
        return False


def _base(image: Image, connections: Connections) -> tuple[str, str, list[str]]:
    """Returns the digest that the base's name has now, if it is another one, its name, and what could not be asked."""
    notes = image.annotations
    name, digest = str(notes.get(BASE_NAME, "")), notes.get(BASE_DIGEST)
    if not name or not digest:
        return "", "", []
    try:
        found = find(Reference.parse(name), connections)
    except CrateError as fault:
        return "", name, [f"the base {name} could not be asked for: {fault.what}"]
    members = {str(each.digest) for each in (found.descriptor, *found.members())}
    return ("" if digest in members else str(found.descriptor.digest)), name, []


def _advisories(item: InventoryItem, advisories: Advisories, release: DebianRelease | None) -> list[Advisory]:
    part = item.part
    if part.kind == "wheel":
        return advisories.of_wheel(part.name, part.version)
    if part.kind == "deb" and release is not None:
        return advisories.of_deb(part.source or part.name, part.version, release.codename, release.number)
    return []
