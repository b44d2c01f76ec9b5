"""picklescan and fickling beside our pickle gate, over the corpus of attacks. Nobody may call safe what we call unsafe without a sentence here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate_layers.models.allowed import Verdict
from modelcrate_layers.models.facts import facts_of
from support.pickles import MALICIOUS
from support.trusted import judged

pytestmark = pytest.mark.interop

PICKLESCAN = """
import json, pathlib, sys
from picklescan.scanner import scan_file_path
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        result = scan_file_path(str(path))
        found[path.name] = bool(result.infected_files or result.issues_count)
    except Exception as fault:
        found[path.name] = None
print(json.dumps(found))
"""
FICKLING = """
import json, pathlib, sys
from fickling.fickle import Pickled
from fickling.analysis import check_safety, Severity
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        found[path.name] = check_safety(Pickled.load(path.read_bytes())).severity.name != 'LIKELY_SAFE'
    except Exception:
        found[path.name] = None
print(json.dumps(found))
"""


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    names = {f"{number:03}.pkl": kind for number, kind in enumerate(MALICIOUS)}
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, kind in names.items():
        (folder / name).write_bytes(MALICIOUS[kind])
    return folder, names


def ours(folder: Path) -> dict[str, Verdict]:
    found = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            found[path.name] = facts_of(file, path.name, path.stat().st_size).verdict
    return found


@pytest.mark.parametrize(("module", "script"), [("picklescan", PICKLESCAN), ("fickling", FICKLING)])
def test_whatever_they_see_we_see(module: str, script: str, corpus: tuple[Path, dict[str, str]]) -> None:
    folder, names = corpus
    theirs = json.loads(judged(module, script, str(folder)).strip().splitlines()[-1])
    mine = ours(folder)
    assert [names[name] for name, bad in theirs.items() if bad and mine[name] is not Verdict.UNSAFE] == []
    missed = sorted(names[name] for name, bad in theirs.items() if not bad)
    print(f"{module} calls these safe, or can't read them: {missed}")
    assert len(missed) < len(names)
