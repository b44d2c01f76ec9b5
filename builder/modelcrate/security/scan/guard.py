"""The gates, passed once: a part of a project that was let through is not read again while its files stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from modelcrate.config import Config
from modelcrate.home.result_cache import ResultCache
from modelcrate.project.values import Gates, Project
from modelcrate.security.scan.parts import Findings, ScanPart
from modelcrate_layers.content import Digest, canonical_json, parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.tree import check_paths

VERSION = 6
"""Raised when a gate learns to see something new: what was let through before is then looked at again."""


def pass_gates(project: Project, folder: Path, parts: Iterable[ScanPart], config: Config) -> Findings:
    """What is not refused. What the project refuses is one error with all findings. `parts` are the models and the sources, as listed."""
    passed = ResultCache(config.home / "gates")
    keys = _keys(project, folder)
    found = [_findings(part, project.gates, folder, keys, passed) for part in parts]
    refused = [fault for each in found for fault in each.refused]
    if refused:
        first, *rest = refused
        first.also = (*first.also, *rest)
        raise first
    facts = {source: facts for each in found for source, facts in each.facts.items()}
    return Findings((), tuple(line for each in found for line in each.warned), facts)


def _findings(part: ScanPart, gates: Gates, folder: Path, keys: list[str], passed: ResultCache) -> Findings:
    settings = [gates.unsafe_pickle, gates.secrets, list(gates.allow), keys if part.model else []]
    question = [VERSION, part.model, settings, list(part.fingerprints)]
    with suppress(CrateError):
        if (known := passed.get(question)) is not None:
            return Findings((), tuple(map(str, parse_json(known))))
    from modelcrate.security.scan.gates import check_part

    check_paths(part.entries)  # here, before anything is fetched
    found = check_part(part, gates, folder)
    if not found.refused and settled(part.entries):
        passed.put(question, canonical_json(list(found.warned)))
    return found


def _keys(project: Project, folder: Path) -> list[str]:
    """What the keys of models are now: a name may stay while its key is another."""
    return [
        str(Digest.of((folder / path).read_bytes())) if (folder / path).is_file() else ""
        for path in project.gates.model_keys
    ]
