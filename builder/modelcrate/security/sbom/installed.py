"""Parses records of installed packages: dpkg's status, METADATA of wheels, JSON records of conda. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelcrate.security.sbom import licences
from modelcrate_layers.content import parse_object
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.packages.pinned import normalise_name


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """An installed package.

    Attributes:
        kind: deb, wheel or conda.
        name: Its name.
        version: Its version.
        architecture: Debian's architecture, or conda's subdir.
        source: Debian's source package, or conda's build string.
        licence: An SPDX expression, or empty.
        summary: One line.
    """

    kind: str
    name: str
    version: str
    architecture: str = ""
    source: str = ""
    licence: str = ""
    summary: str = ""


def debs(status: bytes) -> Iterator[InstalledPackage]:
    """Yields the installed packages of a dpkg status file, or of one file in status.d (distroless). Skips malformed stanzas."""
    from modelcrate_layers.packages.deb import fields

    for stanza in status.decode("utf-8", "replace").split("\n\n"):
        try:
            stanza_fields = fields(stanza.strip("\n"))
        except CrateError:
            continue
        state = stanza_fields.get("Status", "install ok installed").split()
        if stanza_fields.get("Package") and stanza_fields.get("Version") and state[-1] == "installed":
            source = stanza_fields.get("Source", stanza_fields["Package"]).partition(" ")[0]
            yield InstalledPackage(
                "deb",
                stanza_fields["Package"],
                stanza_fields["Version"],
                stanza_fields.get("Architecture", ""),
                source,
                "",
                stanza_fields.get("Description", "").partition("\n")[0][:200],
            )


def wheel(metadata: bytes) -> Iterator[InstalledPackage]:
    """Yields the package of a METADATA file, if name and version are valid. Reads only its header."""
    header: dict[str, list[str]] = {}
    for line in metadata.decode("utf-8", "replace").partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(": ")
        if colon and re.fullmatch(r"[A-Za-z-]+", key):
            header.setdefault(key, []).append(value.strip())
    name, version = header.get("Name", [""])[0], header.get("Version", [""])[0]
    if re.fullmatch(r"[A-Za-z0-9._-]{1,200}", name) and re.fullmatch(r"[0-9A-Za-z.!+_-]{1,200}", version):
        normal = normalise_name(name)
        yield InstalledPackage(
            "wheel", normal, version, licence=licences.of_wheel(header), summary=header.get("Summary", [""])[0][:200]
        )


def conda(record: bytes) -> Iterator[InstalledPackage]:
    """Yields the package of a conda record (`conda-meta/*.json`); nothing if it is malformed."""
    try:
        values = parse_object(record)
    except CrateError:
        return
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
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
