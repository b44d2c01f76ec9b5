"""The JSON schema of the project file, generated from its form, so that editors check and complete it.

The published file is `docs/reference/modelcrate.schema.json`; `tools/write_schema.py` writes it.
"""

from __future__ import annotations

import json
from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Returns the schema as a document of JSON Schema 2020-12. What the reader accepts, the schema accepts; the reader checks more."""
    from modelcrate.project.form import ProjectForm

    made = _lean(ProjectForm.model_json_schema())
    return {"$schema": DIALECT, "title": "modelcrate.yaml", **made}


def schema_text() -> str:
    """Returns the published file, byte for byte."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _lean(node: Any) -> Any:
    """Returns the schema without the generator's titles and empty defaults; maps take no key but those their pattern names."""
    if isinstance(node, list):
        return [_lean(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        k: _lean(v)
        for k, v in node.items()
        if not (k == "title" and isinstance(v, str)) and (k, v) != ("default", None)
    }
    return {**kept, "additionalProperties": False} if "patternProperties" in kept else kept
