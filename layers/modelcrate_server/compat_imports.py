"""The original's import names, for entry scripts that were written for it, in images without the original.

The finder is the last in `sys.meta_path`, so an installed package of one of these names is preferred.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_AZURE = "azureml_inference_server_http"
_TYPES = "inference_schema.parameter_types"

STAND_INS: dict[str, str | None] = {
    "azureml": None,
    "azureml.contrib": None,
    "azureml.contrib.services": None,
    "azureml.contrib.services.aml_request": ".raw_http",
    "azureml.contrib.services.aml_response": ".response",
    "azureml.core": ".model_path",
    "azureml.core.model": ".model_path",
    _AZURE: None,
    f"{_AZURE}.api": None,
    f"{_AZURE}.api.aml_request": ".raw_http",
    f"{_AZURE}.api.aml_response": ".response",
    f"{_AZURE}.log_config": ".logs",
    "inference_schema": None,
    "inference_schema.schema_decorators": ".schema.decorators",
    "inference_schema.schema_util": ".schema.documents",
    _TYPES: None,
    f"{_TYPES}.abstract_parameter_type": ".schema.abstract",
    f"{_TYPES}.standard_py_parameter_type": ".schema.standard",
    f"{_TYPES}.numpy_parameter_type": ".schema.numpy_type",
    f"{_TYPES}.pandas_parameter_type": ".schema.pandas_type",
}
"""Import name to the module of ours that has its contents; nothing means an empty package."""


class _StandIns(MetaPathFinder, Loader):
    """Finds and loads the names above."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns the spec of a name above, else None (importlib.abc)."""
        if fullname not in STAND_INS:
            return None
        return ModuleSpec(fullname, self, origin="modelcrate_server", is_package=_has_more(fullname))

    def exec_module(self, module: ModuleType) -> None:
        """Copies the contents of our module into the new one."""
        source = STAND_INS[module.__name__]
        if source is None:
            return
        contents = vars(importlib.import_module(source, __package__))
        module.__dict__.update((key, value) for key, value in contents.items() if not key.startswith("__"))


def _has_more(name: str) -> bool:
    """Returns whether a name is a package: it is empty, or other names are below it."""
    return STAND_INS[name] is None or any(other.startswith(f"{name}.") for other in STAND_INS)


_FINDER = _StandIns()


def install() -> None:
    """Makes the names importable in this process; once is enough, twice does no harm."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.append(_FINDER)
