"""Lock files of PEP 751."""

from __future__ import annotations

from pathlib import Path

from modelcrate.project.values import Dependencies
from modelcrate.resolve.declared import Declaration, refuse_parts
from modelcrate.resolve.pylock import MAX_LOCK
from modelcrate.resolve.requirements import Requirements
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import unreadable
from modelcrate_layers.named_file import read_named_file


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads a pylock.toml."""
    refuse_parts(needs, path)
    return Declaration(Requirements(pylock=path), needs.conda, inputs={"requirements": [], "pylock": digest_of(path)})


def digest_of(path: Path) -> str:
    """Returns the digest of a lock file, by which a lock of ours knows it again."""
    try:
        return str(Digest.of(read_named_file(path, MAX_LOCK)))
    except OSError as fault:
        raise unreadable(fault, path) from None
