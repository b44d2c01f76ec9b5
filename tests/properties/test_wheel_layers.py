"""Whatever is in a wheel: it becomes a tree whose RECORD is true, or an error of ours; never anything else."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate_layers.errors import CrateError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.tar import codec, recipe, writer
from modelcrate_layers.tar.recipe import Recipe
from modelcrate_layers.tar.tree import Tree
from support.installed import contents
from support.wheels import store, wheel_bytes

SITE = "opt/modelcrate/lib/python3.11/site-packages"

part = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='/\\"'), min_size=1, max_size=12
).filter(
    lambda text: (
        text not in (".", "..", "__pycache__") and not text.endswith((".dist-info", ".data")) and text[:4] != ".wh."
    )
)
names = st.lists(part, min_size=1, max_size=4).map("/".join)
files = st.dictionaries(names, st.binary(max_size=300), max_size=8).filter(
    lambda found: not any(one != two and two.startswith(f"{one}/") for one in found for two in found)
)


def tree_of(data: bytes) -> Tree:
    with tempfile.TemporaryDirectory() as folder:
        tree = WheelsLayer((store(Path(folder), "demo", "1.0", data),), "3.11").tree()
        contents(tree)
        assert sum(map(len, writer.Tar(tree.entries))) == writer.Tar(tree.entries).size
        return tree


@given(files)
@settings(max_examples=60, deadline=None)
def test_record_is_true_whatever_files_are_called(given_files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = store(Path(folder), "demo", "1.0", wheel_bytes("demo", files=given_files))
        found = contents(WheelsLayer((made,), "3.11").tree())
    for name, data in given_files.items():
        assert found[f"{SITE}/{name}"] == (data, False)
    text = found[f"{SITE}/demo-1.0.dist-info/RECORD"][0].decode()
    rows = {path: hashed for path, hashed, _ in csv.reader(text.split("\n")[:-1])}
    assert {f"{SITE}/{path}" for path in rows} == set(found)
    for path, hashed in rows.items():
        digest = hashlib.sha256(found[f"{SITE}/{path}"][0]).digest()
        assert hashed in ("", "sha256=" + base64.urlsafe_b64encode(digest).decode().rstrip("="))


PLAIN = wheel_bytes("demo", entry_points="[console_scripts]\ndemo = demo:main\n")


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_wheel_is_a_tree_or_an_error_of_ours(data: st.DataObject) -> None:
    damaged = bytearray(PLAIN)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(damaged))))
    try:
        tree = tree_of(bytes(damaged[:cut]))
    except CrateError:
        return
    assert all(entry.path.startswith(b"opt/modelcrate") for entry in tree.entries)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_entry_points_are_scripts_or_an_error_of_ours(text: str) -> None:
    body = f"[console_scripts]\n{text}\n"
    try:
        tree = tree_of(wheel_bytes("demo", files={"demo-1.0.dist-info/entry_points.txt": body.encode()}))
    except CrateError:
        return
    assert all(entry.path.startswith(b"opt/modelcrate") for entry in tree.entries)


@given(st.permutations(["a", "b", "c"]), st.integers(0, 2**30))
@settings(max_examples=20, deadline=None)
def test_order_and_time_of_fetching_decide_no_byte(order: list[str], when: int) -> None:
    assert key_and_diff_id(order, when) == key_and_diff_id(["a", "b", "c"], 0)


def key_and_diff_id(order: list[str], when: int) -> tuple[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        wheels = []
        for name in order:
            wheels.append(store(Path(folder) / name, name, "1.0", wheel_bytes(name)))
            os.utime(wheels[-1].path, (when, when))
        layer = WheelsLayer(tuple(wheels), "3.11")
        return str(layer.key()), str(recipe.measure(Recipe(layer.tree(), codec.NONE)).diff_id)
