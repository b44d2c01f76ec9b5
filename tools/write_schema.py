"""Writes the published JSON schema of the project file; run it after a change to the form."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "builder"), str(ROOT / "layers")]

from modelcrate.project.schema import schema_text  # noqa: E402

if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "modelcrate.schema.json").write_text(schema_text(), encoding="utf-8")
