"""The gates before a build: unsafe pickles, damaged model files, secrets. They stand before anything is fetched.

A finding is refused or warned about, as `gates:` in the project says. By default unknown names in pickles are warned about; what runs code,
what can't be read to its end, secrets and damaged headers are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from os.path import splitext
from pathlib import Path
from typing import TYPE_CHECKING

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

_TEXTS = frozenset(
    f".{each}"
    for each in [
        "py",
        "pyi",
        "pyx",
        "pxd",
        "md",
        "rst",
        "txt",
        "json",
        "jsonl",
        "ndjson",
        "yaml",
        "yml",
        "toml",
        "cfg",
        "ini",
        "conf",
        "csv",
        "tsv",
        "html",
        "htm",
        "css",
        "js",
        "mjs",
        "ts",
        "tsx",
        "jsx",
        "xml",
        "svg",
        "sql",
        "sh",
        "bash",
        "bat",
        "ps1",
        "ipynb",
        "lock",
        "in",
        "typed",
        "c",
        "h",
        "cc",
        "cpp",
        "hpp",
        "cu",
        "cuh",
        "rs",
        "go",
        "java",
        "r",
        "jl",
        "proto",
        "tex",
        "log",
        "po",
        "env",
        "gitignore",
        "dockerignore",
        "editorconfig",
        "j2",
        "jinja",
        "tmpl",
    ]
)
"""Endings of texts. In a source folder such a file is only searched for secrets, if it begins as a text, too."""

TOGETHER = 1 << 20
"""Bytes of small files that are searched together: one search of many files costs less than many searches."""


def check_part(part: ScanPart, gates: Gates, folder: Path) -> Findings:
    """Reads every file of a part; nothing of it is loaded or run. `folder` is the project's."""
    refused: list[CrateError] = []
    warned: list[str] = []
    check = _PartCheck(gates, part.model, {})
    for fault, setting in check.findings(part.files):
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
    """The checks of the files of one part, which is a `model` or not. `facts` collects the facts in the models' files."""

    gates: Gates
    model: bool
    facts: dict[FileRange, ModelFacts]

    def findings(self, files: Iterable[GatedFiles]) -> Iterator[tuple[CrateError, str]]:
        """Yields what is wrong with the files, in their order, and the setting that counts. A small file is read once, for all gates."""
        for batch in _batches(files):
            large = batch[0].source.size > MAX_BYTES
            yield from self._large(batch[0]) if large else self._small([(each, read(each.source)) for each in batch])

    def _small(self, files: Sequence[tuple[GatedFiles, bytes]]) -> Iterator[tuple[CrateError, str]]:
        searched = self.gates.secrets != "allow"
        suspect = may_have_secrets([(file.name, data) for file, data in files]) if searched else frozenset()
        for at, (file, data) in enumerate(files):
            if at in suspect:
                yield from self._secrets(file, data)
            if self._is_read(file, data):
                from modelcrate.modelfiles.recognition import facts_at_hand

                yield from self._facts(file, facts_at_hand(data, file.name, self.gates.allow))

    def _large(self, file: GatedFiles) -> Iterator[tuple[CrateError, str]]:
        try:
            with open(file.path, "rb") as handle:
                head = handle.read(HEAD)
                if self.gates.secrets != "allow":
                    yield from self._secrets(file, head)
                if self._is_read(file, head):
                    from modelcrate.modelfiles.recognition import facts_of

                    handle.seek(0)
                    yield from self._facts(file, facts_of(handle, file.name, file.source.size, self.gates.allow))
        except OSError as fault:
            raise SourceError(f"can't be read: {fault.strerror or fault}", where=file.where) from None

    def _is_read(self, file: GatedFiles, data: bytes) -> bool:
        """Whether the readers look into a file: into any of a model's, and of others into all but texts that are named as such.

        The readers are imported then. That takes a while, and a script needs none.
        """
        return self.model or splitext(file.name)[1].lower() not in _TEXTS or _is_binary(data)

    def _secrets(self, file: GatedFiles, data: bytes) -> Iterator[tuple[CrateError, str]]:
        for secret in secrets_in(file.name, data):
            yield _secret(file, secret), "warn" if secret.warns else self.gates.secrets

    def _facts(self, file: GatedFiles, found: ModelFacts) -> Iterator[tuple[CrateError, str]]:
        """Yields a damaged header, and the findings in pickles and other code."""
        if found.fault:
            yield SourceError(f"{file.name} is damaged: it {found.fault}", where=file.where), "refuse"
        if found.pickles:
            yield from self._pickles(file, found)
        if not (found.pickles and self.gates.allow):  # what one project allows is no fact about the file
            self.facts[file.source] = found

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


def _is_binary(data: bytes) -> bool:
    """Whether a file is no text, by its first bytes: it has a NUL, or begins with what no UTF-8 begins with, as pickles do."""
    return b"\0" in data[:HEAD] or b"\x80" <= data[:1] < b"\xc2"


def _batches(files: Iterable[GatedFiles]) -> Iterator[list[GatedFiles]]:
    """Yields files that are searched together, in their order: small ones, or a large one by itself."""
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
    elif judged.unlisted and enough:
        hint = f"if you trust these modules: gates: {{allow: [{', '.join(judged.unlisted[:MAX_SHOWN])}]}}"
    more = f" and {len(judged.because) - MAX_SHOWN} more" if len(judged.because) > MAX_SHOWN else ""
    return SourceError(
        f"{f'{judged.inner} in it' if judged.inner else 'it'} {'' if judged.embedded else 'is a pickle that '}{what}",
        where=file.where,
        why=f"{', '.join(judged.because[:MAX_SHOWN])}{more}",
        hint=hint,
    )
