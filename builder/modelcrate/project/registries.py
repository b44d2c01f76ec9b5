"""registries.yaml as plain data. What its keys mean is the registry client's business (`registry.rules`)."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.document import parse
from modelcrate_layers.errors import unreadable
from modelcrate_layers.named_file import read_named_file

MAX_BYTES = 1 << 20


def read_registries(path: Path) -> object:
    """The file as mappings, lists and texts. SourceError where it can't be read, UserError where it is no YAML."""
    try:
        data = read_named_file(path, MAX_BYTES)
    except OSError as fault:
        raise unreadable(fault, path) from None
    document = parse(data, str(path))
    if document.faults:
        raise document.error(document.faults)
    return document.plain()
