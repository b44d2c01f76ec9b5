"""Scores an XGBoost booster that has no entry script of its own: {"data": [[...], ...]}, with null for what is missing.

The answer is that of Booster.predict: values, probabilities, or a row of probabilities a class, as the model's objective has it.
"""

import json
import os

booster = None


def init():
    """Load the model once, before the first request."""
    global booster
    import xgboost

    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    booster = xgboost.Booster(model_file=path)


def run(raw_data):
    """The model's answer, a list with an entry a row."""
    import numpy
    import xgboost

    data = numpy.array(json.loads(raw_data)["data"], dtype="float32")
    table = xgboost.DMatrix(data, feature_names=booster.feature_names, feature_types=booster.feature_types)
    return {"predict": booster.predict(table).tolist()}
