"""Scores an ONNX model that has no entry script of its own: {"inputs": {NAME: [...]}}, or {"data": [...]} for its first input.

Inputs are converted to the types that the model asks for; the answer has every output under its name.
"""

import json
import os

TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}

session = None


def init():
    """Load the model once, before the first request."""
    global session
    import onnxruntime

    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(raw_data):
    """All outputs of the model, as JSON has them."""
    request = json.loads(raw_data)
    wanted = session.get_inputs()
    values = request["inputs"] if "inputs" in request else request["data"]
    if not isinstance(values, dict):
        values = {wanted[0].name: values}
    feed = {each.name: array(values[each.name], each.type) for each in wanted if each.name in values}
    names = [each.name for each in session.get_outputs()]
    found = zip(names, session.run(names, feed))
    return {"outputs": {name: plain(value) for name, value in found}}


def array(value, kind):
    """A list as an array of the model's type."""
    import numpy

    return numpy.array(value, dtype=TYPES.get(kind))


def plain(value):
    """An output as lists, dictionaries with texts for keys, and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
