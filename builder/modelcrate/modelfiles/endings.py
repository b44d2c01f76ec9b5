"""File name endings of model formats. They are apart from the readers, because importing those takes longer."""

from __future__ import annotations

PICKLES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".sav", ".p", ".dill", ".cloudpickle"})
"""Endings of pickles. Such a file counts as a pickle even if it is damaged."""

WEIGHTS = frozenset({".safetensors", ".gguf", ".onnx"})
"""Endings of the formats whose headers are checked."""

PROMISING = PICKLES | WEIGHTS
"""Endings of files that are read because of their name."""
