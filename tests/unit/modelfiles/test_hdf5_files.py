"""HDF5 files of h5py's, honest and hostile, in all versions of the format that it writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.recognition import facts_of
from support import hdf5_files
from support.trusted import judge
from support.waiting import HANG

pytestmark = pytest.mark.interop


def test_every_file_of_h5py_gets_its_verdict(tmp_path: Path) -> None:
    python = judge("h5py")
    if not python:
        pytest.skip("h5py is not installed (tools/install-judges.sh)")
    done = subprocess.run([python, hdf5_files.__file__, str(tmp_path)], capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[-2000:]
    files = sorted(tmp_path.iterdir())
    assert len(files) > 100
    wrong = {}
    for path in files:
        with open(path, "rb") as file:
            found = facts_of(file, path.name, path.stat().st_size)
        expected = Verdict.SAFE if path.name.startswith("ok") else Verdict.UNSAFE
        if found.verdict is not expected:
            wrong[path.name] = [each.because for each in found.pickles]
    assert not wrong
