"""What CI systems run, ours and our users', judged by zizmor (security) and by the schemas of check-jsonschema."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.sources import REPOSITORY
from support.tools import cache
from support.waiting import HANG

pytestmark = pytest.mark.interop

GITHUB = REPOSITORY / ".github"
EXAMPLES = REPOSITORY / "examples" / "ci"
SCHEMAS = {
    "github-workflows": [*(GITHUB / "workflows").glob("*.yml"), EXAMPLES / "github.yml"],
    "github-actions": [REPOSITORY / "action.yml"],
    "gitlab-ci": [EXAMPLES / "gitlab.yml"],
    "azure-pipelines": [EXAMPLES / "azure-pipelines.yml"],
    "github-issue-forms": [GITHUB / "ISSUE_TEMPLATE" / name for name in ("fault.yml", "wish.yml")],
    "dependabot": [GITHUB / "dependabot.yml"],
}


def judge(name: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = cache() / "venv" / "bin" / name
    if not program.exists():
        pytest.skip(f"{name} is not installed in {cache() / 'venv'} (tools/install-judges.sh)")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=HANG)


def test_zizmor_finds_nothing() -> None:
    ours = (GITHUB, REPOSITORY / "action.yml", EXAMPLES / "github.yml")
    done = judge("zizmor", "--offline", "--pedantic", "--no-progress", *ours)
    assert done.returncode == 0, done.stdout


def test_zizmor_finds_what_is_wrong(tmp_path: Path) -> None:
    text = (GITHUB / "workflows" / "tests.yml").read_text()
    (tmp_path / "tests.yml").write_text(
        text.replace("run: make check", "run: echo '${{ github.head_ref }}' && make check")
    )
    assert judge("zizmor", "--offline", "--pedantic", "--no-progress", tmp_path / "tests.yml").returncode > 0
    action = (REPOSITORY / "action.yml").read_text()
    (tmp_path / "action.yml").write_text(action.replace('-- "$PROJECT"', '-- "${{ inputs.project }}"'))
    assert judge("zizmor", "--offline", "--pedantic", "--no-progress", tmp_path / "action.yml").returncode > 0


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_are_as_their_schemas_want_them(schema: str) -> None:
    assert SCHEMAS[schema]
    words = ("--regex-variant", "python", "--builtin-schema", f"vendor.{schema}")
    done = judge("check-jsonschema", *words, *SCHEMAS[schema])
    assert done.returncode == 0, done.stdout + done.stderr
