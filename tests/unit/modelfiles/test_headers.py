"""Headers of safetensors, GGUF and ONNX: facts from good files, a fault from each way of being wrong."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from modelcrate.modelfiles.facts import ModelFacts, Verdict
from modelcrate.modelfiles.recognition import facts_of
from support.model_files import gguf, onnx, safetensors, tensor


def read(data: bytes, name: str) -> ModelFacts:
    return facts_of(io.BytesIO(data), name, len(data))


def test_safetensors_facts() -> None:
    data = safetensors(
        {"__metadata__": {"format": "pt"}, "a": tensor(0, 24, [2, 3]), "b": tensor(24, 26, [1], "BF16")}, b"\0" * 26
    )
    assert read(data, "m.safetensors").facts == {
        "tensors": 2, "parameters": 7, "dtypes": {"BF16": 1, "F32": 1}, "metadata": {"format": "pt"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "length of its header"),
        (struct.pack("<Q", 1 << 62) + b"{}", "length of its header"),
        (safetensors(b"[]"), "no map of tensors"),
        (safetensors(b'{"a":1,"a":2}'), "stands twice"),
        (safetensors({"a": 1}), "no good type"),
        (safetensors({"a": tensor(0, 4, [1], "F99")}, b"1234"), "no good type"),
        (safetensors({"a": tensor(0, 8, [1])}, b"12345678"), "needs 4"),
        (safetensors({"a": tensor(4, 8, [1])}, b"12345678"), "overlap or leave a hole"),
        (safetensors({"a": tensor(0, 4, [1]), "b": tensor(0, 4, [1])}, b"1234"), "overlap or leave a hole"),
        (safetensors({"a": tensor(0, 4, [1])}, b"12345"), "its header tells of 4"),
        (safetensors({"a": tensor(0, 4, [True])}, b"1234"), "no good type"),
        (safetensors({"__metadata__": {"a": 1}}), "no map of texts"),
    ],
)
def test_wrong_safetensors(data: bytes, fault: str) -> None:
    assert fault in read(data, "m.safetensors").fault


def test_onnx_facts() -> None:
    found = read(onnx(), "m.onnx")
    assert found.fault == ""
    assert found.facts == {
        "ir_version": 9, "producer": "trainer 1.2", "opsets": {"ai.onnx": 17}, "nodes": 1,
        "inputs": [{"name": "x", "type": "float", "shape": ["batch", 3]}],
        "outputs": [{"name": "y", "type": "float", "shape": [1, 4]}],
        "tensors": 2, "parameters": 22, "dtypes": {"float": 1, "int64": 1},
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "U8"])
def test_safetensors_of_one_byte_an_item(dtype: str) -> None:
    assert read(safetensors({"a": tensor(0, 4, [4], dtype)}, b"1234"), "a.safetensors").fault == ""


@pytest.mark.parametrize("location", [b"../secret", b"/etc/passwd", b"a\\..\\..\\b"])
def test_onnx_weights_outside_of_the_model_are_refused(location: bytes) -> None:
    assert "lies elsewhere" in read(onnx(location), "m.onnx").fault
    assert read(onnx(b"weights.bin"), "m.onnx").facts["external"] == ["weights.bin"]


def test_every_cut_onnx_is_a_fault() -> None:
    data = onnx()
    whole = [end for end in range(len(data)) if not read(data[:end], "m.onnx").fault]
    assert whole == []


def test_gguf_facts() -> None:
    found = read(gguf(), "m.gguf")
    assert found.fault == ""
    assert found.facts == {
        "version": 3, "tensors": 1, "parameters": 12, "dtypes": {"F16": 1},
        "metadata": {"general.count": 7, "general.name": "tiny"},
    }  # fmt: skip


def test_wrong_gguf() -> None:
    assert "version 1" in read(gguf(1), "m.gguf").fault
    assert "can't be" in read(gguf(3, 1 << 60), "m.gguf").fault
    assert all(read(gguf()[:end], "m.gguf").fault for end in range(len(gguf())))
    padding = bytes(-len(gguf()) % 32)
    assert not read(gguf() + padding, "m.gguf").fault
    assert f"has {len(padding) + 1} bytes behind its tensors" in read(gguf() + padding + b"x", "m.gguf").fault


def test_a_gguf_tensor_of_an_unknown_type_is_told() -> None:
    found = read(gguf(kind=999) + b"anything", "m.gguf")
    assert [each.verdict for each in found.pickles] == [Verdict.UNKNOWN]
    assert "tensors of type 999, which is not known" in found.pickles[0].because[0]


def test_an_onnx_model_of_any_name_is_read_and_a_file_that_only_begins_like_one_is_no_fault() -> None:
    assert read(onnx(), "weights.bin").format == "onnx"
    assert read(b"\x08\x08\x12\x03abc" + b"\xff" * 9, "cache.pb") == ModelFacts("")


def test_a_zip_behind_another_format_is_searched_for_pickles() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'id'\ntR.")
    booster = b'{"learner":{"attributes":{}},"version":[2,1,1]}'
    assert read(booster, "m.json").verdict is Verdict.SAFE
    assert read(booster[:-22] + out.getvalue() + booster[-22:], "m.json").verdict is Verdict.UNSAFE
