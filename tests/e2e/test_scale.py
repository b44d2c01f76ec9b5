"""What one more costs, where there are many: counted, not timed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.pipeline.batch import Outcome, build_order
from modelcrate.pipeline.order import Order
from modelcrate.pipeline.register_model import Registration, register
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.workspace.opening import open_workspace
from modelcrate_layers.frozen import FEW
from support.calls import count_calls
from support.images import noise
from support.small_projects import wait_until_trusted, write_project
from support.validator import assert_valid_found

CALLS = 14_200
"""Of functions, for one more project with a model and a bill of materials.

Python 3.11 makes 13,750, alone and after other tests. It made 16,500 before they were counted.
"""

SIZE, LITTLE = 48 << 20, 8 << 20
"""Bytes of a model, and how many may be read and written beside it: modules that are imported, documents, records."""


def test_one_more_project_costs_few_calls(tmp_path: Path) -> None:
    config = Config(tmp_path / "home")
    enough = FEW + 1  # after so many a process has made what it makes for later
    orders = [_order(tmp_path, number) for number in range(enough + 1)]
    wait_until_trusted(tmp_path)
    assert {build_order(each, config).fault for each in orders[:-1]} == {""}
    outcomes: list[Outcome] = []
    calls = count_calls(lambda: outcomes.append(build_order(orders[-1], config)))
    assert outcomes[0].fault == ""
    assert calls < CALLS
    assert_valid_found(find(orders[-1].outputs[0], Connections(config)))


def test_a_sparse_model_is_registered_without_moving_its_bytes(tmp_path: Path) -> None:
    """They are hashed: a layer has no other name. But nothing is read for it, or written."""
    with open(tmp_path / "model.bin", "wb") as model:
        model.truncate(SIZE)
    moved = _registered(tmp_path)
    assert moved < LITTLE
    assert sum(each.stat().st_blocks * 512 for each in (tmp_path / "ws").rglob("*")) < LITTLE


def test_an_image_beside_its_registered_model_reads_nothing_of_it(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(noise(SIZE, 1))
    wait_until_trusted(tmp_path)
    assert _registered(tmp_path) > 2 * SIZE, "read from its file, and written"
    text = "name: app\nbase: scratch\ncommand: [x]\nworkspace: ../ws\nmodels: [{registered: 'big:1'}]\n"
    order = Order(write_project(tmp_path / "app", text), (f"oci:{tmp_path}/ws:app",))
    config, before = Config(tmp_path / "home"), _bytes()
    assert build_order(order, config).fault == ""
    assert _bytes() - before < LITTLE
    assert_valid_found(find(f"oci:{tmp_path}/ws:app", Connections(config)))


def _registered(top: Path) -> int:
    """How many bytes it took to register the model in this process."""
    before, config = _bytes(), Config(top / "home")
    with Connections(config) as connections:
        backend = open_workspace(str(top / "ws"), connections)
        register(backend, Registration("big", top / "model.bin"), config, datetime.now(UTC), ignore_event)
    return _bytes() - before


def _bytes() -> int:
    """What this process has read and written so far (proc_pid_io(5))."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"]) + int(lines["wchar"])


def _order(top: Path, number: int) -> Order:
    folder = write_project(
        top / f"project{number}",
        f"name: p{number}\nbase: scratch\nmodels: [{{path: model, name: model, version: 1}}]\n",
    )
    (folder / "model").mkdir()
    (folder / "model" / "weights.txt").write_text(f"weights {number}\n")
    return Order(folder, (f"oci:{top}/{number}:x",), sbom=True)
