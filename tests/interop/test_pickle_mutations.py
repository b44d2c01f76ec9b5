"""Variants of every known attack: none may pass the gate and run. The real loaders decide, in children that end before they act.

`make mutations` tries 2,000 variants of each; the tests try fewer.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.recognition import facts_of
from support.mutations import HONEST, variants
from support.pickles import BEHIND, MALICIOUS
from support.trusted import judge as python_with

pytestmark = pytest.mark.interop

COUNT = int(os.environ.get("MODELCRATE_MUTATIONS", "25"))
"""Variants of each attack."""

ATTACKS = {**MALICIOUS, **{f"behind: {kind}": data for kind, data in BEHIND.items()}}
LOADERS = Path(__file__).parents[1] / "support" / "loaders.py"


def answer(data: bytes, name: str) -> str:
    """What the gate does by default with a file: it is safe, warned about, or refused."""
    facts = facts_of(io.BytesIO(data), name, len(data))
    if facts.fault or facts.verdict is Verdict.UNSAFE or any(each.unread for each in facts.pickles):
        return "refused"
    return "safe" if facts.verdict is Verdict.SAFE else "warned about"


def acting(folder: Path) -> set[str]:
    """The files of a folder that do something when they are loaded."""
    python = python_with("joblib") or pytest.skip("joblib is not installed")
    done = subprocess.run([python, str(LOADERS), str(folder)], capture_output=True, text=True, cwd=folder, timeout=7200)
    assert done.returncode == 0, done.stderr[-2000:]
    return set(json.loads(done.stdout))


def test_the_loaders_act_on_attacks_and_on_nothing_honest(tmp_path: Path) -> None:
    for number, data in enumerate(HONEST):
        (tmp_path / f"honest {number}").write_bytes(data)
    for number, data in enumerate(ATTACKS.values()):
        (tmp_path / f"attack {number}").write_bytes(data)
    found = acting(tmp_path)
    assert not any(name.startswith("honest") for name in found)
    assert len(found) > 60


@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", ["model.pkl", "weights"])
def test_no_variant_of_an_attack_passes_and_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [*ATTACKS.values(), *HONEST]
    answers: Counter[str] = Counter()
    for kind, attack in ATTACKS.items():
        for number, data in enumerate(variants(attack, others, f"{kind} {name}", COUNT)):
            answers[given := answer(data, name)] += 1
            if given != "refused":
                (tmp_path / f"{kind.replace('/', ' ')[:60]} {number}").write_bytes(data)
    with capsys.disabled():
        told = ", ".join(f"{count} {what}" for what, count in sorted(answers.items()))
        print(f"\n{answers.total()} variants of {len(ATTACKS)} attacks as {name!r}: {told}")
    assert not acting(tmp_path), told
