"""Which wheels share a layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.wheels import wheel_layers
from modelcrate_layers.packages.grouping import HEAVY
from modelcrate_layers.packages.wheel import Wheel


def pin(name: str, size: int) -> Wheel:
    return Wheel(name, "1.0", f"{name}-1.0-py3-none-any.whl", name.encode().hex().zfill(64)[:64], size, "")


def test_heavy_wheels_go_alone_and_the_tail_together() -> None:
    layers = wheel_layers([pin("b", HEAVY), pin("tiny", 5), pin("a", HEAVY * 9), pin("small", HEAVY - 1)], "3.11")
    assert [[each.name for each in layer.wheels] for layer in layers] == [["a"], ["b"], ["small", "tiny"]]


def test_no_wheels_make_no_layers() -> None:
    assert wheel_layers([], "3.11") == ()


def test_over_the_budget_the_lightest_of_the_heavy_join_the_tail() -> None:
    heavy = [pin(f"h{n}", HEAVY + n) for n in range(5)]
    names = [[each.name for each in layer.wheels] for layer in wheel_layers([*heavy, pin("t", 1)], "3.11", budget=3)]
    assert names == [["h3"], ["h4"], ["h0", "h1", "h2", "t"]]
    assert len(wheel_layers(heavy, "3.11", budget=5)) == 5


def test_where_all_are_heavy_the_lightest_share_what_is_left_of_the_budget() -> None:
    wheels = [pin(f"w{n}", n + 1) for n in range(5)]
    names = [[each.name for each in layer.wheels] for layer in wheel_layers(wheels, "3.11", budget=4, heavy=0)]
    assert names == [["w2"], ["w3"], ["w4"], ["w0", "w1"]]
    alone = wheel_layers(wheels, "3.11", budget=5, heavy=0)
    assert [len(layer.wheels) for layer in alone] == [1] * 5
    assert {each.key() for each in alone} >= {wheel_layers([each], "3.11")[0].key() for each in wheels}


def test_a_budget_has_room_for_one_layer() -> None:
    assert len(wheel_layers([pin("a", HEAVY), pin("b", 1)], "3.11", budget=1)) == 1
    with pytest.raises(UserError):
        wheel_layers([], "3.11", budget=0)


sizes = st.lists(st.integers(1, 3 * HEAVY), min_size=1, max_size=40)


@given(sizes, st.integers(1, 30), st.randoms())
def test_every_wheel_is_in_one_layer_and_order_decides_nothing(
    given_sizes: list[int], budget: int, random: object
) -> None:
    wheels = [pin(f"w{n}", size) for n, size in enumerate(given_sizes)]
    layers = wheel_layers(wheels, "3.11", budget=budget)
    assert sorted(each.name for layer in layers for each in layer.wheels) == sorted(each.name for each in wheels)
    assert len(layers) <= budget
    random.shuffle(wheels)
    assert wheel_layers(wheels, "3.11", budget=budget) == layers


@given(sizes, st.integers(1, HEAVY - 1))
def test_one_more_small_wheel_changes_one_layer(given_sizes: list[int], size: int) -> None:
    wheels = [pin(f"w{n}", each) for n, each in enumerate(given_sizes[:20])]
    before = {layer.key() for layer in wheel_layers(wheels, "3.11")}
    after = {layer.key() for layer in wheel_layers([*wheels, pin("new", size)], "3.11")}
    assert len(after - before) == 1
    assert len(before - after) <= 1


def test_two_gibibytes_of_wheels_are_cut_beyond_the_budget_and_less_is_not() -> None:
    layers = wheel_layers([pin("torch", 5 << 30), pin("numpy", HEAVY), pin("a", 2 << 30)], "3.11", budget=3)
    assert [(each.wheels[0].name, each.part, each.parts) for each in layers] == [
        ("a", 0, 1), ("numpy", 0, 1), ("torch", 0, 3), ("torch", 1, 3), ("torch", 2, 3)
    ]  # fmt: skip
