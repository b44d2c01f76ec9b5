"""Writes llms.txt, the page for programs that read documentation (llmstxt.org): what modelcrate is, how to use it, and every page in a line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "builder"), str(ROOT / "layers")]

from modelcrate.project.pages import SITE  # noqa: E402

HEAD = """\
# modelcrate

> Turns a trained model into a runnable container image, with nothing but Python: no Docker, no daemon, no root, no builder binary. Linux, Python 3.11 or newer.

Use it so:

- `modelcrate init` writes `modelcrate.yaml` for a folder with a model, a script and requirements; `modelcrate check` says whether its image would start.
- `modelcrate build -t NAME` builds into the local store, `modelcrate build --push HOST/REPOSITORY:TAG` into a registry; `--locked` after `modelcrate lock`.
- `modelcrate run -p 8080:5001 NAME` starts an image without a container engine, `modelcrate predict NAME -d JSON` asks it.
- Every command takes `--json`: standard output is then JSON alone. Exit codes say whose fault it was. Errors name the way out.
- An entry script defines `init()` and `run(data)`; models of known frameworks need none. A program of your own: `command: [...]`.
- There are no RUN steps: packages come as wheels, Debian or conda packages. A Dockerfile is not read.
- The project file's JSON schema: SITEdocs/reference/modelcrate.schema.json

"""


def text() -> str:
    """Returns the page."""
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    lines = []
    for entry in navigation:
        ((title, inner),) = entry.items()
        lines += [f"## {title}", "", *_links(inner if isinstance(inner, list) else [entry]), ""]
    return HEAD.replace("SITE", SITE) + "\n".join(lines).rstrip() + "\n"


def _links(entries: list[Any]) -> Iterator[str]:
    """Yields a line for each page of a part of the navigation."""
    for entry in entries:
        inner = next(iter(entry.values())) if isinstance(entry, dict) else entry
        if isinstance(inner, list):
            yield from _links(inner)
            continue
        title, said = _facts((ROOT / inner).read_text())
        yield f"- [{title}]({SITE}{_address(inner)}){f': {said}' if said else ''}"


def _address(path: str) -> str:
    """The address of a page below the site's."""
    plain = path.removesuffix(".md")
    plain = plain.removesuffix("README")
    return plain if not plain or plain.endswith("/") else f"{plain}/"


def _facts(page: str) -> tuple[str, str]:
    """The title of a page, and its first sentence."""
    title = page.partition("\n")[0].removeprefix("# ").strip()
    paragraphs = [each.strip("\n") for each in page.split("\n\n")[1:]]
    told = next((each for each in paragraphs if re.match(r"[A-Z`]", each) and "made from the code" not in each), "")
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(told.split()))
    found = re.match(r"(.+?[.:])(?: |$)", plain)
    return title, (found[1] if found else plain).rstrip(":.")


if __name__ == "__main__":
    (ROOT / "llms.txt").write_text(text(), encoding="utf-8")
