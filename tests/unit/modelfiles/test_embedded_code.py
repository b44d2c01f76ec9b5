"""Code in model files that is no pickle: a verdict on each kind, and none on honest files."""

from __future__ import annotations

import io
import json
import pickle
import struct
from typing import Any

import pytest

from modelcrate.modelfiles.facts import ModelFacts, Verdict
from modelcrate.modelfiles.recognition import facts_of
from support import hdf5_files
from support.pickles import calls, zipped


def facts(data: bytes, name: str) -> ModelFacts:
    return facts_of(io.BytesIO(data), name, len(data))


def keras(*layers: dict[str, Any]) -> bytes:
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": list(layers)},
        "registered_name": None,
    }
    return zipped(
        {"metadata.json": b"{}", "config.json": json.dumps(config).encode(), "model.weights.h5": b"\x89HDF\r\n\x1a\n"}
    )


DENSE = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 1, "activation": "relu", "kernel_initializer": {
    "module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": None}, "registered_name": None}}}  # fmt: skip


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": "Activation", "config": {"activation": {
        "module": module, "class_name": "function", "config": name, "registered_name": name}}}  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "verdict"),
    [
        (DENSE, Verdict.SAFE),
        (function("keras.activations", "relu"), Verdict.SAFE),
        (
            {"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wAA"}}}},
            Verdict.UNSAFE,
        ),
        (
            {"class_name": "Lambda", "config": {"function": ["4wAA", None, None], "function_type": "lambda"}},
            Verdict.UNSAFE,
        ),
        ({"class_name": "Lambda", "config": {"function": "my_function", "function_type": "function"}}, Verdict.UNKNOWN),
        (function("os", "system"), Verdict.UNSAFE),
        (function("keras.utils", "get_file"), Verdict.UNSAFE),
        (function("builtins", "exec"), Verdict.UNKNOWN),
        ({"module": "my_package.layers", "class_name": "Mine", "config": {}}, Verdict.UNKNOWN),
        ({"module": "torch.jit", "class_name": "Thing", "config": {}}, Verdict.UNSAFE),
    ],
)
def test_keras_configurations(layer: dict[str, Any], verdict: Verdict) -> None:
    found = facts(keras(DENSE, layer), "model.keras")
    assert found.verdict is verdict, found.pickles
    assert found.fault == ""


def test_a_keras_configuration_that_is_no_json_is_unread() -> None:
    data = zipped({"metadata.json": b"{}", "config.json": b'{"class_name": '})
    assert [each.unread for each in facts(data, "model.keras").pickles] == [True]


def test_lambda_layers_in_hdf5() -> None:
    head = b"\x89HDF\r\n\x1a\n" + bytes(600)
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}).encode()
    assert facts(head + config, "model.h5").verdict is Verdict.UNSAFE
    assert (
        facts(head + b"model_config" + config.replace(b"Lambda", b"\\u004cambda"), "model.h5").verdict
        is Verdict.UNKNOWN
    )
    assert facts(head + config.replace(b"Lambda", b"Dense"), "model.h5") == ModelFacts("hdf5")
    split = bytes((1 << 20) - len(head) - config.index(b"Lambda") - 3)
    assert facts(head + split + config, "weights").verdict is Verdict.UNSAFE


CONFIGURED = hdf5_files.attribute("model_config", hdf5_files.keras(DENSE))
OUTSIDE = "/etc/passwd"


@pytest.mark.parametrize(
    ("data", "verdict", "because"),
    [
        (hdf5_files.hdf5(), Verdict.SAFE, ""),
        (hdf5_files.hdf5(CONFIGURED), Verdict.SAFE, ""),
        (
            hdf5_files.hdf5(hdf5_files.attribute("model_config", hdf5_files.keras(hdf5_files.LAMBDA))),
            Verdict.UNSAFE,
            "a Lambda layer",
        ),
        (
            hdf5_files.hdf5(hdf5_files.attribute("training_config", hdf5_files.keras(hdf5_files.SYSTEM))),
            Verdict.UNSAFE,
            "os.system",
        ),
        (
            hdf5_files.hdf5(hdf5_files.attribute("model_config", hdf5_files.keras(hdf5_files.WRITES))),
            Verdict.UNSAFE,
            "io.write_file",
        ),
        (hdf5_files.hdf5(hdf5_files.attribute("model_config", hdf5_files.keras(hdf5_files.ADDS))), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.attribute("model_config", b"{")), Verdict.UNKNOWN, "model_config can't be read"),
        (hdf5_files.hdf5(hdf5_files.external_link(OUTSIDE.encode())), Verdict.UNSAFE, OUTSIDE),
        (hdf5_files.hdf5(hdf5_files.external_link(b"../x.h5")), Verdict.UNSAFE, "../x.h5"),
        (hdf5_files.hdf5(hdf5_files.external_link(b"beside.h5")), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.VIRTUAL), Verdict.UNSAFE, "virtual"),
        (hdf5_files.hdf5(hdf5_files.PLUGIN), Verdict.UNKNOWN, "filter 32015"),
        (hdf5_files.hdf5(hdf5_files.DEFLATE), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.attribute("TITLE", calls("os", "system"))), Verdict.UNSAFE, "os.system"),
        (hdf5_files.hdf5(hdf5_files.attribute("TITLE", b"It is a model, and a good one.")), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.attribute("index", pickle.dumps([("a", 1)], 0))), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.attribute("PSEUDOATOM", b"object")), Verdict.UNKNOWN, "which PyTables unpickles"),
        (hdf5_files.hdf5(hdf5_files.hard_link(48), CONFIGURED), Verdict.SAFE, ""),
        (hdf5_files.hdf5(hdf5_files.hard_link(9)), Verdict.UNKNOWN, "no object header"),
        (hdf5_files.hdf5(hdf5_files.hard_link(1 << 40)), Verdict.UNKNOWN, "leads out"),
        (hdf5_files.hdf5((0x44, b"")), Verdict.UNKNOWN, "unknown type 68"),
        (hdf5_files.hdf5() + b"\r\n\0", Verdict.SAFE, ""),
        (hdf5_files.hdf5() + b"x", Verdict.UNKNOWN, "1 bytes behind its end"),
        (hdf5_files.hdf5(CONFIGURED)[:-3], Verdict.UNKNOWN, "cut short"),
    ],
)
def test_hdf5_by_its_structure(data: bytes, verdict: Verdict, because: str) -> None:
    """As a file, and as the weights in a Keras archive; what is not followed to its end is refused."""
    for whole, name in ((data, "model.h5"), (data, "weights"), (zipped({"model.weights.h5": data}), "model.keras")):
        found = facts(whole, name)
        assert (found.verdict, found.fault) == (verdict, "")
        assert because in " ".join(why for each in found.pickles for why in each.because)
    packed = zipped({"model.weights.h5": data}, 8)
    assert facts(packed, "model.keras").verdict is verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (b"def forward(self, x):\n  return torch.relu(x)\n", Verdict.UNKNOWN),
        (b"def forward(self, x):\n  return torch.from_file('/etc/x', True, 9)\n", Verdict.UNSAFE),
        (b"def forward(self, x):\n  return torch.ops.evil.run(x)\n", Verdict.UNSAFE),
    ],
)
def test_torchscript(code: bytes, verdict: Verdict) -> None:
    data = zipped(
        {
            "m/data.pkl": b"\x80\x02}.",
            "m/code/__torch__.py": code,
            "m/constants.pkl": b"\x80\x02).",
            "m/version": b"3\n",
        }
    )
    assert facts(data, "model.pt").verdict is verdict


def gguf(key: str, text: str) -> bytes:
    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    return (
        b"GGUF"
        + struct.pack("<IQQ", 3, 0, 2)
        + string("general.name")
        + struct.pack("<I", 8)
        + string("m")
        + string(key)
        + struct.pack("<I", 8)
        + string(text)
    )


HONEST = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] | trim }}{% endfor %}{% if add_generation_prompt %}x{% endif %}"


@pytest.mark.parametrize(
    ("key", "text", "verdict"),
    [
        ("tokenizer.chat_template", HONEST, Verdict.SAFE),
        ("tokenizer.chat_template", "{{ ''.__class__.__mro__[1].__subclasses__() }}", Verdict.UNSAFE),
        ("tokenizer.chat_template.tool_use", "{{ x|attr('\\x5f\\x5fclass') }}", Verdict.UNSAFE),
        ("tokenizer.chat_template", "{{ lipsum['glo' + 'bals'] }}", Verdict.UNSAFE),
        ("tokenizer.chat_template", HONEST + " " * (1 << 20), Verdict.UNKNOWN),
        ("general.description", "a model with __class__", Verdict.SAFE),
    ],
)
def test_templates_in_gguf(key: str, text: str, verdict: Verdict) -> None:
    found = facts(gguf(key, text), "m.gguf")
    assert (found.verdict, found.fault) == (verdict, "")


def field(number: int, data: bytes | int) -> bytes:
    if isinstance(data, int):
        return bytes([number << 3, data])
    size, out = len(data), b""
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    tag = number << 3 | 2
    return (bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])) + out + bytes([size]) + data


def onnx(*nodes: bytes, more: bytes = b"") -> bytes:
    return (
        field(1, 8)
        + field(8, field(1, b"") + field(2, 17))
        + field(7, b"".join(field(1, each) for each in nodes))
        + more
    )


def external(location: bytes) -> bytes:
    """A tensor whose numbers are in another file."""
    return field(1, 1) + field(2, 1) + field(13, field(1, b"location") + field(2, location)) + field(14, 1)


CUSTOM = field(4, b"Thing") + field(7, b"my.domain")


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (onnx(field(4, b"Relu")), Verdict.SAFE),
        (onnx(field(4, b"Cast") + field(7, b"")), Verdict.SAFE),
        (onnx(field(4, b"FusedConv") + field(7, b"com.microsoft")), Verdict.SAFE),
        (onnx(CUSTOM), Verdict.UNKNOWN),
        (onnx(field(4, b"EPContext") + field(7, b"com.microsoft")), Verdict.UNKNOWN),
        (onnx(field(4, b"If") + field(5, field(6, field(1, CUSTOM)))), Verdict.UNKNOWN),
        (onnx(more=field(25, field(7, CUSTOM))), Verdict.UNKNOWN),
        (onnx(field(4, b"Relu") + field(7, b"")), Verdict.SAFE),
        (
            onnx(CUSTOM, more=field(25, field(1, b"Thing") + field(10, b"my.domain") + field(7, field(4, b"Relu")))),
            Verdict.SAFE,
        ),
        (onnx(CUSTOM, more=field(25, field(1, b"Other") + field(10, b"my.domain"))), Verdict.UNKNOWN),
        (onnx(field(4, b"PyOp"), more=field(25, field(1, b"PyOp"))), Verdict.UNSAFE),
        (onnx(field(4, b"PyOp") + field(7, b"ai.onnx.contrib")), Verdict.UNSAFE),
        (onnx(more=field(25, field(1, b"F") + field(11, field(6, field(1, field(4, b"PyOp")))))), Verdict.UNSAFE),
        (onnx(field(4, b"PythonOp") + field(7, b"com.microsoft")), Verdict.UNSAFE),
    ],
)
def test_operators_of_onnx(data: bytes, verdict: Verdict) -> None:
    found = facts(data, "m.onnx")
    assert (found.verdict, found.fault) == (verdict, "")


@pytest.mark.parametrize(
    "location", [b"/etc/passwd", b"../x", b"a\\..\\..\\x", b"C:\\x", b"file:///etc/passwd", b"\\\\host\\x"]
)
def test_weights_elsewhere_are_refused_wherever_they_are_named(location: bytes) -> None:
    in_attribute = onnx(field(4, b"Constant") + field(5, field(5, external(location))))
    in_graph = onnx(field(4, b"If") + field(5, field(6, field(5, external(location)))))
    by_default = onnx(more=field(25, field(1, b"F") + field(11, field(5, external(location)))))
    for data in (in_attribute, in_graph, by_default):
        assert "lies elsewhere" in facts(data, "m.onnx").fault
    address = onnx(field(4, b"Constant") + field(5, field(5, external(b"*/_ORT_MEM_ADDR_/*"))))
    assert "an address in memory" in facts(address, "m.onnx").fault
    beside = onnx(field(4, b"Constant") + field(5, field(5, external(b"weights.bin"))))
    assert facts(beside, "m.onnx").facts["external"] == ["weights.bin"]
