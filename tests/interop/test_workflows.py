"""The workflow that GitHub runs, judged by zizmor (security) and by GitHub's schemas (check-jsonschema)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.sources import REPOSITORY
from support.tools import cache
from support.waiting import HANG

pytestmark = pytest.mark.interop

GITHUB = REPOSITORY / ".github"
SCHEMAS = {
    "github-workflows": [*(GITHUB / "workflows").glob("*.yml")],
    "github-issue-forms": [GITHUB / "ISSUE_TEMPLATE" / name for name in ("fault.yml", "wish.yml")],
    "dependabot": [GITHUB / "dependabot.yml"],
}


def judge(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = cache() / "venv" / "bin" / name
    if not program.exists():
        pytest.skip(f"{name} is not installed in {cache() / 'venv'} (tools/install-judges.sh)")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=HANG)


def test_zizmor_finds_nothing() -> None:
    done = judge("zizmor", "--offline", "--pedantic", "--no-progress", GITHUB)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_what_is_wrong(tmp_path: Path) -> None:
    text = (GITHUB / "workflows" / "tests.yml").read_text()
    (tmp_path / "tests.yml").write_text(
        text.replace("run: make check", "run: echo '${{ github.head_ref }}' && make check")
    )
    assert judge("zizmor", "--offline", "--pedantic", "--no-progress", tmp_path / "tests.yml").returncode > 0


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_are_as_githubs_schemas_want_them(schema: str) -> None:
    assert SCHEMAS[schema]
    done = judge("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr
