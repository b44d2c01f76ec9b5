"""Models by their first bytes."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import zipfile
import zlib

import pytest

from modelcrate.modelfiles.formats import FORMATS, HEAD_BYTES, Format, Sample, format_of, recognise, recognise_folder


def kind(name: str, data: bytes) -> str | None:
    found = recognise(Sample(name, data[:HEAD_BYTES], len(data)))
    return found.kind if found else None


def torch_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    return out.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        *((pickle.dumps([1.0], protocol), "a pickle") for protocol in (2, 3, 4, 5)),
        (zlib.compress(pickle.dumps({})), "a joblib file"),
        (gzip.compress(pickle.dumps({}), mtime=0), "a joblib file"),
        (len(HEADER).to_bytes(8, "little") + HEADER + bytes(4), "safetensors"),
        (b"GGUF\3\0\0\0", "a GGUF model"),
        (b"\x89HDF\r\n\x1a\n....", "an HDF5 file"),
        (b"\x1c\0\0\0TFL3....", "a TFLite model"),
        (b"CBM1....", "a CatBoost model"),
        (b"tree\nversion=v4\nnum_class=1\n", "a LightGBM model"),
        (torch_zip(), "a PyTorch model"),
        (b'{"learner":{"attributes":{}}}', "an XGBoost model"),
        (b"{L\0\0\0\0\0\0\0\x07learner{", "an XGBoost model"),
        (b"\x08\x08\x12\x07pytorch\x1a\x03", "an ONNX model"),
    ],
)
def test_the_first_bytes_tell_whatever_the_name(data: bytes, what: str) -> None:
    assert kind("thing.bin", data) == what


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.pkl", b""),
        ("notes.txt", b"tree of knowledge"),
        ("data.json", b'{"rows": []}'),
        ("data.gz", gzip.compress(b"rows", mtime=0)),
        ("broken.bin", b"\x78\x9c\xff\xff\xff"),
        ("a.zip", b"PK\3\4" + bytes(40)),
        ("long.bin", (1 << 62).to_bytes(8, "little") + b"{"),
        ("proto.bin", b"\x08\x08\x1a\x07pytorch"),
        ("short.bin", b"\x08"),
        ("image.png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_other_files_are_no_models(name: str, data: bytes) -> None:
    assert kind(name, data) is None


def test_the_name_tells_where_the_bytes_dont() -> None:
    assert kind("old.pkl", b"(dp0\n.") == "a pickle"
    assert kind("graph.onnx", b"\x08\x08\x3a\x01") == "an ONNX model"
    assert kind("net.keras", b"PK\3\4" + bytes(40)) == "a Keras model"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ({"MLmodel", "model.pkl"}, "an MLflow model"),
        ({"saved_model.pb", "fingerprint.pb"}, "a TensorFlow SavedModel"),
        ({"config.json", "model.safetensors"}, "a model with its configuration"),
        ({"config.json", "score.py"}, None),
        ({"model.pkl"}, None),
    ],
)
def test_folders_that_are_one_model(names: set[str], what: str | None) -> None:
    found = recognise_folder(frozenset(names))
    assert (found.kind if found else None) == what


def test_every_ending_belongs_to_one_format() -> None:
    endings = [ending for each in FORMATS for ending in each.endings]
    assert len(endings) == len(set(endings))


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: each.word)
def test_a_file_is_of_the_format_that_its_name_promises_or_that_it_begins_as(each: Format) -> None:
    for ending in each.endings:
        assert format_of(Sample(f"m{ending}", b"", 1)) is each
        as_pickle = format_of(Sample(f"m{ending}", pickle.dumps([]), 9))
        assert as_pickle is not None
        assert as_pickle.word == (each.word if each.strict else "pickle")
