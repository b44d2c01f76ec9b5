"""The configuration of a Keras model, and what it makes Python import and call. Nothing of it is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.named_code import objects_in
from modelcrate.modelfiles.onnx import leads_out
from modelcrate.modelfiles.pickle.findings import NamedObject, Use
from modelcrate.modelfiles.pickle.policy import Judgement, rate
from modelcrate_layers.patterns import compile_later

_KERAS = compile_later(r"(keras|tf_keras|tensorflow|keras_hub|keras_nlp|keras_cv|builtins)(\.|$)")
_KERAS_FUNCTIONS = compile_later(
    r"(keras|tf_keras|tensorflow\.keras|builtins)(\..*)?\.?(activations|losses|metrics|initializers|regularizers|constraints|optimizers|ops)(\.|$)"
)
"""Where the functions are that a configuration may name; others (`keras.utils.get_file`) fetch and unpack."""

_TENSORFLOW_CALLS = frozenset(
    {"TFOpLambda", "TensorFlowOpLayer", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty"}
)
"""Layers of Keras 2 that call a function of TensorFlow by its name."""

_TENSORFLOW_ACTS = compile_later(
    r"(?i)(^|\.)(io|data|saved_model|train|compat|raw_ops|autograph|distribute|summary|keras|__)|file|py_?func|numpy_function|load|write|read"
    r"|save|restore|print|audio|py_function|eval|exec"
)
"""Functions of TensorFlow that read, write or run something."""

_PICKLED = frozenset({"TorchModuleWrapper"})
_OUTER = frozenset({"TFSMLayer", "JaxLayer", "FlaxLayer"})
"""Layers of Keras whose weights are a pickle, and those that call what is not in the file."""

_READ = ("vocabulary", "filepath", "proto", "merges")
"""What layers and tokenizers of Keras call the files that they read."""


def keras_in_json(values: tuple[object, ...]) -> bool:
    """Returns whether a JSON text has a part of a model of Keras': whole, as `to_json` writes it, for the browser, or below other keys."""
    return any(isinstance(each.get("class_name"), str) and "config" in each for each in objects_in(values))


def in_keras_config(values: tuple[object, ...]) -> Iterator[Judgement]:
    """Yields a verdict on what a Keras configuration makes Python import."""
    rated = {why: verdict for why, verdict in _keras_objects(values) if verdict is not Verdict.SAFE}
    if rated:
        worst = max(rated.values(), key=lambda one: one.value)
        yield Judgement.of_code(worst, "keras", *sorted(why for why, verdict in rated.items() if verdict is worst))


def _keras_objects(config: object) -> Iterator[tuple[str, Verdict]]:
    for value in objects_in(config):
        if isinstance(value.get("class_name"), str):
            yield _keras_object(value["class_name"], value.get("module"), value.get("config"))


def _keras_object(written: str, module: object, config: object) -> tuple[str, Verdict]:
    name = written.rpartition(".")[2]
    if name == "__lambda__" or (name == "Lambda" and isinstance(config, dict) and _has_code(config.get("function"))):
        return "a Lambda layer, whose code is in the file", Verdict.UNSAFE
    if name in _TENSORFLOW_CALLS and isinstance(config, dict):
        called = str(config.get("function") or config.get("node_def") or config.get("method_name"))[:1000]
        return f"a layer that calls tensorflow.{called[:80]}", Verdict.UNSAFE if _TENSORFLOW_ACTS.search(
            called
        ) else Verdict.SAFE
    if name == "Lambda":
        return "a Lambda layer, which calls a function of the project", Verdict.UNKNOWN
    if outer := _keras_outer(name, config):
        return outer
    if not isinstance(module, str):
        return "", Verdict.SAFE
    function = name in ("function", "builtin_function_or_method") and isinstance(config, str)
    called = config if function and isinstance(config, str) else written
    if not _KERAS.match(module):
        return f"{module}.{called}", max(
            Verdict.UNKNOWN, rate(NamedObject(module, called, Use.MADE)), key=lambda one: one.value
        )
    if module == "builtins":
        return f"builtins.{called}", Verdict.UNKNOWN if function else Verdict.SAFE
    named_as_function = function or called[:1].islower()
    return f"{module}.{called}", Verdict.UNSAFE if named_as_function and not _KERAS_FUNCTIONS.match(
        module
    ) else Verdict.SAFE


def _keras_outer(name: str, config: object) -> tuple[str, Verdict] | None:
    """Returns the verdict on a layer that loads what is not in the configuration; None for another one."""
    if name in _PICKLED:
        return f"the layer {name}, which is a pickle of PyTorch's", Verdict.UNSAFE
    for place in map(config.get, _READ) if isinstance(config, dict) else ():
        if isinstance(place, str) and ("://" in place or leads_out(place)):
            return f"the layer {name}, which reads {place[:80]!r}", Verdict.UNSAFE
    if name in _OUTER:
        return f"the layer {name}, which calls what is not in the file", Verdict.UNKNOWN
    return None


def _has_code(function: object) -> bool:
    return isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == "__lambda__")
