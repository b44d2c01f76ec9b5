"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or warned about, as `gates:` in the project says. By default unknown names in pickles are warned about; what runs code,
what can't be read to its end, secrets and damaged headers are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.modelfiles.beginnings import large_may_have_facts, may_have_facts
from modelcrate.modelfiles.facts import NO_FACTS, ModelFacts, Verdict
from modelcrate.modelfiles.formats import LFS_POINTER, MACHINE_CODE
from modelcrate.project.values import Gates
from modelcrate.security.scan.file_names import check_names
from modelcrate.security.scan.parts import Findings, GatedFiles, ScanPart
from modelcrate.security.scan.secrets import HEAD, MANY, MAX_BYTES, Secret, find_marks, secrets_in, suspects, text_of
from modelcrate_layers.errors import CrateError, SourceError, unreadable
from modelcrate_layers.frozen import NamedTuple, dataclass
from modelcrate_layers.tar.sources import FileRange, read
from modelcrate_layers.tar.tree import show

if TYPE_CHECKING:
    from modelcrate.modelfiles.pickle.policy import Judgement

MAX_SHOWN = 8

BATCH, EACH = 1 << 20, 1 << 10
"""Bytes of small files that are searched at once, and how many each counts besides: there may be very many empty ones."""


class _Batch(NamedTuple):
    """Files, the bytes of the small ones, and the names and texts that are searched for secrets: of others they are empty."""

    files: list[GatedFiles]
    data: list[bytes | None]
    names: list[str]
    texts: list[bytes]


def check_part(part: ScanPart, gates: Gates, folder: Path) -> Findings:
    """Reads every file of a part, and looks at their names; nothing of it is loaded or run. `folder` is the project's."""
    refused: list[CrateError] = []
    warned: list[str] = []
    files = list(part.files)
    small = sum(each.source.size for each in files if each.source.size <= MAX_BYTES)
    check = _PartCheck(gates, part.model, small > MANY, {})
    for fault, setting in chain(check_names(part), check.findings(files)):
        if setting == "refuse":
            refused.append(fault)
        else:
            warned.append(fault.sentence)
    if part.model and (gates.model_keys or any(each.path.endswith(b".sig") for each in part.entries)):
        from modelcrate.security.signing.keys import load_public
        from modelcrate.security.signing.model_signatures import check_model

        signed = check_model(part.top, [load_public(folder / path) for path in gates.model_keys])
        refused += signed.faults
        warned += signed.unchecked
    return Findings(tuple(refused), tuple(warned), check.facts)


@dataclass(frozen=True, slots=True)
class _PartCheck:
    """The checks of the files of one part, which is a `model` or not, and has `many` bytes or not. `facts` collects the facts in the files."""

    gates: Gates
    model: bool
    many: bool
    facts: dict[FileRange, ModelFacts]

    def findings(self, files: Iterable[GatedFiles]) -> Iterator[tuple[CrateError, str]]:
        """Yields what is wrong with the files, in their order, and the setting that counts. A small file is read once, for all gates.

        The readers are imported for the first file that needs them. That takes a while, and most scripts need none.
        """
        for batch, found in self._searched(_batches(files, self.gates.secrets != "allow")):
            for number, (file, data) in enumerate(zip(batch.files, batch.data, strict=True)):
                yield from self._large(file) if data is None else self._small(file, data, number in found)

    def _searched(self, batches: Iterator[_Batch]) -> Iterator[tuple[_Batch, set[int]]]:
        """Yields each batch with the numbers of its files that may have secrets. Of many files, some are searched while the next are read."""
        if not self.many:
            for batch in batches:
                yield batch, suspects(batch.names, batch.texts, find_marks(batch.texts))
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1, "search") as pool:
            batch, searched = next(batches), None
            searching = pool.submit(find_marks, batch.texts, self.many)
            for following in batches:  # reading lets the search begin
                if searched is not None:
                    yield searched
                searched = batch, suspects(batch.names, batch.texts, searching.result())
                batch, searching = following, pool.submit(find_marks, following.texts, self.many)
            if searched is not None:
                yield searched
            yield batch, suspects(batch.names, batch.texts, searching.result())

    def _small(self, file: GatedFiles, data: bytes, suspect: bool) -> Iterable[tuple[CrateError, str]]:
        if data.startswith(LFS_POINTER):
            return [(_pointer(file), "refuse" if self.model else "warn")]
        if suspect or may_have_facts(data, file.name):
            return self._suspect(file, data)
        if self.model:
            self.facts[file.source] = NO_FACTS
        return ()

    def _suspect(self, file: GatedFiles, data: bytes) -> Iterator[tuple[CrateError, str]]:
        if self.gates.secrets != "allow":
            yield from self._secrets(file, data)
        if may_have_facts(data, file.name):
            from modelcrate.modelfiles.recognition import facts_at_hand

            yield from self._facts(file, facts_at_hand(data, file.name, self.gates.allow))
        elif self.model:
            self.facts[file.source] = NO_FACTS

    def _large(self, file: GatedFiles) -> Iterator[tuple[CrateError, str]]:
        try:
            with open(file.path, "rb") as handle:
                if self.gates.secrets != "allow":
                    yield from self._secrets(file, handle.read(HEAD))
                    handle.seek(0)
                if large_may_have_facts(handle, file.name):
                    from modelcrate.modelfiles.recognition import facts_of

                    yield from self._facts(file, facts_of(handle, file.name, file.source.size, self.gates.allow))
                elif self.model:
                    self.facts[file.source] = NO_FACTS
        except OSError as fault:
            raise unreadable(fault, file.where) from None

    def _secrets(self, file: GatedFiles, data: bytes) -> Iterator[tuple[CrateError, str]]:
        for secret in secrets_in(file.name, data):
            yield _secret(file, secret), "warn" if secret.warns else self.gates.secrets

    def _facts(self, file: GatedFiles, found: ModelFacts) -> Iterator[tuple[CrateError, str]]:
        """Yields a damaged header, and the findings in pickles and other code."""
        if found.fault:
            yield SourceError(f"{file.name} is damaged: it {found.fault}", where=file.where), "refuse"
        own = not self.model and found.format == MACHINE_CODE  # libraries among the sources are the project's code
        if found.pickles and not own:
            yield from self._pickles(file, found)
        if not (found.pickles and self.gates.allow):  # what one project allows is no fact about the file
            self.facts[file.source] = found

    def _pickles(self, file: GatedFiles, facts: ModelFacts) -> Iterator[tuple[CrateError, str]]:
        """What runs code, and what could not be read, is refused; for names that no list has the project decides."""
        for judged in facts.pickles if self.gates.unsafe_pickle != "allow" else ():
            if judged.verdict is not Verdict.SAFE:
                sure = judged.verdict is Verdict.UNSAFE or judged.unread
                yield (
                    _pickle(file, judged, judged.verdict is Verdict.UNSAFE),
                    "refuse" if sure else self.gates.unsafe_pickle,
                )


def _batches(files: Iterable[GatedFiles], search: bool) -> Iterator[_Batch]:
    """Yields the files with the bytes of those that are small, some at a time. `search`: whether secrets are looked for in them."""
    batch, held = _Batch([], [], [], []), 0
    for file in files:
        data = None if file.source.size > MAX_BYTES else read(file.source)
        batch.files.append(file)
        batch.data.append(data)
        searched = search and data is not None  # of a large file, the head is looked at elsewhere
        batch.names.append(file.name if searched else "")
        batch.texts.append(text_of(data or b"") if searched else b"")
        held += len(data or b"") + EACH
        if held >= BATCH:
            yield batch
            batch, held = _Batch([], [], [], []), 0
    if batch.files:
        yield batch


def _pointer(file: GatedFiles) -> CrateError:
    return SourceError(
        "is a pointer of Git LFS, and not the file itself", where=file.where, hint="fetch it with `git lfs pull`"
    )


def _secret(file: GatedFiles, secret: Secret) -> CrateError:
    return SourceError(
        f"would put {secret.kind} into the image",
        where=f"{file.where}:{secret.line}" if secret.line else file.where,
        hint="take it out, or move it out of the source folder; gates: {secrets: warn} lets it pass",
    )


def _pickle(file: GatedFiles, judged: Judgement, unsafe: bool) -> CrateError:
    what = "would run code when it is loaded" if unsafe else "has names that no list has"
    hint = "if you trust whoever made it: gates: {unsafe-pickle: allow}, which is for the whole project"
    enough = all(each.startswith(tuple(f"{module}." for module in judged.unlisted)) for each in judged.because)
    if judged.unread and not unsafe:
        what = "can't be read to its end, so what it runs is not known"
        hint = "save the model anew; gates: {unsafe-pickle: allow} lets every pickle of the project pass"
    elif judged.embedded and not unsafe:
        what = "may run what is not read here"
    elif judged.unlisted and enough:
        hint = f"if you trust these modules: gates: {{allow: [{', '.join(judged.unlisted[:MAX_SHOWN])}]}}"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    inner = show(judged.inner.encode("utf-8", "backslashreplace"))
    return SourceError(
        f"{f'{inner} in it' if inner else 'it'} {'' if judged.embedded else 'is a pickle that '}{what}",
        where=file.where,
        why=f"{', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint=hint,
    )
