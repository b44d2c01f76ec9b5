"""The facts that a project's models state. They are kept as long as the files stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from modelcrate.config import Config
from modelcrate.home.result_cache import ResultCache
from modelcrate.modelfiles.frameworks import Framework, FrameworkModel, frameworks
from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate.project.values import Model
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import canonical_json, parse_object
from modelcrate_layers.errors import CrateError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.kinds.model import folder as model_folder
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.layer_cache import settled
from modelcrate_layers.tar.listing import list_path
from modelcrate_layers.tar.recipe import fingerprint
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry

if TYPE_CHECKING:
    from modelcrate.modelfiles.facts import ModelFacts
    from modelcrate.modelfiles.framework_files import ModelFiles

FileFacts: TypeAlias = "Mapping[FileRange, ModelFacts]"
"""The facts that files state, by the files as they were read."""

NO_FILES: FileFacts = MappingProxyType({})

VERSION = 7
"""Raise this number when models have to be read again: a reader or a script's requirements changed."""


@dataclass(frozen=True, slots=True)
class PickleNames:
    """The names in the pickles of one file, as `module.name` and as modules, and the versions that the pickles state."""

    where: str
    names: tuple[str, ...]
    modules: tuple[str, ...]
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """The versions that a model's files name, and what is needed to serve it; None where it needs an entry script."""

    versions: tuple[StatedVersion, ...]
    understood: FrameworkModel | None
    pickles: tuple[PickleNames, ...] = ()


def read_file_model(
    model: Model, place: Path, config: Config, listed: Sequence[Entry] = (), facts: FileFacts = NO_FILES
) -> ModelDescription:
    """Returns the description of a model in the project's folder.

    Args:
        model: The model.
        place: The folder of the project.
        config: The settings of this run.
        listed: Its files, where they are known already.
        facts: The facts of files that were read already.
    """
    top = place / model.path
    entries = listed or list_path(top, model_folder(model.name, model.version)).entries
    files = [entry for entry in entries if entry.source is not None]
    kept, question = _kept(config), [VERSION, str(top), fingerprint(files)]
    if known := _parsed(kept.get(question)):
        return known
    read = {
        each.source.path: facts[each.source]
        for each in files
        if isinstance(each.source, FileRange) and each.source in facts
    }
    found = _read_folder(top, read)
    if settled(files):
        _keep(kept, question, found)
    return found


def read_registered_model(name: str, layers: tuple[ReadyLayer, ...], config: Config) -> ModelDescription:
    """Returns the description of a registered model, `NAME:VERSION`.

    The first call unpacks all of its layers, and its files are on the disk meanwhile.
    """
    kept, question = _kept(config), [VERSION, name, [str(layer.layer.diff_id) for layer in layers]]
    if known := _parsed(kept.get(question)):
        return known
    with unpacked(name, layers) as files:
        found = _read(files)
    _keep(kept, question, found)
    return found


def describe_model(files: ModelFiles) -> FrameworkModel:
    """Returns what is needed to serve a model.

    Raises:
        UserError: The model is of no known framework, or of several. The message lists the known ones.
    """
    recognised = [(each, names) for each in frameworks() if (names := each.find(files))]
    found = [(each, names) for each, names in recognised if names[0] == "."] or recognised
    if len(found) > 1:
        listed = "; ".join(
            f"{each.NAME}: {files.shown if names == ('.',) else ', '.join(names[:5])}" for each, names in found
        )
        raise UserError(
            f"models of {len(found)} frameworks at once, so nobody can say which of them is to answer",
            where=files.shown,
            why=listed,
            hint="keep one of them, or write an entry script: entry: score.py",
        )
    if not found:
        raise _unknown(files)
    ((framework, names),) = found
    if len(names) > 1:
        raise UserError(
            f"{len(names)} {framework.NAME} models, so nobody can say which of them is to answer",
            where=files.shown,
            why=", ".join(names[:10]),
            hint="name one of them under models:, or write an entry script: entry: score.py",
        )
    model = framework.understand(files, names[0])
    inside = files.path(names[0]) != files.top
    return replace(model, file=f"{files.top.name}/{names[0]}".removesuffix("/.") if inside else files.top.name)


def _unknown(files: ModelFiles) -> CrateError:
    from modelcrate.modelfiles.estimators import WRITE_SCRIPT  # a build that has nothing to do starts without it

    for name in files.names:
        if fault := files.facts(name).fault:
            return SourceError(f"{name} is damaged: it {fault}", where=files.where(name))
    listed = ", ".join(files.names[:5]) + (", ..." if len(files.names) > 5 else "") or "no files"
    return UserError(
        "no model of a framework that can be served without an entry script",
        where=files.shown,
        why=f"it is {_kind(files) or f'of no format that is known: {listed}'}\n"
        f"without a script go: {'; '.join(each.IDENTIFIED_BY for each in frameworks())}",
        hint=WRITE_SCRIPT,
    )


def _kind(files: ModelFiles) -> str:
    """Returns what a model is, in words; empty for one of no known format."""
    from modelcrate.modelfiles.formats import recognise_folder, shown_format

    whole = recognise_folder(frozenset(name.partition("/")[0] for name in files.names))
    if whole is not None and files.top.is_dir():
        return whole.kind
    found: dict[str, None] = {}
    for name in files.names:
        facts = files.facts(name)
        shown = shown_format(facts.format)
        value = facts.pickles[0].value if facts.pickles else None
        what = value.name or value.kind if value is not None and facts.format in ("pickle", "joblib") else ""
        if shown:
            found[f"{shown} of {what}" if what else shown] = None
    return ", ".join(found)


def _read_folder(top: Path, known: Mapping[str, ModelFacts]) -> ModelDescription:
    from modelcrate.modelfiles.framework_files import ModelFiles

    try:
        files = ModelFiles.of(top, known=known)
    except UserError:  # too many files: such a model needs an entry script, and names no versions
        return ModelDescription((), None)
    return _read(files)


def _read(files: ModelFiles) -> ModelDescription:
    versions = tuple(each for framework in frameworks() for each in _versions(framework, files))
    pickles = tuple(_pickles(files))
    try:
        return ModelDescription(versions, describe_model(files), pickles)
    except CrateError:
        return ModelDescription(versions, None, pickles)


def _pickles(files: ModelFiles) -> Iterator[PickleNames]:
    for name in files.with_format("pickle", "joblib", "pytorch", "numpy", "zip"):
        facts = files.facts(name)
        named = {each for judged in facts.pickles for each in judged.names}
        if named:
            versions = {each.package: each.version for each in facts.versions}
            modules = sorted({each.module for each in named})
            yield PickleNames(
                files.where(name), tuple(sorted(map(str, named))), tuple(modules), tuple(versions.items())
            )


def _versions(framework: Framework, files: ModelFiles) -> Iterator[StatedVersion]:
    """Yields the versions that a model's file names; nothing for a damaged file, which the gates report."""
    for name in framework.find(files):
        with suppress(CrateError):
            yield from framework.versions(files, name)


@contextmanager
def unpacked(name: str, layers: tuple[ReadyLayer, ...]) -> Iterator[ModelFiles]:
    """Yields the files of a registered model, in a temporary folder."""
    from modelcrate.images.unpack import unpack
    from modelcrate.modelfiles.framework_files import ModelFiles

    with scratch_folder() as root:
        unpack([layer.blob for layer in layers], root)
        plain, _, version = name.rpartition(":")
        (top,) = (root / os.fsdecode(model_folder(plain, int(version)))).iterdir()
        yield ModelFiles.of(top, name)


def _kept(config: Config) -> ResultCache:
    return ResultCache(config.home / "readings")


def _keep(kept: ResultCache, question: object, found: ModelDescription) -> None:
    from dataclasses import asdict  # it takes a while to import, and what was read once needs none

    kept.put(question, canonical_json(asdict(found)))


def _parsed(data: bytes | None) -> ModelDescription | None:
    """Returns a description that was kept; None for a damaged one."""
    with suppress(CrateError, KeyError, TypeError):
        parsed = parse_object(data or b"")
        understood = parsed["understood"]
        return ModelDescription(
            tuple(StatedVersion(**each) for each in parsed["versions"]),
            _understood(understood) if understood is not None else None,
            tuple(
                PickleNames(
                    each["where"], tuple(each["names"]), tuple(each["modules"]), tuple(map(tuple, each["versions"]))
                )
                for each in parsed["pickles"]
            ),
        )
    return None


def _understood(parsed: Mapping[str, Any]) -> FrameworkModel:
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in parsed.items()}
    return FrameworkModel(**fields)
