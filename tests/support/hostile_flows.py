"""Where a hostile registry sends a client, how it asks for a login, and what it does to a push. Each is one scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from support.hostile_answers import (
    COPY,
    FOUL,
    LAYER,
    MANIFEST,
    MIRROR,
    PULL,
    REFUSED,
    RIGHT,
    TAGS,
    Scenario,
    bodied,
    fault,
    headed,
    index_of,
)
from support.scripted import INDEX, Again, Drop, Reply, Script, Short, Stall, digest_of, error

PUSH = ("push", "oci:{good}:1", "{host}/team/new:1")
MODELS = ("model", "list", "--workspace", "{host}/models")

ADDRESSES = {
    "metadata": "http://169.254.169.254/latest/meta-data",
    "metadata as a number": "http://2852039166/",
    "metadata in hexadecimal": "http://0xA9FEA9FE/",
    "metadata in octal": "http://0251.0376.0251.0376/",
    "metadata in two parts": "http://169.16689662/",
    "metadata mapped into IPv6": "http://[::ffff:169.254.169.254]/",
    "metadata mapped in hexadecimal": "http://[::ffff:a9fe:a9fe]/",
    "metadata through NAT64": "http://[64:ff9b::a9fe:a9fe]/",
    "metadata through 6to4": "http://[2002:a9fe:a9fe::]/",
    "metadata of IPv6": "http://[fd00:ec2::254]/",
    "link-local IPv6": "http://[fe80::1]/",
    "link-local IPv6 with a zone": "http://[fe80::1%25eth0]/",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://127.0.0.1/x",
    "a script": "javascript:alert(1)",
    "a login": "http://user:pass@127.0.0.1/",
    "nothing": "",
    "a space": "http://127.0.0.1 /x",
    "foul text": "http://127.0.0.1/\x1b[31m",
    "a bracket": "http://[::1/",
    "port 0": "http://127.0.0.1:0/",
    "a port of 5,000 digits": f"http://127.0.0.1:{'1' * 5000}/",
    "9,000 bytes": f"http://127.0.0.1:1/{'x' * 9000}",
    "only a query": "?x=1",
    "another scheme's port": "https://127.0.0.1:1/",
}


def scenarios() -> Iterator[Scenario]:
    """Yields all of them."""
    yield from _redirects()
    yield from _logins()
    yield from _uploads()
    yield from _models()
    yield from _lists()


def _redirects() -> Iterator[Scenario]:
    for name, address in ADDRESSES.items():
        for where in ("manifests", "blobs"):
            if where == "manifests" or "metadata" in name:
                yield fault(f"redirect of {where}: {name}", "GET|HEAD", f"/{where}/", Reply(307, {"Location": address}))
        yield fault(f"upload at: {name}", "POST", "/uploads/", headed(Location=address), words=PUSH)
    for status in (301, 302, 303, 307, 308):
        yield fault(f"redirect {status} to itself", "GET|HEAD", "/manifests/", Again(status))
    yield fault("redirect without a place", "GET|HEAD", "/manifests/", Reply(302))
    yield fault("redirect of a push to itself", "POST|PATCH|PUT", ".*", Again(307), words=PUSH)


def _challenged(script: Script, challenge: str, token: Reply | None = None) -> None:
    script.challenge, script.allowed = challenge.replace("{host}", script.host), lambda header, seen: False
    if token is not None:
        script.plan("GET|POST", "/token", token, 999)


def _logins() -> Iterator[Scenario]:
    for name, challenge in {
        "nothing": "", "a word": "Hello", "negotiate": "Negotiate", "no realm": "Bearer", "an empty realm": 'Bearer realm=""',
        "a file": 'Bearer realm="file:///etc/passwd"', "100,000 bytes": "Bearer " + "x" * 60_000, "foul": 'Bearer realm="http://{host}/\x1b[31m"',
        "quotes": 'Bearer realm="http://{host}/token', "a realm twice": 'Bearer realm="http://{host}/token",realm="http://[fe80::1]/"',
        "basic for ever": 'Basic realm="x"', "a scope of 9,000 bytes": f'Bearer realm="http://{{host}}/token",scope="{"repository:x:pull " * 500}"',
        **{f"realm at {name}": f'Bearer realm="{address}"' for name, address in ADDRESSES.items() if "metadata" in name or "link" in name},
    }.items():  # fmt: skip
        yield Scenario(f"challenge: {name}", PULL, partial(_challenged, challenge=challenge))
    realm = 'Bearer realm="http://{host}/token",service="x"'
    for name, token in {
        "none": Reply(200, {}, b"{}"), "a list": Reply(200, {}, b"[]"), "a number": Reply(200, {}, b'{"token": 5}'),
        "a line break": Reply(200, {}, b'{"token": "a\\r\\nX-Evil: 1"}'), "foul": Reply(200, {}, json.dumps({"token": FOUL}).encode()),
        "1 MB": Reply(200, {}, b'{"token": "' + b"x" * (1 << 20) + b'"}'), "for ever": Reply(200, {}, b'{"token": "x", "expires_in": 1e308}'),
        "since ever": Reply(200, {}, b'{"token": "x", "expires_in": -1e308}'), "NaN": Reply(200, {}, b'{"token": "x", "expires_in": NaN}'),
        "text as time": Reply(200, {}, b'{"token": "x", "expires_in": "soon", "issued_at": "\\ud800"}'), "a web page": Reply(200, {}, b"<html>"),
        "500": Reply(500), "429": Reply(429, {"Retry-After": "99999999"}), "itself": Again(307), "metadata": Reply(307, {"Location": ADDRESSES["metadata"]}),
        "dropped": Drop(), "refused for ever": Reply(200, {}, b'{"token": "x", "expires_in": 300}'),
    }.items():  # fmt: skip
        yield Scenario(f"token: {name}", PULL, partial(_challenged, challenge=realm, token=token))  # type: ignore[arg-type]


def _uploads() -> Iterator[Scenario]:
    lie = "sha256:" + "1" * 64
    for name, method, path, one in (
        ("no place", "POST", "/uploads/", lambda reply: Reply(202)),
        ("200 in place of 202", "POST", "/uploads/", lambda reply: Reply(200, reply.headers)),
        ("410 for a session", "PATCH|PUT", "/uploads/", error(410, "BLOB_UPLOAD_UNKNOWN")),
        ("a range of 5,000 digits", "PATCH", "/uploads/", headed(Range="0-" + "9" * 5000)),
        ("a range in other digits", "PATCH", "/uploads/", headed(Range="0-³")),
        ("a minimum of 5,000 digits", "POST", "/uploads/", headed(OCI_Chunk_Min_Length="9" * 5000)),
        ("a minimum of a terabyte", "POST", "/uploads/", headed(OCI_Chunk_Min_Length="999999999999")),
        ("a negative minimum", "POST", "/uploads/", headed(OCI_Chunk_Min_Length="-1")),
        ("416 always", "PATCH", "/uploads/", error(416, "RANGE_INVALID")),
        ("all is there", "HEAD", "/blobs/", Reply(200, {"Content-Length": "5"})),
        ("nothing is known", "PUT", "/manifests/", error(400, "MANIFEST_BLOB_UNKNOWN")),
        ("another digest of a manifest", "PUT", "/manifests/", headed(Docker_Content_Digest=lie)),
        ("a digest that is none", "PUT", "/manifests/", headed(Docker_Content_Digest="x")),
        ("another digest of a blob", "PUT", "/uploads/", headed(Docker_Content_Digest=lie)),
        ("foul words", "PUT", "/manifests/", Reply(400, {}, json.dumps({"errors": [{"code": FOUL, "message": FOUL}]}).encode())),
        ("a web page", "PUT", "/manifests/", Reply(200, {"Content-Type": "text/html"}, b"<html></html>")),
        ("502 always", "POST|PUT|PATCH", ".*", Reply(502)),
        ("502 once", "POST", ".*", Reply(502)),
        ("dropped in the middle", "PATCH|PUT", "/uploads/", Drop(after=10)),
        ("dropped when done", "PUT", "/manifests/", Drop(done=True)),
        ("429 for ever", "POST", "/uploads/", Reply(429, {"Retry-After": "99999999999999"})),
        ("507", "PUT", ".*", Reply(507)),
    ):  # fmt: skip
        times = 1 if name.endswith("once") else 999
        yield fault(f"push: {name}", method, path, one, words=PUSH, times=times, codes=frozenset({0, 4, 5}))
    for name, one in (
        ("created elsewhere", Reply(201, {"Location": "http://169.254.169.254/"})),
        ("refused with a place that leads away", Reply(202, {"Location": "http://[fe80::1]/x"})),
        ("refused with no place", Reply(202)),
        ("forbidden", error(403, "DENIED")),
        ("not allowed", error(405, "UNSUPPORTED")),
    ):  # fmt: skip
        yield fault(f"mount: {name}", "POST", "/uploads/", one, words=MIRROR, codes=frozenset({0, 4, 5}))
    yield fault("stalled layer", "GET", f"/blobs/{LAYER.descriptor.digest}", Stall())
    yield fault("stalled manifest", "GET", "/manifests/", Stall())
    yield fault("a layer that always ends early", "GET", f"/blobs/{LAYER.descriptor.digest}", Short(10), words=COPY)
    yield fault(
        "other bytes for a layer", "GET", f"/blobs/{LAYER.descriptor.digest}", bodied(bytes.swapcase), words=COPY
    )


def _models() -> Iterator[Scenario]:
    """A registry that is a workspace: any tag may be there, and any manifest behind it."""
    for name, tags in {
        "foul names": [f"{FOUL}.1"], "paths": ["../../x.1", "a/b.1"], "versions of 5,000 digits": ["a." + "9" * 100, "a.²", "a.-1", "a.0"],
        "options": ["--x.1"], "none that is here": ["a.1"],
    }.items():  # fmt: skip
        body = json.dumps({"name": "models", "tags": tags}).encode()
        yield fault(
            f"models: {name}", "GET", "/tags/list", Reply(200, {}, body), words=MODELS, codes=frozenset({0, 3, 4, 5})
        )
    yield Scenario("models: one that is an image", MODELS, _image_as_model, frozenset({0, *REFUSED}))
    yield fault("tags: dropped always", "GET", "/tags/list", Drop(), words=TAGS)


def _image_as_model(script: Script) -> None:
    kind, data = script.manifests["team/model", "1"]
    for tag in ("a.1", digest_of(data)):
        script.manifests["models/a", tag] = script.manifests["models", tag] = (kind, data)


def _lists() -> Iterator[Scenario]:
    def tags(value: object) -> Reply:
        return Reply(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    for name, answer, codes in (
        ("a list", tags([]), REFUSED),
        ("none", tags({"name": "team/model"}), frozenset({0})),
        ("null", tags({"tags": None}), frozenset({0})),
        ("a text", tags({"tags": "latest"}), REFUSED),
        ("numbers", tags({"tags": [1, 2]}), REFUSED),
        ("lists", tags({"tags": [["x"]]}), REFUSED),
        ("foul", tags({"tags": [FOUL, "ok"]}), frozenset({0, 4, 5})),
        ("paths", tags({"tags": ["../../x", "a b", "-rf"]}), frozenset({0, 4, 5})),
        ("NaN", Reply(200, {}, b'{"tags": [NaN]}'), REFUSED),
        ("deep", Reply(200, {}, b"[" * 300_000), REFUSED),
        ("9 MB", tags({"tags": ["x" * 100] * 90_000}), REFUSED),
        ("the same 50,000 times", tags({"tags": ["x"] * 50_000}), frozenset({0, 4, 5})),
    ):  # fmt: skip
        yield fault(f"tags: {name}", "GET", "/tags/list", answer, words=(*TAGS, "--json"), codes=codes)
    for name, link in {
        "itself": "</v2/team/model/tags/list?n=1>; rel=next", "another host": "<http://localhost:1/x>; rel=next", "metadata": "<http://169.254.169.254/latest>; rel=next",
        "a file": "<file:///etc/passwd>; rel=next", "no end": "</v2/team/model/tags/list", "nothing": "<>; rel=next", "foul": "<\x1b[31m>; rel=next",
        "1,000 of them": ", ".join(["</v2/team/model/tags/list?n=1>; rel=next"] * 1000), "a port of 5,000 digits": f"<http://127.0.0.1:{'9' * 5000}/x>; rel=next",
        "a bracket": "<http://[::1/x>; rel=next",
    }.items():  # fmt: skip
        yield fault(
            f"next page: {name}", "GET", "/tags/list", headed(Link=link), words=TAGS, codes=frozenset({0, 4, 5})
        )
    for name, value in {
        "a list": [], "no index": {"schemaVersion": 2}, "null in it": index_of(None), "text in it": index_of("x"),
        "a member that is not there": index_of({"mediaType": MANIFEST, "digest": "sha256:" + "2" * 64, "size": 5, "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json"}),
        "a member of the image itself": index_of(RIGHT.descriptor.json()), "a foul type": index_of({**RIGHT.descriptor.json(), "artifactType": FOUL}),
        "a type that is a list": index_of({**RIGHT.descriptor.json(), "artifactType": [1]}),
        "5,000 members": {"schemaVersion": 2, "mediaType": INDEX, "manifests": [RIGHT.descriptor.json()] * 5000},
    }.items():  # fmt: skip
        answer = Reply(200, {"Content-Type": INDEX}, json.dumps(value).encode())
        yield fault(f"referrers: {name}", "GET", "/referrers/", answer, words=MIRROR, codes=frozenset({0, 4, 5}))
