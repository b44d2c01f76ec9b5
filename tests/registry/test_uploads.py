"""Rows 27 to 61 of the client's checklist: how blobs and manifests get in. `aNN` in a name is the row."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcrate.images.reference import Reference
from modelcrate.net.cancellation import Cancelled
from modelcrate.net.config import Patience
from modelcrate.net.errors import ConnectionFailed, ErrorResponse
from modelcrate.registry.events import Mounted, Moved, Restarted, Retrying, Warned
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate_layers.content import Descriptor, Literal, MediaType, canonical_json
from modelcrate_layers.errors import IntegrityError, RegistryError, SourceError, UserError
from support.images import Cold, Memory, StillClock, image, noise
from support.real_registry import Running
from support.scripted import Drop, Reply, Script, digest_of, error

from .conftest import Client

KIB = 1 << 10
PUT = (Rule("*", upload="put"),)


def at(script: Script | Running, name: str = "team/model:1") -> Reference:
    return Reference.parse(f"{script.host}/{name}")


def kept(script: Script, blob: Memory, name: str = "team/model") -> bool:
    return script.blobs.get((name, str(blob.descriptor.digest))) == blob.data


def test_a27_a_blob_that_is_there_is_not_sent(script: Script, client: Client) -> None:
    blob = Memory(noise(1000))
    client().push_blob(at(script), blob)
    sent = client().push_blob(at(script), blob)
    assert (sent.how, sent.bytes) == ("known", 0)
    assert script.count("POST") == 1


def test_a27_a_blob_of_the_wrong_size_is_sent_again_and_told(
    script: Script, client: Client, events: list[object]
) -> None:
    blob = Memory(noise(1000))
    script.plan("HEAD", "/blobs/", Reply(200, {"Content-Length": "999"}))
    assert client().push_blob(at(script), blob).how == "sent"
    assert any(isinstance(event, Warned) and "999" in event.text for event in events)


@pytest.mark.parametrize("status", [405, 501])
def test_a29_a_registry_that_can_not_be_asked_gets_the_blob(script: Script, client: Client, status: int) -> None:
    script.plan("HEAD", "/blobs/", Reply(status))
    blob = Memory(noise(1000))
    assert client().push_blob(at(script), blob).how == "sent"
    assert kept(script, blob)


def test_a30_an_absolute_location_is_followed(real: Running, client: Client) -> None:
    sent = client().push_blob(at(real, "a30/x"), Memory(noise(200 * KIB, 30)))
    assert sent.how == "sent"


@pytest.mark.parametrize(
    "location",
    [
        lambda host, path: path,
        lambda host, path: f"http://{host}{path}",
        lambda host, path: f"//{host}{path}",
        lambda host, path: path.rpartition("/")[2],
    ],
    ids=["path", "absolute", "without-scheme", "relative"],
)
@pytest.mark.parametrize("rules", [PUT, (Rule("*", chunk_size=64 * KIB),)], ids=["put", "chunks"])
def test_a31_every_shape_of_location_is_followed(script: Script, client: Client, location, rules) -> None:
    script.location = location
    blob = Memory(noise(150 * KIB))
    client(rules=rules).push_blob(at(script), blob)
    assert kept(script, blob)


def test_a31_a_location_at_another_host_gets_the_bytes_and_no_credentials(script: Script, client: Client) -> None:
    script.challenge, script.allowed = (
        'Basic realm="x"',
        lambda header, seen: bool(header) or "localhost" in seen.headers["host"],
    )
    script.location = lambda host, path: f"http://{script.other_host}{path}"
    blob = Memory(noise(10 * KIB))
    client(rules=PUT, username="u", password="p").push_blob(at(script), blob)
    assert kept(script, blob)
    away = [one for one in script.seen if one.headers["host"].startswith("localhost")]
    assert [one.method for one in away] == ["PUT"]
    assert not away[0].authorization


def test_a32_the_query_of_a_location_is_kept_to_the_byte(script: Script, client: Client) -> None:
    script.location = lambda host, path: path.partition("?")[0] + "?a=&b=1&b=2&c=%2B%20x&d==="
    client(rules=PUT).push_blob(at(script), Memory(b"x" * 100))
    put = next(one for one in script.seen if one.method == "PUT")
    assert put.query.startswith("a=&b=1&b=2&c=%2B%20x&d===&digest=sha256%3A")


def test_a32_a_location_without_a_query_gets_one(script: Script, client: Client) -> None:
    script.location = lambda host, path: path.partition("?")[0]
    client(rules=PUT).push_blob(at(script), Memory(b"x" * 100))
    assert next(one for one in script.seen if one.method == "PUT").query.startswith("digest=")


@pytest.mark.parametrize("status", [201, 200, 204])
def test_a34_every_welcome_status_ends_an_upload(script: Script, client: Client, status: int) -> None:
    script.plan("PUT", "/blobs/uploads/", lambda reply: Reply(status, reply.headers))
    blob = Memory(noise(100))
    assert client().push_blob(at(script), blob).how == "sent"
    assert kept(script, blob)


@pytest.mark.parametrize("after", [0, 1, 5000])
def test_a35_a_connection_that_breaks_in_the_put_starts_a_new_session(
    script: Script, client: Client, after: int
) -> None:
    script.plan("PUT", "/blobs/uploads/", Drop(after))
    blob = Memory(noise(60 * KIB))
    client(rules=PUT).push_blob(at(script), blob)
    assert kept(script, blob)
    assert script.count("POST") == 2


def test_a35_attempts_are_bounded(script: Script, client: Client, clock: StillClock) -> None:
    script.plan("PUT", "/blobs/uploads/", Drop(10), times=100)
    with pytest.raises(ConnectionFailed):
        client(rules=PUT).push_blob(at(script), Memory(noise(10 * KIB)))
    assert script.count("PUT") == 6
    assert len(clock.slept) == 5


def test_a35_an_answer_that_got_lost_is_no_reason_to_send_again(script: Script, client: Client) -> None:
    script.plan("PUT", "/blobs/uploads/", Drop(done=True))
    client(rules=PUT).push_blob(at(script), Memory(noise(10 * KIB)))
    assert script.count("PUT") == 1


def test_a36_a_401_after_the_whole_body_is_answered_and_the_body_sent_again(script: Script, client: Client) -> None:
    script.challenge, script.allowed = 'Basic realm="x"', lambda header, seen: bool(header)
    script.plan("PUT", "/blobs/uploads/", Reply(401, {"WWW-Authenticate": 'Bearer realm="http://HOST/token"'}))
    script.planned[-1].fault = Reply(
        401, {"WWW-Authenticate": f'Bearer realm="http://{script.host}/token",service="s"'}
    )
    script.plan("GET", "^/token", Reply(200, {}, b'{"token": "fresh"}'), times=9)
    blob = Memory(noise(90 * KIB))
    client(rules=PUT, username="u", password="p").push_blob(at(script), blob)
    assert kept(script, blob)
    puts = [one for one in script.seen if one.method == "PUT"]
    assert [one.body for one in puts] == [90 * KIB, 90 * KIB]
    assert puts[1].authorization == "Bearer fresh"


PASSING = [500, 502, 503, 504, 408, 429]


@pytest.mark.parametrize("status", PASSING)
@pytest.mark.parametrize(
    ("verb", "path"),
    [("HEAD", "/blobs/"), ("POST", "/uploads/"), ("PATCH", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")],
)
def test_a37_a_fault_that_may_pass_is_waited_for(
    script: Script, client: Client, clock: StillClock, status: int, verb: str, path: str
) -> None:
    script.plan(verb, path, Reply(status), times=2)
    blobs, manifest = image(Memory(noise(150 * KIB)))
    registry = client()
    for blob in blobs:
        registry.push_blob(at(script), blob)
    registry.put_manifest(at(script), manifest.data, manifest.media_type)
    assert script.manifests["team/model", "1"][1] == manifest.data
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a37_reading_and_deleting_are_repeated_too(
    script: Script, client: Client, clock: StillClock, verb: str
) -> None:
    blobs, manifest = image(Memory(b"x"))
    registry = client()
    registry.publish(at(script), [manifest], blobs)
    script.plan(verb, "/manifests/", Reply(503), times=2)
    registry.delete(at(script))
    assert not script.manifests
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7.0), ("100000", 120.0), ("Fri, 15 Jan 2027 08:00:10 GMT", 10.0), ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0)],
)
def test_a38_the_registry_says_when_to_come_back(
    script: Script, client: Client, clock: StillClock, events: list[object], asked: str, waited: float
) -> None:
    script.plan("HEAD", "/blobs/", Reply(429, {"Retry-After": asked}))
    client().push_blob(at(script), Memory(b"x"))
    assert clock.slept == [waited]
    assert [event.seconds for event in events if isinstance(event, Retrying)] == [waited]


@pytest.mark.parametrize("status", [400, 403, 404, 409, 413])
def test_a39_a_plain_no_is_not_asked_again(script: Script, client: Client, clock: StillClock, status: int) -> None:
    script.plan("POST", "/uploads/", error(status, "NAME_INVALID", "so it is"), times=9)
    with pytest.raises(ErrorResponse, match=str(status)) as caught:
        client().push_blob(at(script), Memory(b"x"))
    assert "NAME_INVALID: so it is" in caught.value.why
    assert script.count("POST") == 1
    assert clock.slept == []


def test_a40_a_413_names_the_proxy_and_the_setting(script: Script, client: Client) -> None:
    html = Reply(413, {"Content-Type": "text/html"}, b"<html><h1>413 Request Entity Too Large</h1></html>")
    script.plan("PUT", "/uploads/", html)
    with pytest.raises(ErrorResponse, match="body too large") as caught:
        client(rules=PUT).push_blob(at(script), Memory(noise(1000)))
    assert "proxy" in caught.value.hint
    assert "chunk-size" in caught.value.hint


@pytest.mark.parametrize("size", [700 * KIB, 5 << 20])
def test_a40_bodies_that_a_proxy_takes_are_found_once(
    script: Script, client: Client, events: list[object], size: int
) -> None:
    script.body_limit = 1 << 19
    registry = client(rules=(Rule("*", chunk_size=16 << 20),))
    first, second = Memory(noise(size, 40)), Memory(noise(size, 41))
    registry.push_blob(at(script), first)
    refused = sum(isinstance(event, Warned) for event in events)
    registry.push_blob(at(script), second)
    assert kept(script, first)
    assert kept(script, second)
    assert 1 <= refused == sum(isinstance(event, Warned) for event in events), "the second one is not refused"


def test_a40_a_registry_that_takes_no_body_at_all(script: Script, client: Client) -> None:
    script.body_limit = 1000
    with pytest.raises(ErrorResponse, match="body too large"):
        client(rules=(Rule("*", chunk_size=16 << 20),)).push_blob(at(script), Memory(noise(3 << 20)))
    assert script.count("PUT") + script.count("PATCH") <= 3


def test_a41_one_streamed_patch_can_be_chosen(real: Running, client: Client) -> None:
    registry = client(rules=(Rule("*", upload="stream"),))
    registry.push_blob(at(real, "a41/x"), Memory(noise(900 * KIB, 41)))
    assert {verb: registry.requests_made[verb] for verb in ("POST", "PATCH", "PUT")} == {
        "POST": 1,
        "PATCH": 1,
        "PUT": 1,
    }


def test_a42_the_registry_s_count_decides_where_to_go_on(script: Script, client: Client) -> None:
    def shorter(reply: Reply) -> Reply:
        held = next(iter(script.uploads.values()))
        del held[-1000:]
        return Reply(reply.status, {**reply.headers, "Range": f"0-{len(held) - 1}"})

    script.plan("PATCH", "/uploads/", shorter, skip=1)
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert blob.starts == [0, 128 * KIB - 1000]


def test_a42_a_range_beyond_what_was_sent_starts_anew(script: Script, client: Client, events: list[object]) -> None:
    script.plan("PATCH", "/uploads/", lambda reply: Reply(202, {**reply.headers, "Range": "0-999999"}))
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert sum(isinstance(event, Restarted) for event in events) == 1


def test_a42_a_range_that_stands_still_leads_to_one_put(script: Script, client: Client, events: list[object]) -> None:
    script.stuck = True
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert [one.body for one in script.seen if one.method == "PUT"] == [300 * KIB]
    assert any(isinstance(event, Restarted) and "stands still" in event.why for event in events)
    assert script.count("DELETE") == 1


def test_a43_every_chunk_goes_to_the_newest_location(real: Running, client: Client) -> None:
    registry = client()
    blob = Memory(noise(500 * KIB, 43))
    assert registry.push_blob(at(real, "a43/x"), blob).how == "sent"  # a stale _state is a 404 there
    assert registry.requests_made["PATCH"] == 8
    assert b"".join(registry.blob(at(real, "a43/x"), blob.descriptor).chunks()) == blob.data


def test_a44_a_minimum_raises_the_chunk(script: Script, client: Client) -> None:
    script.minimum = 200 * KIB
    client().push_blob(at(script), Memory(noise(500 * KIB)))
    assert [one.body for one in script.seen if one.method == "PATCH"] == [200 * KIB, 200 * KIB, 100 * KIB]


def test_a45_a_416_is_answered_by_asking_for_the_state(script: Script, client: Client) -> None:
    script.plan("PATCH", "/uploads/", Reply(416), skip=2)
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert script.count("POST") == 1
    assert script.count("GET", "/uploads/") == 1


def test_a45_a_lost_session_is_started_anew(script: Script, client: Client, clock: StillClock) -> None:
    def lose(reply: Reply) -> Reply:
        script.uploads.clear()
        return error(404, "BLOB_UPLOAD_UNKNOWN")

    script.plan("PATCH", "/uploads/", lose, skip=2)
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert script.count("POST") == 2
    assert clock.slept == []


def test_a45_chunks_refused_twice_become_one_put(script: Script, client: Client) -> None:
    script.patch_limit = 10 * KIB  # as ghcr.io, whose limit is 4 MiB
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)


@pytest.mark.parametrize("status", [405, 501])
def test_a45_a_registry_without_chunks_gets_one_put(script: Script, client: Client, status: int) -> None:
    script.plan("PATCH", "/uploads/", error(status, "UNSUPPORTED"), times=99)
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)
    assert script.count("PATCH") == 1


@pytest.mark.parametrize("status", [201, 204, 200])
def test_a46_a_chunk_may_be_welcomed_with_another_status(script: Script, client: Client, status: int) -> None:
    script.plan("PATCH", "/uploads/", lambda reply: Reply(status, reply.headers), times=99)
    blob = Memory(noise(300 * KIB))
    client().push_blob(at(script), blob)
    assert kept(script, blob)


@pytest.mark.parametrize("data", [b"", b"{}"])
def test_a49_the_smallest_blobs_are_uploaded(real: Running, client: Client, data: bytes) -> None:
    registry, blob = client(), Memory(data, MediaType.EMPTY)
    assert registry.push_blob(at(real, "a49/x"), blob).how == "sent"
    assert registry.blob(at(real, "a49/x"), blob.descriptor).read() == data


def test_a50_one_digest_is_sent_once_however_many_ask(script: Script, client: Client) -> None:
    blob, registry = Memory(noise(100 * KIB)), client()
    blobs = [Memory(blob.data) for _ in range(4)]
    results = registry.push_blobs(at(script), blobs)
    assert script.count("POST") == 1
    assert [one.how for one in results].count("sent") == 1
    threads = [threading.Thread(target=registry.push_blob, args=(at(script, "team/two"), one)) for one in blobs]
    [one.start() for one in threads]
    [one.join() for one in threads]
    assert script.count("POST") == 2


def test_a51_a_mount_sends_nothing(script: Script, client: Client, events: list[object]) -> None:
    blob = Memory(noise(1000))
    client().push_blob(at(script, "team/base"), blob)
    sent = client().push_blob(at(script), blob, ["team/base"])
    assert (sent.how, sent.bytes) == ("mounted", 0)
    assert any(isinstance(event, Mounted) and event.source == "team/base" for event in events)


def test_a51_a_mount_works_for_real(real: Running, client: Client) -> None:
    blob = Memory(noise(1000, 51))
    client().push_blob(at(real, "a51/base"), blob)
    assert client().push_blob(at(real, "a51/x"), blob, ["a51/base"]).how == "mounted"
    assert client().push_blob(at(real, "a51/y"), Memory(b"else"), ["a51/base"]).how == "sent"


def test_a51_what_this_client_has_put_elsewhere_is_mounted_from_there(real: Running, client: Client) -> None:
    one, blob = client(), Memory(noise(1000))
    assert one.push_blob(at(real, "a51/first"), blob).how == "sent"
    assert one.push_blob(at(real, "a51/second"), blob).how == "mounted"
    assert client().push_blob(at(real, "a51/third"), blob).how == "sent", "another client knows nothing of it"


def test_a51_the_session_of_a_refused_mount_is_used(script: Script, client: Client) -> None:
    blob = Memory(noise(1000))
    sent = client().push_blob(at(script), blob, ["team/base"])
    assert sent.how == "sent"
    assert script.count("POST") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a51_a_mount_that_fails_does_no_harm(script: Script, client: Client, status: int) -> None:
    script.plan("POST", "/uploads/", Reply(status))
    blob = Memory(noise(1000))
    assert client().push_blob(at(script), blob, ["team/base"]).how == "sent"
    assert kept(script, blob)


@pytest.mark.parametrize("source", ["registry.example/team/base", "localhost/base", "team/model"])
def test_a52_nothing_is_mounted_from_elsewhere(script: Script, client: Client, source: str) -> None:
    client().push_blob(at(script), Memory(noise(1000)), [source])
    assert all("mount" not in one.query for one in script.seen)


def test_a52_nothing_is_mounted_with_other_credentials(script: Script, client: Client, tmp_path: Path) -> None:
    auths = {
        f"{script.host}/team": {"username": "a", "password": "a"},
        f"{script.host}/base": {"username": "b", "password": "b"},
    }
    (tmp_path / "auth.json").write_bytes(canonical_json({"auths": auths}))
    client(auth_file=tmp_path / "auth.json").push_blob(at(script), Memory(noise(1000)), ["base/x"])
    assert all("mount" not in one.query for one in script.seen)


class Enough(Exception):
    pass


@pytest.mark.parametrize("rules", [PUT, (Rule("*", chunk_size=64 * KIB),)], ids=["put", "chunks"])
def test_a53_a_cancelled_upload_leaves_no_session(script: Script, client: Client, tmp_path: Path, rules) -> None:
    def stop(event: object) -> None:
        if isinstance(event, Moved) and event.done > 100 * KIB:
            raise Enough

    registry = client(emit=stop, rules=rules, journal=tmp_path / "journal")
    with pytest.raises(Enough):
        registry.push_blob(at(script), Memory(noise(500 * KIB)))
    assert not script.uploads
    assert not list((tmp_path / "journal").glob("*"))


def test_a53_cancel_ends_what_runs(script: Script, client: Client) -> None:
    registry = client(emit=lambda event: registry.cancel() if isinstance(event, Moved) else None)
    with pytest.raises(Cancelled):
        registry.push_blobs(at(script), [Memory(noise(500 * KIB, n)) for n in range(3)])
    assert not script.blobs


def test_a54_the_tag_comes_last(script: Script, client: Client) -> None:
    blobs, one = image(Memory(noise(100)))
    more, two = image(Memory(noise(200)))
    index = {"schemaVersion": 2, "mediaType": MediaType.INDEX}
    index |= {"manifests": [one.descriptor.json(), two.descriptor.json()]}
    top = Literal(canonical_json(index), MediaType.INDEX)
    client().publish(at(script), [one, two, top], [*blobs, *more])
    puts = [one.path.split("/")[-1] for one in script.seen if one.method == "PUT"]
    assert puts[-3:] == [str(one.descriptor.digest), str(two.descriptor.digest), "1"]
    assert all(name.startswith("u0") for name in puts[:-3])


def test_a55_a_manifest_is_sent_with_its_type_and_length(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(b"x"))
    client().publish(at(script), [manifest], blobs)
    put = next(one for one in script.seen if one.method == "PUT" and "/manifests/" in one.path)
    assert put.headers["content-type"] == MediaType.MANIFEST
    assert put.headers["content-length"] == str(len(manifest.data))


def test_a55_a_manifest_is_not_sent_under_another_type(script: Script, client: Client) -> None:
    _, manifest = image()
    with pytest.raises(IntegrityError, match="mediaType is another"):
        client().put_manifest(at(script), manifest.data, MediaType.DOCKER_MANIFEST)
    assert not script.seen


def test_a56_a_registry_that_names_other_bytes_is_an_error(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(b"x"))
    lie = {"Docker-Content-Digest": digest_of(b"else")}
    script.plan("PUT", "/manifests/", lambda reply: Reply(201, lie))
    with pytest.raises(IntegrityError, match="names other bytes"):
        client().publish(at(script), [manifest], blobs)


def test_a56_no_word_about_the_digest_is_fine(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(b"x"))
    script.plan("PUT", "", lambda reply: Reply(201), times=9)
    client().publish(at(script), [manifest], blobs)


def test_a57_a_blob_that_the_registry_lost_is_sent_again_once(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(noise(1000)))

    def collect(reply: Reply) -> Reply:
        script.blobs.clear()
        return error(400, "MANIFEST_BLOB_UNKNOWN")

    script.plan("PUT", "/manifests/", collect)
    client().publish(at(script), [manifest], blobs)
    assert script.manifests["team/model", "1"][1] == manifest.data
    assert len(script.blobs) == 2


def test_a_manifest_that_another_pusher_is_writing_is_named_again(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(noise(1000)))
    body = json.dumps({"errors": [{"code": "DIGEST_INVALID"}, {"code": "MANIFEST_BLOB_UNKNOWN"}]}).encode()
    script.plan("PUT", "/manifests/", lambda reply: Reply(400, {"Content-Type": "application/json"}, body))
    client().publish(at(script), [manifest], blobs)
    assert script.manifests["team/model", "1"][1] == manifest.data
    assert script.count("PUT", "/manifests/") == 2
    assert script.count("POST", "/blobs/") == 2, "no blob is sent again"


def test_a57_and_not_twice(script: Script, client: Client) -> None:
    blobs, manifest = image(Memory(noise(1000)))
    script.plan("PUT", "/manifests/", error(400, "MANIFEST_BLOB_UNKNOWN"), times=99)
    with pytest.raises(ErrorResponse, match="400"):
        client().publish(at(script), [manifest], blobs)
    assert script.count("PUT", "/manifests/") == 2


def seen(script: Script, client: Client, *more: Memory) -> tuple[Registry, list[Literal | Memory], Literal]:
    """A client that has read the image of a tag, and an image of the same layers and more."""
    layers = [Memory(noise(1000, n)) for n in range(3)]
    blobs, before = image(*layers)
    client().publish(at(script), [before], blobs)
    registry = client()
    registry.manifest(at(script))
    script.seen.clear()
    now, manifest = image(*layers, *more)
    return registry, now, manifest


def test_what_a_manifest_names_that_was_read_is_not_asked_for(script: Script, client: Client) -> None:
    registry, blobs, manifest = seen(script, client, Memory(noise(20_000)))
    registry.publish(at(script), [manifest], blobs)
    assert script.count("HEAD", "/blobs/") == script.count("POST", "/blobs/") == 1, "for the new layer"
    assert script.manifests["team/model", "1"][1] == manifest.data


def test_what_it_named_and_the_registry_lost_is_sent_again(script: Script, client: Client) -> None:
    registry, blobs, manifest = seen(script, client, Memory(noise(500)))
    script.blobs.clear()
    script.plan("PUT", "/manifests/", error(400, "MANIFEST_BLOB_UNKNOWN"))
    registry.publish(at(script), [manifest], blobs)
    assert {digest for _, digest in script.blobs} == {str(blob.descriptor.digest) for blob in blobs}


def test_the_image_that_the_tag_names_is_asked_for_blob_by_blob(script: Script, client: Client) -> None:
    """No manifest would be sent, so none could be refused, and a loss would stay."""
    registry, blobs, manifest = seen(script, client)
    registry.publish(at(script), [manifest], blobs)
    assert script.count("HEAD", "/blobs/") == len(blobs)


def test_a58_too_large_a_manifest_is_refused_before_it_is_sent(script: Script, client: Client) -> None:
    document = {"schemaVersion": 2, "mediaType": MediaType.MANIFEST, "annotations": {"x": "y" * (4 << 20)}}
    with pytest.raises(UserError, match="too large"):
        client().put_manifest(at(script), canonical_json(document), MediaType.MANIFEST)
    assert not script.seen


def test_a59_pushing_again_only_asks(real: Running, client: Client) -> None:
    blobs, manifest = image(*(Memory(noise(2000, n)) for n in range(12)))
    client().publish(at(real, "a59/x:1"), [manifest], blobs)
    again = client()
    _, sent = again.publish(at(real, "a59/x:1"), [manifest], blobs)
    assert {one.how for one in sent} == {"known"}
    assert dict(again.requests_made) == {
        "HEAD": len(blobs) + 1 + 1
    }  # every blob, the tag, and one look at the registry
    assert again.traffic.sent == 0


def test_a60_more_tags_send_only_the_manifest(real: Running, client: Client) -> None:
    blobs, manifest = image(Memory(noise(2000, 60)))
    client().publish(at(real, "a60/x:1"), [manifest], blobs)
    again = client()
    again.put_manifest(at(real, "a60/x"), manifest.data, manifest.media_type, ["1", "2", "latest"])
    assert again.requests_made["PUT"] == 2
    assert "POST" not in again.requests_made
    assert sorted(again.tags(at(real, "a60/x"))) == ["1", "2", "latest"]


def test_a61_a_tag_that_is_taken_can_be_protected(real: Running, client: Client) -> None:
    registry = client()
    blobs, first = image(Memory(noise(2000, 61)))
    registry.publish(at(real, "a61/x:1"), [first], blobs)
    other_blobs, second = image(Memory(noise(2000, 62)))
    registry.push_blobs(at(real, "a61/x:1"), other_blobs)
    with pytest.raises(UserError, match="exists already"):
        registry.put_manifest(at(real, "a61/x:1"), second.data, second.media_type, overwrite=False)
    assert registry.resolve(at(real, "a61/x:1")).digest == first.descriptor.digest
    registry.put_manifest(at(real, "a61/x:1"), first.data, first.media_type, overwrite=False)


def test_a_layer_over_the_limit_is_refused_before_the_first_byte(script: Script, client: Client) -> None:
    with pytest.raises(UserError, match="at most 1000") as caught:
        client(rules=(Rule("*", max_layer=1000),)).push_blobs(at(script), [Memory(b"x"), Memory(noise(1001))])
    assert "max-layer" in caught.value.hint
    assert not script.received
    assert not script.uploads


def test_the_smallest_blobs_are_sent_first(script: Script, client: Client) -> None:
    blobs = [Memory(noise(size, size)) for size in (30_000, 10, 20_000)]
    client(rules=(Rule("*", concurrency=1),)).push_blobs(at(script), blobs)
    assert [one.body for one in script.seen if one.method == "PUT"] == [10, 20_000, 30_000]


def test_a_blob_that_changed_is_named_and_nothing_is_stored(script: Script, client: Client) -> None:
    class Liar(Memory):
        @property
        def descriptor(self) -> Descriptor:
            return Descriptor.of(b"else" + self.data[4:], MediaType.LAYER)

    with pytest.raises(IntegrityError, match="another digest"):
        client().push_blob(at(script), Liar(noise(300 * KIB)))
    assert not script.blobs


@pytest.mark.parametrize(("length", "change"), [(200 * KIB, -1), (200 * KIB, 1)])
def test_a_blob_that_shrinks_or_grows_is_an_error(script: Script, client: Client, length: int, change: int) -> None:
    class Changing(Memory):
        @property
        def descriptor(self) -> Descriptor:
            return Descriptor(MediaType.LAYER, Descriptor.of(self.data, "x").digest, length - change)

    with pytest.raises(SourceError, match=r"shorter|grew"):
        client().push_blob(at(script), Changing(noise(length)))
    assert not script.blobs
    assert not script.uploads


@pytest.mark.parametrize("length", [None, 300 * KIB])
def test_a_stream_is_read_once_and_named_at_the_end(script: Script, client: Client, length: int | None) -> None:
    stream = Cold(noise(300 * KIB), length)
    sent = client().push_stream(at(script), stream)
    assert (sent.how, sent.bytes, stream.passes) == ("sent", 300 * KIB, 1)
    assert script.blobs["team/model", str(stream.descriptor.digest)] == stream.data
    assert [one.method for one in script.seen if one.method in ("POST", "PATCH", "PUT")] == ["POST", "PATCH", "PUT"]


def test_a_stream_goes_to_a_real_registry_in_one_pass(real: Running, client: Client) -> None:
    for length in (None, 3 << 20):
        stream, registry = Cold(noise(3 << 20, length or 1), length), client()
        registry.push_stream(at(real, "stream/x"), stream)
        assert stream.passes == 1
        assert registry.has(at(real, "stream/x"), stream.descriptor)


def test_a_stream_that_is_cut_is_read_again_and_goes_on(script: Script, client: Client) -> None:
    stream = Cold(noise(300 * KIB), 300 * KIB)
    script.plan("PATCH", "/uploads/", Drop(200 * KIB))
    client().push_stream(at(script), stream)
    assert script.blobs["team/model", str(stream.descriptor.digest)] == stream.data
    assert stream.passes == 2
    assert script.received <= 300 * KIB + 64 * KIB


def test_no_event_of_a_fault_says_that_it_is_a_success(script: Script, client: Client) -> None:
    script.plan("PUT", "/uploads/", error(400, "DIGEST_INVALID"), times=9)
    with pytest.raises(IntegrityError, match="another digest"):
        client().push_blob(at(script), Memory(noise(10)))
    with pytest.raises(RegistryError):
        client().manifest(at(script))


def test_a_fault_of_one_blob_ends_the_others_and_the_client_goes_on(script: Script, client: Client) -> None:
    registry, good = client(), [Memory(noise(300 * KIB, n)) for n in range(3)]

    class Broken(Memory):
        def chunks(self, start: int = 0) -> Iterator[bytes]:
            raise SourceError("the file is gone")

    with pytest.raises(SourceError, match="gone"):
        registry.push_blobs(at(script), [*good, Broken(noise(100 * KIB, 9))])
    assert not script.uploads
    assert {one.how for one in registry.push_blobs(at(script), good)} <= {"sent", "known"}


def test_a_refused_blob_leaves_the_others_to_be_resumed(script: Script, client: Client, tmp_path: Path) -> None:
    script.plan("PATCH", "/uploads/", error(403, "DENIED"), times=1, skip=10)
    blobs = [Memory(noise(900 * KIB, n)) for n in range(3)]
    with pytest.raises(ErrorResponse, match="403"):
        client(journal=tmp_path).push_blobs(at(script), blobs)
    sent = client(journal=tmp_path).push_blobs(at(script), blobs)
    assert [one.how for one in sent].count("resumed") >= 1
    assert script.received <= 3 * 900 * KIB + 4 * 64 * KIB


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (
            403,
            "adding 1 MiB of storage resource, which when updated to current usage will exceed the configured upper limit of 1 MiB.",
            "no more room",
        ),
        (403, "requested access to the resource is denied", "clock"),
        (405, "The operation is unsupported.", "read-only"),
    ],
)
def test_what_a_refusal_is_about_is_told(script: Script, client: Client, status: int, message: str, hint: str) -> None:
    script.plan("POST", "/blobs/uploads/", error(status, "DENIED" if status == 403 else "UNSUPPORTED", message))
    with pytest.raises(ErrorResponse) as caught:
        client().push_blob(at(script), Memory(noise(10)))
    assert hint in caught.value.hint


def test_a44_the_minimum_of_a_session_that_a_refused_mount_opened_counts(script: Script, client: Client) -> None:
    script.minimum = 200 * KIB
    registry, blob = client(), Memory(noise(500 * KIB))
    assert registry.push_blob(at(script), blob, mount_from=["team/other"]).how == "sent"
    assert kept(script, blob)
    assert script.count("POST") == 1
    assert [one.body for one in script.seen if one.method == "PATCH"] == [200 * KIB, 200 * KIB, 100 * KIB]


def test_a44_the_minimum_of_a_session_of_an_earlier_run_counts(script: Script, client: Client, tmp_path: Path) -> None:
    script.minimum = 200 * KIB
    blob, once = Memory(noise(500 * KIB)), Patience(attempts=1)
    script.plan("PATCH", "/uploads/", Drop(), skip=1)
    with pytest.raises(ConnectionFailed):
        client(journal=tmp_path, patience=once).push_blob(at(script), blob)
    script.seen.clear()
    assert client(journal=tmp_path).push_blob(at(script), blob).how == "resumed"
    assert [one.body for one in script.seen if one.method == "PATCH"] == [200 * KIB, 100 * KIB]


def test_a94_a_streamed_blob_is_reported_once_as_sent(script: Script, client: Client) -> None:
    registry, stream, known = client(), Cold(noise(150 * KIB)), Memory(noise(50 * KIB, 2))
    registry.push_blob(at(script), known)
    sent = registry.push_stream(at(script), stream)
    assert sent.bytes == len(stream.data)
    layer = Memory(stream.data)
    blobs, manifest = image(layer, known)
    _, results = registry.publish(at(script), [manifest], blobs)
    told = {each.descriptor.digest: (each.how, each.bytes) for each in results}
    assert told[layer.descriptor.digest] == ("sent", len(stream.data))
    assert told[known.descriptor.digest] == ("known", 0)
    assert script.count("HEAD", str(layer.descriptor.digest)) == 0
    _, again = registry.publish(at(script), [manifest], blobs)
    assert {each.bytes for each in again} == {0}


def test_a91_an_upload_is_sent_to_no_metadata_service(script: Script, client: Client) -> None:
    script.location = lambda host, path: f"http://169.254.169.254{path}"
    with pytest.raises(RegistryError, match="metadata service"):
        client().push_blob(at(script), Memory(noise(100)))
    assert script.count("PUT") == 0


def test_a_registry_that_keeps_a_few_bytes_of_each_part_is_left(script: Script, client: Client) -> None:
    """A byte for each request would go on for ever: each part has to get on by 64 KiB, or by all of it, to count as one that did."""
    rules = (Rule("*", chunk_size=128 * KIB),)
    script.keeps = 10
    with pytest.raises(ConnectionFailed, match=r"it keeps 10 of \d+ bytes"):
        client(rules=rules).push_blob(at(script), Memory(noise(300_000, 1)))
    assert script.count("PATCH") == 6
    script.keeps = 64 * KIB
    blob = Memory(noise(300_000, 2))
    client(rules=rules).push_blob(at(script), blob)
    assert kept(script, blob)
