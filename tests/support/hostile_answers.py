"""What a hostile registry answers: documents, headers, statuses and bodies, each as one scenario that a verb meets."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from modelcrate_layers.content import MediaType
from support.bases import documents, small
from support.scripted import INDEX, Change, Drop, Fault, Reply, Script, Short, digest_of, error

MANIFEST = MediaType.MANIFEST
LAYER = small()
CONFIG, RIGHT = documents([LAYER])
DOCUMENT: dict[str, Any] = json.loads(RIGHT.data)
FOUL = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u2028\x9b31m"
"""Characters that a terminal obeys, or that change how text around them is shown."""

REFUSED = frozenset({4, 5})
IMAGE = "{host}/team/model:1"


@dataclass(frozen=True)
class Scenario:
    """A registry, the verb that meets it, and the exit codes that are right."""

    name: str
    words: tuple[str, ...]
    plan: Callable[[Script], None]
    codes: frozenset[int] = REFUSED

    def __str__(self) -> str:
        return self.name


def hold(script: Script) -> None:
    """Puts a right image into the registry."""
    for blob in (CONFIG, LAYER):
        script.blobs["team/model", str(blob.descriptor.digest)] = blob.data
    published(script, RIGHT.data)


def published(script: Script, data: bytes, kind: str = MANIFEST, tag: str = "1") -> str:
    for key in (tag, digest_of(data)):
        script.manifests["team/model", key] = (kind, data)
    return digest_of(data)


PULL = ("pull", IMAGE)
INSPECT = ("inspect", IMAGE, "--json")
TAGS = ("tags", "{host}/team/model")
MIRROR = ("copy", "registry:" + IMAGE, "registry:{host}/team/other:1", "--referrers")
COPY = ("copy", "registry:" + IMAGE, "oci:{out}:1")


def document(
    name: str, data: bytes | object, kind: str = MANIFEST, words: tuple[str, ...] = PULL, **more: Any
) -> Scenario:
    """A manifest or index with these bytes, or this value."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Scenario(f"document: {name}", words, lambda script: void(published(script, body, kind)), **more)


def fault(
    name: str, method: str, path: str, one: Fault, words: tuple[str, ...] = PULL, times: int = 999, **more: Any
) -> Scenario:
    """Requests of this kind get this fault."""
    return Scenario(name, words, lambda script: script.plan(method, path, one, times), **more)


def void(value: object) -> None:
    """Drops a value, so that a call fits where nothing is returned."""


def headed(**headers: str) -> Change:
    """The right answer with other headers."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name.lower() for name in fields}

    def change(reply: Reply) -> Reply:
        others = {name: value for name, value in reply.headers.items() if name.lower() not in kept}
        return Reply(reply.status, others | fields, reply.body, reply.promise)

    return change


def bodied(make: Callable[[bytes], bytes]) -> Change:
    """The right answer with another body, whose length is announced."""
    return lambda reply: Reply(reply.status, reply.headers, make(reply.body))


def changed(**members: Any) -> dict[str, Any]:
    """The right manifest with other members; None removes one."""
    return {name: value for name, value in {**DOCUMENT, **members}.items() if value is not None}


def layer(**members: Any) -> dict[str, Any]:
    return changed(layers=[{**DOCUMENT["layers"][0], **members}])


def nested(script: Script, depth: int) -> None:
    """An index in an index in an index."""
    data, kind = RIGHT.data, MANIFEST
    for _ in range(depth):
        child = {"mediaType": kind, "digest": published(script, data, kind), "size": len(data)}
        data, kind = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}).encode(), INDEX
    published(script, data, kind)


def index_of(child: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}


def scenarios() -> Iterator[Scenario]:
    """Yields all of them."""
    yield from _documents()
    yield from _headers()
    yield from _statuses()
    yield from _blobs()


def _documents() -> Iterator[Scenario]:
    text = RIGHT.data.decode()
    for name, data in {
        "a key twice": text.replace("{", '{"layers":[],', 1).encode(),
        "NaN": text.replace(str(LAYER.descriptor.size), "NaN").encode(),
        "Infinity": text.replace(str(LAYER.descriptor.size), "1e999").encode(),
        "deep": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "number of 5,000 digits": text.replace(str(LAYER.descriptor.size), "9" * 5000).encode(),
        "byte order mark": b"\xef\xbb\xbf" + RIGHT.data,
        "UTF-16": text.encode("utf-16"),
        "no bytes": b"",
        "half": RIGHT.data[: len(RIGHT.data) // 2],
        "two in a row": RIGHT.data * 2,
        "behind a NUL": b"\0" + RIGHT.data,
        "half a character": text.replace("{", '{"x":"\\ud800",', 1).encode(),
        "not UTF-8": text.replace("{", '{"x":"', 1).encode("latin-1") + b"\xff",
        "9 MB": json.dumps(changed(annotations={"x": "x" * (9 << 20)})).encode(),
    }.items():  # fmt: skip
        yield document(name, data)
    for name, value in {
        "an array": [], "a text": "x", "null": None, "no layers": changed(layers=None), "layers that are none": changed(layers="x"),
        "layers by name": changed(layers={"0": {}}), "no config": changed(config=None), "config in a list": changed(config=[]),
        "1,001 layers": changed(layers=DOCUMENT["layers"] * 1001), "a type in a list": changed(mediaType=[MANIFEST]),
        "a foul type": changed(mediaType=FOUL), "version 3": changed(schemaVersion=3), "version as text": changed(schemaVersion="2"),
        "schema 1": {"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [{"blobSum": "sha256:" + "0" * 64}], "history": []},
        "negative size": layer(size=-1), "size as text": layer(size="5"), "size beyond 63 bits": layer(size=1 << 70),
        "a digest that leads out": layer(digest="sha256:../../../etc/passwd"), "md5": layer(digest="md5:" + "0" * 32),
        "a long type of a layer": layer(mediaType="x" * 100_000),
        "manifest and index": changed(manifests=[]),
        "annotations that are a list": changed(annotations=[]) | {"annotations": [1]}, "annotations of numbers": changed(annotations={"a": 1}),
        "smaller layer": layer(size=LAYER.descriptor.size - 1), "larger layer": layer(size=LAYER.descriptor.size + 1),
    }.items():  # fmt: skip
        yield document(name, value)
    yield document("a foul type of a layer", layer(mediaType=FOUL), words=INSPECT)
    yield document("more layers than diff ids", changed(layers=DOCUMENT["layers"] * 2), words=INSPECT)
    yield document("foul annotations", changed(annotations={FOUL: FOUL}), words=INSPECT, codes=frozenset({0}))
    yield document(
        "foul annotations of a layer",
        layer(annotations={"io.modelcrate.layer.name": FOUL}),
        words=("inspect", IMAGE),
        codes=frozenset({0}),
    )
    yield document(
        "data that is other bytes", changed(config={**DOCUMENT["config"], "data": "e30="}), codes=frozenset({0, 5})
    )
    yield document(
        "urls of a layer elsewhere",
        layer(urls=["http://169.254.169.254/x", "file:///etc/passwd"]),
        codes=frozenset({0}),
    )
    for name, value in {
        "nothing": {"schemaVersion": 2, "manifests": []}, "null in it": index_of(None), "itself by tag": index_of({"mediaType": INDEX, "digest": "sha256:" + "0" * 64, "size": 1}),
        "1,001 members": {"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1}] * 1001},
        "a platform that is a list": index_of({**RIGHT.descriptor.json(), "platform": ["linux"]}),
        "a foul platform": index_of({**RIGHT.descriptor.json(), "platform": {"os": FOUL, "architecture": FOUL}}),
        "another size of its member": index_of({**RIGHT.descriptor.json(), "size": 5}),
    }.items():  # fmt: skip
        yield document(
            f"index: {name}",
            value,
            INDEX,
            codes=frozenset({0, 3, 4, 5}),
            words=("pull", IMAGE, "--platform", "linux/amd64"),
        )
    yield Scenario("index: 7 deep", PULL, lambda script: nested(script, 7))
    yield Scenario("index: 3 deep", PULL, lambda script: nested(script, 3), frozenset({0}))


def _headers() -> Iterator[Scenario]:
    for name, change, codes in (
        ("a digest that is none", headed(Docker_Content_Digest="sha256:zz"), REFUSED),
        ("another digest", headed(Docker_Content_Digest="sha256:" + "1" * 64), REFUSED),
        ("a foul digest", headed(Docker_Content_Digest="sha256:\x1b[31m"), REFUSED),
        ("no type", headed(Content_Type=""), frozenset({0})),
        ("a foul type", headed(Content_Type="\x1b[31m/x"), frozenset({0, 5})),
        ("a type of 50,000 bytes", headed(Content_Type="x" * 50_000), frozenset({0, 5})),
        ("gzip that is none", headed(Content_Encoding="gzip"), frozenset({0, 5})),
        ("a length that is none", headed(Content_Length="²"), frozenset({0, 4, 5})),
        ("a negative length", headed(Content_Length="-1"), frozenset({0, 4, 5})),
        ("a length of 5,000 digits", headed(Content_Length="9" * 5000), REFUSED),
        ("200 headers", headed(**{f"X_{number}": "x" for number in range(200)}), frozenset({0, 4})),
        ("a header of 200,000 bytes", headed(X="x" * 200_000), REFUSED),
        ("foul warnings", headed(Warning='299 - "\x1b]0;owned\x07"'), frozenset({0})),
    ):  # fmt: skip
        yield fault(f"header: {name}", "GET|HEAD", "/manifests/", change, codes=codes)
    packed = bodied(gzip.compress)
    yield fault(
        "header: a manifest in gzip", "GET", "/manifests/", lambda reply: headed(Content_Encoding="gzip")(packed(reply))
    )
    yield fault(
        "header: a layer in gzip", "GET", "/blobs/", lambda reply: headed(Content_Encoding="gzip")(packed(reply))
    )


def _statuses() -> Iterator[Scenario]:
    for status in (
        201,
        204,
        206,
        226,
        300,
        304,
        305,
        306,
        402,
        405,
        406,
        409,
        410,
        412,
        418,
        421,
        423,
        425,
        431,
        451,
        501,
        505,
        508,
        511,
        520,
        599,
    ):
        yield fault(f"status {status}", "GET|HEAD", "/manifests/", Reply(status, {}, b""))
    for name, wanted in {"for ever": "999999999999", "since ever": "-5", "as text": "soon", "at the end": "Fri, 31 Dec 9999 23:59:59 GMT", "long": "9" * 5000, "a date that is none": "Fri, 99 Foo 0000 99:99:99 GMT", "a part": "0.5", "foul": "\x1b[31m"}.items():  # fmt: skip
        for status in (429, 503):
            yield fault(
                f"status {status}, again {name}", "GET|HEAD", "/manifests/", Reply(status, {"Retry-After": wanted}, b"")
            )
    foul = json.dumps({"errors": [{"code": FOUL, "message": FOUL * 1000, "detail": FOUL}] * 100}).encode()
    yield fault(
        "status 403 in foul words", "GET|HEAD", "/manifests/", Reply(403, {"Content-Type": "application/json"}, foul)
    )
    yield fault("status 404 in 9 MB", "GET|HEAD", "/manifests/", Reply(404, {}, b"x" * (9 << 20)))
    yield fault("status 500 once", "GET|HEAD", "/manifests/", Reply(500), times=1, codes=frozenset({0}))
    yield fault(
        "errors that are none",
        "GET|HEAD",
        "/manifests/",
        Reply(400, {"Content-Type": "application/json"}, b'{"errors": {"code": [1]}}'),
    )
    yield fault(
        "errors with NaN",
        "GET|HEAD",
        "/manifests/",
        Reply(400, {"Content-Type": "application/json"}, b'{"errors": [NaN]}'),
    )
    yield fault("errors nested deep", "GET|HEAD", "/manifests/", Reply(400, {}, b"[" * 60_000))
    yield fault(
        "a web page",
        "GET|HEAD",
        "/manifests/",
        Reply(200, {"Content-Type": "text/html"}, b"<!doctype html><title>\x1b[31m</title>"),
    )


def _blobs() -> Iterator[Scenario]:
    for name, one, codes in (
        ("dropped always", Drop(), REFUSED),
        ("cut always", Short(100), REFUSED),
        ("no bytes", bodied(lambda data: b""), REFUSED),
        ("one more byte", bodied(lambda data: data + b"x"), REFUSED),
        ("another byte", bodied(lambda data: data[:-1] + b"\x01"), REFUSED),
        ("a web page", Reply(200, {"Content-Type": "text/html"}, b"<html>sign in</html>"), REFUSED),
        ("a part that was not asked for", lambda reply: Reply(206, {"Content-Range": "bytes 5-9/10"}, reply.body[5:]), REFUSED),
        ("a range that is none", lambda reply: Reply(206, {"Content-Range": "bytes ²-9/10"}, reply.body), REFUSED),
        ("416 always", error(416, "RANGE_INVALID"), REFUSED),
        ("403 behind a redirect", error(403, "DENIED"), REFUSED),
        ("more than was promised", lambda reply: Reply(reply.status, reply.headers, reply.body, len(reply.body) - 10), REFUSED),
    ):  # fmt: skip
        yield fault(f"blob: {name}", "GET", "/blobs/", one, codes=codes)
    yield fault("blob: cut once", "GET", "/blobs/", Short(100), times=1, codes=frozenset({0}))
