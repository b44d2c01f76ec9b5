"""Scores an MLflow model that has no entry script of its own, with the bodies that MLflow's own server takes at /invocations.

One of `dataframe_split`, `dataframe_records`, `instances` and `inputs`, or `data` as Azure's clients send it, and `params`, if the model
has any; the answer is {"predictions": ...}. A model with the flavour python_function is served by it, one with sklearn alone by that.
"""

import json
import os

TABLES = ("dataframe_split", "dataframe_records")
FORMS = (*TABLES, "instances", "inputs", "data")

model = None


def init():
    """Load the model once, before the first request."""
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
    """The model's predictions, as JSON has them."""
    request = json.loads(raw_data)
    given = [form for form in FORMS if form in request]
    if len(given) != 1:
        raise ValueError("exactly one of " + ", ".join(FORMS) + " is expected")
    data = read(given[0], request[given[0]])
    found = model.predict(data, params=request["params"]) if "params" in request else model.predict(data)
    return {"predictions": plain(found)}


def read(form, value):
    """A table, an array, or arrays by their names."""
    import numpy
    import pandas

    if form == "dataframe_split":
        return typed(pandas.DataFrame(value["data"], columns=value.get("columns"), index=value.get("index")))
    if isinstance(value, dict):
        return {name: array(name, each) for name, each in value.items()}
    if form != "inputs" and value and isinstance(value[0], dict):
        return typed(pandas.DataFrame(value))
    return array("", value) if columns() is None else typed(pandas.DataFrame(numpy.array(value), columns=names()))


def told_inputs():
    """What the model says of its inputs, or nothing."""
    metadata = getattr(model, "metadata", None)
    found = metadata.signature if metadata is not None else None
    return found.inputs if found is not None else None


def columns():
    """The types of a table's columns by their names; nothing, where the model takes no table."""
    told = told_inputs()
    if told is None or told.is_tensor_spec() or not told.has_input_names():
        return None
    return dict(zip(told.input_names(), told.numpy_types()))


def names():
    found = columns()
    return list(found) if found else None


def typed(table):
    """Columns of whole numbers where the model wants real ones: JSON has one kind of number, and MLflow won't convert it."""
    wanted = columns() or {}
    kinds = {name: kind for name, kind in wanted.items() if name in table and numeric(kind)}
    return table.astype(kinds)


def numeric(kind):
    import numpy

    return numpy.dtype(kind).kind in "iuf"


def array(name, value):
    """An array of the type that the model's signature names."""
    import numpy

    told = told_inputs()
    kinds = {each.name or "": each.type for each in told.inputs} if told is not None and told.is_tensor_spec() else {}
    return numpy.array(value, dtype=kinds.get(name))


def plain(found):
    """Predictions as lists and objects: a table as its rows."""
    if hasattr(found, "to_dict") and hasattr(found, "columns"):
        return found.to_dict(orient="records")
    if hasattr(found, "tolist"):
        return found.tolist()
    if isinstance(found, dict):
        return {str(key): plain(each) for key, each in found.items()}
    return [plain(each) for each in found] if isinstance(found, (list, tuple)) else found
