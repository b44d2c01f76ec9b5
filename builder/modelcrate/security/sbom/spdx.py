"""Writes an inventory as SPDX 2.3 in JSON. The document is deterministic. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from modelcrate.images.image_config import timestamp
from modelcrate.security.sbom.contents import ModelFile
from modelcrate.security.sbom.inventory import REMEMBERED, Inventory, InventoryItem
from modelcrate.security.sbom.licences import references
from modelcrate_layers.content import canonical_json

MEDIA_TYPE = "application/spdx+json"
NOTHING = "NOASSERTION"


def document(inventory: Inventory) -> dict[str, Any]:
    """Returns the SPDX document of an image. It describes the image, which contains all other elements."""
    packages = [_image(inventory), *map(_package, inventory.items), *_files(inventory)]
    expressions = [each.part.licence for each in inventory.items] + [each.licence for each in inventory.files]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": inventory.name,
        "documentNamespace": f"urn:uuid:{inventory.serial}",
        "creationInfo": {"created": timestamp(inventory.created), "creators": ["Tool: modelcrate"]},
        "packages": packages,
        "hasExtractedLicensingInfos": [_own_licence(each) for each in references(expressions)],
        "relationships": list(_relationships(inventory)),
    }


def text(inventory: Inventory) -> bytes:
    """Returns the SPDX document of an image as JSON text."""
    return canonical_json(document(inventory))


def _notes(inventory: Inventory) -> Iterator[str]:
    if inventory.gaps:
        yield "Not covered: " + "; ".join(inventory.gaps) + "."
    if inventory.unlisted:
        yield "Not listed one by one: " + "; ".join(inventory.unlisted) + "."


def _image(inventory: Inventory) -> dict[str, Any]:
    return {
        "SPDXID": "SPDXRef-image",
        "name": inventory.name,
        "versionInfo": str(inventory.subject.digest),
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": inventory.subject.digest.hex}],
        "externalRefs": [_purl(f"pkg:oci/{_lower(inventory.name)}@sha256%3A{inventory.subject.digest.hex}")],
        **({"comment": " ".join(_notes(inventory))} if inventory.gaps or inventory.unlisted else {}),
        **_common(""),
    }


@lru_cache(REMEMBERED)  # nobody changes what it returns
def _package(item: InventoryItem) -> dict[str, Any]:
    sums = {"checksums": [{"algorithm": "SHA256", "checksumValue": item.sha256}]} if item.sha256 else {}
    return {
        "SPDXID": id_of(item),
        "name": item.part.name,
        "versionInfo": item.part.version,
        "primaryPackagePurpose": "LIBRARY" if item.part.kind == "wheel" else "OTHER",
        "externalRefs": [_purl(item.purl)],
        **({"packageFileName": item.filename} if item.filename else {}),
        **({"summary": item.part.summary} if item.part.summary else {}),
        **sums,
        **_common(item.part.licence),
    }


def _files(inventory: Inventory) -> Iterator[dict[str, Any]]:
    """Yields files as packages of the purpose FILE, because a model's file has facts and no package verification code exists."""
    licences = {
        name: next((each.licence for each in files if each.licence), "") for name, files in inventory.models.items()
    }
    for each in inventory.files:
        about = f"a file of the model {each.model}" if each.model else "a file of the project"
        yield {
            "SPDXID": _file_id(each),
            "name": each.path.rpartition("/")[2],
            "packageFileName": each.path,
            "primaryPackagePurpose": "FILE",
            "checksums": [{"algorithm": "SHA256", "checksumValue": each.sha256}],
            "comment": about + (f"; format {each.format}" if each.format else ""),
            **({"versionInfo": each.model.rpartition(":")[2]} if each.model else {}),
            **({"attributionTexts": [canonical_json({"facts": each.facts}).decode()]} if each.facts else {}),
            **_common(licences.get(each.model, "")),
        }


def _common(licence: str) -> dict[str, Any]:
    """Returns the fields of every element.

    A missing supplier, concluded licence or copyright text means NOASSERTION (SPDX 2.3, 7.5, 7.13 and 7.17). These fields are left out
    because each push sends the document.
    """
    return {"downloadLocation": NOTHING, "filesAnalyzed": False, "licenseDeclared": licence or NOTHING}


def _own_licence(name: str) -> dict[str, str]:
    words = name.removeprefix("LicenseRef-")
    return {
        "licenseId": name,
        "name": words,
        "extractedText": f"The package calls its licence {words!r}; its text is in the package.",
    }


def _relationships(inventory: Inventory) -> Iterator[dict[str, str]]:
    yield {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-image"}
    for name in (*map(id_of, inventory.items), *map(_file_id, inventory.files)):
        yield {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": name}
    if inventory.gaps:  # SPDX 2.3, 11.2: its other contents are unknown
        yield {"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": NOTHING}


@lru_cache(REMEMBERED)
def id_of(item: InventoryItem) -> str:
    """Returns the SPDX identifier of a package."""
    return f"SPDXRef-{item.part.kind}-{_word(item.part.name)}-{_word(item.part.version)}" + (
        f"-{_word(item.part.architecture)}" if item.part.architecture else ""
    )


def _file_id(file: ModelFile) -> str:
    return f"SPDXRef-file-{_word(file.path)}-{file.sha256[:12]}"


def _word(text: str) -> str:
    """Returns a text with only characters of SPDX identifiers. Others become their code points, so different texts stay different."""
    return text.translate(_WORDS)


class _Words(dict[int, str]):
    """The replacement of each character, computed at its first use: a document may name 30,000 files."""

    def __missing__(self, number: int) -> str:
        char = chr(number)
        plain = (char.isascii() and char.isalnum()) or char in ".-"
        self[number] = char if plain else f"-{number:x}-"
        return self[number]


_WORDS = _Words()


def _lower(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", text.rpartition("/")[2].lower()) or "image"


def _purl(purl: str) -> dict[str, str]:
    return {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
