"""What loads some bytes of a pickle as a file of its own. Such a call is as good as the file, which is read as any other.

A function of this table may be called with bytes that stand in the pickle, and in no other way: it is a loader of anything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from modelcrate.modelfiles.pickle.findings import LoadedBytes, MadeDict, MadeObject, NamedObject, Use, is_named
from modelcrate.modelfiles.pickle.opcodes import Passage

_LOADERS = {
    ("torch.storage", "_load_from_bytes"): ".pt",
    ("keras.src.models.sequential", "Sequential._unpickle_model"): ".keras",
    ("keras.src.models.functional", "Functional._unpickle_model"): ".keras",
    ("keras.src.saving.pickle_utils", "deserialize_model_from_bytecode"): ".keras",
    ("keras.saving.pickle_utils", "deserialize_model_from_bytecode"): ".keras",
}
"""Functions, and how a file is called that each of them reads: a tensor outside of PyTorch's own format (torch/storage.py), a model of Keras 3
(keras/src/saving/keras_saveable.py) and from 2.10 on (keras/saving/pickle_utils.py)."""

BEGINNINGS = {".keras": b"PK\3\4"}
"""How such a file has to begin. Keras up to 2.10 took a tar with a SavedModel, too."""

_STATES = {"__cuda_dependent_attributes__": ".pkl"}
"""Keys in an object's state whose bytes its class loads: of skorch's nets (skorch/net.py)."""


def ending_loaded_by(name: NamedObject) -> str:
    """Returns how a file is called that a function loads out of bytes; empty for any other function."""
    return _LOADERS.get((name.module, name.name), "")


def bytes_loaded_by(name: NamedObject, given: tuple[object, ...]) -> LoadedBytes | None:
    """Returns the bytes that a call with these arguments loads; None where they don't stand in the pickle as they are."""
    ending = ending_loaded_by(name)
    return _standing(given[0], ending) if ending and len(given) == 1 else None


def bytes_loaded_in_state(what: object, state: object) -> Iterator[LoadedBytes | None]:
    """Yields the same for the state of an instance of `what`, which may be a class of the user's own that is based on one of skorch's.

    skorch's own classes write nothing but a dict whose keys are texts. Anything else may have such a key that is not seen here.
    """
    known = isinstance(state, MadeDict) and state.complete
    for key, ending in _STATES.items():
        if isinstance(state, MadeDict) and key in state:
            yield _standing(state[key], ending) if known else None
        elif isinstance(what, NamedObject) and what.module.partition(".")[0] == "skorch" and not known:
            yield None


def _standing(value: object, ending: str) -> LoadedBytes | None:
    """Returns where some bytes stand in a pickle; None for what is no bytes, or is put together."""
    if isinstance(value, Passage):
        return LoadedBytes(value.start, value.size, False, ending) if not value.text else None
    if not isinstance(value, MadeObject):
        return None
    if is_named(value.what, "_io", "BytesIO"):
        once = value.use is Use.MADE and value.arguments == () and value.builds == 1
        return _standing(value.state[0], ending) if once and isinstance(value.state, tuple) and value.state else None
    if is_named(value.what, "_codecs", "encode") and value.use is Use.CALLED and len(value.arguments or ()) == 2:
        text, encoding = value.arguments or (None, None)
        if isinstance(text, Passage) and text.text and encoding == "latin1":
            return LoadedBytes(text.start, text.size, True, ending)
    return None
