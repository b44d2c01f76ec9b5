"""A hook of MkDocs: the website's pages lie as in the repository, the root's beside `docs/`, so links between them work in both places."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()[^)#:]+(?=\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Puts the pages of `docs/` under their path in the repository, and the root's pages beside them.

    Args:
        files: What MkDocs found: the pages of `docs/`, and what its theme and plugins add.
        config: The configuration, mkdocs.yml.

    Returns:
        The files of the website.
    """
    from mkdocs.structure.files import File, Files

    docs = Path(config.docs_dir)
    found = [*ROOT.glob("*.md"), ROOT / "llms.txt"]
    found += [
        Path(each.abs_src_path) for each in files if each.abs_src_path and each.abs_src_path.startswith(str(docs))
    ]
    kept = [each for each in files if not (each.abs_src_path or "").startswith(str(docs))]
    return Files(
        [*kept, *(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)) for path in found)]
    )


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to files of the repository that are no pages to the repository's own website.

    Args:
        markdown: The text of a page.
        page: The page.
        config: The configuration, mkdocs.yml.
        files: The files of the website.

    Returns:
        The text with such links replaced. Links that lead nowhere stay as they are, and strict mode refuses them.
    """
    folder = (ROOT / page.file.src_uri).parent

    def led(link: re.Match[str]) -> str:
        target = (folder / link[0]).resolve()
        if not target.is_relative_to(ROOT) or not target.exists():
            return link[0]
        path = str(target.relative_to(ROOT))
        return link[0] if files.get_file_from_path(path) else f"{str(config.repo_url).rstrip('/')}/blob/main/{path}"

    return LINK.sub(led, markdown)
