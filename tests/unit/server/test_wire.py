"""Protocol Buffers on the wire: what is written is read again, and what is no message is refused."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server.grpc_messages import infer_request, model_named
from modelcrate_server.request import HttpError
from modelcrate_server.wire import WireError, fields, fixed64, packed, part, signed, text, varint, varints, whole


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**29 - 1))
def test_whole_numbers_come_back(number: int, field: int) -> None:
    ((found, value),) = list(fields(whole(field, number) or varint(field << 3) + b"\0"))
    assert isinstance(value, int)
    assert (found, signed(value)) == (field, number)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_rows_of_numbers_come_back(numbers: list[int]) -> None:
    ((_, value),) = list(fields(packed(3, numbers)))
    assert list(map(signed, varints(value))) == numbers


@pytest.mark.parametrize(
    "data", [b"\x00", b"\x80", b"\x0a\x05x", b"\x0b", b"\x09abc", b"\xff" * 11, b"\x08" + b"\x80" * 10]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data: bytes) -> None:
    for read in (infer_request, model_named):
        with contextlib.suppress(HttpError):
            read(data)


def tensor(datatype: str, contents: bytes) -> bytes:
    return part(5, text(1, "x") + text(2, datatype) + packed(3, [2]) + part(5, contents))


def test_contents_of_every_kind_and_parameters_are_read() -> None:
    doubles = struct.pack("<2d", 1.5, 2.5)
    body = text(1, "m") + text(3, "id")
    body += part(4, text(1, "flag") + part(2, whole(1, 1))) + part(4, text(1, "ratio") + part(2, fixed64(4, 0)))
    body += tensor("FP64", part(7, doubles)) + tensor("INT8", packed(2, [-1, 2])) + tensor("BYTES", part(8, b"a"))
    body += tensor("FP64", b"".join(varint(7 << 3 | 1) + doubles[at : at + 8] for at in (0, 8)))  # not in a row
    found = infer_request(body)
    assert found["id"] == "id"
    assert found["parameters"] == {"flag": True, "ratio": 0.0}
    assert [each["data"] for each in found["inputs"]] == [[1.5, 2.5], [-1, 2], ["a"], [1.5, 2.5]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (tensor("INT8", part(7, b"")), "not of its datatype"),
        (tensor("FP64", b"") + part(7, b"") * 2, "2 raw_input_contents for 1 inputs"),
        (tensor("FP64", part(7, struct.pack("<d", 1))) + part(7, b"x"), "both"),
        (tensor("FP64", b"") + part(7, b"123"), "no FP64"),
        (tensor("FP64", part(7, b"123")), "are no FP64"),
        (tensor("FP32", whole(6, 1 << 40)), "longer than its datatype"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_reason(body: bytes, said: str) -> None:
    with pytest.raises(HttpError, match=said):
        infer_request(body)
