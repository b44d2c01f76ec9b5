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
    """Loads the model once, before the first request."""
    global session
    import onnxruntime

    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(raw_data):
    """Returns all outputs of the model."""
    request = members(raw_data, "inputs", "data")
    if len(request) != 1:
        raise InputError("the body should have one member: 'inputs', or 'data' for the first input")
    wanted = session.get_inputs()
    (values,) = request.values()
    if not isinstance(values, dict):
        values = {wanted[0].name: values}
    names = [each.name for each in wanted]
    if set(values) != set(names):
        raise InputError("these inputs are expected: " + ", ".join(names) + "; given are: " + ", ".join(values))
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, RuntimeException

    feed = {each.name: array(each.name, values[each.name], each.type) for each in wanted}
    outputs = [each.name for each in session.get_outputs()]
    try:
        found = session.run(outputs, feed)
    except (
        InvalidArgument,
        RuntimeException,
    ) as fault:  # a rank or size that the model, or one of its operators, does not take
        raise InputError("the model does not take these inputs: " + str(fault)) from None
    return {"outputs": {name: plain(value) for name, value in zip(outputs, found)}}


class InputError(ValueError):
    """A request that can't be scored as it is. The text is for the client."""

    client_error = (
        True  # modelcrate's server answers 400 with the text; another server answers 500, as for any exception
    )


def members(raw_data, *known):
    """Returns the request's members, which are an object with some of these names."""
    try:
        request = json.loads(raw_data)
    except (ValueError, RecursionError) as fault:
        raise InputError(
            "the body is empty, or was sent as a form: its type has to be application/json"
            if not raw_data.strip()
            else "the body is not JSON: " + str(fault)
        ) from None
    if not isinstance(request, dict):
        raise InputError("the body should be a JSON object with the member " + repr(known[0]))
    unknown = [name for name in request if name not in known]
    if unknown:
        raise InputError("the body has unknown members: " + ", ".join(unknown) + "; known are: " + ", ".join(known))
    return request


def array(name, value, kind):
    """Returns a list as an array of the model's type."""
    import numpy

    try:
        return numpy.array(value, dtype=TYPES.get(kind))
    except (ValueError, TypeError, OverflowError) as fault:
        raise InputError("the input " + repr(name) + " should be " + kind + ": " + str(fault)) from None


def plain(value):
    """Returns an output as lists, dictionaries with texts for keys, and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
