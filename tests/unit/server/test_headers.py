"""Which header fields go out, and what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelcrate_server.headers import Headers, MultiDict, RequestHeaders
from support.serving import Answer
from support.wsgi import PLAIN, app_of

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


def ids(answer: Answer) -> tuple[str | None, ...]:
    return tuple(answer.header(name) for name in ("x-request-id", "x-ms-request-id", "x-ms-client-request-id"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"x_request_id": "a"}, ("a", "a", None)),
        ({"x_request_id": "a", "x_ms_client_request_id": "c"}, ("a", "c", "c")),
        ({"x_request_id": "a", "x_ms_request_id": "b"}, ("a", "b", "b")),
        ({"x_request_id": "a", "x_ms_request_id": "b", "x_ms_client_request_id": "c"}, ("a", "b", "c")),
        ({"x_request_id": ""}, (None, None, None)),
    ],
)
def test_ids_are_echoed(tmp_path: Path, given: dict[str, str], expected: tuple[str | None, ...]) -> None:
    assert ids(app_of(tmp_path)(**given)) == expected


def test_an_id_is_made_up_for_each_request(tmp_path: Path) -> None:
    ask = app_of(tmp_path)
    one, two = ids(ask("GET", "/"))[0], ids(ask("GET", "/"))[0]
    assert one is not None
    assert UUID.fullmatch(one)
    assert one != two


def test_the_old_name_of_the_client_id_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app_of(tmp_path)(x_ms_request_id="old")
    assert "deprecated" in caplog.text


def test_run_time_has_three_decimals(tmp_path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d{3}", app_of(tmp_path)().header("x-ms-run-fn-exec-ms") or "")


def test_trace_id_is_echoed(tmp_path: Path) -> None:
    assert app_of(tmp_path)("GET", "/", traceid="t").header("TraceId") == "t"


@pytest.mark.parametrize(("switch", "present"), [("true", True), ("TRUE", True), ("false", False), ("", False)])
def test_the_version_can_be_kept_secret(tmp_path: Path, switch: str, present: bool) -> None:
    answer = app_of(tmp_path, SERVER_VERSION_LOG_RESPONSE_ENABLED=switch)("GET", "/")
    assert (answer.header("x-ms-server-version") is not None) == present


def test_run_gets_the_header_fields_it_asks_for(tmp_path: Path) -> None:
    source = PLAIN.replace("run(data)", "run(data, request_headers)").replace("data}", "request_headers}")
    answer = app_of(tmp_path, source)(body="abc", x_own="1", content_type="text/plain")
    assert answer.body == b'{"got": {"Content-Length": "3", "X-Own": "1", "Content-Type": "text/plain"}}'


def test_scoring_is_logged_in_one_line_and_health_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "azmlinfsrv")
    ask = app_of(tmp_path)
    caplog.clear()
    ask("GET", "/")
    ask("GET", "/score?a=1")
    (record,) = caplog.records
    assert re.fullmatch(r"GET /score\?a=1 200 \d+\.\d{3}ms 21", record.getMessage()), record.getMessage()


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        ("https://a.example", "https://A.example", ["https://A.example"]),
        ("https://a.example", "https://b.example", []),
        ("https://b.example, https://a.example", "", ["https://a.example"]),
        ("*", "https://any.example", ["https://any.example"]),
        ("*", "", ["*"]),
        ("https://.*[.]example", "https://x.example", ["https://x.example"]),
    ],
)
def test_origins_that_may_read(tmp_path: Path, listed: str, origin: str, allowed: list[str]) -> None:
    answer = app_of(tmp_path, AML_CORS_ORIGINS=listed)("GET", "/", **({"Origin": origin} if origin else {}))
    assert [value for name, value in answer.headers if name == "Access-Control-Allow-Origin"] == allowed


def test_preflight_lists_methods_and_the_asked_header_fields(tmp_path: Path) -> None:
    asked = {"Origin": "https://a", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "z, b"}
    answer = app_of(tmp_path, AML_CORS_ORIGINS="https://a")("OPTIONS", "/score", **asked)
    assert answer.header("Access-Control-Allow-Methods") == "GET, POST"
    assert answer.header("Access-Control-Allow-Headers") == "b, z"


def test_without_listed_origins_nothing_is_said_about_them(tmp_path: Path) -> None:
    answer = app_of(tmp_path)("GET", "/", Origin="https://a.example")
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_setting_a_field_replaces_all_of_its_name_in_the_first_place() -> None:
    headers = Headers([("A", 1), ("b", 2), ("a", 3), ("c", 4)])
    headers["A"] = "new"
    assert list(headers) == [("A", "new"), ("b", "2"), ("c", "4")]
    del headers["B"]
    assert "b" not in headers
    assert len(headers) == 2
    with pytest.raises(KeyError):
        headers["b"]


@pytest.mark.parametrize(("name", "value"), [("X", "a\r\nEvil: 1"), ("X\n", "a")])
def test_a_field_with_a_line_break_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="line breaks"):
        Headers([(name, value)])


def test_request_headers_read_like_a_mapping() -> None:
    headers = RequestHeaders({"HTTP_X_A": "5", "CONTENT_TYPE": "t", "CONTENT_LENGTH": "", "wsgi.input": None})
    assert dict(headers) == {"X-A": "5", "Content-Type": "t"}
    assert (headers["x-a"], headers.get("x-a", type=int), headers.get("content-type", 1, type=int)) == ("5", 5, 1)
    assert headers.getlist("x-a") == ["5"]
    assert headers.getlist("x-b") == []
    assert list(headers.values()) == ["5", "t"]
    assert len(headers) == 2
    assert "x-b" not in headers
    with pytest.raises(KeyError):
        headers["x-b"]


def test_values_that_repeat_give_their_first_and_all() -> None:
    values = MultiDict([("a", "1"), ("b", "x"), ("a", "2")])
    assert (values["a"], values.get("a", type=int), values.getlist("a"), values.get("z", 9)) == ("1", 1, ["1", "2"], 9)
    assert values.items() == [("a", "1"), ("b", "x")]
    assert values.values() == ["1", "x"]
    assert values.to_dict(flat=False) == {"a": ["1", "2"], "b": ["x"]}
