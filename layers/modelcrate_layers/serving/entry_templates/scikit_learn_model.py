"""Scores a scikit-learn model that has no entry script of its own: {"data": [[...], ...], "method": "predict"}.

The model is the one file of AZUREML_MODEL_DIR that joblib can have written. `method` is predict where the request doesn't say.
"""

import json
import os

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
ENDINGS = (".pkl", ".pickle", ".joblib")

model = None


def init():
    """Load the model once, before the first request."""
    global model
    import joblib

    model = joblib.load(find(os.environ["AZUREML_MODEL_DIR"]))


def run(raw_data):
    """The model's answer, a list with an entry a row, under the name of the method."""
    import numpy

    request = json.loads(raw_data)
    method = request.get("method", "predict")
    if method not in METHODS or not hasattr(model, method):
        raise ValueError("the model has no method " + repr(method))
    return {method: numpy.asarray(getattr(model, method)(numpy.array(request["data"]))).tolist()}


def signature():
    """What the model takes and gives, for protocols that tell: rows of its features; an answer a row."""
    columns = getattr(model, "n_features_in_", -1)
    estimator = model.steps[-1][1] if hasattr(model, "steps") else model
    classes = getattr(estimator, "classes_", None)
    datatype = "FP64" if classes is None else {"i": "INT64", "b": "BOOL", "f": "FP64"}.get(classes.dtype.kind, "BYTES")
    outputs = [{"name": "predict", "datatype": datatype, "shape": [-1]}] if hasattr(model, "predict") else []
    return {"inputs": [{"name": "data", "datatype": "FP64", "shape": [-1, columns]}], "outputs": outputs}


def find(folder):
    """The model file below a folder."""
    files = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    fitting = [path for path in files if path.endswith(ENDINGS)] or files
    if len(fitting) != 1:
        raise RuntimeError("expected one model file in " + folder + ", found " + str(sorted(fitting)))
    return fitting[0]
