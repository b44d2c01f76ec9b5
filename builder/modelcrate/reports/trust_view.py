"""What is known of an image's contents and by whom: packages with licences, the pickle gate's verdicts, what is beside the image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from modelcrate.project.byte_sizes import format_size
from modelcrate.reports.facts import BesideFacts, ImageFacts, ModelFileFacts, PackageFacts
from modelcrate.reports.markup import Markup, join, size, table, tag
from modelcrate.resolve.cuda import is_cuda
from modelcrate.security.sbom.licences import ids

MAX_PACKAGES = 200
"""Packages that are listed, those without which most would vanish."""

SHOWN_PACKAGES = 15
"""Packages that are shown at once; the others unfold."""

MAX_FILES = 60
"""Files of models that are listed, the largest."""

MAX_LICENCES = 24
"""Licences that are listed, those of most packages."""

_VERDICTS = {
    "safe": ("good", "safe", "what its pickles name is known, and does no harm"),
    "unknown": ("doubt", "unknown", "its pickles name functions that are not on the list of harmless ones"),
    "unsafe": ("bad", "unsafe", "its pickles name functions that can do harm"),
    "damaged": ("bad", "damaged", "it can't be read to its end"),
}


def trust(facts: ImageFacts) -> Markup:
    """Returns the tables, each with a sentence that says what it means."""
    return join(
        tag("ul", *(tag("li", *each) for each in _findings(facts)), cls="findings"),
        _beside(facts.beside),
        _models(facts.models),
        _licences(facts.packages),
        _packages(facts.packages),
    )


def _findings(facts: ImageFacts) -> Iterator[tuple[str, ...]]:
    """Yields the findings, worst first within each kind, with a word that says how bad each is."""
    verdicts = Counter(each.verdict for each in facts.models if each.verdict)
    for name, (level, word, what) in _VERDICTS.items():
        if verdicts[name]:
            files = f"{verdicts[name]} file{'s' * (verdicts[name] > 1)} of models"
            yield _mark(level), f"{files}: the pickle gate says {word}: {what}"
    if facts.models and not verdicts:
        yield _mark("good"), "no file of a model has a pickle in it"
    if facts.beside is None:
        yield _mark("doubt"), "it was not looked whether signatures are beside the image"
    else:
        signed = any(each.what == "signature" for each in facts.beside)
        says = (
            "a signature is beside the image; this page has not verified it" if signed else "no signature is beside it"
        )
        yield _mark("doubt"), says
        kinds = ("bill of materials", "provenance", "golden requests")
        for kind in kinds:
            there = any(each.what.startswith(kind) for each in facts.beside)
            yield _mark("good" if there else "none"), f"{kind}: {'beside the image' if there else 'none beside it'}"
    unnamed = sum(not each.licence for each in facts.packages)
    if unnamed:
        yield _mark("doubt"), f"{unnamed} of {len(facts.packages)} packages name no licence"
    cuda = [each for each in facts.packages if is_cuda(each.name)]
    if cuda:
        total = format_size(sum(each.size for each in cuda))
        yield _mark("none"), f"{len(cuda)} packages of CUDA, {total}, for computers with a GPU"
    for note in facts.notes:
        yield _mark("doubt"), note


def _mark(level: str) -> Markup:
    sign, words = {"good": ("✓", "good"), "doubt": ("?", "to know"), "bad": ("!", "bad"), "none": ("–", "none")}[level]
    return tag("span", sign, cls=f"mark m-{level}", role="img", aria_label=words)


def _beside(beside: Sequence[BesideFacts] | None) -> Markup:
    if not beside:
        return Markup("")
    rows = [tag("tr", tag("td", each.what), tag("td", each.says, cls="words")) for each in beside]
    return table("Beside the image", ("what", "what it says"), rows)


def _models(models: Sequence[ModelFileFacts]) -> Markup:
    if not models:
        return Markup("")
    shown = sorted(models, key=lambda each: (-each.size, each.path))
    rows = [
        tag(
            "tr",
            tag("td", each.path, cls="path"),
            tag("td", each.format or "unknown"),
            size(each.size),
            tag("td", each.says, cls="words"),
            tag("td", *([tag("span", each.verdict, cls=f"badge v-{each.verdict}")] if each.verdict else ["none"])),
            tag("td", each.licence),
        )
        for each in shown[:MAX_FILES]
    ]
    head = ("file of a model", "format", "size", "its header says", "pickles", "licence")
    return join(table("Models", head, rows, numbers=(2,)), _rest(len(shown) - MAX_FILES, "files of models"))


def _licences(packages: Sequence[PackageFacts]) -> Markup:
    if not packages:
        return Markup("")
    counts = Counter(name for each in packages for name in dict.fromkeys(ids(each.licence)) or ["none named"])
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    items = [tag("li", tag("b", str(count)), f" {name}") for name, count in ordered[:MAX_LICENCES]]
    more = len(ordered) - MAX_LICENCES
    return join(
        tag("h3", "Licences, by the number of packages that name them"),
        tag("ul", *items, *([tag("li", f"and {more} more")] if more > 0 else []), cls="chips"),
    )


def _packages(packages: Sequence[PackageFacts]) -> Markup:
    if not packages:
        return tag("p", "No packages were found.", cls="faint")
    shown = sorted(packages, key=lambda each: (-each.added, -each.size, each.name))
    rows = [
        tag(
            "tr",
            tag("td", f"{each.name} {each.version}"),
            tag("td", each.kind),
            tag("td", each.licence or "none named", cls=None if each.licence else "faint"),
            size(each.size),
            size(each.added),
            tag("td", each.vanishes_with),
        )
        for each in shown[:MAX_PACKAGES]
    ]
    head = ("package", "kind", "licence", "its own", "added", "only there for")
    first = table("Packages, by what would vanish without them", head, rows[:SHOWN_PACKAGES], numbers=(3, 4))
    rest = rows[SHOWN_PACKAGES:]
    if not rest:
        return first
    more = table("The other packages", head, rest, numbers=(3, 4))
    left = _rest(len(shown) - MAX_PACKAGES, "packages", "; modelcrate sbom IMAGE lists all")
    return join(first, tag("details", tag("summary", f"{len(shown) - SHOWN_PACKAGES} more packages"), more, left))


def _rest(number: int, what: str, way: str = "") -> Markup:
    return tag("p", f"{number} more {what} are not listed{way}.", cls="faint") if number > 0 else Markup("")
