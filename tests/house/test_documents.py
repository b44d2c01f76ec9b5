"""The pages that people read are true: made from the code where they can be, and naming only what exists."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelcrate.project import pages
from modelcrate.project.pages import SITE
from support.sources import tool

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / name / "README.md" for name in ("builder", "layers"))]
)


def test_reference_pages_equal_the_code() -> None:
    for name, text in tool("write_reference").pages().items():
        assert (ROOT / "docs" / "reference" / name).read_text() == text, f"docs/reference/{name} is old: make docs"


def test_the_page_for_programs_equals_the_pages() -> None:
    text = (ROOT / "llms.txt").read_text()
    assert text == tool("write_llms").text(), "llms.txt is old: make docs"
    named = set(re.findall(rf"\({re.escape(SITE)}([^)]*)\)", text))
    there = {str(page.relative_to(ROOT)).removesuffix(".md").removesuffix("README").rstrip("/") for page in PAGES}
    assert {each.rstrip("/") for each in named} <= there
    assert len(named) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_pages_that_messages_name_are_there() -> None:
    named = {
        name
        for file in (ROOT / "builder").rglob("*.py")
        for name in re.findall(r"""\bpage\(['"]([a-z0-9/-]+)['"]\)""", file.read_text())
    }
    assert len(named) > 6
    assert [name for name in named if not Path(pages.page(name)).is_file()] == []


def test_the_architecture_names_only_what_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    houses = [ROOT, ROOT / "builder" / "modelcrate", ROOT / "layers" / "modelcrate_layers"]
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text))
    assert len(named) > 15
    missing = [name for name in named if not any((house / name).exists() for house in houses)]
    assert not missing


def test_the_changelog_tells_the_policies() -> None:
    from modelcrate_layers.kinds import debian, wheels
    from modelcrate_layers.tar import writer

    told = (ROOT / "CHANGELOG.md").read_text().partition("### Digests")[2]
    assert f"tar policy {writer.POLICY}" in told
    assert f"wheel policy {wheels.POLICY}" in told
    assert f"Debian policy {debian.POLICY}" in told


def test_every_page_is_in_the_websites_navigation() -> None:
    """`make site` refuses a page that is missing; this says so before."""

    def listed(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for each in entry if isinstance(entry, list) else entry.values():
                yield from listed(each)

    navigation = set(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert navigation == {str(page.relative_to(ROOT)) for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]}


def test_what_the_readme_prints_a_tutorial_prints() -> None:
    """Each of its blocks is lines of one tutorial, in their order, with shorter digests. So a test types them (tests/e2e/test_tutorials.py)."""

    def shortened(text: str) -> str:
        return re.sub(r"(sha256:[0-9a-f]{6})[0-9a-f]{58}", r"\1...", text)

    pages = (ROOT / "docs" / "tutorials").glob("*.md")
    tutorials = [shortened(page.read_text()).splitlines() for page in pages]
    found = re.findall(r"^```console\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 4

    def told(block: list[str], page: list[str]) -> bool:
        lines = iter(page)
        return all(line in lines for line in block)

    assert [block for block in found if not any(told(block.splitlines(), page) for page in tutorials)] == []


def test_the_figures_that_are_told_are_measured() -> None:
    """Those of README and of the comparison are docs/performance.md's, rounded."""

    def figures(text: str) -> list[tuple[str, str]]:
        return re.findall(r"\b(\d+(?:\.\d+)?) (s|ms|kB|MB)\b", text)

    measured = [(float(number), unit) for number, unit in figures((ROOT / "docs" / "performance.md").read_text())]
    pages = {"README.md": "## How fast", "docs/comparison.md": "## Figures"}
    for page, section in pages.items():
        told = figures((ROOT / page).read_text().partition(section)[2].partition("\n## ")[0])
        assert len(told) > 5
        for number, unit in told:
            exact, place = float(number), 10.0 ** -len(number.partition(".")[2])
            if unit == "ms":
                exact, place, unit = exact / 1000, place / 1000, "s"
            near = [each for each, other in measured if other == unit and abs(each - exact) <= place / 2 + 1e-9]
            assert near, f"{page}: {number} {unit} is not in docs/performance.md"


UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "MB": 10**6}


def _number(text: str) -> int:
    """A limit as the page writes it: 8 MiB, 2^20, 10,000."""
    number, _, unit = text.partition(" ")
    base, _, power = number.replace(",", "").partition("^")
    return int(base) ** int(power or 1) * UNITS.get(unit, 1)


def test_the_limits_that_are_told_are_the_codes() -> None:
    table = (ROOT / "docs" / "security.md").read_text().partition("## Limits")[2]
    told = re.findall(r"^\| [^|]+ \| ([^|]+) \| `([\w.]+)\.([A-Z_]+)` \|$", table, re.MULTILINE)
    assert len(told) > 30
    for limit, module, name in told:
        assert _number(limit) == getattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_addresses_in_messages_are_pages_of_the_website() -> None:
    """Messages name pages through `page`, and each of those is there."""
    site = re.search(r"^site_url: (\S+)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert site is not None
    assert site[1] == SITE
    named = set()
    for path in (ROOT / "builder").rglob("*.py"):
        text = path.read_text()
        named |= set(re.findall(r"""\bpage\(["']([a-z/-]+)["']\)""", text))
        tree = ast.parse(text)
        texts = {each for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
        texts -= {each.value for each in ast.walk(tree) if isinstance(each, ast.Expr)}
        files = [each.value for each in texts if re.search(r"\bdocs/[a-z/-]+\.md", str(each.value))]
        assert files == [], f"{path}: a message names a file that is in no installation"
    assert named
    assert [name for name in sorted(named) if not (ROOT / f"docs/{name}.md").is_file()] == []
