"""The original Azure ML inference server and ours, side by side: same scripts, same requests, same answers.

Ours runs twice: with our stand-ins for the original's libraries, and in the original's own environment, where entry
scripts get the real `inference_schema`, `AMLResponse` and web framework.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate.inspect.conformance import Target, check_contracts
from support.asks import CASES, FORM, SETTINGS
from support.azure import LIBRARIES, ORIGINAL, environment, original_server
from support.serving import SCRIPTS, Answer, Ask, Server, our_server

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]


@dataclass(frozen=True)
class Servers:
    """The original, and ours with our stand-ins for its libraries and with its libraries."""

    theirs: Server
    with_stand_ins: Server
    with_libraries: Server

    @property
    def ours(self) -> tuple[Server, Server]:
        return self.with_stand_ins, self.with_libraries


@contextmanager
def servers_of(script: Path, folder: Path, env: Mapping[str, str]) -> Iterator[Servers]:
    original, libraries = environment("original", *LIBRARIES, *ORIGINAL), environment("libraries", *LIBRARIES)
    with (
        original_server(original, script, folder, env) as theirs,
        our_server(libraries, script, folder, env) as with_stand_ins,
        our_server(original, script, folder, env) as with_libraries,
    ):
        yield Servers(theirs, with_stand_ins, with_libraries)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module", params=sorted(CASES))
def scripted(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, Servers]]:
    name = request.param
    with servers_of(SCRIPTS / f"{name}.py", folder, SETTINGS.get(name, {})) as servers:
        yield name, servers


def test_rows_of_the_contract_are_answered_alike(scripted: tuple[str, Servers]) -> None:
    name, servers = scripted
    assert_alike(CASES[name], servers.theirs, *servers.ours)


def test_the_original_keeps_to_the_contract(folder: Path) -> None:
    original = environment("original", *LIBRARIES, *ORIGINAL)
    with original_server(original, SCRIPTS / "plain.py", folder) as theirs:
        verdicts = check_contracts(Target(f"http://127.0.0.1:{theirs.port}", instances=[[1, 2]]))
    assert {verdict.contract for verdict in verdicts} == {"azureml"}
    assert [verdict for verdict in verdicts if verdict.ok is not True] == []


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
def test_generated_requests_are_answered_alike(scripted: tuple[str, Servers], ask: Ask) -> None:
    _, servers = scripted
    wanted = comparable(ask, servers.theirs.ask(ask))
    assert [comparable(ask, ours.ask(ask)) for ours in servers.ours] == [wanted, wanted]


@pytest.mark.parametrize(
    "origins", ["https://a.example", "https://a.example, https://b.example", "*", "https://.*[.]example"]
)
def test_cross_origin_requests_are_answered_alike(folder: Path, origins: str) -> None:
    preflight = ("Access-Control-Request-Method", "POST")
    wanted = ("Access-Control-Request-Headers", "x-two, X-One")
    askers = [[], *([("Origin", f"https://{name}.example")] for name in ("a", "B", "evil"))]
    places = (("GET", "/"), ("GET", "/no"), ("OPTIONS", "/score"))
    asks = [Ask(method, path, headers=origin) for origin in askers for method, path in places]
    asks += [Ask("OPTIONS", "/score", headers=[*origin, preflight, wanted]) for origin in askers]
    asks += [Ask("OPTIONS", "/", headers=[*askers[1], ("Access-Control-Request-Method", "PUT")])]
    asks += [Ask("GET", "/", headers=[*askers[1], ("Access-Control-Request-Private-Network", "true")])]
    with servers_of(SCRIPTS / "plain.py", folder, {"AML_CORS_ORIGINS": origins}) as servers:
        assert_alike(asks, servers.theirs, *servers.ours)


def assert_alike(asks: list[Ask], theirs: Server, *ours: Server) -> None:
    differences = [
        f"{repr(ask)[:200]}: {where}"
        for ask in asks
        for wanted in [comparable(ask, theirs.ask(ask))]
        for each in ours
        for where in differing(wanted, comparable(ask, each.ask(ask)))
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
