"""Scores a scikit-learn model that has no entry script of its own: {"data": [[...], ...], "method": "predict"}.

Rows are lists, texts for a model that takes texts, or objects by the names of columns, for which pandas has to be in the image.
`method` is predict where the request doesn't say.
"""

import json
import os

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")

model = None


def init():
    """Loads the model once, before the first request."""
    global model
    import joblib

    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"]))


def run(raw_data):
    """Returns the model's answer, a list with an entry for each row, under the name of the method."""
    request = members(raw_data, "data", "method")
    method = request.get("method", "predict")
    if method not in METHODS or not hasattr(model, method):
        known = [each for each in METHODS if hasattr(model, each)]
        raise InputError("the model has no method " + repr(method) + "; it has: " + ", ".join(known))
    given = rows(request.get("data"))
    from sklearn.exceptions import NotFittedError

    try:
        found = getattr(model, method)(given)
    except NotFittedError:
        raise
    except (ValueError, TypeError, OverflowError) as fault:  # how scikit-learn refuses shapes, types and missing values
        raise InputError("the model does not take these rows: " + str(fault)) from None
    return {method: found.toarray().tolist() if hasattr(found, "toarray") else plain(found)}


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


def rows(data):
    """Returns rows as an array, or as a table where they name their columns."""
    if not isinstance(data, list) or not data:
        raise InputError("'data' should be a list of rows, and have at least one")
    kinds = {type(row) for row in data}
    if kinds - {str} and hasattr(first_step(), "build_analyzer"):
        raise InputError("each row of 'data' should be a text")
    if dict in kinds:
        return table(data, kinds)
    import numpy

    try:
        return numpy.array(data)
    except (ValueError, OverflowError) as fault:
        raise InputError("the rows of 'data' should be equally long: " + str(fault)) from None


def table(data, kinds):
    """Returns rows that are objects as a table."""
    if len(kinds) > 1:
        raise InputError("the rows of 'data' should all be objects, or all be lists")
    try:
        import pandas
    except ImportError:
        raise InputError("this image has no pandas, which rows that name their columns need; send lists") from None
    return pandas.DataFrame(data)


def first_step():
    """Returns the part of the model that gets the rows."""
    found = model
    while getattr(found, "steps", None):
        found = found.steps[0][1]
    return found


def plain(found):
    """Returns an answer as lists; several outputs, such as the probabilities of several targets, one after the other."""
    import numpy

    return [plain(each) for each in found] if isinstance(found, list) else numpy.asarray(found).tolist()
