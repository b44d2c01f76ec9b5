"""The pages of the documentation, for messages: they come with modelcrate, so that a message leads somewhere without a network, too."""

from __future__ import annotations

from pathlib import Path

SITE = "https://docs.modelcrate.example/"
"""What identifies the documentation and the schema: the `site_url` of mkdocs.yml. Messages name files instead, which are there."""

_INSTALLED = Path(__file__).parents[1] / "docs"
_PAGES = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[3] / "docs"  # of a checkout


def page(name: str) -> str:
    """Returns the file with a page of the documentation, by its path below docs/ without the ending, such as `entry-script`."""
    return str(_PAGES / f"{name}.md")
