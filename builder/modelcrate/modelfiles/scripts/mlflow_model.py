"""Scores an MLflow model that has no entry script of its own, with the bodies that MLflow's own server takes at /invocations.

One of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or `data` as Azure's clients send it, and `params`, if the model
has any; the answer is {"predictions": ...}. `input_data` is what Azure's deployments of MLflow models take, and the answer is the
predictions alone, as there. A model with the flavour python_function is served by it, one with sklearn alone by that.
"""

import json
import os

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs", "data", "input_data")

model = None


def init():
    """Loads the model once, before the first request."""
    global model
    folder = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    from mlflow.models import Model

    if "python_function" in Model.load(folder).flavors:
        import mlflow.pyfunc

        model = mlflow.pyfunc.load_model(folder)
    else:
        import mlflow.sklearn

        model = mlflow.sklearn.load_model(folder)


def run(raw_data):
    """Returns the model's predictions, as JSON has them."""
    request = members(raw_data, *FORMS, "params")
    given = [form for form in FORMS if form in request]
    if len(given) != 1:
        raise InputError("exactly one of " + ", ".join(FORMS) + " is expected")
    from mlflow.exceptions import MlflowException

    try:
        data = read(given[0], request[given[0]])
        found = model.predict(data, params=request["params"]) if "params" in request else model.predict(data)
    except (
        MlflowException,
        ValueError,
        TypeError,
        OverflowError,
    ) as fault:  # how MLflow and models refuse columns and types
        raise InputError("the model does not take this input: " + str(fault)) from None
    return plain(found) if given == ["input_data"] else {"predictions": plain(found)}


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


def read(form, value):
    """Returns a table, an array, or arrays by their names."""
    import numpy
    import pandas

    split = isinstance(value, dict) and "data" in value and ("columns" in value or "index" in value)
    if form == "dataframe_split" or (form == "input_data" and split):
        if not isinstance(value, dict) or "data" not in value:
            raise InputError("'dataframe_split' should be an object with the member 'data'")
        return typed(pandas.DataFrame(value["data"], columns=value.get("columns"), index=value.get("index")))
    if not isinstance(value, (list, dict)) or not value:
        raise InputError(repr(form) + " should be a list of rows, and have at least one")
    if isinstance(value, dict):
        return {name: array(name, each) for name, each in value.items()}
    if form != "inputs" and isinstance(value[0], dict):
        return typed(pandas.DataFrame(value))
    return array("", value) if columns() is None else typed(pandas.DataFrame(numpy.array(value), columns=names()))


def signature_inputs():
    """Returns the inputs of the model's signature, or None."""
    metadata = getattr(model, "metadata", None)
    signature = metadata.signature if metadata is not None else None
    return signature.inputs if signature is not None else None


def columns():
    """Returns the types of a table's columns by their names; None where the model takes no table."""
    inputs = signature_inputs()
    if inputs is None or inputs.is_tensor_spec() or not inputs.has_input_names():
        return None
    return dict(zip(inputs.input_names(), inputs.numpy_types()))


def names():
    found = columns()
    return list(found) if found else None


def typed(table):
    """Converts whole numbers where the model wants real ones: JSON has one kind of number, and MLflow does not convert it."""
    wanted = columns() or {}
    kinds = {name: kind for name, kind in wanted.items() if name in table and numeric(kind)}
    return table.astype(kinds)


def numeric(kind):
    import numpy

    return numpy.dtype(kind).kind in "iuf"


def array(name, value):
    """Returns an array of the type that the model's signature names."""
    import numpy

    inputs = signature_inputs()
    tensors = inputs.inputs if inputs is not None and inputs.is_tensor_spec() else []
    kinds = {each.name or "": each.type for each in tensors}
    return numpy.array(value, dtype=kinds.get(name))


def plain(found):
    """Returns predictions as lists and objects: a table as its rows."""
    if hasattr(found, "to_dict") and hasattr(found, "columns"):
        return found.to_dict(orient="records")
    if hasattr(found, "tolist"):
        return found.tolist()
    if isinstance(found, dict):
        return {str(key): plain(each) for key, each in found.items()}
    return [plain(each) for each in found] if isinstance(found, (list, tuple)) else found
