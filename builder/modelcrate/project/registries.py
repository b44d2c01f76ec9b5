"""registries.yaml as plain data. What its keys mean is the registry client's business (`registry.rules`)."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.document import parse
from modelcrate_layers.errors import SourceError

MAX_BYTES = 1 << 20


def read_registries(path: Path) -> object:
    """The file as mappings, lists and texts. SourceError where it can't be read, UserError where it is no YAML."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=str(path)) from None
    document = parse(data, str(path))
    if document.faults:
        raise document.error(document.faults)
    return document.plain()
