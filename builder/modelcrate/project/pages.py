"""The addresses of the documentation's pages, for messages: who has installed modelcrate has no folder with them."""

from __future__ import annotations

SITE = "https://docs.modelcrate.example/"
"""Where the documentation is: the `site_url` of mkdocs.yml."""


def page(name: str) -> str:
    """Returns the address of a page of the documentation, by its path below docs/ without the ending, such as `entry-script`."""
    return f"{SITE}docs/{name}/"
