"""Signing and verifying in layouts, archives and across copies; what one changed byte does; and what the words say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import ARTIFACTS_ANNOTATION
from modelcrate.images.image import Image, Index
from modelcrate.images.reading import Found
from modelcrate.security.sbom import cyclonedx, spdx
from modelcrate.security.sbom.inventory import inventory
from modelcrate.security.signing import keys, statements
from modelcrate.security.signing.keys import LocalKey, PublicKey
from modelcrate.security.signing.signing import sign
from modelcrate.security.signing.verifying import Verified, require_signature, verify
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from support.trusted import small_image, small_index


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


@pytest.fixture
def signer(tmp_path: Path) -> LocalKey:
    private, _ = keys.write_pair(tmp_path / "k", None)
    found = keys.load_signer(str(private), None)
    assert isinstance(found, LocalKey)
    return found


Placed = Callable[..., str]


@pytest.fixture
def placed(tmp_path: Path, settings: Config) -> Placed:
    def place(kind: str, image: Image | Index | None = None) -> str:
        target = {
            "oci": f"{tmp_path}/layout:1",
            "oci-archive": f"{tmp_path}/a.tar",
            "store": "demo:1",
            "docker-archive": f"{tmp_path}/d.tar",
        }[kind]
        parse(f"{kind}:{target}").deliver(image or small_image(), Connections(settings), ignore_event)
        return target if kind == "store" else f"{kind}:{target}"

    return place


def proven(found: Found, *by: PublicKey) -> Verified:
    verified = verify(found, by, "it")
    require_signature(verified)
    return verified


@pytest.mark.parametrize("kind", ["oci", "oci-archive", "store"])
def test_an_image_is_signed_where_it_is_and_stays_what_it_was(
    kind: str, placed: Placed, signer: LocalKey, settings: Config
) -> None:
    address = placed(kind)
    before = find(address, Connections(settings)).descriptor.digest
    sign(find(address, Connections(settings)), "demo", signer)
    verified = proven(find(address, Connections(settings)), signer.public)
    assert verified.digest == before
    assert sorted(each.form for each in verified.signatures) == ["bundle", "signature under a tag"]
    assert any("layers" in line and "bytes" in line for line in verified.checked)


def test_signing_again_adds_nothing(placed: Placed, signer: LocalKey, settings: Config) -> None:
    address = placed("oci")
    sign(find(address, Connections(settings)), "demo", signer)
    once = find(address, Connections(settings)).descriptor.annotations[ARTIFACTS_ANNOTATION]
    sign(find(address, Connections(settings)), "demo", signer)
    assert find(address, Connections(settings)).descriptor.annotations[ARTIFACTS_ANNOTATION] == once


def test_two_keys_sign_one_image(placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path) -> None:
    address = placed("oci")
    private, _ = keys.write_pair(tmp_path / "second", "pw")
    second = keys.load_signer(str(private), "pw")
    for each in (signer, second):
        sign(find(address, Connections(settings)), "demo", each)
    assert len(proven(find(address, Connections(settings)), signer.public, second.public).signatures) == 4
    assert len(proven(find(address, Connections(settings)), second.public).signatures) == 2


def test_an_index_is_signed_with_its_images(placed: Placed, signer: LocalKey, settings: Config) -> None:
    address = placed("oci", small_index())
    sign(find(address, Connections(settings)), "demo", signer)
    verified = proven(find(address, Connections(settings)), signer.public)
    assert {each.digest for each in verified.proven} == {verified.digest, *verified.members}


def test_no_signature_is_an_integrity_error(placed: Placed, signer: LocalKey, settings: Config) -> None:
    with pytest.raises(IntegrityError, match="not signed by any of these keys") as caught:
        proven(find(placed("oci"), Connections(settings)), signer.public)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "way", [("oci", "oci-archive"), ("oci", "docker-archive"), ("oci-archive", "store"), ("store", "oci")]
)
def test_what_is_said_travels_with_copies(
    way: tuple[str, str], placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    address = placed(way[0])
    sign(find(address, Connections(settings)), "demo", signer)
    digest = find(address, Connections(settings)).descriptor.digest
    target = {"store": "copy:2", "oci": f"{tmp_path}/other:1"}.get(way[1], f"{tmp_path}/copy.tar")
    parse(f"{way[1]}:{target}").deliver(
        find(address, Connections(settings)).copy(), Connections(settings), ignore_event
    )
    verified = proven(find(target if way[1] == "store" else f"{way[1]}:{target}", Connections(settings)), signer.public)
    assert verified.digest == digest


def test_the_image_stays_the_only_entry_of_its_layout(
    placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    sign(find(placed("oci"), Connections(settings)), "demo", signer)
    assert len(json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]) == 1


def test_a_new_copy_into_a_layout_keeps_what_is_there(placed: Placed, signer: LocalKey, settings: Config) -> None:
    address = placed("oci")
    sign(find(address, Connections(settings)), "demo", signer)
    placed("oci")
    proven(find(address, Connections(settings)), signer.public)


def test_an_archive_for_docker_is_not_signed(
    placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    address = placed("oci")
    sign(find(address, Connections(settings)), "demo", signer)
    parse(f"docker-archive:{tmp_path}/d.tar").deliver(
        find(address, Connections(settings)).copy(), Connections(settings), ignore_event
    )
    with pytest.raises(UserError, match="can't be signed"):
        sign(find(f"docker-archive:{tmp_path}/d.tar", Connections(settings)), "demo", signer)


def test_every_changed_byte_of_every_blob_is_refused(
    placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    address = placed("oci")
    sign(find(address, Connections(settings)), "demo", signer)
    blobs = sorted((tmp_path / "layout/blobs/sha256").iterdir())
    assert len(blobs) >= 8
    for blob in blobs:
        data = blob.read_bytes()
        for at in {0, len(data) // 2, len(data) - 1}:
            blob.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            with pytest.raises(CrateError):
                proven(find(address, Connections(settings)), signer.public)
        blob.write_bytes(data)
    proven(find(address, Connections(settings)), signer.public)


def test_every_changed_byte_of_an_archive_s_blobs_is_refused(
    placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    address = placed("oci-archive")
    sign(find(address, Connections(settings)), "demo", signer)
    path = tmp_path / "a.tar"
    data = path.read_bytes()
    start = data.index(b"blobs/sha256/", data.index(b"blobs/sha256/") + 512) + 512
    for at in range(start, start + 300, 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        if data[at]:
            with pytest.raises(CrateError):
                proven(find(address, Connections(settings)), signer.public)


def test_unsigned_documents_are_told_and_attested_only_if_they_are_made_anew(
    placed: Placed, signer: LocalKey, settings: Config
) -> None:
    from modelcrate.images.artifact import make_referrer
    from modelcrate.pipeline.attest import attest_anew
    from modelcrate.security.signing.signing import put
    from modelcrate_layers.content import Literal

    address = placed("oci")
    image = small_image()
    told = inventory("demo", image, settings)
    found = find(address, Connections(settings))
    for module in (spdx, cyclonedx):
        put(found, (make_referrer(found.descriptor, module.MEDIA_TYPE, Literal(module.text(told), module.MEDIA_TYPE)),))
    assert (
        sum(
            "not signed" in line
            for line in verify(find(address, Connections(settings)), [signer.public], "it").unchecked
        )
        == 2
    )
    sign(find(address, Connections(settings)), "demo", signer)
    verified = proven(find(address, Connections(settings)), signer.public)
    assert verified.of_type(statements.SPDX, statements.CYCLONEDX) == (), "anyone may have put them there"
    made = attest_anew(find(address, Connections(settings)), "demo", settings, signer)
    sign(find(address, Connections(settings)), "demo", signer, made)
    verified = proven(find(address, Connections(settings)), signer.public)
    assert len(verified.of_type(statements.SPDX, statements.CYCLONEDX)) == 2


def test_a_bundle_that_names_our_key_and_is_not_by_it_is_an_attack(
    placed: Placed, signer: LocalKey, settings: Config, tmp_path: Path
) -> None:
    from modelcrate.images.artifact import make_referrer
    from modelcrate.security.signing.signing import put
    from modelcrate_layers.content import Literal

    address = placed("oci")
    sign(find(address, Connections(settings)), "demo", signer)
    found = find(address, Connections(settings))
    other = keys.load_signer(str(keys.write_pair(tmp_path / "evil", None)[0]), None)
    forged = statements.bundle(statements.statement(found.descriptor.digest, statements.SIGNED, {}), other)
    forged = forged.replace(other.public.hint.encode(), signer.public.hint.encode())
    put(found, (make_referrer(found.descriptor, statements.BUNDLE, Literal(forged, statements.BUNDLE)),))
    with pytest.raises(IntegrityError, match="did not make it"):
        proven(find(address, Connections(settings)), signer.public)


def test_a_statement_about_another_digest_proves_nothing(signer: LocalKey) -> None:
    said = statements.parse_statement(statements.statement(Digest.of(b"other"), statements.SIGNED, {}))
    assert said.subjects == (Digest.of(b"other"),)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("registry.example/team/x:1", "registry.example/team/x"),
        ("registry:localhost:5000/x@sha256:" + "0" * 64, "localhost:5000/x"),
        ("demo:1", "demo"),
        ("demo", "demo"),
        ("oci:/a/b:1", "/a/b:1"),
    ],
)
def test_names(address: str, name: str) -> None:
    from modelcrate.security.signing.naming import image_identity

    assert image_identity(address) == name
