"""What is said about an image in a real registry: listed under the stand-in tag, copied along, and not sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.image import Image
from modelcrate.security.signing import keys, signing
from modelcrate.security.signing.verifying import require_signature, verify
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.errors import IntegrityError
from support import real_registry
from support.trusted import small_image, small_index


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if real_registry.missing():
        pytest.skip(real_registry.missing())
    with real_registry.running(tmp_path_factory.mktemp("registry")) as running:
        yield running.host


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


@pytest.fixture
def signer(tmp_path: Path) -> keys.Signer:
    return keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)


def signed(signer: keys.Signer, content: bytes) -> Image:
    image = small_image({"a": content})
    return replace(image, attached=signing.signatures(image.manifest.descriptor, "demo", signer))


def test_signatures_go_along_with_a_push_and_are_not_sent_again(
    host: str, settings: Config, signer: keys.Signer
) -> None:
    reference = f"{host}/trust/push:1"
    image = signed(signer, b"push")
    first = parse(f"registry:{reference}").deliver(image, Connections(settings), ignore_event)
    again = parse(f"registry:{reference}").deliver(image, Connections(settings), ignore_event)
    require_signature(verify(find(reference, Connections(settings)), [signer.public], reference))
    assert first.sent > 0
    assert again.sent == 0
    assert again.requests < first.requests / 2


def test_copies_carry_them_from_registry_to_layout_to_registry(
    host: str, settings: Config, signer: keys.Signer, tmp_path: Path
) -> None:
    source, target = f"{host}/trust/source:1", f"{host}/elsewhere/target:2"
    parse(f"registry:{source}").deliver(signed(signer, b"copy"), Connections(settings), ignore_event)
    parse(f"oci-archive:{tmp_path}/gap.tar").deliver(
        find(source, Connections(settings)).copy(), Connections(settings), ignore_event
    )
    parse(f"registry:{target}").deliver(
        find(f"oci-archive:{tmp_path}/gap.tar", Connections(settings)).copy(), Connections(settings), ignore_event
    )
    verified = verify(find(target, Connections(settings)), [signer.public], target)
    require_signature(verified)
    assert sorted(each.form for each in verified.signatures) == ["bundle", "signature under a tag"]
    assert verified.digest == find(source, Connections(settings)).descriptor.digest


def test_an_index_is_signed_in_a_registry(host: str, settings: Config, signer: keys.Signer) -> None:
    reference = f"{host}/trust/index:1"
    parse(f"registry:{reference}").deliver(small_index(), Connections(settings), ignore_event)
    signing.sign(find(reference, Connections(settings)), f"{host}/trust/index", signer)
    verified = verify(find(reference, Connections(settings)), [signer.public], reference)
    require_signature(verified)
    assert {each.digest for each in verified.proven} == {verified.digest, *verified.members}


def test_a_moved_tag_is_not_signed(host: str, settings: Config, signer: keys.Signer) -> None:
    reference = f"{host}/trust/moved:1"
    parse(f"registry:{reference}").deliver(signed(signer, b"good"), Connections(settings), ignore_event)
    parse(f"registry:{reference}").deliver(small_image({"a": b"evil"}), Connections(settings), ignore_event)
    with pytest.raises(IntegrityError, match="not signed"):
        require_signature(verify(find(reference, Connections(settings)), [signer.public], reference))


def test_two_keys_share_the_tag(host: str, settings: Config, signer: keys.Signer, tmp_path: Path) -> None:
    reference = f"{host}/trust/two:1"
    other = keys.load_signer(str(keys.write_pair(tmp_path / "other", None)[0]), None)
    parse(f"registry:{reference}").deliver(signed(signer, b"two"), Connections(settings), ignore_event)
    signing.sign(find(reference, Connections(settings)), "demo", other)
    for key in (signer.public, other.public):
        assert len(verify(find(reference, Connections(settings)), [key], reference).signatures) == 2
