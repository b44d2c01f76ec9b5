"""Bodies that clients have packed."""

from __future__ import annotations

import bz2
import gzip
import json
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_server.encodings import EncodingError, supported, unpack
from support.wsgi import RAW, SCHEMA, app_of

BODY = b'{"data": [[1, 2], [3, 4.5]]}'


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    " deflate": raw_deflate,
    "zstd": zstandard.compress,
    "identity": bytes,
    "gzip, identity": gzip.compress,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
}


@pytest.mark.parametrize("name", PACKED)
@given(data=st.binary(max_size=3000))
def test_what_was_packed_is_unpacked(name: str, data: bytes) -> None:
    assert unpack(PACKED[name](data), name, None) == data


def test_several_members_are_one_body() -> None:
    assert unpack(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", None) == b"ab"
    assert unpack(zstandard.compress(b"a") + zstandard.compress(b"b"), "zstd", None) == b"ab"


@pytest.mark.parametrize("name", ["gzip", "deflate", " deflate", "zstd"])
@given(at=st.integers(1, 10_000), how=st.sampled_from(["cut", "more"]))
def test_damaged_bodies_are_refused(name: str, at: int, how: str) -> None:
    packed = PACKED[name](bytes(range(256)))
    damaged = packed[: at % len(packed)] if how == "cut" else packed + b"\xff" * (1 + at % 9)
    if damaged:
        with pytest.raises(EncodingError) as refused:
            unpack(damaged, name, None)
        assert refused.value.status == 400


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "deflate, gzip"])
def test_a_bomb_is_refused_before_it_is_unpacked(name: str) -> None:
    packed = PACKED[name](b"0" * 30_000_000)
    with pytest.raises(EncodingError) as refused:
        unpack(packed, name, 1000)
    assert refused.value.status == 413
    assert len(unpack(PACKED[name](b"0" * 1000), name, 1000)) == 1000


@pytest.mark.parametrize("name", ["br", "compress", "bzip2", "gzip, br"])
def test_other_encodings_are_named(name: str) -> None:
    with pytest.raises(EncodingError, match=f"'{name.split(', ')[-1]}' is not supported") as refused:
        unpack(bz2.compress(BODY), name, None)
    assert refused.value.status == 415


@pytest.mark.parametrize("contract", ["azureml", "vertex", "mlflow", "sagemaker"])
def test_packed_requests_are_scored_in_every_contract(tmp_path: Path, contract: str) -> None:
    ask = app_of(tmp_path, SCHEMA, MODELCRATE_CONTRACTS=contract)
    path = {"azureml": "/score", "vertex": "/predict"}.get(contract, "/invocations")
    body = BODY.replace(b"data", b"instances") if contract in ("vertex", "mlflow") else BODY
    answer = ask("POST", path, gzip.compress(body), content_type="application/json", content_encoding="gzip")
    assert answer.status == 200, answer.body
    assert b"3.0, 7.5" in answer.body
    refused = ask("POST", path, b"x", content_type="application/json", content_encoding="br")
    assert (refused.status, refused.header("Accept-Encoding")) == (415, ", ".join(supported()))
    assert "'br'" in json.loads(refused.body).get("message", json.loads(refused.body).get("error", ""))


def test_a_raw_script_gets_the_request_as_it_came(tmp_path: Path) -> None:
    packed = gzip.compress(BODY)
    assert app_of(tmp_path, RAW)(body=packed, content_encoding="gzip").body == packed
    assert app_of(tmp_path, RAW)(body=b"x", content_encoding="br").body == b"x"
