"""Packages as their installers noted them in an image: dpkg's status, a wheel's metadata, conda's notes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelcrate.security.sbom import licences
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package: `kind` is deb, wheel or conda. `licence` is an SPDX expression, or empty."""

    kind: str
    name: str
    version: str
    architecture: str = ""
    source: str = ""
    licence: str = ""
    summary: str = ""


def debs(status: bytes) -> Iterator[InstalledPackage]:
    """Installed packages: stanzas of dpkg's status, or one of distroless' files. A stanza that can't be read is left out."""
    from modelcrate_layers.packages.deb import fields

    for stanza in status.decode("utf-8", "replace").split("\n\n"):
        try:
            told = fields(stanza.strip("\n"))
        except CrateError:
            continue
        state = told.get("Status", "install ok installed").split()
        if told.get("Package") and told.get("Version") and state[-1] == "installed":
            source = told.get("Source", told["Package"]).partition(" ")[0]
            yield InstalledPackage(
                "deb",
                told["Package"],
                told["Version"],
                told.get("Architecture", ""),
                source,
                "",
                told.get("Description", "").partition("\n")[0][:200],
            )


def wheel(metadata: bytes) -> Iterator[InstalledPackage]:
    """The core metadata of a Python package; only its head is read."""
    told: dict[str, list[str]] = {}
    for line in metadata.decode("utf-8", "replace").partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(": ")
        if colon and re.fullmatch(r"[A-Za-z-]+", key):
            told.setdefault(key, []).append(value.strip())
    name, version = told.get("Name", [""])[0], told.get("Version", [""])[0]
    if re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) and re.fullmatch(r"[0-9A-Za-z.!+_-]{1,200}", version):
        normal = re.sub(r"[-_.]+", "-", name).lower()
        yield InstalledPackage(
            "wheel", normal, version, licence=licences.of_wheel(told), summary=told.get("Summary", [""])[0][:200]
        )


def conda(note: bytes) -> Iterator[InstalledPackage]:
    """What an installer of conda packages notes of one (`conda-meta/*.json`); a note that can't be read is left out."""
    try:
        told = parse_object(note)
    except CrateError:
        return
    texts = {key: value for key, value in told.items() if isinstance(value, str)}
    if all(re.fullmatch(r"[0-9A-Za-z.!+_-]{1,200}", texts.get(key, "")) for key in ("name", "version", "build")):
        licence = texts.get("license", "")
        yield InstalledPackage(
            "conda",
            texts["name"],
            texts["version"],
            texts.get("subdir", ""),
            texts["build"],
            (licences.expression(licence) or licences.reference(licence)) if licence else "",
        )
