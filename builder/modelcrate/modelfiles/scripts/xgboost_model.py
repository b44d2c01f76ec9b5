"""Scores an XGBoost booster that has no entry script of its own: {"data": [[...], ...]}, with null for what is missing.

The answer is that of Booster.predict: values, probabilities, or a row of probabilities for each class, depending on the model's objective.
"""

import json
import os

booster = None


def init():
    """Loads the model once, before the first request."""
    global booster
    import xgboost

    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    booster = xgboost.Booster(model_file=path)


def run(raw_data):
    """Returns the model's answer, a list with an entry for each row."""
    import xgboost

    data = numbers(members(raw_data, "data").get("data"), booster.num_features())
    table = xgboost.DMatrix(data, feature_names=booster.feature_names, feature_types=booster.feature_types)
    return {"predict": booster.predict(table).tolist()}


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


def numbers(data, columns):
    """Returns rows as an array of numbers, null as what is missing; all rows have this many columns."""
    import numpy

    if not isinstance(data, list) or not data:
        raise InputError("'data' should be a list of rows, and have at least one")
    try:
        array = numpy.array(data, dtype="float32")
    except (ValueError, TypeError, OverflowError) as fault:
        raise InputError("the rows of 'data' should be lists of numbers, equally long: " + str(fault)) from None
    if array.ndim != 2 or array.shape[1] != columns:
        raise InputError("each row of 'data' should have " + str(columns) + " values; the shape is " + str(array.shape))
    return array
