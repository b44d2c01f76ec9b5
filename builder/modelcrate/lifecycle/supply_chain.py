"""The library, for those who have to know what an image is: signatures, verification, bills of materials, what is behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.api import Built, as_address, as_image, as_session, settings_of
from modelcrate.arguments import as_path, as_paths, as_text
from modelcrate.config import Config
from modelcrate.events import Emit
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.inspect.verify_bytes import ByteCheck
    from modelcrate.maintenance.outdated import Report
    from modelcrate.security.signing.requirements import SignatureCheck
    from modelcrate.security.signing.verifying import Verified


FORMATS = ("spdx", "cyclonedx")


def sign(
    image: Built | str, key: str | Path, *, settings: Config | None = None, emit: Emit | None = None
) -> tuple[Digest, ...]:
    """Signs an image where it is: in a registry, the local store, an OCI layout or an OCI archive. The image does not change.

    Args:
        image: The image, or its address.
        key: The private key's file, or `command:PROGRAM` for a program that signs. Its password is that of the environment in `settings`.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The digests of what was put beside the image.

    Raises:
        UserError: The key can't be used, or nothing can be stored beside an image of this kind.
        SourceError: There is no such image or key.
    """
    from modelcrate.pipeline.sign_image import sign_image
    from modelcrate.security.signing.keys import given_password, load_signer
    from modelcrate.transports.addresses import find

    address, wanted = as_image("image", image), as_address("key", key)
    with as_session(settings_of(image, settings), emit) as session:
        signer = load_signer(wanted, given_password(session.config.environment))
        made = sign_image(find(address, session.connections), address, session.config, signer, session.emit)
    return tuple(each.manifest.descriptor.digest for each in made)


def verify(image: Built | str, *, settings: Config | None = None, emit: Emit | None = None) -> ByteCheck:
    """Reads all bytes of an image, and compares digests, sizes, diff ids and tables of layers. The image may be made with any tool.

    Args:
        image: The image, or its address.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        What was read; `mismatches` is empty where all is correct.

    Raises:
        SourceError: There is no such image.
        RegistryError: The registry can't be reached, or refuses.
    """
    from modelcrate.inspect.verify_bytes import verify_bytes
    from modelcrate.transports.addresses import find

    address = as_image("image", image)
    with as_session(settings_of(image, settings), emit) as session:
        return verify_bytes(find(address, session.connections))


def verify_signatures(
    image: Built | str,
    *,
    keys: str | Path | Sequence[str | Path] = (),
    policy: str | Path | None = None,
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Verified:
    """Verifies the signatures and attestations of an image. No service is called.

    Args:
        image: The image, or its address.
        keys: Files with public keys, one of which has to have signed it.
        policy: The file with a policy that it has to satisfy.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        What was proven, what was checked, and what was not.

    Raises:
        UserError: Neither a key nor a policy is named, or a file has none.
        SourceError: There is no such image or file.
        IntegrityError: A signature is missing or wrong, or the policy is not met.
    """
    from modelcrate.transports.addresses import find

    address, check = as_image("image", image), check_of_signatures(keys, policy)
    if check is None:
        raise UserError("neither a key nor a policy is named", hint="keys= has files with public keys")
    with as_session(settings_of(image, settings), emit) as session:
        verified = check(find(address, session.connections), address)
    assert verified is not None, "so that something was verified"
    return verified


def sbom(
    image: Built | str,
    form: str = "spdx",
    *,
    platform: str | None = None,
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> dict[str, Any]:
    """Returns the bill of materials of an image, made of the contents of its layers.

    Args:
        image: The image, or its address.
        form: `spdx` (SPDX 2.3) or `cyclonedx` (CycloneDX 1.6).
        platform: Which image of an index, such as `linux/arm64`; by default the only one.
        variant: Which of them, by the name of a variant.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The document, as JSON has it.

    Raises:
        UserError: There is no such form.
        SourceError: There is no such image, or none for the platform.
        IntegrityError: A layer is damaged.
    """
    from modelcrate.pipeline.image_inventory import read_inventory
    from modelcrate.security.sbom import cyclonedx, spdx

    if form not in FORMATS:
        raise UserError(f"there is no form {form!r:.80} of a bill of materials", hint=f"one of {', '.join(FORMATS)}")
    address = as_image("image", image)
    wanted = None if platform is None else Platform.parse(as_text("platform", platform))
    with as_session(settings_of(image, settings), emit) as session:
        contents = read_inventory(address, wanted, as_text("variant", variant), session.connections)
    document = spdx.document if form == "spdx" else cyclonedx.document
    return document(contents)


def find_outdated(
    image: Built | str,
    *,
    advisories: str | Path | Sequence[str | Path] = (),
    platform: str | None = None,
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Report:
    """Finds out which packages of an image, and whether its base, are behind their sources, and which have known vulnerabilities.

    Args:
        image: The image, or its address.
        advisories: Files, or folders of files, with vulnerabilities: in OSV's JSON, or the export of Debian's tracker.
        platform: Which image of an index, such as `linux/arm64`; by default the only one.
        variant: Which of them, by the name of a variant.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The packages that are behind or vulnerable, the digest of a newer base, and notices about what could not be looked at.

    Raises:
        SourceError: There is no such image or file.
        IntegrityError: A file has none of the two formats.
        RegistryError: A source can't be reached.
    """
    from datetime import UTC, datetime

    from modelcrate.maintenance import outdated
    from modelcrate.maintenance.advisories import read_advisories
    from modelcrate.transports.addresses import find

    known = read_advisories(as_paths("advisories", advisories))
    address = as_image("image", image)
    wanted = None if platform is None else Platform.parse(as_text("platform", platform))
    with as_session(settings_of(image, settings), emit) as session:
        found = find(address, session.connections).image(wanted, variant)
        return outdated.find_outdated(address, found, known, session.connections, datetime.now(UTC), session.emit)


def check_of_signatures(keys: str | Path | Sequence[str | Path], policy: str | Path | None) -> SignatureCheck | None:
    """Returns the check that arguments ask for; None where they ask for none."""
    from modelcrate.security.signing.requirements import signature_check

    return signature_check(as_paths("keys", keys), None if policy is None else as_path("policy", policy))
