"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or told, as the project's `gates:` say. By default pickles that name things nobody knows are warned about, those that
name what runs code are refused, and so are secrets and damaged headers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from os.path import splitext
from pathlib import Path
from typing import BinaryIO

from modelcrate.project.values import Gates, Model, Project
from modelcrate.trust.keys import load_public
from modelcrate.trust.model_signatures import Checked, check_model
from modelcrate.trust.secrets import HEAD, MAX_BYTES, secrets_in
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.listing import CLUTTER, list_inside, list_path
from modelcrate_layers.models.allowed import Judged, Verdict
from modelcrate_layers.models.facts import WEIGHTS, facts_of
from modelcrate_layers.models.unpacked import ENDINGS
from modelcrate_layers.sources import FileRange
from modelcrate_layers.value import dataclass

MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Guarded:
    """A file of the project that goes into the image; `model` tells on which side of it."""

    path: str
    name: str
    size: int
    model: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gates found: what ends the build, and what is only told."""

    refused: tuple[CrateError, ...]
    warned: tuple[str, ...]


def inspect(project: Project, folder: Path) -> Findings:
    """Look at every file that the project would put into the image. Nothing of them is loaded or run."""
    refused: list[CrateError] = []
    warned: list[str] = []
    for each in guarded(project, folder):
        for fault, setting in _findings(each, project.gates):
            if setting == "refuse":
                refused.append(fault)
            else:
                warned.append(" ".join(str(fault).split()))
    signed = _signed(project, folder)
    return Findings((*refused, *signed.faults), (*warned, *signed.unchecked))


def _signed(project: Project, folder: Path) -> Checked:
    """The models that come with a signature, held to it."""
    keys = [load_public(folder / path) for path in project.gates.model_keys]
    checked = [check_model(folder / model.path, keys) for model in project.models if isinstance(model, Model)]
    return Checked(
        tuple(fault for each in checked for fault in each.faults),
        tuple(line for each in checked for line in each.unchecked),
    )


def gate(project: Project, folder: Path) -> tuple[str, ...]:
    """What is only to be told; what is refused is one error with all of it."""
    findings = inspect(project, folder)
    if findings.refused:
        first, *rest = findings.refused
        first.also = (*first.also, *rest)
        raise first
    return findings.warned


def guarded(project: Project, folder: Path) -> Iterator[Guarded]:
    """The files of the models, and those that go along with the entry script; each once."""
    seen: set[str] = set()
    for model in project.models:
        if isinstance(model, Model) and (folder / model.path).exists():
            yield from _files(folder / model.path, True, seen)
    entry = project.entry
    if entry is not None and entry.source is not None and (folder / entry.source).is_dir():
        yield from _files(folder / entry.source, False, seen)
    elif entry is not None and (folder / entry.file).is_file():
        yield from _files(folder / entry.file, False, seen)


def _files(top: Path, model: bool, seen: set[str]) -> Iterator[Guarded]:
    listing = list_path(top, b"") if top.is_file() else list_inside(top, b"", frozenset() if model else CLUTTER)
    for entry in sorted(listing.entries, key=lambda each: each.path):
        if isinstance(entry.source, FileRange) and entry.source.path not in seen:
            seen.add(entry.source.path)
            yield Guarded(entry.source.path, os.fsdecode(entry.path).lstrip("/"), entry.size, model)


def _findings(file: Guarded, gates: Gates) -> Iterator[tuple[CrateError, str]]:
    """What is wrong with a file, and what the project has set for that. A small one is read once, for all gates."""
    try:
        with open(file.path, "rb") as handle:
            data = b""
            if gates.secrets != "allow":
                data = handle.read(MAX_BYTES if file.size <= MAX_BYTES else HEAD)
                for fault in _secrets(file, data):
                    yield fault, gates.secrets
            if file.model or splitext(file.name)[1].lower() in ENDINGS | WEIGHTS:
                yield from _unsound(file, BytesIO(data) if len(data) == file.size else handle, gates)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.path) from None


def _unsound(file: Guarded, handle: BinaryIO, gates: Gates) -> Iterator[tuple[CrateError, str]]:
    handle.seek(0)
    found = facts_of(handle, file.name, file.size, gates.allow)
    if found.fault:
        yield SourceError(f"{file.name} is damaged: it {found.fault}", where=file.path), "refuse"
    for judged in found.pickles if gates.unsafe_pickle != "allow" else ():
        if judged.verdict is not Verdict.SAFE:
            sure = judged.verdict is Verdict.UNSAFE
            yield _unsafe(file, judged), "refuse" if sure else gates.unsafe_pickle


def _secrets(file: Guarded, data: bytes) -> Iterator[CrateError]:
    for secret in secrets_in(file.name, data):
        yield SourceError(
            f"would put {secret.kind} into the image",
            where=f"{file.path}:{secret.line}" if secret.line else file.path,
            hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
        )


def _unsafe(file: Guarded, judged: Judged) -> CrateError:
    inner = f" ({judged.inner})" if judged.inner else ""
    what = "would run code when it is loaded" if judged.verdict is Verdict.UNSAFE else "names what nobody knows"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{file.name}{inner} is a pickle that {what}",
        where=file.path,
        why=f"it is held to the list for {judged.framework}, and has: {', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint="if that is right: gates: {allow: [module]} names a module that may be loaded",
    )
