"""Whatever goes wrong, and in whatever order: the image in the registry is exactly ours, or an error says why and no tag is set."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate.images.reference import Reference
from modelcrate.net.config import Timeouts
from modelcrate.registry.config import RegistryConfig
from modelcrate.registry.oras_client import Registry
from modelcrate.registry.profiles import Rule
from modelcrate_layers.errors import CrateError
from support.images import Cold, Memory, StillClock, image, noise
from support.scripted import Drop, Reply, Script, digest_of, error, scripted

CHUNK = 8 << 10
LAYERS = [Memory(noise(size, size), step=3000) for size in (0, 5, CHUNK, 5 * CHUNK + 1)]
QUICK = Timeouts(connect=5.0, answer=5.0, finish=5.0)

replies = st.sampled_from(
    [Reply(status) for status in (400, 401, 403, 404, 408, 409, 413, 416, 429, 500, 502, 503, 504)]
    + [error(404, "BLOB_UPLOAD_UNKNOWN"), error(400, "DIGEST_INVALID"), error(400, "MANIFEST_BLOB_UNKNOWN")]
    + [
        Reply(202),
        Reply(200, {}, b"<html>"),
        Reply(202, {"Location": "//"}),
        Reply(202, {"Range": "0-7", "Location": "/x"}),
    ]
)
drops = st.builds(Drop, st.integers(0, 2 * CHUNK)) | st.just(Drop(done=True))
lies = st.sampled_from(
    [
        lambda reply: Reply(reply.status, {**reply.headers, "Range": "0-3"}),
        lambda reply: Reply(reply.status, {**reply.headers, "Range": "0-999999"}),
        lambda reply: Reply(reply.status, {**reply.headers, "Docker-Content-Digest": digest_of(b"lie")}),
        lambda reply: Reply(reply.status, {k: v for k, v in reply.headers.items() if k != "Location"}),
    ]
)
faults = st.lists(
    st.tuples(
        st.sampled_from(["POST", "PATCH", "PUT", "HEAD", "GET", "POST|PATCH|PUT"]),
        st.sampled_from(["/uploads/", "/blobs/", "/manifests/", ""]),
        replies | drops | lies,
        st.integers(1, 8),
        st.integers(0, 4),
    ),
    max_size=6,
)


def published(script: Script) -> bytes | None:
    return script.manifests.get(("team/model", "1"), ("", None))[1]


def plan(script: Script, drawn: list[tuple]) -> None:
    for method, path, fault, times, skip in drawn:
        script.plan(method, path, fault, times, skip)


def told(fault: CrateError) -> None:
    """An error says something, to a user, and no more than one line of it is what happened."""
    assert fault.what
    assert "\n" not in fault.what


def whole(script: Script) -> None:
    """What the registry holds is what we meant; nothing is under a wrong name."""
    assert all(digest == digest_of(data) for (_, digest), data in script.blobs.items())


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=faults,
    keeps=st.booleans(),
    stuck=st.booleans(),
    upload=st.sampled_from(["chunks", "put", "stream"]),
    mount=st.booleans(),
)
def test_an_image_is_ours_or_not_there(drawn: list[tuple], keeps: bool, stuck: bool, upload: str, mount: bool) -> None:
    blobs, manifest = image(*LAYERS)
    rules = (Rule("*", upload=upload, chunk_size=CHUNK),)
    with scripted(keeps_cut=keeps, stuck=stuck) as script, tempfile.TemporaryDirectory() as journal:
        plan(script, drawn)
        ref, clock = Reference.parse(f"{script.host}/team/model:1"), StillClock()
        given_ = RegistryConfig(rules=rules, journal=Path(journal), timeouts=QUICK)
        with Registry(given_, clock=clock) as registry:
            try:
                registry.publish(ref, [manifest], blobs, mount_from=["team/base"] if mount else ())
            except CrateError as fault:
                told(fault)
                assert published(script) in (None, manifest.data)  # it may be the answer that went wrong
            else:
                claimed = not any(method == "PUT" or "PUT" in method or method == "HEAD" for method, *_ in drawn)
                assert not claimed or script.manifests["team/model", "1"][1] == manifest.data
        whole(script)
        script.planned.clear()
        script.stuck = False
        with Registry(given_, clock=clock) as registry:  # and run again without faults, it comes right
            registry.publish(ref, [manifest], blobs)
        assert script.manifests["team/model", "1"][1] == manifest.data
        assert all(script.blobs["team/model", str(blob.descriptor.digest)] == b"".join(blob.chunks()) for blob in blobs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=faults,
    keeps=st.booleans(),
    known=st.booleans(),
    key=st.sampled_from([None, "recipe"]),
    size=st.integers(0, 4 * CHUNK),
)
def test_a_stream_is_ours_or_not_there(
    drawn: list[tuple], keeps: bool, known: bool, key: str | None, size: int
) -> None:
    stream = Cold(noise(size), size if known else None, key)
    with scripted(keeps_cut=keeps) as script, tempfile.TemporaryDirectory() as journal:
        plan(script, drawn)
        ref, rules = Reference.parse(f"{script.host}/team/model:1"), (Rule("*", chunk_size=CHUNK),)
        given_ = RegistryConfig(rules=rules, journal=Path(journal), timeouts=QUICK)
        with Registry(given_, clock=StillClock()) as registry:
            try:
                registry.push_stream(ref, stream)
            except CrateError as fault:
                told(fault)
        whole(script)
        script.planned.clear()
        with Registry(given_, clock=StillClock()) as registry:
            registry.push_stream(ref, stream)
        assert script.blobs["team/model", digest_of(stream.data)] == stream.data


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    drawn=st.lists(
        st.tuples(
            st.just("GET"), st.just("/blobs/"),
            replies | st.builds(Drop) | st.sampled_from([
                lambda reply: Reply(reply.status, reply.headers, reply.body[::-1]),
                lambda reply: Reply(reply.status, reply.headers, reply.body + b"x"),
                lambda reply: Reply(206, {"Content-Range": "bytes 3-9/10"}, reply.body),
            ]),
            st.integers(1, 8), st.integers(0, 2),
        ),
        max_size=4,
    )
)  # fmt: skip
def test_what_is_pulled_is_right_or_an_error(drawn: list[tuple]) -> None:
    blob = LAYERS[-1]
    with scripted() as script:
        script.blobs["team/model", str(blob.descriptor.digest)] = blob.data
        plan(script, drawn)
        with Registry(RegistryConfig(timeouts=QUICK), clock=StillClock()) as registry:
            ref = Reference.parse(f"{script.host}/team/model:1")
            try:
                assert registry.blob(ref, blob.descriptor).read() == blob.data
            except CrateError as fault:
                told(fault)
