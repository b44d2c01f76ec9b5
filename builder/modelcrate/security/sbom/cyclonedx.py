"""Writes an inventory as CycloneDX 1.6 in JSON, with models as machine-learning components. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from modelcrate.images.image_config import timestamp
from modelcrate.security.sbom.contents import ModelFile
from modelcrate.security.sbom.inventory import REMEMBERED, Inventory, InventoryItem
from modelcrate.security.sbom.licences import ids
from modelcrate_layers.content import canonical_json

MEDIA_TYPE = "application/vnd.cyclonedx+json"
OURS = "modelcrate:"
INCOMPLETE = "incomplete"
"""The aggregate of an image with more contents than its listed components (CycloneDX 1.6, compositions)."""
GAP = f"{OURS}gap"
VERDICT = f"{OURS}pickle-verdict"
UNLISTED = f"{OURS}unlisted"


def document(inventory: Inventory) -> dict[str, Any]:
    """Returns the CycloneDX document of an image."""
    components = [*map(_package, inventory.items), *_models(inventory), *_files(inventory)]
    image = {
        "type": "container",
        "bom-ref": "image",
        "name": inventory.name,
        "version": str(inventory.subject.digest),
        "hashes": _hashes(inventory.subject.digest.hex),
        "properties": [
            {"name": f"{OURS}platform", "value": inventory.platform},
            *({"name": GAP, "value": gap} for gap in inventory.gaps),
            *({"name": UNLISTED, "value": each} for each in inventory.unlisted),
        ],
    }
    tool = {"components": [{"type": "application", "name": "modelcrate"}]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{inventory.serial}",
        "version": 1,
        "metadata": {"timestamp": timestamp(inventory.created), "tools": tool, "component": image},
        "components": components,
        "dependencies": [
            {"ref": "image", "dependsOn": sorted(each["bom-ref"] for each in components)},
            *({"ref": each["bom-ref"]} for each in components),
        ],
        **({"compositions": [{"aggregate": INCOMPLETE, "assemblies": ["image"]}]} if inventory.gaps else {}),
    }


def text(inventory: Inventory) -> bytes:
    """Returns the CycloneDX document of an image as JSON text."""
    return canonical_json(document(inventory))


@lru_cache(REMEMBERED)  # nobody changes what it returns
def _package(item: InventoryItem) -> dict[str, Any]:
    notes = [{"name": f"{OURS}layer", "value": str(item.layer)}]
    notes += [{"name": f"{OURS}file", "value": item.filename}] if item.filename else []
    return {
        "type": "library",
        "bom-ref": item.purl,
        "name": item.part.name,
        "version": item.part.version,
        "purl": item.purl,
        **({"description": item.part.summary} if item.part.summary else {}),
        **({"hashes": _hashes(item.sha256)} if item.sha256 else {}),
        **_licences(item.part.licence),
        "properties": notes,
    }


def _models(inventory: Inventory) -> Iterator[dict[str, Any]]:
    """Yields one component for each model, with its files as nested components."""
    for name, files in inventory.models.items():
        title, _, version = name.rpartition(":")
        licence = next((each.licence for each in files if each.licence), "")
        yield {
            "type": "machine-learning-model",
            "bom-ref": f"model/{name}",
            "name": title,
            "version": version,
            **_licences(licence),
            "modelCard": _card(files),
            "components": [_model_file(each) for each in files],
        }


def _card(files: list[ModelFile]) -> dict[str, Any]:
    inputs = [port for each in files for port in each.facts.get("inputs", ())]
    outputs = [port for each in files for port in each.facts.get("outputs", ())]
    kinds = sorted({each.format for each in files if each.facts})
    parameters: dict[str, Any] = {"modelArchitecture": ", ".join(kinds)} if kinds else {}
    for key, ports in (("inputs", inputs), ("outputs", outputs)):
        if ports:
            parameters[key] = [{"format": f"{port['name']}: {port['type']} {port['shape']}"} for port in ports]
    return {"modelParameters": parameters}


def _model_file(file: ModelFile) -> dict[str, Any]:
    notes = {
        "format": file.format,
        "size": str(file.size),
        "facts": canonical_json(file.facts).decode() if file.facts else "",
    }
    properties = [{"name": f"{OURS}{key}", "value": value} for key, value in notes.items() if value]
    properties += [{"name": VERDICT, "value": file.verdict}] if file.verdict else []
    return {
        "type": "file",
        "bom-ref": f"file/{file.path}",
        "name": file.path,
        "hashes": _hashes(file.sha256),
        "properties": properties,
    }


def _files(inventory: Inventory) -> Iterator[dict[str, Any]]:
    for each in inventory.files:
        if not each.model:
            yield {"type": "file", "bom-ref": f"file/{each.path}", "name": each.path, "hashes": _hashes(each.sha256)}


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]


def _licences(expression: str) -> dict[str, Any]:
    """Returns one SPDX licence as an id, one LicenseRef as a name, several as an expression."""
    if not expression:
        return {}
    if " " in expression:
        return {"licenses": [{"expression": expression}]}
    name = (ids(expression) or [expression])[0]
    return {
        "licenses": [
            {"license": {"name" if name.startswith("LicenseRef-") else "id": name.removeprefix("LicenseRef-")}}
        ]
    }
