"""MLServer and MLflow's scoring server beside ours: the same model, the same requests, good, bad and made up, and the answers compared.

Where ours is another on purpose, the difference has a name and a reason below; a difference without one is a failure, and so is
a name that no request needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate.inspect.conformance import Target, check_contracts
from support.peers import OURS, interpreter, mlflow, mlserver
from support.platforms import serving
from support.serving import Answer, Ask, Server

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

INFER, INVOKE = "/v2/models/rows/infer", "/invocations"
QUICK = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("ours"), OURS, python=interpreter()) as server:
        yield server


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mlserver(tmp_path_factory.mktemp("mlserver")) as server:
        yield server


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def post(path: str, document: object, kind: str = "application/json") -> Ask:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Ask("POST", path, body, [("Content-Type", kind)])


def infer(*tensors: Any, **more: Any) -> Ask:
    return post(INFER, {"inputs": list(tensors), **more})


def tensor(shape: Any = (2, 2), data: Any = (1, 2, 3, 4), datatype: str = "FP64", name: str = "x", **more: Any) -> Any:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


# --- the Open Inference Protocol beside MLServer


def v2(answer: Answer) -> tuple[int, Any]:
    """What an answer says. Of an inference the outputs' names and values, and the id; of an error only that it is one."""
    if answer.status >= 300:
        return answer.status, None
    document = json.loads(answer.body) if answer.body else None
    if isinstance(document, dict) and "outputs" in document and "model_name" in document:
        outputs = [(each["name"], each["datatype"], _flat(each["data"])) for each in document["outputs"]]
        return answer.status, (document["model_name"], document["model_version"], document.get("id"), outputs)
    if isinstance(document, dict):
        return answer.status, {key: document[key] for key in ("inputs", "outputs") if key in document}
    return answer.status, document


def _flat(data: Any) -> list[Any]:
    return [each for item in data for each in _flat(item)] if isinstance(data, list) else [data]


def _body(ask: Ask) -> Any:
    try:
        return json.loads(ask.body or b"")
    except ValueError:
        return None


def _inputs(ask: Ask) -> list[Any]:
    document = _body(ask)
    found = document.get("inputs") if isinstance(document, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _refused(answer: Answer) -> bool:
    return answer.status == 400 and set(json.loads(answer.body)) == {"error"}


def _made_up_id(ask: Ask, theirs: Answer, ours: Answer) -> bool:
    if theirs.status != 200 or ours.status != 200 or "model_name" not in json.loads(ours.body):
        return False
    return "id" not in (_body(ask) or {}) and _without_id(theirs) == _without_id(ours)


def _without_id(answer: Answer) -> Any:
    name, version, _, outputs = v2(answer)[1]
    return name, version, outputs


def _width(ask: Ask, theirs: Answer, ours: Answer) -> bool:
    if (theirs.status, ours.status) != (200, 200) or "model_name" not in json.loads(ours.body):
        return False
    pairs = zip(_without_id(theirs)[2], _without_id(ours)[2], strict=True)
    return all(mine[0] == their[0] and mine[2] == pytest.approx(their[2], rel=1e-3) for their, mine in pairs)


DIFFERENCES: dict[str, Callable[[Ask, Answer, Answer], bool]] = {
    # the protocol's error object, with 400, for what a web framework's validation answers in its own form
    "422 is 400": lambda ask, theirs, ours: theirs.status == 422 and _refused(ours),
    # what contradicts itself is the client's fault; MLServer answers with a traceback
    "a traceback is 400": lambda ask, theirs, ours: theirs.status == 500 and _refused(ours),
    # the protocol knows an id in an answer only where the request has one
    "no made-up id": _made_up_id,
    # a script without a schema sees JSON's numbers; its signature says of what type the answer is
    "the script's types": _width,
    # sizes are numbers from zero; MLServer lets numpy take -1 for any, and texts and fractions for numbers
    "sizes are sizes": lambda ask, theirs, ours: (
        _refused(ours)
        and any(type(size) is not int or size < 0 for each in _inputs(ask) for size in each.get("shape") or ())
    ),
    # an element has its tensor's datatype; MLServer cuts fractions off and wraps what is too large around
    "elements have their type": lambda ask, theirs, ours: _refused(ours) and b"has an element that is no" in ours.body,
    # an output that there isn't can't be given; MLServer gives the others
    "outputs that there are": lambda ask, theirs, ours: _refused(ours) and b"There is no output" in ours.body,
    # an unfinished path is none; MLServer leads on to the finished one
    "no redirections": lambda ask, theirs, ours: theirs.status == 307 and ours.status == 404,
    # rows reach a script without a schema as a list, and no rows as an empty one, of which numpy can't tell the columns
    "no rows, no columns": lambda ask, theirs, ours: any(0 in (each.get("shape") or ()) for each in _inputs(ask)),
    # the list of models needs no body
    "a list without a body": lambda ask, theirs, ours: ask.path.endswith("index") and theirs.status == 422,
}

V2_ASKS = [
    *(Ask("GET", path) for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/rows", "/v2/", "/v2/no")),
    *(
        Ask("GET", f"/v2/models/{path}")
        for path in ("rows/versions/1", "rows/versions/9", "no", "rows/ready", "no/ready")
    ),
    *(Ask("GET", f"/v2/models/{path}") for path in ("rows/versions/1/ready", "rows/versions/9/ready", "rows/nothing")),
    *(Ask(method, INFER) for method in ("GET", "PUT", "DELETE")),
    Ask("POST", "/v2"),
    Ask("POST", "/v2/repository/index"),
    post("/v2/models/no/infer", {"inputs": [tensor()]}),
    post("/v2/models/rows/versions/7/infer", {"inputs": [tensor()]}),
    post("/v2/models/rows/versions/1/infer", {"inputs": [tensor()]}),
    *(post(INFER, body) for body in (b"", b"no json", b"[]", b"{}", b"5", b'{"inputs": 5}', b'{"inputs": []}')),
    post(INFER, b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 2], "data": [NaN, 2]}]}'),
    infer(tensor()),
    infer(tensor(), id="mine"),
    infer(tensor(), id=7),
    infer(tensor(data=[[1, 2], [3, 4]])),
    infer(tensor(data=[1.5, 2, 3, 4]), parameters={"a": 1}),
    infer(tensor(extra=1), more=1),
    infer(tensor(name="another")),
    infer(tensor(), outputs=[{"name": "predict"}]),
    infer(tensor(), outputs=[{"name": "nothing"}]),
    infer(tensor(data=[1, 2, 3])),
    infer(tensor(datatype="NONE")),
    infer({"name": "x", "datatype": "FP64", "data": [1, 2]}),
    infer({"name": "x", "shape": [1, 2], "data": [1, 2]}),
    infer(tensor(data=5)),
    infer(tensor([1, 2], ["a", "b"])),
    infer(tensor([1, 2], [1.5, 2], "INT32")),
    infer(tensor([1, 2], [1, 2], "FP32")),
    infer(tensor([1, 2], [True, False], "BOOL")),
    infer(tensor([0, 2], [])),
    infer(tensor([-1, 2], [1, 2])),
    infer(tensor(["1", 2], [1, 2])),
    infer(tensor([3], [1, 2, 3])),
]


def unexplained(ask: Ask, theirs: Server, ours: Server, used: set[str]) -> str:
    """What differs without a reason; empty where nothing does. The reasons that were needed are added to `used`."""
    their, mine = theirs.ask(ask), ours.ask(ask)
    if v2(their) == v2(mine):
        return ""
    reasons = [name for name, explains in DIFFERENCES.items() if explains(ask, their, mine)]
    used.update(reasons)
    return (
        "" if reasons else f"{ask}: theirs {their.status} {their.body[:300]!r}, ours {mine.status} {mine.body[:300]!r}"
    )


def test_mlserver_and_we_answer_alike(theirs: Server, ours: Server) -> None:
    used: set[str] = set()
    assert [text for ask in V2_ASKS if (text := unexplained(ask, theirs, ours, used))] == []
    assert used == set(DIFFERENCES), "a difference that is none any more"


_NUMBERS = {
    "FP64": st.integers(-99, 99) | st.floats(-1e6, 1e6),
    "FP32": st.floats(-99, 99, width=32),
    "INT8": st.integers(-128, 127),
    "INT64": st.integers(-(2**31), 2**31),
    "UINT16": st.integers(0, 2**16 - 1),
    "BOOL": st.booleans(),
}


@st.composite
def tensors(draw: st.DrawFn) -> Any:
    """A tensor of rows, mostly right: sometimes its shape, its elements or a member are not."""
    datatype = draw(st.sampled_from(sorted(_NUMBERS)))
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 3))]
    rows = [[draw(_NUMBERS[datatype]) for _ in range(shape[1])] for _ in range(shape[0])]
    flat = [item for row in rows for item in row]
    made = tensor(shape, draw(st.sampled_from([rows, flat])), datatype)
    fault = draw(st.sampled_from(["", "", "", "shape", "data", "name", "datatype", "element"]))
    if fault == "shape":
        made["shape"] = [shape[0] + 1, shape[1]]
    elif fault == "element":
        made["data"] = [*flat, "text"]
    elif fault:
        del made[fault]
    return made


@QUICK
@given(
    st.lists(tensors(), min_size=1, max_size=1), st.none() | st.text("ab-19", max_size=5)
)  # MLServer puts the id into a header field
def test_made_up_inferences_are_answered_alike(theirs: Server, ours: Server, made: list[Any], name: str | None) -> None:
    ask = infer(*made, **({} if name is None else {"id": name}))
    assert unexplained(ask, theirs, ours, set()) == ""


def test_mlserver_keeps_to_the_protocol_but_for_its_tracebacks(theirs: Server) -> None:
    verdicts = check_contracts(Target(f"http://127.0.0.1:{theirs.port}", "rows", [[1, 2], [3, 4]]), ["oip"])
    assert [verdict.what for verdict in verdicts if verdict.ok is not True] == ["too few elements for the shape"]


# --- MLflow's scoring protocol


def scored(answer: Answer) -> tuple[int, Any]:
    """The status, and the predictions; of an error its code, in MLflow's own form."""
    if answer.status == 200 and answer.body.startswith(b"{"):
        document = json.loads(answer.body, parse_constant=lambda name: None)  # MLflow writes NaN, which is no JSON
        return 200, document["predictions"]
    if answer.status == 400:
        return 400, json.loads(answer.body)["error_code"]
    return answer.status, (answer.header("Content-Type") or "").partition(";")[0] if answer.status < 404 else None


FLOW_ASKS = [
    *(Ask("GET", path) for path in ("/ping", "/health", "/version", "/nothing", INVOKE)),
    *(Ask("POST", path) for path in ("/ping", "/health", "/version")),
    *(post(INVOKE, body) for body in (b"", b"no json", b"[]", b"[1]", b"{}", b'{"data": [[1, 2]]}')),
    post(INVOKE, b'{"inputs": [[NaN, 2], [3, 4]]}'),
    *(
        post(INVOKE, {form: value, **more})
        for form, value, more in [
            ("dataframe_split", {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, {}),
            ("dataframe_split", {"columns": ["a", "b"], "index": [5, 6], "data": [[1, 2], [3, 4.5]]}, {}),
            ("dataframe_split", {"data": [[1, 2]]}, {}),
            ("dataframe_split", {"columns": ["a"], "data": [[1, 2]]}, {}),
            ("dataframe_split", [1], {}),
            ("dataframe_records", [{"a": 1, "b": 2}, {"a": 3, "b": 4}], {}),
            ("dataframe_records", 5, {}),
            ("dataframe_records", {"a": 1}, {}),
            ("instances", [[1, 2], [3, 4]], {}),
            ("instances", [[1, 2], [3]], {}),
            ("instances", [["a", "b"]], {}),
            ("instances", 5, {}),
            ("instances", [[1, 2]], {"params": {"a": 1}}),
            ("instances", [[1, 2]], {"params": 3}),
            ("instances", [[1, 2]], {"inputs": [[1, 2]]}),
            ("inputs", [[1, 2], [3, 4]], {}),
            ("inputs", {"x": [[1, 2], [3, 4]]}, {}),
        ]
    ),
    post(INVOKE, b"a,b\n1,2\n3,4.5\n", "text/csv"),
    post(INVOKE, b"a,b\n1,2\n3,4.5\n", "text/csv; charset=UTF-8"),
    post(INVOKE, b"", "text/csv"),
    *(
        post(INVOKE, {"instances": [[1, 2]]}, kind)
        for kind in (
            "application/json; charset=utf-8",
            "application/json; charset=latin-1",
            "application/json; format=x",
            "application/vnd.x+json",
            "text/plain",
            "",
        )
    ),
]


def test_mlflow_and_we_answer_alike(flow: Server, ours: Server) -> None:
    answers = [(ask, scored(flow.ask(ask)), scored(ours.ask(ask))) for ask in FLOW_ASKS]
    assert [each for each in answers if each[1] != each[2]] == []


_ROWS = st.lists(st.lists(st.integers(-99, 99) | st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=4)
_FORMS = st.one_of(
    _ROWS.map(lambda rows: {"instances": rows}),
    _ROWS.map(lambda rows: {"inputs": rows}),
    _ROWS.map(lambda rows: {"inputs": {"x": rows}}),
    _ROWS.map(lambda rows: {"dataframe_split": {"columns": ["a", "b"], "data": rows}}),
    _ROWS.map(lambda rows: {"dataframe_records": [dict(zip("ab", row, strict=True)) for row in rows]}),
    st.sampled_from(["instances", "dataframe_split", "dataframe_records"]).map(lambda form: {form: "text"}),
)


@QUICK
@given(_FORMS)
def test_made_up_invocations_are_answered_alike(flow: Server, ours: Server, document: Any) -> None:
    (their_status, their), (status, mine) = (
        scored(flow.ask(post(INVOKE, document))),
        scored(ours.ask(post(INVOKE, document))),
    )
    assert status == their_status
    assert mine == (pytest.approx(their, rel=1e-9) if status == 200 else their)


def test_mlflows_server_keeps_to_its_protocol(flow: Server) -> None:
    verdicts = check_contracts(Target(f"http://127.0.0.1:{flow.port}", "", [[1, 2], [3, 4]]), ["mlflow"])
    assert [verdict for verdict in verdicts if verdict.ok is not True] == []
