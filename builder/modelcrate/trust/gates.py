"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or told, as the project's `gates:` say. By default pickles that name things nobody knows are warned about, those that
name what runs code are refused, and so are secrets and damaged headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from os.path import splitext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from modelcrate.project.values import Gates
from modelcrate.trust.parts import Findings, Guarded, Part
from modelcrate.trust.secrets import HEAD, MAX_BYTES, secrets_in
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.models.endings import PICKLES, WEIGHTS

if TYPE_CHECKING:
    from modelcrate_layers.models.allowed import Judged

MAX_SHOWN = 8


def inspect(part: Part, gates: Gates, folder: Path) -> Findings:
    """Look at every file of a part; nothing of it is loaded or run. `folder` is the project's."""
    refused: list[CrateError] = []
    warned: list[str] = []
    for each in part.files:
        for fault, setting in _findings(each, part.model, gates):
            if setting == "refuse":
                refused.append(fault)
            else:
                warned.append(" ".join(str(fault).split()))
    if part.model and any(each.path.endswith(b".sig") for each in part.entries):
        from modelcrate.trust.keys import load_public
        from modelcrate.trust.model_signatures import check_model

        signed = check_model(part.top, [load_public(folder / path) for path in gates.model_keys])
        refused += signed.faults
        warned += signed.unchecked
    return Findings(tuple(refused), tuple(warned))


def _findings(file: Guarded, model: bool, gates: Gates) -> Iterator[tuple[CrateError, str]]:
    """What is wrong with a file, and what the project has set for that. A small one is read once, for all gates."""
    try:
        with open(file.path, "rb") as handle:
            data = b""
            if gates.secrets != "allow":
                data = handle.read(MAX_BYTES if file.size <= MAX_BYTES else HEAD)
                for fault in _secrets(file, data):
                    yield fault, gates.secrets
            if model or splitext(file.name)[1].lower() in PICKLES | WEIGHTS:
                yield from _unsound(file, BytesIO(data) if len(data) == file.size else handle, gates)
    except OSError as fault:
        raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.path) from None


def _unsound(file: Guarded, handle: BinaryIO, gates: Gates) -> Iterator[tuple[CrateError, str]]:
    from modelcrate_layers.models.allowed import Verdict  # the readers take a while to import, and a script needs none
    from modelcrate_layers.models.facts import facts_of

    handle.seek(0)
    found = facts_of(handle, file.name, file.size, gates.allow)
    if found.fault:
        yield SourceError(f"{file.name} is damaged: it {found.fault}", where=file.path), "refuse"
    for judged in found.pickles if gates.unsafe_pickle != "allow" else ():
        if judged.verdict is not Verdict.SAFE:
            sure = judged.verdict is Verdict.UNSAFE
            yield _unsafe(file, judged, sure), "refuse" if sure else gates.unsafe_pickle


def _secrets(file: Guarded, data: bytes) -> Iterator[CrateError]:
    for secret in secrets_in(file.name, data):
        yield SourceError(
            f"would put {secret.kind} into the image",
            where=f"{file.path}:{secret.line}" if secret.line else file.path,
            hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
        )


def _unsafe(file: Guarded, judged: Judged, sure: bool) -> CrateError:
    inner = f" ({judged.inner})" if judged.inner else ""
    what = "would run code when it is loaded" if sure else "names what nobody knows"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{file.name}{inner} is a pickle that {what}",
        where=file.path,
        why=f"it is held to the list for {judged.framework}, and has: {', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint="if that is right: gates: {allow: [module]} names a module that may be loaded",
    )
