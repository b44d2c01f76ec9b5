"""File name endings of model formats. They are apart from the readers, because importing those takes longer."""

from __future__ import annotations

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".sav", ".p", ".dill", ".cloudpickle"})
"""A pickle: such a file is held to be one even where it is broken."""

WEIGHTS = frozenset({".safetensors", ".gguf", ".onnx"})
"""One of the formats whose headers are checked."""

PROMISING = PICKLES | WEIGHTS
"""A file that is looked at for its name alone."""
