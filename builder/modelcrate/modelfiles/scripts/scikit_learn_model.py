"""Scores a scikit-learn model that has no entry script of its own: {"data": [[...], ...], "method": "predict"}.

Rows are lists, texts for a model that takes texts, or objects by the names of columns, for which pandas has to be in the image.
`method` is predict where the request doesn't say.
"""

import json
import os

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")

model = None


def init():
    """Load the model once, before the first request."""
    global model
    import joblib

    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"]))


def run(raw_data):
    """The model's answer, a list with an entry a row, under the name of the method."""
    request = json.loads(raw_data)
    method = request.get("method", "predict")
    if method not in METHODS or not hasattr(model, method):
        raise ValueError("the model has no method " + repr(method))
    found = getattr(model, method)(rows(request["data"]))
    return {method: found.toarray().tolist() if hasattr(found, "toarray") else plain(found)}


def rows(data):
    """Rows as an array, or as a table where they name their columns."""
    if data and isinstance(data[0], dict):
        import pandas

        return pandas.DataFrame(data)
    import numpy

    return numpy.array(data)


def plain(found):
    """An answer as lists; several outputs, such as the probabilities of several targets, one after the other."""
    import numpy

    return [plain(each) for each in found] if isinstance(found, list) else numpy.asarray(found).tolist()
