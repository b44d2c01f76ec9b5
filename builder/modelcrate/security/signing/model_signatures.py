"""Checks the OpenSSF model signature (OMS 1.0) of an incoming model: a sigstore bundle in its folder, with the hash of every file.

The hashes of the files are always checked. Where the project names keys, one of them has to have signed the model, and a model without
such a signature is refused. A keyless signature would need a service, so it is not checked and proves nothing; the result names it.
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
from modelcrate_layers.named_file import open_named_file
from modelcrate_layers.tar.listing import list_inside
from modelcrate_layers.tar.sources import FileRange, sha256

OMS = "https://model_signing/signature/v1.0"
MAX_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """The result for one model.

    Attributes:
        faults: What is wrong.
        unchecked: What was not checked, as sentences.
    """

    faults: tuple[CrateError, ...]
    unchecked: tuple[str, ...]


def check_model(top: Path, keys: Sequence[PublicKey]) -> CheckedModel:
    """Checks a model against all signatures in its folder. Without keys, a model without signatures gives an empty result."""
    faults: list[CrateError] = []
    unchecked: list[str] = []
    proven = False
    for path in sorted(top.glob("*.sig")) if top.is_dir() else []:
        envelope = _bundle(path)
        if envelope is None:
            unchecked.append(f"{path.name} is not an OpenSSF model signature, so it was not checked")
            continue
        if envelope.certificate or not keys:
            why = "it is a certificate" if envelope.certificate else "gates: model-keys names no key"
            unchecked.append(f"the signer of {path.name} was not checked: {why}")
        elif not any(envelope.signed_by(key) for key in keys):
            faults.append(IntegrityError("is not signed by any of the project's model-keys", where=str(path)))
            continue
        else:
            proven = True
        faults += _differences(top, path, envelope)
    if keys and not proven and not faults:
        faults.append(_unsigned(top, unchecked))
    return CheckedModel(tuple(faults), tuple(unchecked))


def _unsigned(top: Path, unchecked: Sequence[str]) -> CrateError:
    """A model that nobody vouches for, in a project that asks for it."""
    return IntegrityError(
        "is not signed, and the project's model-keys ask for a signature",
        where=str(top),
        why="; ".join(unchecked)
        or ("" if top.is_dir() else "a signature lies in the model's folder, and this is one file"),
        hint="sign the model's folder, for instance with `model_signing sign key`, or take the keys out of gates: model-keys",
    )


def _bundle(path: Path) -> Envelope | None:
    try:
        with open_named_file(path) as file:
            envelope = parse_bundle(file.read(MAX_JSON))
        return envelope if parse_statement(envelope.payload).predicate_type == OMS else None
    except (OSError, CrateError):
        return None


def _differences(folder: Path, signature: Path, envelope: Envelope) -> Iterator[CrateError]:
    """Yields the differences between a folder and its signature: changed, missing and added files."""
    statement = parse_statement(envelope.payload)
    method = statement.predicate.get("serialization")
    signed = _resources(statement.predicate.get("resources"))
    if (
        not isinstance(method, dict)
        or method.get("method") != "files"
        or method.get("hash_type") != "sha256"
        or signed is None
    ):
        yield IntegrityError(
            "uses an unknown method to sign files; known is: method files, hash type sha256", where=str(signature)
        )
        return
    root = hashlib.sha256(b"".join(bytes.fromhex(signed[name]) for name in sorted(signed))).hexdigest()
    if statement.subjects != (Digest("sha256", root),):
        yield IntegrityError(
            "contradicts itself: its subject is not the hash of its list of files", where=str(signature)
        )
    ignored = {str(each).strip("/") for each in method.get("ignore_paths") or [] if isinstance(each, str)} | {
        signature.name
    }
    found = _files(folder)
    for name, digest in signed.items():
        if name == signature.name:
            continue
        if name not in found:
            yield IntegrityError(f"lacks {name!r:.200}, which is in the signature", where=str(folder))
        elif sha256(found[name]) != digest:
            yield IntegrityError("differs from the signed file", where=str(folder / name))
    for name in sorted(found.keys() - signed.keys()):
        if not any(name == each or name.startswith(f"{each}/") for each in ignored):
            yield IntegrityError("is in a signed model, but not in its signature", where=str(folder / name))


def _files(folder: Path) -> dict[str, FileRange]:
    entries = list_inside(folder, b"").entries
    return {os.fsdecode(each.path).lstrip("/"): each.source for each in entries if isinstance(each.source, FileRange)}


def _resources(value: Any) -> dict[str, str] | None:
    """Returns SHA-256 by file name; None if the list is malformed."""
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
