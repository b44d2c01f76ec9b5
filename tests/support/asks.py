"""What the differential test asks of each entry script in fixtures/entry_scripts, by the script's name."""

from __future__ import annotations

import json
from typing import Any

from support.serving import Ask

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
MULTIPART = ("Content-Type", "multipart/form-data; boundary=frontier")
PARTS = (
    b'--frontier\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue \xc3\xa9\r\n'
    b'--frontier\r\nContent-Disposition: form-data; name="up"; filename="a b.bin"\r\nContent-Type: image/png\r\n\r\n'
    b"\x00\r\n--\xff\r\n--frontier--\r\n"
)


def do(what: str, **more: Any) -> Ask:
    return Ask(body=json.dumps({"do": what, **more}).encode(), headers=[JSON])


def obj(**members: Any) -> Ask:
    return Ask(body=json.dumps(members).encode(), headers=[JSON])


EVERYWHERE = [
    Ask("GET", "/"),
    Ask("HEAD", "/"),
    Ask("POST", "/", b"x"),
    Ask("OPTIONS", "/"),
    Ask("DELETE", "/"),
    Ask("GET", "/?a=1"),
    Ask("GET", "/nope"),
    Ask("POST", "/nope", b"x"),
    Ask("GET", "/score/"),
    Ask("GET", "//score?a=1"),
    Ask("GET", "/scor%65?a=1"),
    Ask("GET", "/SCORE"),
    Ask("GET", "/livez"),
    Ask("OPTIONS", "/score"),
    Ask("HEAD", "/score"),
    Ask("PUT", "/score", b"{}"),
    Ask("PATCH", "/score", b"{}"),
    Ask("TRACE", "/score"),
    Ask("GET", "/swagger.json"),
    Ask("HEAD", "/swagger.json"),
    Ask("OPTIONS", "/swagger.json"),
    Ask("POST", "/swagger.json", b""),
    *(Ask("GET", f"/swagger.json?version={v}") for v in ("2", "2.0", "3", "3.0", "3.1", "9", "", "2&version=3", "%zz")),
    Ask("GET", "/", headers=[("x-request-id", "i" * 100)]),
    Ask("GET", "/", headers=[("x-request-id", "i" * 101)]),
    Ask("GET", "/score?a=1", headers=[("x-request-id", "")]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-request-id", "mine"), ("TraceId", "t-1")]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-ms-request-id", "old")]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-ms-client-request-id", "client")]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-ms-request-id", "old"), ("x-ms-client-request-id", "client")]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-ms-request-id", "o" * 101)]),
    Ask("POST", body=b"{}", headers=[JSON, ("x-ms-client-request-id", "c" * 101), ("x-request-id", "mine")]),
    Ask("POST", "/nope", b"{}", [("x-request-id", "mine")]),
    Ask("GET", "/", headers=[("Origin", "https://a.example")]),
    Ask("GET", "/", headers=[("x-request-id", "one"), ("x-request-id", "two")]),
]

PLAIN = [
    *(do(what) for what in ("none", "text", "unspeakable", "nan", "bytes", "raise", "time out", "sleep")),
    Ask(body=b""),
    Ask(body=b"", headers=[JSON]),
    Ask(body=None),
    Ask(body=b"caf\xc3\xa9", headers=[("Content-Type", "text/plain")]),
    Ask(body=b"\xff\xfe", headers=[("Content-Type", "application/octet-stream")]),
    Ask(body=b'{"data": [1]}', headers=[FORM]),
    Ask(body=b"\xff=\xff", headers=[FORM]),
    Ask(body=PARTS, headers=[MULTIPART]),
    Ask(body=b"no form", headers=[("Content-Type", "multipart/form-data")]),
    Ask(body=b"x=1", headers=[("Content-Type", "APPLICATION/X-WWW-Form-Urlencoded; charset=x")]),
    Ask(body=b"x" * 600_000, headers=[FORM]),
    Ask(body=b"x" * 3_000_000),
    Ask(body=b"5\r\nhello\r\n0\r\n\r\n", headers=[("Transfer-Encoding", "chunked"), ("Content-Type", "text/plain")]),
    Ask("GET", "/score"),
    Ask("GET", "/score?a=1&b=[1,2]&c=x&c=y&d=null"),
    Ask("GET", "/score?a=1&a=%22x%22&b=&c&=d&e=%FF&f=NaN&g=1e999&h=%5B1"),
    Ask("GET", "/score?a=1;b=2&%C3%A9=%C3%A9&plus=a+b"),
    Ask("GET", "/score?" + "&".join(f"k{i}={i}" for i in range(200))),
    Ask("GET", "/score?a=" + "1" * 4000),
    Ask("GET", "/score?a=" + "1" * 4072),
    do("respond", message="hello", status=200),
    do("respond", message="hello", status=201, headers={"X-List": "a, b,c", "content-type": "text/x"}),
    do("respond", message="hello", status=200, headers={"Content-Type": "image/png"}),
    do("respond", message="h\u00e9llo", status=404, failed=True),
    do("respond", message=None, status=202),
    do("respond", message={"a": [1, None]}, status=200, json=True),
    do("respond", message="oops", status=500),
    do("respond", message="oops", status=503, headers={"x-ms-run-function-failed": "maybe"}),
    do("respond", message="gone", status=204),
    do("respond", message="same", status=304),
    do("respond", message="odd", status=299, headers={"x-request-id": "scripted", "Vary": "Accept"}),
    do("respond", message="bad", status=200, headers={"X": 5}),
    do("respond", message=["a", "b"], status=200),
]

RAW = [
    Ask("GET", "/score?x=1&x=2&y=%FF", headers=[("X-Seen", "yes")]),
    Ask("POST", "/score", b'{"a": 1}', [JSON]),
    Ask("POST", "/score", b"{", [JSON]),
    Ask("POST", "/score", b"\x00\xff", [("Content-Type", "image/png")]),
    Ask("POST", "/score", b"[1]", [("Content-Type", "application/vnd.x+json; charset=utf-8")]),
    Ask("HEAD", "/score"),
    Ask("OPTIONS", "/score"),
    *(Ask("POST", f"/score?status={status}", b"body") for status in (200, 204, 304, 400, 404, 500, 503)),
    Ask("POST", "/score?status=200&type=image/png,x", b"body"),
    Ask(body=b"2\r\n[1\r\n1;x=y\r\n]\r\n0\r\n\r\n", headers=[("Transfer-Encoding", "chunked"), JSON]),
    Ask("POST", "/score?do=raise"),
    Ask("GET", "/score?do=stream"),
]

FORMS = [
    Ask(body=b"a=1&a=2&b=%C3%A9", headers=[FORM]),
    Ask(body=PARTS, headers=[MULTIPART]),
    Ask("POST", "/score?q=1", b"", [JSON]),
    Ask("GET", "/score?q=1"),
]

NUMPY = [
    obj(data=[[1, 2], [3, 4]]),
    obj(data=[[13, 2]]),
    obj(data=[[14, 2]]),
    obj(data=[[1, 2, 3]]),
    obj(data=[1, 2]),
    obj(data=[[1, "x"]]),
    obj(data="text"),
    obj(data=[]),
    obj(data=None),
    obj(other=1),
    obj(data=[[1, 2]], other=1),
    Ask(body=b"", headers=[JSON]),
    Ask(body=b"{", headers=[JSON]),
    Ask(body=b'{"data": ' + b"1" * 5000 + b"}", headers=[JSON]),
    Ask(body=b"[1]", headers=[JSON]),
    Ask(body=b"\xff", headers=[JSON]),
    Ask(body=b"[" * 100_000, headers=[JSON]),
    Ask(body=b'{"data": [[1, 2]]}', headers=[("Content-Type", "application/json; charset=latin-1")]),
    Ask(body=b'{"data": [[1, 2]]}', headers=[("Content-Type", "application/problem+json")]),
    Ask(body=b'{"data": [[1, 2]]}', headers=[("Content-Type", "text/plain")]),
    Ask(body=b'{"data": [[1, 2]]}'),
    Ask(body=b"\xef\xbb\xbf{}", headers=[JSON]),
    Ask(body='{"data": [[1, 2]]}'.encode("utf-16"), headers=[JSON]),
    Ask("GET", "/score?data=[[1,2],[3,4]]"),
    Ask("GET", "/score?data=[1,2]&data=[3,4]"),
    Ask("GET", "/score"),
]

GOOD = {"name": "Bo", "rate": 2, "nested": {"array": [3, 4], "text": "t", "more": 1}}
STANDARD = [
    obj(**GOOD),
    obj(**{**GOOD, "rate": "2"}),
    obj(**{**GOOD, "rate": True}),
    obj(**{**GOOD, "blob": "Ynl0ZXM="}),
    obj(**{**GOOD, "blob": ""}),
    obj(**{**GOOD, "nested": [1]}),
    obj(**{**GOOD, "nested": {}}),
    obj(**{**GOOD, "nested": {"array": [[1]]}}),
    obj(**{**GOOD, "nested": {"text": 1}}),
    obj(name=1, nested={}),
    obj(name="x"),
    Ask("GET", '/score?name=Bo&nested={"array":[1,2]}'),
]
MIXED = [
    obj(mixed=[1, "a"], when="2020-01-02T03:04:05Z"),
    obj(mixed=[1], when="2020-01-02 03:04:05.000678 +0000"),
    obj(mixed="no", when="2020-01-02"),
    obj(mixed=[], when="not a time"),
]
ROW = {"a": 1, "b": 2.5, "c": "z", "d": "2021-01-01T00:00:00.000"}
PANDAS = [obj(data=[ROW, ROW]), obj(data=[{"a": 1}]), obj(data=[{**ROW, "a": "x"}]), obj(data="no"), obj(data=[])]
RECORD = {"id": 7, "name": "bo", "at": "2020-01-01T00:00:00", "span": "4 seconds"}
STRUCTURED = [
    obj(cube=[[[1, 2], [3, 4]]], records=[RECORD]),
    obj(cube=[1], records=[list(RECORD.values())]),
    obj(cube=[], records=[{**RECORD, "span": "4 eons"}]),
    obj(cube=[300], records=[]),
]
HEADED = [
    Ask(body=b"x", headers=[("X-One", "1"), ("x-two", "\xe9"), ("Content-Type", "text/plain")]),
    Ask("GET", "/score", headers=[("X-Request-ID", "abc")]),
]

TABLE = [{"name": "Bo", "age": 1}, {"name": "Cy", "age": 2}]
INPUTS = {"array": [[1, 2], [3, 4]], "table": TABLE, "number": 0.5}
POWER_BI = [
    obj(Inputs=INPUTS, GlobalParameters=2.0),
    obj(Inputs=INPUTS, GlobalParameters=2),
    obj(Inputs=INPUTS),
    obj(Inputs={**INPUTS, "array": "no"}, GlobalParameters=1.0),
    obj(Inputs={**INPUTS, "table": [{"name": "Bo"}]}, GlobalParameters=1.0),
    obj(Inputs={**INPUTS, "number": "x"}, GlobalParameters=1.0),
    obj(Inputs={"array": [[1]]}, GlobalParameters=1.0),
    obj(Inputs=[1], GlobalParameters=1.0),
    obj(inputs=INPUTS, globalParameters=1.0),
    obj(Inputs=INPUTS, GlobalParameters=None),
    obj(Inputs=INPUTS, GlobalParameters="a"),
    *(Ask("GET", f"/swagger.json?version={each}") for each in ("2", "3", "3.1")),
]
PICTURE = (
    b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'
    b"\x89PNG\r\n\x1a\n--\r\n--frontier--\r\n"
)
RAW_HEADERS = [
    Ask("GET", "/score"),
    Ask("GET", "/score?"),
    Ask("GET", "/score?a=%C3%A9&b"),
    Ask("OPTIONS", "/score", headers=[("Origin", "http://www.example.com")]),
    Ask("POST", "/score", b"", [JSON]),
    Ask("POST", "/score", b'{"a": 1}', [JSON]),
    Ask("POST", "/score", b"a=1", [FORM]),
    Ask("POST", "/score?keep=1", b"a=1", [FORM]),
    Ask("POST", "/score?keep=1", PICTURE, [MULTIPART]),
    Ask("POST", "/score", PICTURE, [MULTIPART]),
    Ask("POST", "/score", PARTS, [MULTIPART]),
    Ask("HEAD", "/score"),
    Ask("PUT", "/score", b"x"),
]

CASES = {
    "power_bi": POWER_BI,
    "raw_headers": RAW_HEADERS,
    "plain": [*EVERYWHERE, *PLAIN],
    "with_headers": HEADED,
    "raw": [*EVERYWHERE, *RAW],
    "raw_form": FORMS,
    "numpy_schema": [*EVERYWHERE, *NUMPY],
    "standard_schema": [
        *EVERYWHERE[-8:],
        Ask("GET", "/swagger.json"),
        Ask("GET", "/swagger.json?version=3"),
        *STANDARD,
    ],
    "mixed_schema": [*(Ask("GET", f"/swagger.json?version={v}") for v in ("2", "3", "3.1", "9")), *MIXED],
    "pandas_schema": [Ask("GET", "/swagger.json"), *PANDAS],
    "structured_schema": [Ask("GET", "/swagger.json"), *STRUCTURED],
}
SETTINGS = {
    "plain": {
        "SCORING_TIMEOUT_MS": "1500",
        "SERVICE_NAME": "S & co",
        "SERVICE_PATH_PREFIX": "/a/b/",
        "SERVICE_VERSION": "7",
    }
}
