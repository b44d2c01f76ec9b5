"""Tensors whose elements are bytes behind the JSON of a request, and answers of that sort."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server.binary_tensors import packed, unpacked
from modelcrate_server.request import HttpError
from modelcrate_server.tensors import DATATYPES
from support.wsgi import Ask, app_of

SUMS = """
import json

def init():
    pass

def run(raw):
    return [float(sum(row)) for row in json.loads(raw)["data"]]
"""
ROWS = struct.pack("<4d", 1, 2, 3, 4.5)
SAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False], "BYTES": ["", "ä", "text"], "BF16": [1.5, -2.0], "FP16": [0.5, 65504.0],
    "FP32": [0.5, -2.0**40], "FP64": [0.1, 1e300],
}  # fmt: skip


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_comes_back(datatype: str) -> None:
    elements = SAMPLES.get(datatype, [0, 1, 127])
    assert unpacked(packed(elements, datatype), datatype, "x") == elements


def test_bytes_are_little_endian_as_the_protocol_has_them() -> None:
    assert packed([1, -2], "INT16") == b"\x01\x00\xfe\xff"
    assert packed(["ab"], "BYTES") == b"\x02\x00\x00\x00ab"
    assert packed([1.0], "BF16") == b"\x80\x3f"
    assert math.isnan(unpacked(packed([None], "FP32"), "FP32", "x")[0])


@given(st.binary(max_size=64), st.sampled_from(DATATYPES))
def test_any_bytes_are_elements_or_refused(data: bytes, datatype: str) -> None:
    try:
        elements = unpacked(data, datatype, "x")
    except HttpError:
        return
    assert packed(elements, datatype) == data or datatype in ("FP16", "FP32", "FP64", "BF16")


def ask_binary(ask: Ask, document: dict[str, Any], rest: bytes, size: str | None = None) -> Any:
    head = json.dumps(document).encode()
    return ask(
        "POST", "/v2/models/model/infer", head + rest, Content_Type="application/octet-stream",
        Inference_Header_Content_Length=str(len(head)) if size is None else size,
    )  # fmt: skip


def tensor(size: object = 32, **more: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": "FP64", "shape": [2, 2], "parameters": {"binary_data_size": size}, **more}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    return app_of(tmp_path, SUMS, MODELCRATE_CONTRACTS="oip")


def test_a_binary_request_is_answered_in_json_or_in_bytes(ask: Ask) -> None:
    answer = ask_binary(ask, {"inputs": [tensor()]}, ROWS)
    assert json.loads(answer.body)["outputs"][0]["data"] == [3.0, 7.5]
    for wanted in (
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "predict", "parameters": {"binary_data": True}}]},
    ):
        answer = ask_binary(ask, {"inputs": [tensor()], **wanted}, ROWS)
        size = int(dict(answer.headers)["Inference-Header-Content-Length"])
        (output,) = json.loads(answer.body[:size])["outputs"]
        assert output["parameters"] == {"binary_data_size": 16}
        assert "data" not in output
        assert struct.unpack("<2d", answer.body[size:]) == (3.0, 7.5)


def test_one_output_can_be_json_where_the_others_are_bytes(ask: Ask) -> None:
    wanted = [{"name": "predict", "parameters": {"binary_data": False}}]
    document = {"inputs": [tensor()], "outputs": wanted, "parameters": {"binary_data_output": True}}
    assert json.loads(ask_binary(ask, document, ROWS).body)["outputs"][0]["data"] == [3.0, 7.5]


@pytest.mark.parametrize(
    ("document", "rest", "said"),
    [
        ({"inputs": [tensor(33)]}, ROWS, "announce 33 bytes"),
        ({"inputs": [tensor(24)]}, ROWS, "8 bytes follow"),
        ({"inputs": [tensor(-1)]}, ROWS, "number of bytes"),
        ({"inputs": [tensor(True)]}, ROWS, "number of bytes"),
        ({"inputs": [tensor(31)]}, ROWS[:31], "no FP64"),
        ({"inputs": [tensor(data=[1])]}, ROWS, "both"),
        ({"inputs": [tensor(datatype="NONE")]}, ROWS, "datatypes"),
        ({"inputs": [tensor(shape=[9])]}, ROWS, "4 elements"),
        ({"inputs": 5}, b"", "list of tensors"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_with_the_reason(
    ask: Ask, document: dict[str, Any], rest: bytes, said: str
) -> None:
    answer = ask_binary(ask, document, rest)
    assert answer.status == 400
    assert said in json.loads(answer.body)["error"]


@pytest.mark.parametrize("size", ["x", "-1", "99999", "", "9" * 50])
def test_a_size_of_the_json_that_is_none_is_refused(ask: Ask, size: str) -> None:
    answer = ask_binary(ask, {"inputs": [tensor()]}, ROWS, size)
    assert (answer.status, "Inference-Header-Content-Length" in answer.body.decode()) == (400, True)
