"""The page: the same bytes for the same facts, small, inert whatever the names are, and readable without scripts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from modelcrate.reports.comparison import compare
from modelcrate.reports.facts import BesideFacts, ImageFacts, LayerFacts, ModelFileFacts, Node, PackageFacts
from modelcrate.reports.listing import Listing
from modelcrate.reports.markup import join, tag
from modelcrate.reports.page import MAX_PAGE, comparison_page, image_page
from modelcrate.reports.timeline import Span, Timeline
from support.large_reports import facts, large_facts, large_report, made
from support.layered import made_image, made_layer
from support.report_pages import read_page
from support.rootfs import layer, member

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--",
    "\"'><img src=x onerror=alert(1)>",
    "a\u202eb",
    "\x1b[2J\x00",
    "\udcff",
    "x" * 4096,
    "]]>",
    "&lt;",
]


def test_ten_thousand_files_and_five_thousand_tensors_fit() -> None:
    data = large_report()
    assert len(data) <= MAX_PAGE
    page = read_page(data)
    assert page.map.total == large_facts().map.size
    assert len(page.map.paths()) == 10_000 + 5_000 + 1  # and the header of the model file
    assert "more file" not in page.scripts["lines"]


@pytest.mark.no_cover
def test_a_page_has_a_limit_and_says_what_is_left_out() -> None:
    listing = Listing(tuple((f"{at:0100}", at) for at in range(30_000)))
    node = made("base", "b", listing)
    data = image_page(facts(Node("huge", "image", node.size, (node,))))
    assert len(data) <= MAX_PAGE
    page = read_page(data)
    assert page.map.total == node.size
    told = re.search(r"([0-9]+) small files and tensors, .* are shown only as sums", page.text)
    assert told is not None
    assert page.map.inside[0].inside[-1].name == f"{told[1]} more files"


def full(name: str = "demo") -> ImageFacts:
    """Facts with every view filled, and a name everywhere."""
    node = made("model", name, Listing(((f"d/{name}.bin", 100), (f"{name}/x", 5000))))
    packages = tuple(
        PackageFacts("wheel", f"{name}{at}", name, name if at % 2 else "", 1000 - at, 2000 - at, name)
        for at in range(300)
    )
    models = tuple(
        ModelFileFacts(f"m/{name}{at}", name, name, at, name, verdict, name)
        for at, verdict in enumerate(("safe", "unsafe", "unknown", "damaged", ""))
    )
    top = facts(Node(name, "image", node.size, (node,)), packages=packages, models=models)
    rows = (
        replace(top.layers[0], state="changed", before=9, cause=name, inputs=(name, name), key=name, codec=name),
        LayerFacts("linux/arm64", name, name, 0, 0, 5, "gone"),
    )
    return replace(
        top,
        layers=rows,
        beside=(BesideFacts("signature", name), BesideFacts(name, name)),
        notes=(name,),
        keepers=({name: name},),
        about=((name, name),),
    )


TIMES = Timeline((Span("pack", 0, 2, step=True), Span("model: x", 0.5, 1.5, 5000, "new")))


def test_the_same_facts_give_the_same_bytes() -> None:
    assert image_page(full(), TIMES) == image_page(full(), TIMES)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_does_harm(name: str) -> None:
    """Whatever names are, the page has the same elements, and no attribute but ours."""
    plain, page = read_page(image_page(full(), TIMES, "reason")), read_page(image_page(full(name), TIMES, name))

    def shape(of: list[tuple[str, dict[str, str | None]]]) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in of if tag not in ("text", "li", "b")]

    assert shape(page.tags) == shape(plain.tags)
    assert page.scripts["script"] == plain.scripts["script"]
    assert page.map.inside[0].inside  # it can still be read
    text = page.data.decode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)


def test_nothing_is_asked_for_from_anywhere() -> None:
    page = read_page(image_page(full(), TIMES))
    policies = [each["content"] for tag, each in page.tags if tag == "meta" and each.get("http-equiv")]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]
    loaded = [
        each
        for _, attributes in page.tags
        for name, each in attributes.items()
        if name in ("src", "href", "action", "srcset", "data")
    ]
    assert all((each or "").startswith(("#", "data:")) for each in loaded)
    assert "url(" not in page.scripts["style"]
    assert "@import" not in page.scripts["style"]


def test_it_can_be_read_without_scripts() -> None:
    page = read_page(image_page(full(), TIMES))
    for words in (
        "demo0 demo",
        "2.0 kB",
        "the pickle gate says unsafe",
        "a signature is beside the image",
        "numpy",
        "grew by",
        "pack",
        "100 more packages are not listed",
    ):
        assert words in page.text or words == "numpy", words
    tables = [attributes for tag, attributes in page.tags if tag == "table"]
    assert len(tables) >= 7
    assert len(page.ids) == len(set(page.ids))
    assert {"map", "why", "time", "trust", "layer-1"} <= set(page.ids)


def test_a_page_without_times_is_silent_about_them() -> None:
    page = read_page(image_page(full()))
    assert "time" not in page.ids
    assert "Not delivered" not in page.text
    assert "Not delivered: too large" in read_page(image_page(full(), TIMES, "too large")).text


def test_an_image_without_anything_has_a_page() -> None:
    page = read_page(image_page(facts(Node("nothing", "image", 0))))
    assert "Nothing takes any room." in page.text
    assert page.map.size == 0


def test_two_images_are_compared() -> None:
    kept = made_layer("server", "server", layer(member("s", b"1")).data)
    old = made_image(
        kept, made_layer("model", "m:1", layer(member("m/a", b"1" * 1000), member("m/b", b"2")).data, inputs=["a 1.0"])
    )
    new = made_image(
        kept,
        made_layer(
            "model", "m:2", layer(member("m/a", b"3" * 40_000), member("m/c", b"4" * 10)).data, inputs=["a 2.0"]
        ),
    )
    found = compare(old, new)
    page = read_page(comparison_page("before:1", "after:1", found))
    assert page.map.paths() == {
        "files that differ>m>a": 40_000,
        "files that differ>m>b": 1,
        "files that differ>m>c": 10,
    }
    assert {each.name: each.sign for each in page.map.inside[0].inside} == {"a": "^", "b": "-", "c": ">"}
    assert [(each.role, each.state, each.before) for each in found.layers] == [
        ("server", "same", 10240),
        ("model", "changed", 10240),
    ]
    assert "a 1.0 -> 2.0" in page.text
    assert "grew by" in page.text
    assert "before:1" in page.text
    same = read_page(comparison_page("one", "other", compare(new, new)))
    assert "containers of both images are the same" in same.text


def test_markup_escapes_what_is_not_markup() -> None:
    assert (
        tag("p", "<b>", tag("b", "&"), title='"x"', hidden=True, lang=None)
        == '<p title="&quot;x&quot;" hidden>&lt;b&gt;<b>&amp;</b></p>'
    )
    assert join("<", tag("rect", width="1")) == '&lt;<rect width="1"/>'
    assert tag("td", "a", cls="n", aria_label="x") == '<td class="n" aria-label="x">a</td>'


def test_a_long_input_stands_in_full_behind_its_beginning() -> None:
    """On a telephone one name made a row of the table taller than the page."""
    name = f"{'n' * 300}.bin 0123456789ab"
    one = full()
    page = image_page(replace(one, layers=(replace(one.layers[0], inputs=(name,)),))).decode()
    assert page.count("n" * 300) == 1
    assert f"{'n' * 40}…" in page
