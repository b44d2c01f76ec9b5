"""Which input decided a layer, from annotations alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelcrate.inspect.explain import (
    Explanation,
    compare_inputs,
    describe_changes,
    explain,
    find_counterpart,
    grown,
)
from modelcrate_layers.content import Literal, MediaType
from support.layered import made_image, made_layer


def test_without_an_older_image_each_layer_says_what_it_is_made_of() -> None:
    layer = made_layer("dependencies", "numpy 2.4.6", b"1", inputs=["a 1.0", "b 2.0", "c 3.0", "d 4.0"])
    assert explain(None, made_image(layer)) == [
        Explanation("dependencies", "numpy 2.4.6", "layer", "a 1.0, b 2.0, c 3.0 and 1 more")
    ]


def test_a_layer_is_the_same_changed_new_or_gone() -> None:
    old = made_image(
        made_layer("server", "server", b"server"),
        made_layer("dependencies", "joblib 1.5.3", b"j1", inputs=["joblib 1.5.3"]),
        made_layer("dependencies", "scipy 1.17", b"s1", inputs=["scipy 1.17"]),
    )
    new = made_image(
        made_layer("server", "server", b"server"),
        made_layer("dependencies", "joblib 1.6.0", b"j2", inputs=["joblib 1.6.0"]),
        made_layer("model", "rose:1", b"m", inputs=["rose.pkl 00ff00ff00ff"]),
    )
    assert explain(old, new) == [
        Explanation("server", "server", "same"),
        Explanation("dependencies", "joblib 1.6.0", "changed", "joblib 1.5.3 -> 1.6.0"),
        Explanation("model", "rose:1", "new", "rose.pkl 00ff00ff00ff"),
        Explanation("dependencies", "scipy 1.17", "gone", "scipy 1.17"),
    ]


def test_other_bytes_of_the_same_inputs_have_another_cause() -> None:
    (only,) = explain(
        made_image(made_layer("entry", "score.py", b"1", inputs=["score.py 00ff00ff00ff"])),
        made_image(made_layer("entry", "score.py", b"2", inputs=["score.py 00ff00ff00ff"])),
    )
    assert only.state == "changed"
    assert "packing" in only.cause


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (["joblib 1.5.3"], ["joblib 1.6.0"], ["joblib 1.5.3 -> 1.6.0"]),
        (["src/score.py 9f86d081884c"], ["src/score.py 00ff00ff00ff"], ["src/score.py changed"]),
        (["model.bin 100 bytes"], ["model.bin 200 bytes"], ["model.bin changed"]),
        ([], ["onnx 1.2"], ["+ onnx 1.2"]),
        ([], ["score.py 9f86d081884c"], ["+ score.py"]),
        (["onnx 1.2"], [], ["- onnx 1.2"]),
        (["score.py 9f86d081884c"], [], ["- score.py"]),
        (["a 1.0", "b 1.0"], ["b 1.0", "a 1.0"], []),
        (["b 1.0", "a 1.0"], ["b 2.0", "a 2.0"], ["a 1.0 -> 2.0", "b 1.0 -> 2.0"]),
    ],
)
def test_inputs_are_compared_word_by_word(old: list[str], new: list[str], changes: list[str]) -> None:
    assert list(compare_inputs(old, new)) == changes


def test_a_few_changes_are_named_and_the_others_counted() -> None:
    before = made_layer("dependencies", "many", b"1", inputs=[f"p{n} 1.0" for n in range(5)])
    now = [f"p{n} 2.0" for n in range(5)]
    assert describe_changes(before, now) == "p0 1.0 -> 2.0, p1 1.0 -> 2.0, p2 1.0 -> 2.0 and 2 more"
    assert describe_changes(before, before.layer.inputs) == ""
    assert describe_changes(None, now) == ""


def test_a_counterpart_has_the_role_and_the_name_without_its_version() -> None:
    one = made_layer("dependencies", "numpy 2.4.6 part 1", b"1")
    two = made_layer("dependencies", "numpy 2.4.6 part 2", b"2")
    model = made_layer("model", "rose:1", b"3")
    image = made_image(one, two, model)
    assert find_counterpart("dependencies", "numpy 2.5.0 part 2", image) is two
    assert find_counterpart("dependencies", "scipy 1.0", image) is None
    assert find_counterpart("model", "tulip:9", image) is model, "the only one of its role"
    assert find_counterpart("entry", "score.py", image) is None


def test_growth_is_that_of_stored_bytes_and_no_layer_is_the_measure_of_two() -> None:
    old = made_image(
        made_layer("server", "server", b"server"),
        made_layer("dependencies", "joblib 1.5.3", b"j" * 10),
        made_layer("model", "rose:1", b"m" * 9),
    )
    new = made_image(
        made_layer("server", "server", b"server"),
        made_layer("dependencies", "joblib 1.6.0", b"j" * 25),
        made_layer("dependencies", "scipy 1.17", b"s" * 7),
        made_layer("model", "rose:2", b"n" * 4),
    )
    assert [(layer.name, growth) for layer, growth in grown(old, new)] == [
        ("joblib 1.6.0", 15),
        ("scipy 1.17", 7),
        ("rose:2", -5),
    ]


def test_one_layer_is_the_counterpart_of_one() -> None:
    """A tail of wheels that was split: one of the two is the earlier one, and what it is told to be made of comes from there."""
    old = made_image(made_layer("dependencies", "tail", b"1", inputs=["a 1.0", "b 1.0"]))
    new = made_image(
        made_layer("dependencies", "b 2.0", b"2", inputs=["b 2.0"]),
        made_layer("dependencies", "tail", b"3", inputs=["a 2.0"]),
    )
    assert explain(old, new) == [
        Explanation("dependencies", "b 2.0", "new", "b 2.0"),
        Explanation("dependencies", "tail", "changed", "a 1.0 -> 2.0, - b 1.0"),
    ]
    assert [(layer.name, growth) for layer, growth in grown(old, new)] == [("b 2.0", 1), ("tail", 0)]


def test_what_remains_of_a_role_alone_is_a_counterpart() -> None:
    old = made_image(
        made_layer("base", "debian bookworm", b"d" * 9),
        made_layer("model", "a:1", b"a"),
        made_layer("model", "b:1", b"b"),
    )
    new = made_image(
        made_layer("base", "ubuntu noble", b"u" * 12),
        made_layer("model", "c:1", b"cc"),
        made_layer("model", "d:1", b"dd"),
    )
    assert [growth for _, growth in grown(old, new)] == [3, 2, 2]
    assert list(grown(new, new)) == []


def test_a_layer_of_the_same_content_has_grown_by_what_its_codec_costs() -> None:
    plain = made_layer("model", "rose:1", b"m" * 5000)
    packed = replace(plain.layer, descriptor=Literal(b"packed", MediaType.LAYER).descriptor)
    small = replace(plain, layer=packed)
    same = made_layer("server", "server", b"server")
    (found,) = grown(made_image(same, small), made_image(same, plain))
    assert (found[0].name, found[1]) == ("rose:1", 5000 - 6)
    assert list(grown(made_image(same, plain), made_image(same, plain))) == []
