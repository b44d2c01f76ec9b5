"""The gates, passed once: files that were let through are not read again while they have not changed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from modelcrate.answers import Answers
from modelcrate.project.values import Project
from modelcrate.settings import Settings
from modelcrate_layers.content import Digest, canonical_json, parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.memo import settled
from modelcrate_layers.recipe import fingerprint
from modelcrate_layers.tree import Entry, Tree

VERSION = 3
"""Raised when a gate learns to see something new: what was let through before is then looked at again."""


def _keys(project: Project, folder: Path) -> list[str]:
    """What the keys of models are now: a name may stay while its key is another."""
    return [
        str(Digest.of((folder / path).read_bytes())) if (folder / path).is_file() else ""
        for path in project.gates.model_keys
    ]


def pass_gates(project: Project, folder: Path, entries: Iterable[Entry], settings: Settings) -> tuple[str, ...]:
    """What is only to be told. What the project refuses is one error with all findings. `entries` are the user's files as listed."""
    entries = list(entries)
    gates = project.gates
    question = [
        VERSION,
        gates.unsafe_pickle,
        gates.secrets,
        list(gates.allow),
        _keys(project, folder),
        fingerprint(entries),
    ]
    passed = Answers(settings.home / "gates")
    with suppress(CrateError):
        if (known := passed.get(question)) is not None:
            return tuple(map(str, parse_json(known)))
    from modelcrate.trust.gates import gate

    tree = Tree.of(entries, {b""})  # names that no layer can have are found here, before anything is fetched
    warned = gate(project, folder)
    if settled(tree):
        passed.put(question, canonical_json(list(warned)))
    return warned
