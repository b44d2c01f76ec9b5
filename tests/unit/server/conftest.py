from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from modelcrate_server import compat_imports

LOADED = {"entry_module", "main", *(name for name in compat_imports.STAND_INS if "." not in name)}


@pytest.fixture(autouse=True)
def interpreter_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loading an entry script changes where and what this process imports; each test starts and ends without that."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:])
    before = set(sys.modules)
    compat_imports.install()
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {
            "entry_module",
            "main",
            "azureml",
            "azureml_inference_server_http",
            "inference_schema",
        }:
            del sys.modules[name]
