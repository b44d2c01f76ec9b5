"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or told, as the project's `gates:` say. By default pickles that name things nobody knows are warned about, those that
name what runs code are refused, and so are secrets and damaged headers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from modelcrate.project.values import Gates, Project
from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.listing import CLUTTER, list_inside, list_path
from modelcrate_layers.sources import FileRange, Stamp

if TYPE_CHECKING:  # the readers are imported when there is a file that nobody has looked at yet
    from modelcrate.trust.model_signatures import Checked
    from modelcrate_layers.models.allowed import Judged
    from modelcrate_layers.models.facts import Facts

VERSION = 1
"""Raised when the gates see more than before: files are then looked at anew."""

MAX_SHOWN = 8
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Guarded:
    """A file of the project that goes into the image; `model` tells on which side of it."""

    path: str
    name: str
    size: int
    model: bool
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Findings:
    """What the gates found: what ends the build, and what is only told."""

    refused: tuple[CrateError, ...]
    warned: tuple[str, ...]


def inspect(project: Project, folder: Path, known: Path | None = None) -> Findings:
    """Look at every file that the project would put into the image. Nothing of them is loaded or run.

    Files in which nothing was found are remembered below `known`, and not read again while their stamps stay the same.
    """
    refused: list[CrateError] = []
    warned: list[str] = []
    for each in guarded(project, folder):
        mark = _mark(each, project.gates, known) if known is not None else None
        if mark is not None and mark.exists():
            continue
        findings = list(_findings(each, project.gates))
        for fault, setting in findings:
            if setting == "refuse":
                refused.append(fault)
            else:
                warned.append(" ".join(str(fault).split()))
        if mark is not None and not findings and _settled(each.stamp):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
    signed = _signed(project, folder)
    if signed is not None:
        refused += signed.faults
        warned += signed.unchecked
    return Findings(tuple(refused), tuple(warned))


def _mark(file: Guarded, gates: Gates, known: Path) -> Path:
    told = [
        VERSION,
        file.name,
        file.model,
        list(astuple(file.stamp)),
        gates.unsafe_pickle,
        gates.secrets,
        list(gates.allow),
    ]
    digest = Digest.of(canonical_json(told)).hex
    return known / digest[:2] / digest


def _settled(stamp: Stamp) -> bool:
    """Whether a stamp can be trusted later: a file younger than this could change and keep it."""
    return max(stamp.mtime_ns, stamp.ctime_ns) < time.time_ns() - 2 * _SECOND


def _signed(project: Project, folder: Path) -> Checked | None:
    """The models that come with a signature, held to it; None, where none does."""
    if not any(True for model in project.models for _ in (folder / model.path).glob("*.sig")):
        return None
    from modelcrate.trust.keys import load_public
    from modelcrate.trust.model_signatures import Checked, check_model

    keys = [load_public(folder / path) for path in project.gates.model_keys]
    checked = [check_model(folder / model.path, keys) for model in project.models]
    return Checked(
        tuple(fault for each in checked for fault in each.faults),
        tuple(line for each in checked for line in each.unchecked),
    )


def guarded(project: Project, folder: Path) -> Iterator[Guarded]:
    """The files of the models, and those that go along with the entry script; each once."""
    seen: set[str] = set()
    for model in project.models:
        if (folder / model.path).exists():
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
            yield Guarded(entry.source.path, os.fsdecode(entry.path).lstrip("/"), entry.size, model, entry.source.stamp)


def _findings(file: Guarded, gates: Gates) -> Iterator[tuple[CrateError, str]]:
    from modelcrate_layers.models.allowed import Verdict
    from modelcrate_layers.models.facts import WEIGHTS
    from modelcrate_layers.models.unpacked import ENDINGS

    if gates.secrets != "allow":
        for fault in _secrets(file):
            yield fault, gates.secrets
    if file.model or PurePosixPath(file.name).suffix.lower() in ENDINGS | WEIGHTS:
        found = look(file, gates.allow)
        if found.fault:
            yield SourceError(f"{file.name} is damaged: it {found.fault}", where=file.path), "refuse"
        for judged in found.pickles if gates.unsafe_pickle != "allow" else ():
            if judged.verdict is not Verdict.SAFE:
                sure = judged.verdict is Verdict.UNSAFE
                yield _unsafe(file, judged), "refuse" if sure else gates.unsafe_pickle


def look(file: Guarded, allowed: Sequence[str] = ()) -> Facts:
    """What a file says of itself."""
    from modelcrate_layers.models.facts import facts_of

    try:
        with open(file.path, "rb") as handle:
            return facts_of(handle, file.name, file.size, allowed)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.path) from None


def _secrets(file: Guarded) -> Iterator[CrateError]:
    from modelcrate.trust.secrets import MAX_BYTES, secrets_in

    if file.size > MAX_BYTES:
        return
    try:
        with open(file.path, "rb") as handle:
            data = handle.read(MAX_BYTES)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror}", where=file.path) from None
    for secret in secrets_in(file.name, data):
        yield SourceError(
            f"would put {secret.kind} into the image",
            where=f"{file.path}:{secret.line}" if secret.line else file.path,
            hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
        )


def _unsafe(file: Guarded, judged: Judged) -> CrateError:
    from modelcrate_layers.models.allowed import Verdict

    inner = f" ({judged.inner})" if judged.inner else ""
    what = "would run code when it is loaded" if judged.verdict is Verdict.UNSAFE else "names what nobody knows"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{file.name}{inner} is a pickle that {what}",
        where=file.path,
        why=f"it is held to the list for {judged.framework}, and has: {', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint="if that is right: gates: {allow: [module]} names a module that may be loaded",
    )
