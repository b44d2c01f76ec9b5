"""The map as text: what it says can be read back, it fits where it has to, and no name ends the element that it is in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelcrate.reports.facts import Node
from modelcrate.reports.map_text import MapText, number, write_map
from modelcrate.reports.markup import clean
from support.report_pages import Box, boxes

ROOM = 10_000_000


def folder(name: str, *inside: Node, kind: Any = "folder") -> Node:
    return Node(name, kind, sum(each.size for each in inside), inside)


def file(name: str, size: int) -> Node:
    return Node(name, "file", size)


def read(text: MapText) -> Box:
    return boxes(text.text, {"whats": text.whats, "endings": text.endings})


def same(box: Box, node: Node) -> None:
    assert box.name == clean(node.name)
    assert box.total == node.size
    assert box.what == node.what
    assert box.stored == node.stored
    for one, other in zip(box.inside, node.children, strict=True):
        same(one, other)


NAMES = st.text(max_size=12) | st.sampled_from(
    [
        "__init__.py",
        "__main__.py",
        "a.py",
        "b.py",
        "c.py",
        "</script>",
        "\\",
        "\\l",
        "a.\\b",
        "<!--",
        "x:12",
        "a,1,model",
        "é",
        "𝒳𝒴",
    ]
)
TREES = st.recursive(
    st.builds(file, NAMES, st.integers(0, 10**13)),
    lambda inner: st.builds(lambda name, inside: folder(name, *inside), NAMES, st.lists(inner, min_size=1, max_size=4)),
    max_leaves=20,
)


@given(st.lists(TREES, min_size=1, max_size=4))
def test_what_is_written_is_read_again(trees: list[Node]) -> None:
    root = folder("top", *trees, kind="image")
    text = write_map(root, ROOM)
    assert text.left_out == 0
    assert "<" not in text.text
    same(read(text), root)


def test_layers_have_their_stored_bytes_and_tensors_what_they_are() -> None:
    tensor = Node("weight", "tensor", 64, what="F32 [4, 4]")
    layer = Node("m:1", "layer", 64, (Node("a.safetensors", "file", 64, (tensor,)),), 40, "model")
    root = Node("top", "image", 64, (layer,))
    text = write_map(root, ROOM)
    same(read(text), root)
    assert text.text.splitlines()[1] == f"10m:1#,{number(40)},model"


def test_a_role_that_is_none_of_ours_does_not_get_into_the_text() -> None:
    assert "hostile" not in write_map(Node("top", "image", 1, (Node("x", "layer", 1, (), 1, "hostile,;"),)), ROOM).text


def test_equal_blocks_of_a_model_are_written_once() -> None:
    def block(at: int) -> Node:
        return folder(str(at), *(Node(f"w{each}", "tensor", 1000 + each) for each in range(50)), kind="group")

    root = folder("top", *(block(at) for at in range(100)), kind="image")
    text = write_map(root, ROOM)
    assert len(text.text.splitlines()) == 1 + 100 + 50
    same(read(text), root)


def test_the_smallest_files_are_shown_together_where_there_is_no_room() -> None:
    root = folder(
        "top",
        folder("many", *(file(f"{at:06}-{'x' * 30}", at) for at in range(1, 2001))),
        folder("tiny", *(file(str(at), 1) for at in range(10))),
        kind="image",
    )
    text = write_map(root, 8000)
    assert len(text.text.encode()) <= 8000
    top = read(text)
    assert top.total == root.size
    many, more = top.inside
    assert many.inside[-1].name == f"{2000 - len(many.inside) + 1} more files"
    assert min(each.size for each in many.inside[:-1]) > max(0, 2000 - len(many.inside))
    assert (more.name, more.size) == ("10 more files", 10)
    assert text.left_out == 2010 - len(many.inside) + 1
    assert text.left_out_size == many.inside[-1].size + 10


def test_files_of_one_size_are_left_out_together() -> None:
    root = folder("top", *(file(f"{at:040}", 7) for at in range(500)), kind="image")
    text = write_map(root, 1000)
    assert read(text).inside == [Box("500 more files", "+", 3500)]
    assert (text.left_out, text.left_out_size) == (500, 3500)


def test_numbers_are_in_base_36() -> None:
    assert [number(each) for each in (0, 35, 36, 10**12)] == ["0", "z", "10", number(10**12)]
    assert int(number(10**12), 36) == 10**12


def test_endings_survive_json() -> None:
    root = folder("top", *(file(f"{at}.</script>", at) for at in range(20)), kind="image")
    text = write_map(root, ROOM)
    facts = json.loads(json.dumps({"whats": text.whats, "endings": text.endings}))
    assert "</script>" not in text.text
    assert boxes(text.text, facts).inside[3].name == "3.</script>"
