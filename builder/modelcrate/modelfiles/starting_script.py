"""An entry script to begin with, for a model that none of ours can serve as it is: a pickled container with one estimator in it."""

from __future__ import annotations

from modelcrate.modelfiles.estimators import single_estimator
from modelcrate.modelfiles.framework_files import ModelFiles
from modelcrate.modelfiles.frameworks import scikit_learn
from modelcrate_layers.frozen import dataclass

_TEXT = '''"""Serves {shown}: a {kind} that holds {held}."""

import json
import os

import joblib

held = None


def init():
    """Loads the model once, before the first request."""
    global held
    held = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], {file!r}))


def run(data):
    """Answers {{"data": [[...], ...]}} with the predictions of held[{key}]."""
    rows = json.loads(data)["data"]
    return held[{key}].predict(rows).tolist()
'''


@dataclass(frozen=True, slots=True)
class StartingScript:
    """A script, and the packages that it needs."""

    text: str
    requirements: tuple[str, ...]


def starting_script(files: ModelFiles) -> StartingScript | None:
    """Returns a script for a model; None for a model that it is not known what to begin with."""
    found = scikit_learn.find(files)
    if len(found) != 1:
        return None
    facts = files.sound(found[0])
    value = facts.pickles[0].value
    key = single_estimator(value)
    if not key:
        return None
    inside = found[0] if files.path(found[0]) == files.top else f"{files.top.name}/{found[0]}"
    held = ", ".join(f"{name} ({kind.rpartition('.')[2] or 'a value'})" for name, kind in value.parts)
    shown = key if value.kind != "dict" else repr(key)
    text = _TEXT.format(
        shown=found[0], kind=value.kind, held=held.replace('"', "'").replace("\\", "/"), file=inside, key=shown
    )
    return StartingScript(text, scikit_learn.requirements(facts)[0])
