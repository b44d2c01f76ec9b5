"""The original Azure ML inference server and ours, side by side: same scripts, same requests, same answers.

Ours runs twice: with our stand-ins for the original's libraries, and in the original's own environment, where entry
scripts get the real `inference_schema`, `AMLResponse` and web framework.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.azure import LIBRARIES, ORIGINAL, environment, original_server
from support.serving import SCRIPTS, Answer, Ask, Server, our_server

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

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

CASES = {
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
        "SCORING_TIMEOUT_MS": "300",
        "SERVICE_NAME": "S & co",
        "SERVICE_PATH_PREFIX": "/a/b/",
        "SERVICE_VERSION": "7",
    }
}


@pytest.fixture(scope="module", params=["stand-ins", "original libraries"])
def pythons(request: pytest.FixtureRequest) -> tuple[str, str]:
    original = environment("original", *LIBRARIES, *ORIGINAL)
    return original, original if request.param != "stand-ins" else environment("libraries", *LIBRARIES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module", params=sorted(CASES))
def pair(
    request: pytest.FixtureRequest, pythons: tuple[str, str], folder: Path
) -> Iterator[tuple[str, Server, Server]]:
    name = request.param
    script, env = SCRIPTS / f"{name}.py", SETTINGS.get(name, {})
    with ExitStack() as stack:
        theirs = stack.enter_context(original_server(pythons[0], script, folder, env))
        yield name, theirs, stack.enter_context(our_server(pythons[1], script, folder, env))


def test_rows_of_the_contract_are_answered_alike(pair: tuple[str, Server, Server]) -> None:
    name, theirs, ours = pair
    assert_alike(CASES[name], theirs, ours)


@pytest.mark.parametrize("name", ["plain", "raw", "raw_form", "with_headers", "mixed_schema"])
def test_the_runner_without_gunicorn_answers_alike(name: str, folder: Path) -> None:
    if importlib.util.find_spec("gunicorn") is not None:
        pytest.skip("gunicorn is installed here, so the runner of the standard library would not be used")
    original, script = environment("original", *LIBRARIES, *ORIGINAL), SCRIPTS / f"{name}.py"
    with (
        original_server(original, script, folder, SETTINGS.get(name, {})) as theirs,
        our_server(sys.executable, script, folder, SETTINGS.get(name, {})) as ours,
    ):
        assert "gunicorn is not installed" in ours.log
        # this runner sends whole answers: a streamed one has a length
        assert_alike([ask for ask in CASES[name] if "stream" not in ask.path], theirs, ours)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "do", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_BODIES = st.none() | st.binary(max_size=40) | _JSON.map(lambda value: json.dumps(value).encode())
_ROWS = st.lists(st.lists(st.floats(-9, 9), min_size=1, max_size=3), max_size=3)
_TYPES = st.sampled_from(
    ["application/json", "text/plain", FORM[1], "application/x+json", "Application/JSON;a=b", "/", ""]
)
_VALUE = st.text("".join(map(chr, [*range(33, 127), *range(161, 256)])), max_size=110)
_NAME = st.sampled_from(["x-request-id", "x-ms-request-id", "x-ms-client-request-id", "TraceId", "Origin", "Accept"])
_FIELDS = st.lists(st.tuples(_NAME, _VALUE), max_size=3, unique_by=lambda field: field[0])
_QUERY = st.lists(
    st.tuples(st.sampled_from(["data", "a", "version", "%FF", ""]), st.text('[]{}0123.,"ab%+&=;-', max_size=8)),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))
ASKS = st.builds(
    lambda method, path, query, body, kind, fields: Ask(
        method, f"{path}?{query}" if query else path, body, [("Content-Type", kind), *fields]
    ),
    st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE"]),
    st.sampled_from(["/score", "/score", "/score", "/", "/swagger.json", "/other", "/score/x", "/%2e"]),
    _QUERY,
    _BODIES | _ROWS.map(lambda rows: json.dumps({"data": rows}).encode()),
    _TYPES,
    _FIELDS,
)


@settings(
    max_examples=120,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ask=ASKS)
def test_generated_requests_are_answered_alike(pair: tuple[str, Server, Server], ask: Ask) -> None:
    _, theirs, ours = pair
    assert comparable(ask, ours.ask(ask)) == comparable(ask, theirs.ask(ask))


@pytest.mark.parametrize(
    "origins", ["https://a.example", "https://a.example, https://b.example", "*", "https://.*[.]example"]
)
def test_cross_origin_requests_are_answered_alike(pythons: tuple[str, str], folder: Path, origins: str) -> None:
    env = {"AML_CORS_ORIGINS": origins}
    preflight = ("Access-Control-Request-Method", "POST")
    wanted = ("Access-Control-Request-Headers", "x-two, X-One")
    askers = [[], *([("Origin", f"https://{name}.example")] for name in ("a", "B", "evil"))]
    places = (("GET", "/"), ("GET", "/no"), ("OPTIONS", "/score"))
    asks = [Ask(method, path, headers=origin) for origin in askers for method, path in places]
    asks += [Ask("OPTIONS", "/score", headers=[*origin, preflight, wanted]) for origin in askers]
    asks += [Ask("OPTIONS", "/", headers=[*askers[1], ("Access-Control-Request-Method", "PUT")])]
    asks += [Ask("GET", "/", headers=[*askers[1], ("Access-Control-Request-Private-Network", "true")])]
    with (
        original_server(pythons[0], SCRIPTS / "plain.py", folder, env) as theirs,
        our_server(pythons[1], SCRIPTS / "plain.py", folder, env) as ours,
    ):
        for ask in asks:
            assert comparable(ask, ours.ask(ask)) == comparable(ask, theirs.ask(ask)), ask


def assert_alike(asks: list[Ask], theirs: Server, ours: Server) -> None:
    differences = [
        f"{repr(ask)[:200]}: {where}"
        for ask in asks
        for where in differing(comparable(ask, theirs.ask(ask)), comparable(ask, ours.ask(ask)))
    ]
    assert differences == [], "\n".join(differences)


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF_THE_HTTP_SERVER = {"date", "server", "connection"}


def comparable(ask: Ask, answer: Answer) -> tuple[int, list[tuple[str, str]], Any]:
    """An answer without what differs between any two: made-up ids, times, versions, order of sets, prose."""
    fields = sorted(
        (name.lower(), _normal(name.lower(), value))
        for name, value in answer.headers
        if name.lower() not in _OF_THE_HTTP_SERVER
    )
    if ask.path.startswith("/swagger.json") and answer.status == 200:
        fields = [field for field in fields if field[0] != "content-length"]
        return answer.status, fields, _undescribed(json.loads(answer.body)) if answer.body else None
    return answer.status, fields, answer.body


def _normal(name: str, value: str) -> str:
    if name in {"x-request-id", "x-ms-request-id"} and _UUID.fullmatch(value):
        return "made up"
    if name == "x-ms-run-fn-exec-ms":
        return re.sub(r"\d", "0", re.sub(r"^\d+", "0", value))
    if name == "x-ms-server-version":
        return value.partition("/")[1]
    return ", ".join(sorted(value.split(", "))) if name == "allow" else value


def _undescribed(document: Any) -> Any:
    """A swagger document without its prose, which is ours."""
    if isinstance(document, dict):
        return {
            key: _undescribed(value)
            for key, value in document.items()
            if key != "description" or isinstance(value, dict)
        }
    return [_undescribed(item) for item in document] if isinstance(document, list) else document


def differing(theirs: Any, ours: Any, place: str = "answer") -> Iterator[str]:
    """Where two documents differ, for people to read."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs.keys() == ours.keys():
        for key in theirs:
            yield from differing(theirs[key], ours[key], f"{place}.{key}")
    elif isinstance(theirs, (list, tuple)) and isinstance(ours, (list, tuple)) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differing(one, other, f"{place}[{index}]")
    elif theirs != ours:
        yield f"{place} is {repr(theirs)[:300]} there and {repr(ours)[:300]} here"
