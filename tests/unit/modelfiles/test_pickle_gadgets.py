"""Pickles that act by names that are on the list, or nearly, and files that begin as a pickle under another name. Nothing is ever loaded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib

import pytest
import zstandard

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.recognition import facts_at_hand, facts_of
from support.pickles import EVIL, made, npy, short, stack_dtype

STREAMS = {
    "damaged": EVIL[:30] + b"\xff" + EVIL[30:],
    "begun": b"\x80\x04\xff",
    "lzma": lzma.compress(EVIL, lzma.FORMAT_ALONE),
    "zstd": zstandard.compress(EVIL),
    "bzip2": bz2.compress(EVIL),
    "gzip": gzip.compress(EVIL, mtime=0),
    "zlib": zlib.compress(EVIL),
    "npy": npy(EVIL),
}


@pytest.mark.parametrize("data", STREAMS.values(), ids=STREAMS)
def test_what_begins_as_a_pickle_or_a_stream_is_read_under_any_name(data: bytes) -> None:
    for name in ("weights", "notes.txt"):
        facts = facts_at_hand(data, name)
        assert facts.verdict is not Verdict.SAFE
        assert facts == facts_of(io.BytesIO(data), name, len(data))


_OBJECTS = stack_dtype("O8", b"N", b"K\x3f")
_LIES = {
    "a field": stack_dtype("V8", short("a") + b"\x85}" + short("a") + _OBJECTS + b"K\x00\x86s", b"K\x00"),
    "a field, in a dict that is made otherwise": stack_dtype(
        "V8", short("a") + b"\x85" + short("builtins") + short("dict") + b"\x93)R", b"K\x00"
    ),
    "a part": stack_dtype("V8", b"NN", b"K\x00", _OBJECTS + b"K\x01\x85\x86"),
    "the type itself": stack_dtype("O8", b"NN", b"K\x00"),
}


@pytest.mark.parametrize("kind", _LIES)
def test_a_type_that_takes_bytes_for_objects_is_unsafe(kind: str) -> None:
    found = facts_at_hand(b"\x80\x04" + _LIES[kind] + b".", "m.pkl")
    assert "takes plain bytes for objects" in str(found.pickles[0].because)
    assert found.verdict is Verdict.UNSAFE
    honest = stack_dtype("V8", short("a") + b"\x85}" + short("a") + _OBJECTS + b"K\x00\x86s", b"K\x1b")
    assert facts_at_hand(b"\x80\x04" + honest + b".", "m.pkl").verdict is Verdict.SAFE


def test_the_rows_of_a_record_array_are_of_a_class_of_numpys() -> None:
    def rows(flags: bytes) -> bytes:
        dtype = stack_dtype("V8", short("a") + b"\x85}" + short("a") + _OBJECTS + b"K\x00\x86s", flags)
        return b"\x80\x04" + dtype.replace(short("V8"), short("numpy") + short("record") + b"\x93") + b"."

    assert facts_at_hand(rows(b"K\x1b"), "m.pkl").verdict is Verdict.SAFE
    assert facts_at_hand(rows(b"K\x00"), "m.pkl").verdict is Verdict.UNSAFE


@pytest.mark.parametrize("name", ["xgboost.core DMatrix", "lightgbm.basic Dataset", "catboost.core Pool"])
def test_what_frees_a_handle_out_of_the_file_is_unsafe(name: str) -> None:
    assert facts_at_hand(made(*name.split()), "m.pkl").verdict is Verdict.UNSAFE


def test_the_base_of_what_is_reconstructed_is_called() -> None:
    estimator = short("sklearn.linear_model._base") + short("LinearRegression") + b"\x93"
    plain = short("builtins") + short("object") + b"\x93"
    head = b"\x80\x04" + short("copyreg") + short("_reconstructor") + b"\x93" + estimator
    assert facts_at_hand(head + plain + b"N\x87R.", "m.pkl").verdict is Verdict.SAFE
    assert facts_at_hand(head + estimator + short("x") + b"\x87R.", "m.pkl").verdict is Verdict.UNSAFE


DATA = b"cstatsmodels.base.data\nPandasData\n)\x81"


@pytest.mark.parametrize(
    "state",
    [
        b"}S'restore_design_info'\nI01\nsb",
        b"}S'restore_model_spec'\nI01\nsb",
        b"}S'\\x72estore_design_info'\nI01\nsb",
        b"}I1\nI01\nsb",
        b"Nb",
        b"cbuiltins\ndict\n)Rb",
        b"}(S'a'\nNS'a'\nNub",
    ],
)
def test_data_that_may_evaluate_a_formula_while_it_is_loaded_is_unsafe(state: bytes) -> None:
    for end in (b".", b""):  # what precedes a broken end is done all the same
        for head, name in ((b"", "weights"), (b"\x80\x02", "m.pkl")):
            assert facts_at_hand(head + DATA + state + end, name).verdict is Verdict.UNSAFE
    assert facts_at_hand(b"\x80\x02" + DATA + b"}S'formula'\nS'a ~ b'\nsb.", "m.pkl").verdict is Verdict.SAFE


def test_classes_of_known_packages_that_are_not_on_the_list_can_be_allowed() -> None:
    data = made("statsmodels.tsa.statespace._kalman_filter", "dKalmanFilter")
    (judged,) = facts_at_hand(data, "m.pkl").pickles
    assert judged.unlisted == ("statsmodels.tsa.statespace._kalman_filter",)
    assert facts_at_hand(data, "m.pkl", judged.unlisted).verdict is Verdict.SAFE
    assert facts_at_hand(made("torch", "load"), "m.pkl").pickles[0].unlisted == ()
