"""The gates, passed once: a part of a project that was let through is not read again while its files stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.config import Config
from modelcrate.home.result_cache import ResultCache
from modelcrate.project.values import Gates, Project, RegisteredModel
from modelcrate.security.scan.parts import Findings, ScanPart
from modelcrate_layers.content import Digest, canonical_json, parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.tree import Entry, Kind, check_paths

VERSION = 22
"""Raised when a gate learns to see something new: what was let through before is then looked at again."""


def pass_gates(
    project: Project,
    folder: Path,
    parts: Iterable[ScanPart],
    config: Config,
    registered: Mapping[RegisteredModel, tuple[ReadyLayer, ...]] | None = None,
) -> Findings:
    """Returns what is not refused. What the project refuses is one error with all findings.

    Args:
        project: The project.
        folder: Its folder.
        parts: Its models and sources, as listed.
        config: The settings of this run.
        registered: The layers of its registered models.
    """
    passed = ResultCache(config.home / "gates")
    keys = _keys(project, folder)
    found = [_findings(part, project.gates, folder, keys, passed) for part in parts]
    found += [
        _of_registered(str(model), each, project.gates, folder, keys, passed)
        for model, each in (registered or {}).items()
    ]
    refused = [fault for each in found for fault in each.refused]
    if refused:
        first, *rest = refused
        first.also = (*first.also, *rest)
        raise first
    facts = {source: facts for each in found for source, facts in each.facts.items()}
    return Findings((), tuple(line for each in found for line in each.warned), facts)


def _findings(part: ScanPart, gates: Gates, folder: Path, keys: list[str], passed: ResultCache) -> Findings:
    question = [VERSION, part.model, _settings(gates, keys if part.model else []), list(part.fingerprints)]
    if (known := _known(passed, question)) is not None:
        return known
    from modelcrate.security.scan.gates import check_part

    check_paths(part.entries)  # here, before anything is fetched
    found = check_part(part, gates, folder)
    if not found.refused and settled(part.entries):
        passed.put(question, canonical_json(list(found.warned)))
    return found


def _of_registered(
    name: str, layers: tuple[ReadyLayer, ...], gates: Gates, folder: Path, keys: list[str], passed: ResultCache
) -> Findings:
    """The same for a registered model, which is known by the digests of its layers."""
    from modelcrate.security.scan.registered import check_registered, has_to_be_read

    if not has_to_be_read(layers, gates, VERSION):
        return Findings((), ())
    question = _registered_question(name, [each.layer.descriptor.digest for each in layers], gates, keys)
    if (known := _known(passed, question)) is not None:
        return known
    found = check_registered(name, layers, gates, folder)
    if not found.refused:
        passed.put(question, canonical_json(list(found.warned)))
    return found


def remember_registered(
    name: str, layers: Sequence[Digest], entries: Sequence[Entry], begun: int, config: Config
) -> None:
    """Records that the gates found nothing in the files of a model that was registered just now, so that builds here need not read it again.

    Args:
        name: The model, `NAME:VERSION`.
        layers: The digests of its layers, which were made from those files.
        entries: The files. Nothing is recorded if one may have changed unseen, or is something that a registered model must not have.
        begun: When the gates began, in nanoseconds since 1970.
        config: The settings of this run.
    """
    if settled(entries, begun) and all(each.kind in (Kind.FILE, Kind.DIRECTORY) for each in entries):
        ResultCache(config.home / "gates").put(_registered_question(name, layers, Gates(), []), canonical_json([]))


def _registered_question(name: str, layers: Sequence[Digest], gates: Gates, keys: list[str]) -> list[object]:
    return [VERSION, name, _settings(gates, keys), [str(each) for each in layers]]


def _settings(gates: Gates, keys: list[str]) -> list[object]:
    return [gates.unsafe_pickle, gates.secrets, list(gates.allow), keys]


def _known(passed: ResultCache, question: list[object]) -> Findings | None:
    """What the gates found before, in files that are still the same."""
    with suppress(CrateError):
        if (known := passed.get(question)) is not None:
            return Findings((), tuple(map(str, parse_json(known))))
    return None


def _keys(project: Project, folder: Path) -> list[str]:
    """What the keys of models are now: a name may stay while its key is another."""
    return [
        str(Digest.of((folder / path).read_bytes())) if (folder / path).is_file() else ""
        for path in project.gates.model_keys
    ]
