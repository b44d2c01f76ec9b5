"""What configurations name that their loaders import, call or evaluate: a table of loaders, and the walk over plain values. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelcrate.modelfiles.beginnings import MODULE_NAMES
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import names
from modelcrate.modelfiles.pickle.findings import NamedObject, Use
from modelcrate.modelfiles.pickle.policy import FRAMEWORKS, NEVER, UNSAFE_PACKAGES, rate
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later


@dataclass(frozen=True, slots=True)
class _Import:
    """A key whose texts name what a loader imports, in objects that have the keys `beside` as well, in files with a `name`'s ending."""

    key: str
    by: str
    """What does so, in words that follow "which"."""
    beside: frozenset[str] = frozenset()
    name: str = ""
    own: tuple[str, ...] = ()
    """How names begin that the loader itself or its usual libraries have. Empty: what is called is rated, and a project's own is its affair."""


_KERAS_MODULE, _PICKLE_MODULE = MODULE_NAMES
"""What is read as an object whose key is the file's name and whose value is all that it has."""

_SENTENCES = "Sentence Transformers imports"
_BY_MLFLOW = "MLflow imports"
_KERAS = ("keras.", "tensorflow.", "tf_keras.")
_IMPORTS = (
    _Import("_target_", "Hydra calls (_target_)"),
    _Import("target", "loaders of latent diffusion call (target)", frozenset({"params"})),
    _Import("object_constructor", "LlamaIndex calls (object_constructor)", frozenset({"object_kwargs"})),
    _Import("class", "GluonTS calls (class)", frozenset({"__kind__"})),
    _Import("loader_module", "MLflow imports (loader_module)", name="MLmodel", own=("mlflow.",)),
    _Import("keras_module", "MLflow imports (keras_module)", name="MLmodel", own=_KERAS),
    _Import("model_class", "MLflow calls (model_class)", name="MLmodel", own=("xgboost.", "lightgbm.", "pyspark.")),
    _Import(_KERAS_MODULE, _BY_MLFLOW, name=_KERAS_MODULE, own=_KERAS),
    _Import(
        _PICKLE_MODULE, _BY_MLFLOW, name=_PICKLE_MODULE, own=("mlflow.pytorch.", "pickle.", "cloudpickle.", "dill.")
    ),
    _Import("type", _SENTENCES, name="modules.json", own=("sentence_transformers.",)),
    _Import("types", _SENTENCES, frozenset({"structure"}), own=("sentence_transformers.",)),
    _Import("tokenizer_class", _SENTENCES, name="wordembedding_config.json", own=("sentence_transformers.",)),
    *(
        _Import(each, _SENTENCES, name="config.json", own=("torch.nn.",))
        for each in ("activation_function", "activation_fn", "sbert_ce_default_activation_function")
    ),
    _Import("impl", "Transformers runs (custom_pipelines)", name="config.json", own=("transformers.",)),
    _Import(
        "parent_library",
        "PEFT imports (parent_library)",
        name="adapter_config.json",
        own=("transformers.", "diffusers.", "lerobot."),
    ),
    _Import("megatron_core", "PEFT imports (megatron_core)", name="adapter_config.json", own=("megatron.",)),
    _Import(
        "implementation",
        "MLServer imports (implementation)",
        name="model-settings.json",
        own=("mlserver.", "mlserver_"),
    ),
    _Import("module", "BentoML imports (module)", frozenset({"signatures"}), "model.yaml", ("bentoml.",)),
    _Import(
        "custom_ops_library",
        "ONNX Runtime loads (custom_ops_library)",
        name="genai_config.json",
        own=("onnxruntime_extensions.",),
    ),
    _Import("type", "GluonTS imports (type)", name="gluonts-config.json", own=("gluonts.",)),
)

_DOTTED = compile_later(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_LIBRARIES = compile_later(
    r"(?:diffusers|transformers|onnxruntime)(?:\..*)?|stable_(?:diffusion|audio|cascade)\w*|kandinsky\w*|deepfloyd_if|latent_diffusion|ltx2?|shap_e"
    r"|audioldm2?|musicldm|flux2?|kolors|ace_step|paint_by_example|unidiffuser|unclip|alt_diffusion|versatile_diffusion|spectrogram_diffusion"
    r"|blip_diffusion|wuerstchen|text_to_video_synthesis|vq_diffusion|hidream_image|ideogram4|cosmos|semantic_stable_diffusion"
)
"""From where Diffusers takes the parts of a pipeline: its usual libraries, and its own pipelines that bring classes."""

_MODULES = (
    "loader_module",
    "parent_library",
    "keras_module",
    "implementation",
    "module",
    "custom_ops_library",
    _KERAS_MODULE,
    _PICKLE_MODULE,
)
"""Keys whose texts are modules; others may also be words that a loader knows, without a dot."""

_OF_ITS_OWN = ("code", "model_code_path")
"""What MLflow's files call the Python code in the model's folder."""

_YOLO_LAYER = compile_later(r"(?:torch\.)?(?:nn\.)?[A-Z]\w*\([\w.,= -]*\)")
"""A call that models of YOLO have evaluated: an activation with its numbers."""

_TRANSFORMS = ("torchaudio.transforms.", "torchaudio.functional.", "torchaudio.models.")
"""What configurations name of a package that pickles have no need of."""

_LOADS = compile_later(
    r"(unsafe_|full_)?load|read_pickle|get_(class|method|object|static_method)$|save|dump|(to|from)file$|to_(pickle|csv|hdf|parquet)$"
    r"|memmap|open_memmap|(instantiate|call|compose)$"
)
_LOADERS = (*FRAMEWORKS, "hydra", "keras", "tensorflow", "skops", "mlflow", "yaml", "omegaconf")
_HARMLESS = frozenset(
    {
        "collections",
        "dataclasses",
        "functools",
        "itertools",
        "logging",
        "math",
        "operator",
        "random",
        "re",
        "statistics",
        "string",
    }
)
"""What Hydra calls by a name: in YAML, which functions of which packages run what is in a file, or write one, and modules of Python's own with helpers alone."""


def in_names(values: tuple[object, ...], file: str) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on what a configuration names: modules that are imported, what is called by a name, expressions that are evaluated.

    Args:
        values: The readings of the configuration.
        file: Its name, which decides who reads it.
    """
    for value in objects_in(values):
        for each in _IMPORTS:
            if each.key in value and file.endswith(each.name) and each.beside <= value.keys():
                for text in texts_in(value[each.key]):
                    yield from _in_import(each, text)
        if isinstance(pipeline := value.get("pipeline"), dict) and "params" in pipeline:
            for text in texts_in(pipeline.get("name")):
                yield from in_target(text, "pyannote calls (pipeline)")
        if file.endswith("MLmodel"):
            for key in _OF_ITS_OWN:
                for text in texts_in(value.get(key)):
                    yield Verdict.UNKNOWN, f"Python code of its own ({key}: {text[:80]})"
            if "model_binary" not in value and isinstance(named := value.get("source_model_name"), str):
                yield Verdict.UNKNOWN, f"a model of another repository, with its code (source_model_name: {named[:80]})"
        if file.endswith("model_index.json"):
            yield from _in_pipeline(value)
        yield from _in_yolo(value)


def _in_import(named: _Import, text: str) -> Iterator[tuple[Verdict, str]]:
    if not named.own:
        yield from in_target(text, named.by)
    elif not f"{text}.".startswith(named.own) and (named.key in _MODULES or _DOTTED.fullmatch(text)):
        yield Verdict.UNKNOWN, f"{text[:80]}, which {named.by}"


def in_target(target: str, by: str) -> Iterator[tuple[Verdict, str]]:
    """Yields the verdict on what a loader calls by a name. What a package of the project has is the project's own affair."""
    named = NamedObject(*target.rpartition(".")[::2], Use.CALLED)
    root = target.partition(".")[0]
    what = f"{target[:80]}, which {by}"
    if "${" in target:
        yield Verdict.UNKNOWN, f"a name that is put together: {what}"
    elif rate(named) is Verdict.SAFE or target.startswith(_TRANSFORMS):
        return
    elif is_known(named):
        yield Verdict.UNKNOWN if root in _HARMLESS else Verdict.UNSAFE, what
    elif root in _LOADERS and (NEVER.search(named.module) or _LOADS.match(named.name)):
        yield Verdict.UNKNOWN, what


def is_known(named: NamedObject) -> bool:
    """Returns whether a name is of Python's own modules, or of a package that attacks use."""
    root = named.module.partition(".")[0]
    return root in UNSAFE_PACKAGES or names.is_standard_library(root)


def _in_pipeline(value: dict[str, Any]) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the parts of a pipeline of Diffusers: each is a library and a class."""
    for name, part in value.items():
        if not isinstance(part, list) or len(part) < 2 or not isinstance(part[0], str):
            continue
        if name == "_class_name":
            yield Verdict.UNKNOWN, f"code of its own (_class_name: {part[0][:80]})"
        elif not _LIBRARIES.fullmatch(part[0]):
            yield Verdict.UNKNOWN, f"{part[0][:80]}, which Diffusers imports ({name[:40]})"


def _in_yolo(value: dict[str, Any]) -> Iterator[tuple[Verdict, str]]:
    """Yields verdicts on the texts that YOLO evaluates: of a model's layers, and of what stands beside an exported one."""
    evaluated: list[object] = []
    if "backbone" in value and "head" in value:
        evaluated = [value["backbone"], value["head"], value.get("activation")]
    elif "stride" in value:
        evaluated = [value.get(key) for key in ("names", "imgsz", "kpt_shape") if isinstance(value.get(key), str)]
    for text in texts_in(evaluated):
        if is_code(text):
            yield Verdict.UNSAFE, f"{text[:80]!r}, which YOLO evaluates"


def is_code(text: str) -> bool:
    """Returns whether a text that is evaluated calls something: plain values don't, and names alone do nothing."""
    from ast import literal_eval

    if ("(" not in text and "__" not in text) or _YOLO_LAYER.fullmatch(text):
        return False
    try:
        literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return True
    return False


def objects_in(root: object) -> Iterator[dict[str, Any]]:
    """Yields every object of a JSON or YAML value, at any depth, once."""
    todo, seen = [root], set[int]()
    while todo:
        value = todo.pop()
        if not isinstance(value, (list, tuple, dict)) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            todo += value.values()
            yield value
        else:
            todo += value


def texts_in(root: object) -> Iterator[str]:
    """Yields every text of such a value, at any depth."""
    todo, seen = [root], set[int]()
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, (list, dict)) and id(value) not in seen:
            seen.add(id(value))
            todo += value.values() if isinstance(value, dict) else value
