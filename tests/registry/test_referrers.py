"""Rows 73 to 78 of the client's checklist: what refers to an image. `aNN` in a name is the row."""

from __future__ import annotations

import json

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.errors import ErrorResponse
from modelcrate.registry.profiles import Rule
from modelcrate.registry.referrers import fallback_tag
from modelcrate_layers.content import Descriptor, Digest, Literal, MediaType, canonical_json
from modelcrate_layers.errors import RegistryError
from support.images import Memory, image, noise
from support.real_registry import Running
from support.scripted import INDEX, Reply, Script, error

from .conftest import Client

SIGNATURE = "application/vnd.example.signature"


def at(script: Script | Running, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{script.host}/{name}")


def subject(registry, ref: Reference, seed: int = 0) -> Descriptor:
    blobs, manifest = image(Memory(noise(100, seed)))
    return registry.publish(ref, [manifest], blobs)[0]


def referrer(registry, ref: Reference, of: Descriptor, kind: str = SIGNATURE, note: str = "") -> Descriptor:
    blobs, manifest = image(Memory(b"signature" + note.encode()), subject=of, kind=kind)
    document = json.loads(manifest.data) | ({"annotations": {"note": note}} if note else {})
    registry.push_blobs(ref, blobs)
    return registry.push_referrer(ref, canonical_json(document))


def test_a73_the_api_is_used_where_it_is(script: Script, client: Client) -> None:
    registry = client()
    image_ = subject(registry, at(script))
    one = referrer(registry, at(script), image_)
    assert [found.digest for found in registry.referrers(at(script))] == [one.digest]
    assert not any(fallback_tag(image_.digest) in found.path for found in script.seen)


@pytest.mark.parametrize(
    "answer",
    [
        Reply(404, {"Content-Type": "text/plain"}, b"404 page not found"),
        Reply(200, {"Content-Type": "text/html"}, b"<html>welcome</html>"),
        Reply(405),
        error(400, "UNSUPPORTED"),
        Reply(501),
    ],
)
def test_a73_anything_but_an_index_means_that_there_is_no_api(script: Script, client: Client, answer: Reply) -> None:
    script.plan("GET", "/referrers/", answer, times=99)
    registry = client()
    image_ = subject(registry, at(script))
    one = referrer(registry, at(script), image_)
    assert [found.digest for found in registry.referrers(at(script))] == [one.digest]
    assert script.count("GET", "/referrers/") == 1


def test_a74_a_header_without_the_api_is_not_believed(script: Script, client: Client) -> None:
    registry = client()
    image_ = subject(registry, at(script))
    script.plan("GET", "/referrers/", Reply(404), times=99)  # and yet PUT answers with OCI-Subject
    referrer(registry, at(script), image_)
    assert ("team/model", fallback_tag(image_.digest)) in script.manifests


def test_a75_the_stand_in_tag_is_made_and_grown_for_real(real: Running, client: Client) -> None:
    registry, ref = client(), at(real, "a75/x:1")
    image_ = subject(registry, ref, 75)
    first = referrer(registry, ref, image_, note="one")
    second = referrer(registry, ref, image_, "application/vnd.example.sbom", note="two")
    referrer(registry, ref, image_, note="one")
    found = registry.referrers(ref)
    assert [one.digest for one in found] == [first.digest, second.digest]
    assert found[0].annotations == {"note": "one"}
    assert found[0].rest == {"artifactType": SIGNATURE}
    assert [one.digest for one in client().referrers(ref, SIGNATURE)] == [first.digest]


def test_a76_a_registry_that_answers_with_the_image_itself_is_refused(script: Script, client: Client) -> None:
    script.referrers, script.dash_digest = False, True  # as GitLab
    registry = client()
    image_ = subject(registry, at(script))
    before = dict(script.manifests)
    with pytest.raises(RegistryError, match="can't list referrers"):
        referrer(registry, at(script), image_)
    assert {key for key in script.manifests if "-" in key[1]} == {key for key in before if "-" in key[1]}
    with pytest.raises(RegistryError, match="can't list referrers"):
        client().referrers(at(script))


def test_a77_what_the_registry_does_not_filter_we_filter(script: Script, client: Client) -> None:
    registry = client()
    image_ = subject(registry, at(script))
    one = referrer(registry, at(script), image_)
    referrer(registry, at(script), image_, "application/vnd.example.sbom")
    assert [found.digest for found in registry.referrers(at(script), SIGNATURE)] == [one.digest]
    assert len(registry.referrers(at(script))) == 2


def test_a77_all_pages_of_referrers_are_read(script: Script, client: Client) -> None:
    registry = client()
    image_ = subject(registry, at(script))
    entries = [Descriptor(MediaType.MANIFEST, Digest.of(bytes([n])), n).json() for n in range(4)]
    for n in (0, 0, 1):
        link = {"Link": f'</v2/team/model/referrers/{image_.digest}?page=2>; rel="next"'} if n == 0 else {}
        body = json.dumps({"schemaVersion": 2, "manifests": entries[2 * n : 2 * n + 2]}).encode()
        script.plan("GET", "/referrers/", Reply(200, {"Content-Type": INDEX, **link}, body))
    assert [one.size for one in registry.referrers(at(script))] == [0, 1, 2, 3]


def test_a77_a_page_of_referrers_at_another_host_is_refused(script: Script, client: Client) -> None:
    registry = client()
    subject(registry, at(script))
    link = {"Link": f'<http://{script.other_host}/x>; rel="next"', "Content-Type": INDEX}
    script.plan("GET", "/referrers/", Reply(200, link, b'{"manifests": []}'), times=2)
    with pytest.raises(RegistryError, match="another host"):
        registry.referrers(at(script))


def test_a78_deleting_for_real_takes_a_referrer_off_its_list(real: Running, client: Client) -> None:
    registry, ref = client(), at(real, "a78/x:1")
    image_ = subject(registry, ref, 78)
    first, second = (referrer(registry, ref, image_, note=note) for note in ("one", "two"))
    registry.delete(ref.at(first.digest))
    assert [one.digest for one in registry.referrers(ref)] == [second.digest]
    with pytest.raises(ErrorResponse, match="404"):
        registry.manifest(ref.at(first.digest))


@pytest.mark.parametrize("status", [400, 405])
def test_a78_a_registry_that_does_not_delete_says_so(script: Script, client: Client, status: int) -> None:
    registry = client()
    subject(registry, at(script))
    script.plan("DELETE", "/manifests/", error(status, "UNSUPPORTED"))
    with pytest.raises(ErrorResponse, match=str(status)) as caught:
        registry.delete(at(script))
    assert "administrator" in caught.value.hint


def test_a_rule_decides_without_asking(script: Script, client: Client) -> None:
    registry = client(rules=(Rule("*", referrers="tag"),))
    image_ = subject(registry, at(script))
    referrer(registry, at(script), image_)
    assert script.count("GET", "/referrers/") == 0
    assert ("team/model", fallback_tag(image_.digest)) in script.manifests


def test_another_writer_of_the_list_is_not_overwritten_for_good(script: Script, client: Client) -> None:
    registry = client(rules=(Rule("*", referrers="tag"),))
    image_ = subject(registry, at(script))
    tag = fallback_tag(image_.digest)
    other = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})

    def lose(reply: Reply) -> Reply:
        script.manifests["team/model", tag] = (INDEX, other)  # somebody else writes right after us
        return reply

    script.plan("PUT", f"/manifests/{tag}", lose)
    one = referrer(registry, at(script), image_)
    assert [found.digest for found in registry.referrers(at(script))] == [one.digest]


def test_a_literal_is_a_referrer_only_with_a_subject(script: Script, client: Client) -> None:
    manifest = Literal(
        canonical_json({"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "layers": []}), MediaType.MANIFEST
    )
    with pytest.raises(Exception, match="lacks them"):
        client().push_referrer(at(script), manifest.data)
