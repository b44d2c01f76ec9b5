"""cosign verifies what we sign, and we verify what cosign signs: both forms, attestations too, and one changed byte is refused by both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import make_referrer
from modelcrate.security.signing import keys, signing, statements
from modelcrate.security.signing.verifying import require_signature, verify
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.errors import CrateError, IntegrityError
from support import real_registry
from support.real_registry import Running
from support.tools import need
from support.trusted import cosign, small_image

pytestmark = pytest.mark.interop

OFFLINE = ("--insecure-ignore-tlog=true", "--allow-http-registry")
QUIET = ("--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry")
FORMS = {"bundle": (), "tag": ("--new-bundle-format=false",)}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if real_registry.missing():
        pytest.skip(real_registry.missing())
    need("cosign")
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def host(registry: Running) -> str:
    return registry.host


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


def pushed(host: str, name: str, settings: Config) -> str:
    reference = f"{host}/team/{name}:1"
    parse(f"registry:{reference}").deliver(small_image({"a": name.encode()}), Connections(settings), ignore_event)
    return reference


@pytest.fixture
def pair(tmp_path: Path) -> tuple[keys.Signer, Path]:
    private, public = keys.write_pair(tmp_path / "ours", "secret")
    return keys.load_signer(str(private), "secret"), public


@pytest.mark.parametrize("form", FORMS)
def test_cosign_verifies_our_signature(
    form: str, host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    reference = pushed(host, f"ours-{form}", settings)
    signing.sign(find(reference, Connections(settings)), f"{host}/team/ours-{form}", pair[0])
    done = cosign("verify", "--key", str(pair[1]), *OFFLINE, *FORMS[form], reference, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(find(reference, Connections(settings)).descriptor.digest) in done.stdout


def test_cosign_verifies_our_attestation(
    host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    reference = pushed(host, "attested", settings)
    found = find(reference, Connections(settings))
    artifact = statements.attest(found.descriptor, statements.PROVENANCE, {"buildDefinition": {}}, pair[0])
    signing.put(found, (artifact,))
    done = cosign(
        "verify-attestation", "--key", str(pair[1]), "--type", "slsaprovenance1", *OFFLINE, reference, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_cosign_refuses_another_key(
    host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    reference = pushed(host, "other-key", settings)
    signing.sign(find(reference, Connections(settings)), reference, pair[0])
    _, other = keys.write_pair(tmp_path / "other", None)
    for form in FORMS.values():
        assert cosign("verify", "--key", str(other), *OFFLINE, *form, reference, folder=tmp_path).returncode != 0
    with pytest.raises(IntegrityError, match="not signed by any of these keys"):
        require_signature(verify(find(reference, Connections(settings)), [keys.load_public(other)], reference))


def test_both_refuse_a_signature_of_another_image(
    host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    signed, stolen = (
        find(pushed(host, "signed", settings), Connections(settings)),
        find(reference := pushed(host, "stolen", settings), Connections(settings)),
    )
    payload = statements.statement(signed.descriptor.digest, statements.SIGNED, {})
    blob = statements.Literal(statements.bundle(payload, pair[0]), statements.BUNDLE)
    signing.put(stolen, (make_referrer(stolen.descriptor, statements.BUNDLE, blob),))
    assert cosign("verify", "--key", str(pair[1]), *OFFLINE, reference, folder=tmp_path).returncode != 0
    with pytest.raises(IntegrityError, match="about another image"):
        require_signature(verify(stolen, [keys.load_public(pair[1])], reference))


@pytest.mark.parametrize("at", [0.2, 0.5, 0.8])
def test_both_refuse_a_changed_bundle(
    at: float, host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    reference = pushed(host, f"changed-{at}", settings)
    found = find(reference, Connections(settings))
    whole = statements.bundle(statements.statement(found.descriptor.digest, statements.SIGNED, {}), pair[0])
    start = whole.index(b'"payload":"') + 11
    end = whole.index(b'"', start)
    place = start + int((end - start) * at)
    changed = whole[:place] + (b"A" if whole[place : place + 1] != b"A" else b"B") + whole[place + 1 :]
    signing.put(
        found,
        (make_referrer(found.descriptor, statements.BUNDLE, statements.Literal(changed, statements.BUNDLE)),),
    )
    assert cosign("verify", "--key", str(pair[1]), *OFFLINE, reference, folder=tmp_path).returncode != 0
    with pytest.raises(IntegrityError, match="did not make it"):
        require_signature(verify(find(reference, Connections(settings)), [keys.load_public(pair[1])], reference))


@pytest.mark.parametrize("form", FORMS)
def test_both_refuse_a_byte_that_was_changed_in_the_registry(
    form: str, registry: Running, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    """On the registry's disk, in every blob that says something about the image. A manifest that is not what it was, the registry refuses too."""
    reference = pushed(registry.host, f"flipped-{form}", settings)
    found = find(reference, Connections(settings))
    for each in signing.signatures(found.descriptor, reference, pair[0]):
        if bool(each.tag) is (form == "tag"):
            signing.put(found, (each,))
            said = [each.manifest.descriptor, each.layers[0]]
    for descriptor in said:
        path = (
            registry.data / f"docker/registry/v2/blobs/sha256/{descriptor.digest.hex[:2]}/{descriptor.digest.hex}/data"
        )
        data = path.read_bytes()
        for at in (len(data) // 2,) if descriptor is said[0] else (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            done = cosign("verify", "--key", str(pair[1]), *OFFLINE, *FORMS[form], reference, folder=tmp_path)
            assert done.returncode != 0, f"cosign takes byte {at} of {descriptor.media_type}"
            with pytest.raises(CrateError):
                require_signature(
                    verify(find(reference, Connections(settings)), [keys.load_public(pair[1])], reference)
                )
        path.write_bytes(data)
    done = cosign("verify", "--key", str(pair[1]), *OFFLINE, *FORMS[form], reference, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    require_signature(verify(find(reference, Connections(settings)), [keys.load_public(pair[1])], reference))


@pytest.mark.parametrize("form", FORMS)
def test_we_verify_what_cosign_signs_and_attests(form: str, host: str, settings: Config, tmp_path: Path) -> None:
    reference = pushed(host, f"theirs-{form}", settings)
    assert cosign("generate-key-pair", folder=tmp_path).returncode == 0
    (tmp_path / "predicate.json").write_text('{"buildDefinition": {}}')
    signed = cosign("sign", "--key", "cosign.key", *QUIET, *FORMS[form], reference, folder=tmp_path)
    assert signed.returncode == 0, signed.stderr
    words = ("--predicate", "predicate.json", "--type", "slsaprovenance1")
    attested = cosign("attest", "--key", "cosign.key", *words, *QUIET, *FORMS[form], reference, folder=tmp_path)
    assert attested.returncode == 0, attested.stderr
    verified = verify(find(reference, Connections(settings)), [keys.load_public(tmp_path / "cosign.pub")], reference)
    require_signature(verified)
    assert len(verified.of_type(statements.PROVENANCE)) == 1


def test_we_read_cosigns_encrypted_key(host: str, tmp_path: Path) -> None:
    assert cosign("generate-key-pair", folder=tmp_path).returncode == 0
    signer = keys.load_signer(str(tmp_path / "cosign.key"), "secret")
    assert signer.public == keys.load_public(tmp_path / "cosign.pub")
    with pytest.raises(Exception, match="password is wrong"):
        keys.load_signer(str(tmp_path / "cosign.key"), "other")


def test_our_signature_beside_cosigns_under_one_tag(
    host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    reference = pushed(host, "both", settings)
    cosign("generate-key-pair", folder=tmp_path)
    assert cosign("sign", "--key", "cosign.key", *QUIET, *FORMS["tag"], reference, folder=tmp_path).returncode == 0
    signing.sign(find(reference, Connections(settings)), reference, pair[0])
    for public in (tmp_path / "cosign.pub", pair[1]):
        assert (
            cosign("verify", "--key", str(public), *OFFLINE, *FORMS["tag"], reference, folder=tmp_path).returncode == 0
        )


@pytest.mark.parametrize("changed", [False, True])
def test_cosign_verifies_our_layout_behind_an_air_gap(
    changed: bool, host: str, settings: Config, pair: tuple[keys.Signer, Path], tmp_path: Path
) -> None:
    parse(f"oci:{tmp_path}/layout").deliver(small_image(), Connections(settings), ignore_event)
    found = find(f"oci:{tmp_path}/layout", Connections(settings))
    signing.sign(found, "demo", pair[0])
    if changed:  # cosign reads no other blob of a layout than the bundles; the others are for us to check
        for path in (tmp_path / "layout/blobs/sha256").iterdir():
            path.write_bytes(path.read_bytes().replace(b'"payload":"eyJf', b'"payload":"eyJg'))
        with pytest.raises(IntegrityError):
            verify(find(f"oci:{tmp_path}/layout", Connections(settings)), [keys.load_public(pair[1])], "it")
    done = cosign(
        "verify", "--key", str(pair[1]), "--insecure-ignore-tlog=true", "--local-image", "layout", folder=tmp_path
    )
    assert (done.returncode != 0) is changed, done.stderr
