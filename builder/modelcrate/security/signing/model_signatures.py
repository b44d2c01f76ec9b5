"""The OpenSSF model signature (OMS 1.0) of an incoming model: a sigstore bundle in the model's folder that names every file by its hash.

The files are always held to it; the signature itself, where the project names keys. Keyless signatures need services, and are told of.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelcrate.security.signing.keys import PublicKey
from modelcrate.security.signing.statements import Envelope, parse_bundle, parse_statement
from modelcrate_layers.content import MAX_JSON, Digest
from modelcrate_layers.errors import CrateError, IntegrityError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.listing import list_inside
from modelcrate_layers.tar.sources import FileRange, sha256

OMS = "https://model_signing/signature/v1.0"
MAX_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """What is wrong with a model that is signed, and what was not checked."""

    faults: tuple[CrateError, ...]
    unchecked: tuple[str, ...]


def check_model(folder: Path, keys: Sequence[PublicKey]) -> CheckedModel:
    """Hold a model's folder to the signatures in it; nothing to say, where there are none."""
    faults: list[CrateError] = []
    unchecked: list[str] = []
    for path in sorted(folder.glob("*.sig")) if folder.is_dir() else []:
        envelope = _bundle(path)
        if envelope is None:
            unchecked.append(f"{path.name} is no OpenSSF model signature, and was not checked")
            continue
        if envelope.certificate or not keys:
            why = "by a certificate" if envelope.certificate else "gates: model-keys names no key"
            unchecked.append(f"who signed {path.name} was not checked: {why}")
        elif not any(envelope.signed_by(key) for key in keys):
            faults.append(IntegrityError("is not signed by any of the project's model-keys", where=str(path)))
            continue
        faults += _differences(folder, path, envelope)
    return CheckedModel(tuple(faults), tuple(unchecked))


def _bundle(path: Path) -> Envelope | None:
    try:
        with open(path, "rb") as file:
            envelope = parse_bundle(file.read(MAX_JSON))
        return envelope if parse_statement(envelope.payload).predicate_type == OMS else None
    except (OSError, CrateError):
        return None


def _differences(folder: Path, signature: Path, envelope: Envelope) -> Iterator[CrateError]:
    """How the folder differs from what was signed: other bytes, files that lack, files that nobody signed."""
    said = parse_statement(envelope.payload)
    how = said.predicate.get("serialization")
    named = _resources(said.predicate.get("resources"))
    if not isinstance(how, dict) or how.get("method") != "files" or how.get("hash_type") != "sha256" or named is None:
        yield IntegrityError("signs its files in a way that is not known here", where=str(signature))
        return
    root = hashlib.sha256(b"".join(bytes.fromhex(named[name]) for name in sorted(named))).hexdigest()
    if said.subjects != (Digest("sha256", root),):
        yield IntegrityError("contradicts itself: its subject is not the hash of its files", where=str(signature))
    ignored = {str(each).strip("/") for each in how.get("ignore_paths") or [] if isinstance(each, str)} | {
        signature.name
    }
    found = _files(folder)
    for name, digest in named.items():
        if name == signature.name:
            continue
        if name not in found:
            yield IntegrityError(f"lacks {name!r:.200}, which was signed", where=str(folder))
        elif sha256(found[name]) != digest:
            yield IntegrityError("has other bytes than those that were signed", where=str(folder / name))
    for name in sorted(found.keys() - named.keys()):
        if not any(name == each or name.startswith(f"{each}/") for each in ignored):
            yield IntegrityError("stands in a signed model, and was not signed", where=str(folder / name))


def _files(folder: Path) -> dict[str, FileRange]:
    entries = list_inside(folder, b"").entries
    return {os.fsdecode(each.path).lstrip("/"): each.source for each in entries if isinstance(each.source, FileRange)}


def _resources(value: Any) -> dict[str, str] | None:
    """SHA-256 by name; None, where any of it is not what it should be."""
    if not isinstance(value, list) or len(value) > MAX_FILES:
        return None
    found: dict[str, str] = {}
    for each in value:
        if (
            not isinstance(each, dict)
            or not isinstance(each.get("name"), str)
            or each.get("algorithm") != "sha256"
            or each["name"] in found
        ):
            return None
        try:
            found[each["name"]] = Digest("sha256", str(each.get("digest"))).hex
        except IntegrityError:
            return None
    return found
