"""Every row of docs/server-checklist.md has a test and every test a row; every setting has a test and is in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__)
TESTS = HERE.parents[2]
PAGE = TESTS.parent / "docs" / "entry-script.md"
CHECKLIST = TESTS.parent / "docs" / "server-checklist.md"

VARIABLES = (
    *("AML_APP_ROOT", "AZUREML_ENTRY_SCRIPT", "AZUREML_MODEL_DIR", "AZUREML_SOURCE_DIRECTORY", "SERVER_PORT"),
    *("SEPERATE_HEALTH_ENDPOINT", "WORKER_COUNT", "WORKER_TIMEOUT", "WORKER_PRELOAD", "SCORING_TIMEOUT_MS"),
    *("AML_CORS_ORIGINS", "SERVICE_NAME", "SERVICE_VERSION", "SERVICE_PATH_PREFIX", "WORKSPACE_NAME"),
    *("AML_APP_INSIGHTS_ENABLED", "AML_APP_INSIGHTS_KEY", "AML_MODEL_DC_STORAGE_ENABLED"),
    *("APP_INSIGHTS_LOG_RESPONSE_ENABLED", "AZUREML_CONFIG_FILE", "AZUREML_LOG_LEVEL", "AZUREML_DEBUG_PORT"),
    *("HTTP_X_MS_SERVER_VERSION", "SERVER_VERSION_LOG_RESPONSE_ENABLED", "logging.json"),
    *("--entry_script", "--model_dir", "--port", "--health_port", "--worker_count"),
    *("--access_control_allow_origins", "--config_file"),
)
"""What the original's process reads."""


def test_rows_and_tests_are_the_same_numbers() -> None:
    rows = [int(number) for number in re.findall(r"^\| (\d+) \| .+ \|$", CHECKLIST.read_text(), re.MULTILINE)]
    text = (HERE.parent / "test_rows.py").read_text()
    named = {int(row) for row in re.findall(r"def test_row_(\d\d)_", text)}
    for first, last in re.findall(r"def test_rows_(\d\d)_to_(\d\d)_", text):
        named |= set(range(int(first), int(last) + 1))
    assert rows == list(range(1, len(rows) + 1))
    assert named == set(rows)


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_and_option_is_tested_and_documented(name: str) -> None:
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?!\w)")
    tests = [path for path in TESTS.rglob("test_*.py") if path != HERE and whole.search(path.read_text())]
    assert tests
    assert whole.search(PAGE.read_text())
