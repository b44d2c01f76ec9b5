"""Rows 28 and 62 to 72, 84 and 85 of the client's checklist: getting things out. `aNN` in a name is the row."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.image import ImageLayer, assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.images.reference import Reference
from modelcrate.net.errors import ConnectionFailed, ErrorResponse, NotFound
from modelcrate.registry.events import Warned
from modelcrate.registry.profiles import Mirror, Rule
from modelcrate.transports import docker_archive
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Descriptor, Digest, MediaType, Platform, canonical_json
from modelcrate_layers.errors import IntegrityError, RegistryError
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.recipe import Layer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import file
from support.images import Memory, StillClock, image, noise
from support.real_registry import Running
from support.scripted import Again, Drop, Reply, Script, Short, digest_of, scripted
from support.validator import assert_valid_archive

from .conftest import Client


def at(script: Script | Running, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{script.host}/{name}")


def stored(script: Script, data: bytes = b"", name: str = "team/model") -> Descriptor:
    """A blob that the registry holds already."""
    data = data or noise(300_000)
    script.blobs[name, digest_of(data)] = data
    return Descriptor.of(data, MediaType.LAYER)


def published(script: Script, document: object, kind: str = MediaType.MANIFEST, tag: str = "1") -> bytes:
    data = canonical_json(document)
    for key in (tag, digest_of(data)):
        script.manifests["team/model", key] = (kind, data)
    return data


EMPTY = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "config": {}, "layers": []}


def test_a28_no_credentials_follow_a_redirect_to_another_host(script: Script, client: Client) -> None:
    script.challenge = 'Basic realm="x"'
    script.allowed = lambda header, seen: bool(header) or "localhost" in seen.headers["host"]
    one = stored(script)
    away = Reply(307, {"Location": f"http://{script.other_host}/v2/team/model/blobs/{one.digest}"})
    registry = client(username="u", password="p")
    script.plan("HEAD|GET", "/blobs/", away, times=1)
    assert registry.has(at(script), one)
    script.plan("HEAD|GET", "/blobs/", away, times=1)
    assert registry.blob(at(script), one).read() == noise(300_000)
    elsewhere = [seen for seen in script.seen if "localhost" in seen.headers["host"]]
    assert [seen.method for seen in elsewhere] == ["HEAD", "GET"]
    assert not any(seen.authorization for seen in elsewhere)


def test_a62_every_type_of_manifest_is_asked_for(real: Running, client: Client) -> None:
    blobs, manifest = image(Memory(noise(100, 62)))
    client().publish(at(real, "a62/x:1"), [manifest], blobs)
    descriptor, data = client().manifest(at(real, "a62/x:1"))
    assert (descriptor, data) == (manifest.descriptor, manifest.data)


def test_a63_bytes_that_are_not_their_digest_are_refused(script: Script, client: Client) -> None:
    data = published(script, EMPTY)
    for ref in (at(script), at(script).at(Digest.of(data))):
        script.plan("GET", "/manifests/", lambda reply: Reply(200, reply.headers, reply.body.replace(b"2", b"3")))
        with pytest.raises(IntegrityError, match="not what their digest says"):
            client().manifest(ref)


def test_a63_a_tag_gives_the_digest_of_the_bytes(script: Script, client: Client) -> None:
    script.manifest_headers = False
    data = published(script, EMPTY)
    assert client().resolve(at(script)) == Descriptor.of(data, MediaType.MANIFEST)


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (EMPTY, MediaType.INDEX),
        ({**EMPTY, "manifests": []}, MediaType.MANIFEST),
        ({"manifests": [], "layers": [], "schemaVersion": 2}, MediaType.INDEX),
        ({"manifests": []}, MediaType.MANIFEST),
        ({"layers": []}, MediaType.INDEX),
        ([], MediaType.MANIFEST),
    ],
)
def test_a64_a_document_is_one_thing_only(script: Script, client: Client, document: object, kind: str) -> None:
    published(script, document, kind)
    with pytest.raises(IntegrityError):
        client().manifest(at(script))


def test_a64_parameters_of_a_type_do_not_matter(script: Script, client: Client) -> None:
    published(script, EMPTY)
    script.plan(
        "GET", "/manifests/", lambda reply: Reply(200, {"Content-Type": f"{MediaType.MANIFEST}; charset=x"}, reply.body)
    )
    assert client().manifest(at(script))[0].media_type == MediaType.MANIFEST


@pytest.mark.parametrize("header", ["application/json", "text/plain; charset=utf-8", "", MediaType.DOCKER_MANIFEST])
@pytest.mark.parametrize("own", [MediaType.MANIFEST, None])
def test_a96_the_type_inside_counts_where_the_header_is_wrong(
    script: Script, client: Client, header: str, own: str | None
) -> None:
    document = {name: value for name, value in EMPTY.items() if name != "mediaType"}
    data = published(script, document | ({"mediaType": own} if own else {}))
    script.plan("GET", "/manifests/", lambda reply: Reply(200, {"Content-Type": header} if header else {}, reply.body))
    found, body = client().manifest(at(script))
    assert body == data
    assert found.media_type == (own or (header if header == MediaType.DOCKER_MANIFEST else MediaType.MANIFEST))


def test_a64_schema_1_is_named(script: Script, client: Client) -> None:
    old = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
    script.plan("GET", "/manifests/", Reply(200, old, b'{"schemaVersion": 1, "fsLayers": []}'))
    with pytest.raises(IntegrityError, match="old schema 1") as caught:
        client().manifest(at(script))
    assert "skopeo copy" in caught.value.hint


def test_a64_a_manifest_is_capped(script: Script, client: Client) -> None:
    script.plan("GET", "/manifests/", Reply(200, {"Content-Type": MediaType.MANIFEST}, b" " * (9 << 20)))
    with pytest.raises(RegistryError, match="too large"):
        client().manifest(at(script))


@pytest.mark.parametrize(
    "text", [b'{"schemaVersion":2,"schemaVersion":2}', b'{"a":NaN}', b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b""]
)
def test_a64_foul_json_is_an_integrity_error(script: Script, client: Client, text: bytes) -> None:
    script.plan("GET", "/manifests/", Reply(200, {"Content-Type": MediaType.MANIFEST}, text))
    with pytest.raises(IntegrityError):
        client().manifest(at(script))


@pytest.mark.parametrize("after", [0, 1, 100_000, 299_999])
def test_a66_a_body_that_breaks_off_is_continued(script: Script, client: Client, after: int) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Short(after))
    assert client().blob(at(script), one).read() == noise(300_000)
    assert script.count("GET") == 2
    if after:
        assert script.seen[-1].headers["range"] == f"bytes={after}-"
        assert script.seen[-1].headers["if-range"] == f'"{one.digest}"'


def test_a66_a_body_that_never_ends_well_is_an_error(script: Script, client: Client, clock: StillClock) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Drop(), times=99)
    with pytest.raises(ConnectionFailed):
        client().blob(at(script), one).read()
    assert len(clock.slept) == 5


@pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1] + b"x", lambda data: data[:-1]])
def test_a66_wrong_bytes_are_refused(script: Script, client: Client, change) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", lambda reply: Reply(200, {}, change(reply.body)), times=9)
    with pytest.raises(IntegrityError):
        client().blob(at(script), one).read()


def test_a66_a_body_without_an_end_is_cut_off(script: Script, client: Client) -> None:
    one = stored(script, b"x" * 1000)
    endless = Reply(
        200, {"Transfer-Encoding": "identity", "Connection": "close", "Content-Length": ""}, b"x" * (8 << 20)
    )
    script.plan("GET", "/blobs/", endless, times=9)
    registry, taken = client(), 0
    with pytest.raises(IntegrityError):
        for chunk in registry.blob(at(script), one).chunks():
            taken += len(chunk)
    assert taken <= 1000


def test_a67_a_wrong_content_range_starts_anew(script: Script, client: Client) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Short(1000))
    script.plan("GET", "/blobs/", lambda reply: Reply(206, {"Content-Range": "bytes 7-9/10"}, reply.body))
    assert client().blob(at(script), one).read() == noise(300_000)


def test_a67_a_whole_body_in_answer_to_a_range_is_skipped_into(script: Script, client: Client) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Short(1000))
    script.plan("GET", "/blobs/", Reply(200, {}, noise(300_000)))
    assert client().blob(at(script), one).read() == noise(300_000)


def test_a68_an_encoded_body_is_taken_as_it_is(script: Script, client: Client) -> None:
    import gzip

    data = gzip.compress(noise(5000))
    one = stored(script, data)
    script.plan("GET", "/blobs/", lambda reply: Reply(200, {**reply.headers, "Content-Encoding": "gzip"}, reply.body))
    assert client().blob(at(script), one).read() == data
    assert script.seen[-1].headers["accept-encoding"] == "identity"


def test_a69_a_foreign_layer_is_not_fetched_and_its_urls_are_not_asked(script: Script, client: Client) -> None:
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    one = Descriptor(kind, Digest.of(b"x"), 1, rest={"urls": [f"http://{script.other_host}/steal"]})
    with pytest.raises(RegistryError, match="foreign"):
        client().blob(at(script), one)
    plain = Descriptor(MediaType.LAYER, Digest.of(b"x"), 1, rest={"urls": [f"http://{script.other_host}/steal"]})
    with pytest.raises(ErrorResponse, match="404"):
        client().blob(at(script), plain).read()
    assert not any("steal" in one.path for one in script.seen)


def test_a70_redirects_in_a_circle_end(script: Script, client: Client) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Reply(302, {"Location": f"/v2/team/model/blobs/{one.digest}"}), times=99)
    with pytest.raises(RegistryError, match="in a circle"):
        client().blob(at(script), one).read()
    assert script.count("GET") == 11


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a71_a_redirected_write_stays_a_write(script: Script, client: Client, status: int) -> None:
    for verb in ("POST", "PATCH", "PUT"):
        script.plan(verb, "/uploads/", Again(status))
    blob = Memory(noise(150_000))
    client().push_blob(at(script), blob)
    assert script.blobs["team/model", str(blob.descriptor.digest)] == blob.data
    writes = [one for one in script.seen if one.method in ("POST", "PATCH", "PUT")]
    assert [(one.method, one.body) for one in writes[:4]] == [
        ("POST", 0),
        ("POST", 0),
        ("PATCH", 65536),
        ("PATCH", 65536),
    ]
    assert script.count("GET") == 0


def test_a72_all_pages_of_tags_are_read(script: Script, client: Client) -> None:
    pages = [["b", "a"], [], ["c", "a"]]
    for n, tags in enumerate(pages):
        link = {
            0: {"Link": '</v2/team/model/tags/list?last=a&n=2>; rel="next"'},
            1: {"Link": f'<http://{script.host}/v2/team/model/tags/list?last=b>; foo="x,y"; rel=next'},
        }.get(n, {})
        script.plan("GET", "/tags/list", Reply(200, link, json.dumps({"tags": tags}).encode()))
    assert client().tags(at(script)) == ["b", "a", "c"]
    assert [one.query for one in script.seen if one.method == "GET"] == ["", "last=a&n=2", "last=b"]


def test_a72_a_page_at_another_host_is_refused(script: Script, client: Client) -> None:
    link = {"Link": f'<http://{script.other_host}/v2/team/model/tags/list?last=a>; rel="next"'}
    script.plan("GET", "/tags/list", Reply(200, link, b'{"tags": ["a"]}'))
    with pytest.raises(RegistryError, match="another host"):
        client().tags(at(script))


def test_a72_pages_in_a_circle_end(script: Script, client: Client) -> None:
    link = {"Link": '</v2/team/model/tags/list?last=a>; rel="next"'}
    script.plan("GET", "/tags/list", Reply(200, link, b'{"tags": ["a"]}'), times=99)
    with pytest.raises(RegistryError, match="in circles"):
        client().tags(at(script))


def test_a72_no_tags_are_no_error(script: Script, client: Client) -> None:
    assert client().tags(at(script)) == []


def test_a72_tags_of_a_real_registry(real: Running, client: Client) -> None:
    blobs, manifest = image(Memory(noise(100, 72)))
    registry = client()
    registry.publish(at(real, "a72/x"), [manifest], blobs, ["b", "a", "c"])
    assert sorted(registry.tags(at(real, "a72/x"))) == ["a", "b", "c"]


def test_a84_mirrors_are_asked_first_and_the_origin_last(script: Script, client: Client, events: list[object]) -> None:
    data = published(script, EMPTY)
    with scripted() as empty, scripted() as full:
        full.manifests.update(script.manifests)
        rules = (Rule(script.host, mirrors=(Mirror(empty.host, proxy=True), Mirror(full.host))),)
        registry = client(rules=rules, username="u", password="p")
        assert registry.manifest(at(script))[1] == data
        assert [one.query for one in empty.seen if one.method == "GET"] == [f"ns={script.host.replace(':', '%3A')}"]
        assert [one.query for one in full.seen if one.method == "GET"] == [""]
        assert not script.seen
        full.manifests.clear()
        assert registry.manifest(at(script))[1] == data
    assert sum(isinstance(event, Warned) for event in events) == 3


def test_a84_a_lying_mirror_is_passed_over(script: Script, client: Client) -> None:
    data = published(script, EMPTY)
    with scripted() as liar:
        liar.manifests["team/model", digest_of(data)] = (MediaType.MANIFEST, data.replace(b"2", b"3"))
        registry = client(rules=(Rule(script.host, mirrors=(Mirror(liar.host),)),))
        assert registry.manifest(at(script).at(Digest.of(data)))[1] == data


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a84_a_blob_comes_from_the_origin_where_a_mirror_fails(script: Script, client: Client, status: int) -> None:
    one = stored(script)
    with scripted() as mirror:
        mirror.plan("GET", "/blobs/", Reply(status), times=99)
        registry = client(rules=(Rule(script.host, mirrors=(Mirror(mirror.host),)),))
        assert registry.blob(at(script), one).read() == noise(300_000)


def test_a84_a_push_never_goes_to_a_mirror(script: Script, client: Client) -> None:
    with scripted() as mirror:
        client(rules=(Rule(script.host, mirrors=(Mirror(mirror.host),)),)).push_blob(at(script), Memory(b"x"))
        assert not mirror.seen


def test_a85_a_warning_is_shown_once(script: Script, client: Client, events: list[object]) -> None:
    published(script, EMPTY)
    said = {"Warning": '299 - "this registry \\"moves\\" on Friday"'}
    script.plan("GET", "/manifests/", lambda reply: Reply(200, {**reply.headers, **said}, reply.body), times=9)
    registry = client()
    for _ in range(3):
        registry.manifest(at(script))
    assert events == [Warned(script.host, 'this registry "moves" on Friday')]


def test_a_digest_that_is_none_never_reaches_a_url(script: Script, client: Client) -> None:
    script.plan(
        "HEAD",
        "/manifests/",
        Reply(200, {"Docker-Content-Digest": "sha256:../../x", "Content-Type": MediaType.MANIFEST}),
    )
    with pytest.raises(IntegrityError, match="not a digest"):
        client().resolve(at(script))


LIES = {
    "html": Reply(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"),
    "wrong bytes": Reply(200, {}, bytes(300_000)),
    "too short": Reply(200, {}, b"x"),
    "too long": Reply(200, {}, bytes(300_001)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a84_a_mirror_with_wrong_bytes_is_left_for_the_origin(
    script: Script, client: Client, events: list[object], lie: str
) -> None:
    one = stored(script)
    with scripted() as mirror:
        mirror.plan("GET", "/blobs/", LIES[lie], times=99)
        registry = client(rules=(Rule(script.host, mirrors=(Mirror(mirror.host),)),))
        assert list(registry.blob(at(script), one).chunks()) != []
        assert registry.blob(at(script), one).read() == noise(300_000)
        assert script.count("GET", "/blobs/") == 2
    assert all(event.where == mirror.host for event in events if isinstance(event, Warned))
    assert sum(isinstance(event, Warned) for event in events) == 2


def test_a84_a_mirror_with_the_right_bytes_is_enough(script: Script, client: Client) -> None:
    one = stored(script)
    with scripted(blobs=dict(script.blobs)) as mirror:
        registry = client(rules=(Rule(script.host, mirrors=(Mirror(mirror.host),)),))
        assert registry.blob(at(script), one).read() == noise(300_000)
    assert script.seen == []


def test_a84_the_end_of_a_blob_comes_from_who_answers_first(script: Script, client: Client) -> None:
    """It is a hint: nobody is asked twice for it."""
    one, data = stored(script), noise(300_000)
    with scripted() as empty, scripted(blobs=dict(script.blobs)) as full:
        rules = (Rule(script.host, mirrors=(Mirror(empty.host), Mirror(full.host))),)
        blob = client(rules=rules).blob(at(script), one)
        assert blob.end(4) == data[-4:]
        assert (empty.count("GET", "/blobs/"), full.count("GET", "/blobs/")) == (1, 1)
        assert not script.seen
        full.blobs.clear()
        assert blob.end(4) == data[-4:]
        script.plan("GET", "/blobs/", Reply(503), times=99)
        with pytest.raises(RegistryError):
            blob.end(4)
    assert script.count("GET", "/blobs/") == 2


def test_a_layer_is_fetched_once_for_a_docker_archive(script: Script, client: Client, tmp_path: Path) -> None:
    """How long its tar is, its last four bytes tell."""
    tar = b"".join(writer.stream([file(b"a", Bytes(noise(300_000)))]))
    data = b"".join(codecs.gzip().encode([tar], len(tar)))
    one = replace(stored(script, data), media_type=MediaType.LAYER_GZIP)
    layer = Layer(one, Digest.of(tar), -1, codecs.Codec("gzip"))
    made = assemble(
        Platform("linux", "amd64"), {}, [ImageLayer("base", "", layer, client().blob(at(script), one))], RunSpec()
    )
    path = tmp_path / "image.tar"
    docker_archive.parse(str(path)).deliver(made, Connections(Config(tmp_path / "home")), ignore_event)
    fetched = [seen.headers.get("range") for seen in script.seen if "/blobs/" in seen.path]
    assert fetched == [f"bytes={len(data) - 4}-", None]
    assert_valid_archive(path)


@pytest.mark.parametrize("page", [b"<html>Please sign in</html>", b"\n<!DOCTYPE HTML><title>Portal</title>"])
def test_a92_a_sign_in_page_is_no_registry(script: Script, client: Client, page: bytes) -> None:
    one = stored(script)
    script.plan("GET|HEAD|POST", "/v2/.+", Reply(200, {"Content-Type": "text/html"}, page), times=99)
    registry = client()
    for act in (
        lambda: registry.manifest(at(script)),
        lambda: registry.resolve(at(script)),
        lambda: registry.tags(at(script)),
        lambda: registry.push_blob(at(script), Memory(noise(500))),
    ):
        with pytest.raises(RegistryError, match="web page"):
            act()
    with pytest.raises(IntegrityError, match="of text/html"):
        registry.blob(at(script), one).read()


@pytest.mark.parametrize("lacking", ["layers", "config"])
def test_a96_a_manifest_that_lacks_what_an_image_has_is_none(script: Script, client: Client, lacking: str) -> None:
    published(script, {name: value for name, value in EMPTY.items() if name != lacking})
    with pytest.raises(IntegrityError, match="lacks them"):
        client().manifest(at(script))


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a93_a_redirect_that_expired_is_requested_anew_once(script: Script, client: Client, status: int) -> None:
    one = stored(script)
    away = f"http://{script.other_host}/v2/team/model/blobs/{one.digest}"
    script.plan("GET", "/blobs/", Reply(307, {"Location": away}))
    script.plan("GET", "/blobs/", Reply(status))
    assert client().blob(at(script), one).read() == noise(300_000)
    assert script.count("GET", "/blobs/") == 3
    script.plan("GET", "/blobs/", Reply(307, {"Location": away}))
    script.plan("GET", "/blobs/", Reply(403))
    script.plan("GET", "/blobs/", Reply(307, {"Location": away}))
    script.plan("GET", "/blobs/", Reply(403), times=9)
    with pytest.raises(ErrorResponse, match="403"):
        client().blob(at(script), one).read()


def test_a67_a_416_in_the_middle_starts_again(script: Script, client: Client) -> None:
    one = stored(script)
    script.plan("GET", "/blobs/", Short(100_000))
    script.plan("GET", "/blobs/", Reply(416))
    assert client().blob(at(script), one).read() == noise(300_000)
    assert script.count("GET") == 3


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_a91_a_registry_on_loopback_sends_us_to_no_metadata_service(script: Script, client: Client, verb: str) -> None:
    one = stored(script)
    script.plan(verb, "/blobs/", Reply(307, {"Location": "http://169.254.169.254/latest/meta-data/"}), times=9)
    registry = client()
    with pytest.raises(RegistryError, match="metadata service"):
        registry.has(at(script), one) if verb == "HEAD" else registry.blob(at(script), one).read()


def test_a95_what_a_repository_lacks_is_not_found(script: Script, client: Client) -> None:
    registry = client()
    for act in (
        lambda: registry.manifest(at(script)),
        lambda: registry.resolve(at(script)),
        lambda: registry.blob(at(script), Memory(b"nothing").descriptor).read(),
        lambda: registry.delete(at(script)),
    ):
        with pytest.raises(NotFound) as caught:
            act()
        assert caught.value.status == 404


def test_a_blob_that_comes_in_drops_is_left(script: Script, client: Client) -> None:
    """A byte for each request would go on for ever: each attempt has to get on by 64 KiB to count as one that did."""
    one = stored(script)
    script.plan("GET", "/blobs/", Short(10), times=9999)
    with pytest.raises(ConnectionFailed):
        client().blob(at(script), one).read()
    assert script.count("GET") == 6
    script.planned.clear()
    script.plan("GET", "/blobs/", Short(70_000), times=9999)
    assert client().blob(at(script), one).read() == noise(300_000)
