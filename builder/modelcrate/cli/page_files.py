"""Writes a page to the file that an option names, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import counted
from modelcrate.reports.files import write_file

if TYPE_CHECKING:
    from modelcrate.reports.pages import Page


def write_page(page: Page, path: Path, digest: str, console: Console) -> int:
    """Writes a page, and prints where it is and what was fetched for it. Returns the exit code."""
    write_file(path, page.data)
    text = f"written {path}, {format_size(len(page.data))}"
    if page.fetched:
        text += f"; {counted(len(page.fetched), 'layer')}, {format_size(page.fetched_bytes)}, were fetched for it"
    facts = {"digest": digest, "page": str(path), "bytes": len(page.data), "fetched_bytes": page.fetched_bytes}
    console.print_result(facts, text)
    return 0
