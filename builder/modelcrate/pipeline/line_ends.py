"""Files that Git has written with Windows' line ends: they are other bytes than elsewhere, so the image is another one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from modelcrate_layers import host
from modelcrate_layers.tar.checkout import read_checkout
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry

SHOWN = 3
"""Files that are named."""


def line_end_notices(folder: Path, entries: Iterable[Entry]) -> Iterator[str]:
    """Yields a sentence about files of an image that have other line ends here than in the repository that a folder belongs to.

    Where that can't be asked, for Git is missing, that is the sentence.
    """
    checkout = read_checkout(str(folder))
    if checkout.unknown:
        yield (
            "Git was not found, which knows the programs and links of this checkout, so the image may not be that of other machines: "
            "install Git, or name its folder in PATH"
        )
    changed = {os.path.abspath(each) for each in checkout.changed}
    found = [
        host.inner_path(each.source.path, folder)
        for each in entries
        if isinstance(each.source, FileRange) and os.path.abspath(each.source.path) in changed
    ]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        have = "have" if len(found) > 1 else "has"
        yield (
            f"{', '.join(found[:SHOWN])}{more} {have} other line ends here than in Git, so the image is not that of other machines: "
            "write `* -text` into .gitattributes, and check the files out again"
        )
