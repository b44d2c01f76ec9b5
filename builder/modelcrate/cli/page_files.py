"""Writes pages and traces to the files that options name, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import counted
from modelcrate_layers.atomic import write_file
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.reports.pages import Page


def write(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        MachineError: It can't be written.
    """
    with as_machine_error(path):
        write_file(path, data)


def write_page(page: Page, path: Path, digest: str, console: Console) -> int:
    """Writes a page, and prints where it is and what was fetched for it. Returns the exit code."""
    write(path, page.data)
    text = f"written {path}, {format_size(len(page.data))}"
    if page.fetched:
        text += f"; {counted(len(page.fetched), 'layer')}, {format_size(page.fetched_bytes)}, were fetched for it"
    facts = {"digest": digest, "page": str(path), "bytes": len(page.data), "fetched_bytes": page.fetched_bytes}
    console.print_result(facts, text)
    return 0
