"""Whatever is done to a lock: a locked build gives the image that was locked, or says in words why not, and never gives another.

One thing is another each time: a character of a value, a value that two packages have exchanged, an odd value, the order, an entry that stands
twice. What is left: who takes an entry out, or writes another package's pins in its place, has written another lock, which is as trusted as the
project file beside it.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelcrate.config import Config
from modelcrate.pipeline.session import Session
from modelcrate.resolve.lock import FILE_NAME
from modelcrate.transports.oci import LayoutOutput
from modelcrate_layers.atomic import remove
from modelcrate_layers.errors import CrateError
from support.debian_mirror import Mirror, new_key, serve
from support.locked import locked_project
from support.odd_json import draw

ODD = 60
Changed = tuple[str, dict[str, Any]]


def build(project: Path, home: Path, output: Path, *, locked: bool = True) -> Any:
    remove(output)
    with Session(Config(home)) as session:
        request = replace(session.read(project), outputs=(LayoutOutput(output, "x"),), locked=locked)
        return session.build(request).receipt.image


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any], str]]:
    """The project, its lock as JSON, and the digest of its image."""
    folder = tmp_path_factory.mktemp("locked")
    with serve(Mirror(new_key())) as mirror:
        project = locked_project(folder, mirror)
        image = build(project, folder / "home", folder / "out", locked=False)
        layers = [str(layer.layer.diff_id) for layer in image.images[0].layers if layer.role == "model"]
        lock = json.loads((project / FILE_NAME).read_bytes())
        lock["models"] = [{"name": "tampered", "version": 1, "files": {"model.bin": 7000}, "layers": layers}]
        yield project, lock, str(image.digest)


def built_or_refused(project: Path, folder: Path) -> str | CrateError:
    try:
        return str(build(project, folder / "home", folder / "out").digest)
    except CrateError as fault:
        return fault


def leaves(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if steps is None:
        yield above
        return
    for step, inner in steps:
        yield from leaves(inner, (*above, step))


def other(value: Any, chance: random.Random) -> Any:
    """A value of the same type and form that differs in one place."""
    if isinstance(value, int):
        return value + chance.choice((-1, 1))
    at = chance.randrange(len(value)) if value else 0
    return value[:at] + next(each for each in "b2a" if each != value[at : at + 1]) + value[at + 1 :]


def changes(lock: dict[str, Any], chance: random.Random) -> Iterator[Changed]:
    for steps in leaves(lock):
        changed = holder = copy.deepcopy(lock)
        for step in steps[:-1]:
            holder = holder[step]
        before = holder[steps[-1]]
        holder[steps[-1]] = other(before, chance)
        yield f"{steps}: {before!r} is {holder[steps[-1]]!r}", changed
    for section in ("debs", "wheels", "conda"):
        for at, entry in enumerate(lock["platforms"]["linux/amd64"][section]):
            for key in entry:
                changed = copy.deepcopy(lock)
                found = changed["platforms"]["linux/amd64"][section]
                one, next_one = found[at], found[(at + 1) % len(found)]
                one[key], next_one[key] = next_one[key], one[key]
                yield f"{section}: {key} of {at} and the next exchanged", changed
        for how in (list.reverse, lambda found: found.append(found[0]), lambda found: found.extend(found)):
            changed = copy.deepcopy(lock)
            how(changed["platforms"]["linux/amd64"][section])  # type: ignore[operator]
            yield f"{section}: another order, or twice", changed
    for _ in range(ODD):
        changed, told = draw(lock, chance)
        if not told.endswith(": gone"):
            yield told, changed


@pytest.mark.parametrize("seed", range(2))
def test_no_change_of_a_lock_gives_another_image(
    place: tuple[Path, dict[str, Any], str], seed: int, tmp_path: Path
) -> None:
    project, lock, right = place
    chance, codes = random.Random(seed), set()
    for told, changed in changes(lock, chance):
        if told == "()" or chance.random() < 0.5:
            continue  # each of two seeds takes a half
        (project / FILE_NAME).write_bytes(json.dumps(changed).encode())
        if chance.random() < 0.3:
            for name in ("memo", "checked", "store"):
                remove(tmp_path / "home" / name)
        found = built_or_refused(project, tmp_path)
        if isinstance(found, CrateError):
            assert found.exit_code in (3, 4, 5, 7), f"{told}: {found}"
            assert found.where or found.why, f"{told}: {found}"
            codes.add(found.exit_code)
        else:
            assert found == right, told
            codes.add(0)
    (project / FILE_NAME).write_bytes(json.dumps(lock).encode())
    assert str(build(project, tmp_path / "home", tmp_path / "out").digest) == right, "and nothing of it is remembered"
    assert {0, 7} <= codes
