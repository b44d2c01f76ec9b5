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
from modelcrate.trust.secrets import HEAD, MAX_BYTES, Secret, secrets_in
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.models.endings import PROMISING
from modelcrate_layers.sources import FileRange, read
from modelcrate_layers.value import dataclass

if TYPE_CHECKING:
    from modelcrate_layers.models.allowed import Judged
    from modelcrate_layers.models.facts import Facts

MAX_SHOWN = 8


def inspect(part: Part, gates: Gates, folder: Path) -> Findings:
    """Look at every file of a part; nothing of it is loaded or run. `folder` is the project's."""
    refused: list[CrateError] = []
    warned: list[str] = []
    look = _Look(gates, part.model, {})
    for each in part.files:
        for fault, setting in look.at(each):
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
    return Findings(tuple(refused), tuple(warned), look.facts)


@dataclass(frozen=True, slots=True)
class _Look:
    """At the files of one part, which is a `model` or not. What they say of themselves gathers in `facts`."""

    gates: Gates
    model: bool
    facts: dict[FileRange, Facts]

    def at(self, file: Guarded) -> Iterator[tuple[CrateError, str]]:
        """What is wrong with a file, and what the project has set for that. A small one is read once, for all gates."""
        if file.source.size <= MAX_BYTES:
            data = read(file.source)
            yield from self._at(file, data, BytesIO(data))
            return
        try:
            with open(file.path, "rb") as handle:
                yield from self._at(file, handle.read(HEAD), handle)
        except OSError as fault:
            raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.path) from None

    def _at(self, file: Guarded, head: bytes, whole: BinaryIO) -> Iterator[tuple[CrateError, str]]:
        if self.gates.secrets != "allow":
            for secret in secrets_in(file.name, head):
                yield _secret(file, secret), self.gates.secrets
        if self.model or splitext(file.name)[1].lower() in PROMISING:
            from modelcrate_layers.models.facts import (
                facts_of,  # the readers take a while to import, and a script needs none
            )

            whole.seek(0)
            said = facts_of(whole, file.name, file.source.size, self.gates.allow)
            if said.fault:
                yield SourceError(f"{file.name} is damaged: it {said.fault}", where=file.path), "refuse"
            if said.pickles:
                yield from self._unsafe(file, said)
            if not (said.pickles and self.gates.allow):  # what one project lets pass is not the word of others
                self.facts[file.source] = said

    def _unsafe(self, file: Guarded, said: Facts) -> Iterator[tuple[CrateError, str]]:
        from modelcrate_layers.models.allowed import Verdict

        for judged in said.pickles if self.gates.unsafe_pickle != "allow" else ():
            if judged.verdict is not Verdict.SAFE:
                sure = judged.verdict is Verdict.UNSAFE
                yield _pickle(file, judged, sure), "refuse" if sure else self.gates.unsafe_pickle


def _secret(file: Guarded, secret: Secret) -> CrateError:
    return SourceError(
        f"would put {secret.kind} into the image",
        where=f"{file.path}:{secret.line}" if secret.line else file.path,
        hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
    )


def _pickle(file: Guarded, judged: Judged, sure: bool) -> CrateError:
    inner = f" ({judged.inner})" if judged.inner else ""
    what = "would run code when it is loaded" if sure else "names what nobody knows"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{file.name}{inner} is a pickle that {what}",
        where=file.path,
        why=f"it is held to the list for {judged.framework}, and has: {', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint="if that is right: gates: {allow: [module]} names a module that may be loaded",
    )
