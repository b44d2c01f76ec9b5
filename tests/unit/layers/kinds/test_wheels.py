"""Layers of wheels: keys, determinism, conflicts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds import DependencyKind
from modelcrate_layers.kinds.runtime import RuntimeLayer
from modelcrate_layers.kinds.wheels import WheelsLayer, wheel_layers
from modelcrate_layers.packages import conflicts, wheel
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar import codec, recipe
from modelcrate_layers.tar.recipe import Recipe
from modelcrate_layers.tar.tree import Kind
from support.images import noise
from support.installed import contents
from support.wheels import make_wheel, rich

SITE = "opt/modelcrate/lib/python3.11/site-packages"


def diff_id(layer: WheelsLayer) -> str:
    return str(recipe.measure(Recipe(layer.tree(), codec.NONE)).diff_id)


def check_conflicts(wheels: Sequence[Wheel]) -> None:
    """As a build does it: over all layers of an image."""
    kinds: list[DependencyKind] = [RuntimeLayer("3.11"), *wheel_layers(wheels, "3.11")]
    conflicts.check(owned for kind in kinds for owned in kind.installed())


def test_the_same_wheel_is_the_same_layer_wherever_it_lies(tmp_path: Path) -> None:
    here, there = rich(tmp_path / "here"), rich(tmp_path / "far" / "away")
    one, two = WheelsLayer((here,), "3.11"), WheelsLayer((there,), "3.11")
    assert one.key() == two.key()
    assert diff_id(one) == diff_id(two)


def test_golden_digests_of_a_wheel_layer(tmp_path: Path) -> None:
    """They move only with a policy, or with what `rich` is. The key is of a hash: zlib decides that of `rich`."""
    assert diff_id(WheelsLayer((rich(tmp_path),), "3.11")) == (
        "sha256:a8428cd85ea157d649e79dd365e855ee0d249f4bb4196a0c718b3210a3456e66"
    )
    pinned = Wheel("rich-wheel", "2.0", "rich_wheel-2.0-py3-none-any.whl", "1" * 64, 9, "/nowhere")
    assert (
        str(WheelsLayer((pinned,), "3.11").key())
        == "sha256:b1c6220bd7bb50d55f6e89bd905f4eb4aba3dd33c37ce8b629d7a4f7a635fe0e"
    )


def test_a_wheel_that_is_too_large_is_cut_between_its_files(tmp_path: Path) -> None:
    files = {f"big/{name}.bin": noise(40_000, ord(name)) for name in "abcdefgh"}
    big = make_wheel(tmp_path, "big", "1.0", files)
    whole = WheelsLayer((big,), "3.11")
    parts = wheel_layers([big], "3.11", largest=150_000)
    assert [each.name for each in parts] == [f"big 1.0 part {n} of 3" for n in (1, 2, 3)]
    held = [[entry for entry in each.tree().entries if entry.kind is Kind.FILE] for each in parts]
    together = sorted(entry for entries in held for entry in entries)
    assert together == [entry for entry in whole.tree().entries if entry.kind is Kind.FILE], "each file once"
    assert all(sum(entry.size for entry in entries) < 150_000 for entries in held)
    assert len({each.key() for each in (whole, *parts)}) == 4
    again = wheel_layers([make_wheel(tmp_path / "elsewhere", "big", "1.0", files)], "3.11", largest=150_000)
    assert [diff_id(each) for each in again] == [diff_id(each) for each in parts]


def test_golden_key_of_a_part() -> None:
    pinned = Wheel("rich-wheel", "2.0", "rich_wheel-2.0-py3-none-any.whl", "1" * 64, 9, "/nowhere")
    assert (
        str(WheelsLayer((pinned,), "3.11", part=1, parts=2).key())
        == "sha256:43daa629aab04a167973a7ab2992fe33eaa8200710d51d097a181f391353e627"
    )


def test_one_file_that_is_larger_than_a_layer_may_be_stays_whole(tmp_path: Path) -> None:
    huge = make_wheel(tmp_path, "huge", "1.0", {"huge/all.bin": noise(200_000)})
    trees = [each.tree() for each in wheel_layers([huge], "3.11", largest=100_000)]
    assert [sum(entry.path.endswith(b"all.bin") for entry in tree.entries) for tree in trees].count(1) == 1


def test_umask_zone_locale_and_hash_seed_do_not_show(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; os.umask(int(sys.argv[2], 8))\n"
        "from support.wheels import rich\n"
        "from modelcrate_layers.tar import codec, recipe\n"
        "from modelcrate_layers.kinds.wheels import WheelsLayer\n"
        "layer = WheelsLayer((rich(pathlib.Path(sys.argv[1])),), '3.11')\n"
        "print(layer.key(), recipe.measure(recipe.Recipe(layer.tree(), codec.NONE)).diff_id)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    seen = set()
    for umask, zone, language, seed in (("077", "Asia/Tokyo", "C", "1"), ("000", "UTC", "C.UTF-8", "2")):
        folder = tmp_path / seed
        environment = {"PYTHONPATH": path, "TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), umask], env=environment, capture_output=True, check=True
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_the_key_needs_no_file_and_no_order(tmp_path: Path) -> None:
    one = Wheel("one", "1", "one-1-py3-none-any.whl", "1" * 64, 5, "/nowhere")
    two = Wheel("two", "2", "two-2-py3-none-any.whl", "2" * 64, 9, "/nowhere")
    assert WheelsLayer((one, two), "3.11").key() == WheelsLayer((two, one), "3.11").key()
    assert (
        len({WheelsLayer((one,), python, prefix).key() for python in ("3.11", "3.12") for prefix in ("/a", "/b")}) == 4
    )


def test_a_layer_is_called_after_its_heaviest_wheel() -> None:
    small = Wheel("small", "1", "small-1-py3-none-any.whl", "1" * 64, 5, "")
    large = Wheel("large", "2", "large-2-py3-none-any.whl", "2" * 64, 9, "")
    assert WheelsLayer((small, large), "3.11").name == "large 2 + 1 wheels"
    assert WheelsLayer((small,), "3.11").name == "small 1"
    assert WheelsLayer((small,), "3.11").role == "dependencies"


def test_parts_of_a_namespace_package_live_together(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one", files={"ns/one/__init__.py": b"1"})
    two = make_wheel(tmp_path, "two", files={"ns/two/__init__.py": b"2"})
    check_conflicts([one, two])
    found = contents(WheelsLayer((one, two), "3.11").tree())
    assert found[f"{SITE}/ns/one/__init__.py"][0] == b"1"
    assert found[f"{SITE}/ns/two/__init__.py"][0] == b"2"


def test_two_wheels_may_own_the_same_bytes(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one", files={"ns/__init__.py": b"same", "one.py": b""}, executables=("ns/__init__.py",))
    two = make_wheel(tmp_path, "two", files={"ns/__init__.py": b"same", "two.py": b""})
    check_conflicts([one, two])
    assert contents(WheelsLayer((two, one), "3.11").tree())[f"{SITE}/ns/__init__.py"] == (b"same", True)
    assert diff_id(WheelsLayer((two, one), "3.11")) == diff_id(WheelsLayer((one, two), "3.11"))


@pytest.mark.parametrize("other", [b"other", b"longer bytes"])
def test_two_wheels_that_own_a_file_with_other_bytes_are_both_named(tmp_path: Path, other: bytes) -> None:
    one = make_wheel(tmp_path, "one", files={"ns/__init__.py": b"bytes"})
    two = make_wheel(tmp_path, "two", files={"ns/__init__.py": other})
    with pytest.raises(UserError, match=f"one 1.0 and two 1.0 both own /{SITE}/ns/__init__.py"):
        check_conflicts([two, one])
    with pytest.raises(UserError, match="both own"):
        WheelsLayer((one, two), "3.11").tree()


def test_where_the_last_one_counts_the_layer_has_its_file_and_a_key_of_its_own(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one", files={"ns/__init__.py": b"one's"})
    two = make_wheel(tmp_path, "two", files={"ns/__init__.py": b"two's"})
    strict, lenient = (WheelsLayer((two, one), "3.11", on_conflict=rule) for rule in ("refuse", "last"))
    assert contents(lenient.tree())[f"{SITE}/ns/__init__.py"][0] == b"two's"
    assert lenient.key() != strict.key()


def test_a_file_of_one_wheel_and_a_folder_of_another_are_a_conflict(tmp_path: Path) -> None:
    one = make_wheel(tmp_path, "one", files={"thing": b"file"})
    two = make_wheel(tmp_path, "two", files={"thing/inside.py": b"folder"})
    with pytest.raises(UserError, match=r"one 1\.0 and two 1\.0 both own") as caught:
        check_conflicts([one, two])
    assert "folder" in caught.value.why


def test_a_wheel_that_has_a_file_twice_is_named(tmp_path: Path) -> None:
    files = {"one.py": b"root", "one-1.0.data/purelib/one.py": b"data"}
    with pytest.raises(UserError, match=r"one 1\.0 has .*one\.py twice"):
        check_conflicts([make_wheel(tmp_path, "one", files=files)])


@pytest.mark.parametrize("path", ["scripts/python", "scripts/python3.11", "data/pyvenv.cfg"])
def test_no_wheel_may_replace_the_environment_itself(tmp_path: Path, path: str) -> None:
    evil = make_wheel(tmp_path, "evil", files={f"evil-1.0.data/{path}": b"mine now"})
    with pytest.raises(UserError, match=r"the environment itself and evil 1\.0 both own"):
        check_conflicts([evil])


def test_a_wheel_is_read_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look for conflicts, the layer and its bill, the first two at the same time."""
    one, read, real = make_wheel(tmp_path, "one", files={"one.py": b"x"}), [], wheel.read
    monkeypatch.setattr(wheel, "read", lambda each, stamp: read.append(each) or real(each, stamp))
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: WheelsLayer((one,), "3.11").tree(), range(8)))
    check_conflicts([one])
    assert read == [one]
    assert all(each == trees[0] for each in trees)
