"""What the names in a part tell, before a byte is read: links to nothing, pointers of tools that keep large files elsewhere, a repository in a model."""

from __future__ import annotations

import os
from collections.abc import Iterator

from modelcrate.project.ignore_rules import OURS
from modelcrate.security.scan.parts import ScanPart
from modelcrate_layers.errors import CrateError, SourceError
from modelcrate_layers.tar.tree import Kind, show

_ANNEX = ".git/annex/objects/"
"""Where the links of git-annex lead to."""


def check_names(part: ScanPart) -> Iterator[tuple[CrateError, str]]:
    """Yields what the names tell, and whether to `refuse` it or to `warn`."""
    yield from _links(part)
    if part.model:
        yield from _dvc(part)
        yield from _whole_model(part)


def _links(part: ScanPart) -> Iterator[tuple[CrateError, str]]:
    if not (ends := part.link_ends()):
        return
    there = {os.fsdecode(each.path) for each in part.entries}
    targets = {os.fsdecode(each.path): os.fsdecode(each.link) for each in part.entries}
    for path in [path for path, end in ends.items() if end not in there]:
        if _ANNEX in targets[path]:
            what, hint = "is a link of git-annex, and not the file itself", "fetch it with `git annex get`"
            yield SourceError(what, where=_place(part, path), hint=hint), "refuse" if part.model else "warn"
        else:
            yield SourceError(f"is a link to {targets[path]!r}, which is not there", where=_place(part, path)), "warn"


def _dvc(part: ScanPart) -> Iterator[tuple[CrateError, str]]:
    there = {each.path for each in part.entries}
    for path in sorted(there):
        if path.endswith(b".dvc") and path[: -len(b".dvc")] not in there and not path.endswith(b"/.dvc"):
            name = show(path.rpartition(b"/")[2][: -len(b".dvc")])
            what = f"is a pointer of DVC, and {name} is not beside it"
            yield SourceError(what, where=_place(part, os.fsdecode(path)), hint="fetch it with `dvc pull`"), "warn"


def _whole_model(part: ScanPart) -> Iterator[tuple[CrateError, str]]:
    files = [each for each in part.entries if each.kind is Kind.FILE]
    if not files:
        yield SourceError("is a model without any file", where=str(part.top)), "warn"
    history = [each for each in files if b"/.git/" in each.path]
    if history:
        what = f"has a Git repository in it, whose {sum(each.size for each in history) / 1e6:.1f} MB go into the image"
        yield SourceError(what, where=str(part.top), hint=f"leave it out: write .git/ into {OURS}"), "warn"


def _place(part: ScanPart, path: str) -> str:
    return f"{part.top}{show(os.fsencode(path)[len(part.above) :])}"
