"""What one more costs, where there are many: counted, not timed."""

from __future__ import annotations

import cProfile
from pathlib import Path

from modelcrate.config import Config
from modelcrate.pipeline.batch import Order, build_order
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from support.small_projects import write_project
from support.validator import assert_valid_found

CALLS = 13_500
"""Of functions, for one more project with a model and a bill of materials: 12,600 under Python 3.11, and 16,500 before they were counted."""


def test_one_more_project_costs_few_calls(tmp_path: Path) -> None:
    config = Config(tmp_path / "home")
    orders = [_order(tmp_path, number) for number in range(3)]
    assert [build_order(each, config).fault for each in orders[:2]] == ["", ""]
    counted = cProfile.Profile()
    counted.enable()
    last = build_order(orders[2], config)
    counted.disable()
    assert last.fault == ""
    calls = sum(each.callcount for each in counted.getstats())
    assert calls < CALLS
    assert_valid_found(find(f"oci:{tmp_path}/2:x", Connections(config)))


def _order(top: Path, number: int) -> Order:
    folder = write_project(
        top / f"project{number}",
        f"name: p{number}\nbase: scratch\nmodels: [{{path: model, name: model, version: 1}}]\n",
    )
    (folder / "model").mkdir()
    (folder / "model" / "weights.txt").write_text(f"weights {number}\n")
    return Order(folder, (f"oci:{top}/{number}:x",), sbom=True)
