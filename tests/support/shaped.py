"""Projects whose models are delivered in every shape, and a model's folder that has what models have."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

from support.images import noise
from support.small_projects import write_project

PLAIN = "name: shaped\nbase: scratch\nmodels:\n  - {path: model, name: shaped, version: 3}\n"


def model_folder(folder: Path, size: int = 3000, *, links: bool = True) -> Path:
    """Weights, their configuration, a text, code, an empty file, and a link, as a folder from a hub has them."""
    (folder / "sub").mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + noise(size, 1))
    (folder / "config.json").write_text('{"architectures": ["Tiny"]}\n')
    (folder / "tokenizer.model").write_bytes(noise(500, 2))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
    (folder / "LICENSE").write_text("MIT\n")
    (folder / "sub" / "modeling.py").write_text("VALUE = 1\n")
    (folder / "sub" / "empty.txt").write_bytes(b"")
    (folder / "with..dots.txt").write_text("dots\n")
    if links:
        (folder / "sub" / "config.json").symlink_to("../config.json")
    return folder


def shaped_project(folder: Path, text: str = "", size: int = 3000, *, links: bool = True) -> Path:
    """A model alone over nothing. `text` is added to the project file."""
    write_project(folder, PLAIN + text)
    model_folder(folder / "model", size, links=links)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder with their bytes; links are what they lead to."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() or os.path.islink(path)
    }
