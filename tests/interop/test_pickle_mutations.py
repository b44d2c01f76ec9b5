"""Variants of every known attack: none may be called safe and run. The real loaders decide, in children that end before they act."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelcrate.modelfiles.pickle.containers import pickles_in
from modelcrate.modelfiles.pickle.policy import Verdict, judge
from support.mutations import HONEST, variants
from support.pickles import MALICIOUS
from support.trusted import judge as python_with

pytestmark = pytest.mark.interop

COUNT = int(os.environ.get("MODELCRATE_MUTATIONS", "60"))
"""Variants of each attack; the issue of a release is tried with 2000."""

LOADERS = Path(__file__).parents[1] / "support" / "loaders.py"


def worst(data: bytes, name: str) -> Verdict:
    found = [judged for each in pickles_in(io.BytesIO(data), name) if (judged := judge(each)) is not None]
    return max((each.verdict for each in found), key=lambda one: one.value, default=Verdict.SAFE)


def acting(folder: Path) -> set[str]:
    """The files of a folder that do something when they are loaded."""
    python = python_with("joblib") or sys.executable
    done = subprocess.run([python, str(LOADERS), str(folder)], capture_output=True, text=True, cwd=folder, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout))


def test_the_loaders_act_on_attacks_and_on_nothing_honest(tmp_path: Path) -> None:
    for number, data in enumerate(HONEST):
        (tmp_path / f"honest {number}").write_bytes(data)
    for number, data in enumerate(MALICIOUS.values()):
        (tmp_path / f"attack {number}").write_bytes(data)
    found = acting(tmp_path)
    assert not any(name.startswith("honest") for name in found)
    assert len(found) > 40


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["model.pkl", "weights"])
def test_no_variant_of_an_attack_is_safe_and_runs(name: str, tmp_path: Path) -> None:
    others = [*MALICIOUS.values(), *HONEST]
    count = 0
    for kind, attack in MALICIOUS.items():
        for number, data in enumerate(variants(attack, others, f"{kind} {name}", COUNT)):
            if worst(data, name) is Verdict.SAFE:
                (tmp_path / f"{kind.replace('/', ' ')[:60]} {number}").write_bytes(data)
                count += 1
    assert not acting(tmp_path), f"{count} were called safe"
