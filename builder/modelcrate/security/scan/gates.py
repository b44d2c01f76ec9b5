"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or told, as the project's `gates:` say. By default pickles that name things nobody knows are warned about, those that
name what runs code are refused, and so are secrets and damaged headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os.path import splitext
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.modelfiles.endings import PROMISING
from modelcrate.project.values import Gates
from modelcrate.security.scan.parts import Findings, GatedFiles, ScanPart
from modelcrate.security.scan.secrets import HEAD, MAX_BYTES, Secret, may_have_secrets, secrets_in
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import FileRange, read

if TYPE_CHECKING:
    from modelcrate.modelfiles.pickle.policy import Judgement
    from modelcrate.modelfiles.recognition import ModelFacts

MAX_SHOWN = 8

TOGETHER = 1 << 20
"""Bytes of small files that are looked at together: what they are held to costs less for many at once than for each."""


def check_part(part: ScanPart, gates: Gates, folder: Path) -> Findings:
    """Look at every file of a part; nothing of it is loaded or run. `folder` is the project's."""
    refused: list[CrateError] = []
    warned: list[str] = []
    look = _Look(gates, part.model, {})
    for fault, setting in look.at(part.files):
        if setting == "refuse":
            refused.append(fault)
        else:
            warned.append(" ".join(str(fault).split()))
    if part.model and any(each.path.endswith(b".sig") for each in part.entries):
        from modelcrate.security.signing.keys import load_public
        from modelcrate.security.signing.model_signatures import check_model

        signed = check_model(part.top, [load_public(folder / path) for path in gates.model_keys])
        refused += signed.faults
        warned += signed.unchecked
    return Findings(tuple(refused), tuple(warned), look.facts)


@dataclass(frozen=True, slots=True)
class _Look:
    """At the files of one part, which is a `model` or not. What they say of themselves gathers in `facts`."""

    gates: Gates
    model: bool
    facts: dict[FileRange, ModelFacts]

    def at(self, files: Iterable[GatedFiles]) -> Iterator[tuple[CrateError, str]]:
        """What is wrong with them, in their order, and what the project has set for that. A small file is read once, for all gates."""
        for batch in _batches(files):
            large = batch[0].source.size > MAX_BYTES
            yield from self._large(batch[0]) if large else self._small([(each, read(each.source)) for each in batch])

    def _small(self, files: Sequence[tuple[GatedFiles, bytes]]) -> Iterator[tuple[CrateError, str]]:
        looked = self.gates.secrets != "allow"
        suspect = may_have_secrets([(file.name, data) for file, data in files]) if looked else frozenset()
        for at, (file, data) in enumerate(files):
            if at in suspect:
                yield from self._secrets(file, data)
            if self._promises(file):
                from modelcrate.modelfiles.recognition import facts_at_hand

                yield from self._said(file, facts_at_hand(data, file.name, self.gates.allow))

    def _large(self, file: GatedFiles) -> Iterator[tuple[CrateError, str]]:
        try:
            with open(file.path, "rb") as handle:
                if self.gates.secrets != "allow":
                    yield from self._secrets(file, handle.read(HEAD))
                if self._promises(file):
                    from modelcrate.modelfiles.recognition import facts_of

                    handle.seek(0)
                    yield from self._said(file, facts_of(handle, file.name, file.source.size, self.gates.allow))
        except OSError as fault:
            raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.path) from None

    def _promises(self, file: GatedFiles) -> bool:
        """Whether a file may have something to say of itself: any of a model's, and of the others what is named so. Who hears it imports
        the readers then: that takes a while, and a script needs none.
        """
        return self.model or splitext(file.name)[1].lower() in PROMISING

    def _secrets(self, file: GatedFiles, data: bytes) -> Iterator[tuple[CrateError, str]]:
        for secret in secrets_in(file.name, data):
            yield _secret(file, secret), "warn" if secret.warns else self.gates.secrets

    def _said(self, file: GatedFiles, said: ModelFacts) -> Iterator[tuple[CrateError, str]]:
        """What is wrong by a file's own words."""
        if said.fault:
            yield SourceError(f"{file.name} is damaged: it {said.fault}", where=file.path), "refuse"
        if said.pickles:
            yield from self._pickles(file, said)
        if not (said.pickles and self.gates.allow):  # what one project lets pass is not the word of others
            self.facts[file.source] = said

    def _pickles(self, file: GatedFiles, facts: ModelFacts) -> Iterator[tuple[CrateError, str]]:
        """What runs code, and what could not be read, is refused; for names that no list has the project decides."""
        from modelcrate.modelfiles.pickle.policy import Verdict

        for judged in facts.pickles if self.gates.unsafe_pickle != "allow" else ():
            if judged.verdict is not Verdict.SAFE:
                sure = judged.verdict is Verdict.UNSAFE or judged.unread
                yield (
                    _pickle(file, judged, judged.verdict is Verdict.UNSAFE),
                    "refuse" if sure else self.gates.unsafe_pickle,
                )


def _batches(files: Iterable[GatedFiles]) -> Iterator[list[GatedFiles]]:
    """Files that are looked at together, in their order: small ones, or a large one by itself."""
    held: list[GatedFiles] = []
    size = 0
    for file in files:
        size += file.source.size
        if held and size > TOGETHER:
            yield held
            held, size = [], file.source.size
        held.append(file)
    if held:
        yield held


def _secret(file: GatedFiles, secret: Secret) -> CrateError:
    return SourceError(
        f"would put {secret.kind} into the image",
        where=f"{file.path}:{secret.line}" if secret.line else file.path,
        hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
    )


def _pickle(file: GatedFiles, judged: Judgement, unsafe: bool) -> CrateError:
    what = "would run code when it is loaded" if unsafe else "has names that no list has"
    hint = "let these names pass only if you trust their author"
    if judged.unread and not unsafe:
        what = "can't be read to its end, so what it runs is not known"
        hint = "save the model anew; gates: {unsafe-pickle: allow} lets every pickle of the project pass"
    elif judged.unlisted:
        hint = f"if you trust these modules: gates: {{allow: [{', '.join(judged.unlisted[:MAX_SHOWN])}]}}"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{f'{judged.inner} in it' if judged.inner else 'it'} {'' if judged.embedded else 'is a pickle that '}{what}",
        where=file.path,
        why=f"{', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint=hint,
    )
