"""The gate over pickles of real models: every estimator of scikit-learn, XGBoost and LightGBM passes without a warning."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.recognition import facts_of
from support.trusted import judge

pytestmark = pytest.mark.interop
ZOO = Path(__file__).parents[1] / "support" / "zoo.py"


@pytest.mark.timeout(900)
def test_every_estimator_passes_without_a_warning(tmp_path: Path) -> None:
    python = judge("sklearn")
    if not python:
        pytest.skip("scikit-learn is not installed (tools/install-judges.sh)")
    done = subprocess.run([python, str(ZOO), str(tmp_path)], capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr[-2000:]
    files = sorted(tmp_path.iterdir())
    assert len(files) > 600
    warned = {}
    for path in files:
        with open(path, "rb") as file:
            facts = facts_of(file, path.name, path.stat().st_size)
        if facts.verdict is not Verdict.SAFE:
            warned[path.name] = [each.because for each in facts.pickles]
    assert not warned
