"""Scores a LightGBM booster that has no entry script of its own: {"data": [[...], ...]}, with null for what is missing.

The answer is that of Booster.predict: values, probabilities, or a row of probabilities a class, as the model's objective has it.
"""

import json
import os

booster = None


def init():
    """Load the model once, before the first request."""
    global booster
    import lightgbm

    path = os.path.join(os.environ["AZUREML_MODEL_DIR"], os.environ["MODELCRATE_MODEL_FILE"])
    booster = lightgbm.Booster(model_file=path)


def run(raw_data):
    """The model's answer, a list with an entry a row."""
    import numpy

    return {"predict": booster.predict(numpy.array(json.loads(raw_data)["data"], dtype="float64")).tolist()}
