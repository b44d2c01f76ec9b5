"""Pages for people in Chromium: they work, nothing is fetched from elsewhere, and axe-core finds no fault, in light and dark."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.large_reports import large_report
from support.serving import our_server
from support.tools import PATH, cache, call, need
from support.wsgi import SCHEMA

pytestmark = [pytest.mark.interop, pytest.mark.network, pytest.mark.slow]

PACKAGES = ("axe-core@4.14.1", "puppeteer-core@24.43.1")
SUPPORT = Path(__file__).parents[1] / "support"
SCRIPT, REPORT = SUPPORT / "page_in_a_browser.cjs", SUPPORT / "report_in_a_browser.cjs"

FIRST_PICTURE = 1000.0
"""Milliseconds until a page is painted. It is measured several times, and the best counts: other tests share the machine."""


@pytest.fixture(scope="module")
def modules() -> Path:
    need("chromium", "node", "npm")
    folder = cache() / "browser"
    ready = folder / "ready"
    if not ready.is_file() or ready.read_text() != "\n".join(PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), *PACKAGES]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"the packages of npm can't be had: {done.stderr[-300:]}")
        ready.write_text("\n".join(PACKAGES))
    return folder / "node_modules"


def test_it_works_without_a_fault(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text(SCHEMA)
    (tmp_path / "pictures").mkdir()
    env = {"MODELCRATE_CONTRACTS": "azureml,oip", "MODELCRATE_MODEL_NAME": "sums"}
    with our_server(sys.executable, tmp_path / "score.py", tmp_path, env) as server:
        url = f"http://127.0.0.1:{server.port}"
        chromium = shutil.which("chromium", path=PATH)
        assert chromium is not None
        words = ("node", SCRIPT, chromium, f"{url}/docs", tmp_path / "pictures")
        seen = json.loads(call(*words, environment={"NODE_PATH": str(modules)}))
    assert seen["faults"] == []
    assert seen["errors"] == []
    assert set(seen["requests"]) == {f"{url}/docs", f"{url}/score"}
    assert json.loads(seen["sample"]) == {"data": [[1.0, 2.0]], "rate": 1.0}
    assert seen["status"].startswith("200 OK")
    assert json.loads(seen["answer"]) == [3.0]
    assert seen["curl"].startswith(f"curl {url}/score -H 'Content-Type: application/json' -d '")
    assert "not JSON" in seen["complaint"]
    assert seen["quiet"]
    assert len(seen["routes"]) == 2
    for name, size in seen["sizes"].items():
        assert size["wide"] <= int(name.split()[1]), f"{name}: it has to be scrolled sideways"
    assert len(list((tmp_path / "pictures").iterdir())) == 6


def test_a_report_of_ten_thousand_files_works_without_a_fault(modules: Path, tmp_path: Path) -> None:
    """Its names are hostile, and its model has 5,000 tensors."""
    page, pictures = tmp_path / "report.html", tmp_path / "pictures"
    page.write_bytes(large_report())
    pictures.mkdir()
    chromium = shutil.which("chromium", path=PATH)
    assert chromium is not None
    seen = json.loads(call("node", REPORT, chromium, page.as_uri(), pictures, environment={"NODE_PATH": str(modules)}))
    assert seen["faults"] == []
    assert seen["errors"] == []
    assert {each.partition("#")[0] for each in seen["requests"]} <= {page.as_uri(), "data:,"}
    assert min(seen["painted"].values()) < FIRST_PICTURE, seen["painted"]
    for name, wide in seen["wide"].items():
        assert wide <= int(name.split()[1]), f"{name}: it has to be scrolled sideways"
    for name, found in seen["map"].items():
        assert found["over"] == 0, name
        assert 0.97 < found["filled"] < 1.01, name
        assert found["boxes"] >= 2
        assert 100 < found["drawn"] <= 1600
    assert seen["places"] == [
        ["", "large"],
        ["#map=m%3A1", "m:1"],
        ["#map", "large"],
        ["#map=wheels/pandas%202.2", "pandas 2.2"],
    ]
    assert seen["moved"]
    assert seen["stored"] == ["m:1", "wheels"]
    assert seen["added"][0] == "m:1"
    assert "pandas 2.2" in seen["added"]
    assert "numpy 2.4" not in seen["added"]  # it lies in the only package that needs it
    assert seen["told"].startswith("1 found, ")
    labels, tables, tools = seen["plain"]
    assert labels >= 2
    assert tables >= 4
    assert tools == 0
    assert len(list(pictures.iterdir())) == 6
