"""@rawhttp, for a run() that takes the HTTP request itself.

Entry scripts import it by the original's names (see `compat_imports`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from .request import AMLRequest

__all__ = ["AMLRequest", "rawhttp"]

_Run = TypeVar("_Run", bound=Callable[..., Any])
_requested = False


def rawhttp(run: _Run) -> _Run:
    """Marks the entry script: run() gets the HTTP request, and may return an AMLResponse."""
    global _requested
    _requested = True
    return run


def reset() -> None:
    """Resets the mark, before an entry script is loaded."""
    global _requested
    _requested = False


def is_requested() -> bool:
    """Returns whether the loaded script has the mark, of our decorator or of the installed original's."""
    return _requested or any(getattr(module, "_rawHttpRequested", False) for module in _originals())


def adapt(request: AMLRequest) -> Any:
    """Returns the request as the script expects it: ours, or the web framework's where the original's decorator was used."""
    if _requested or "flask" not in sys.modules:
        return request
    return sys.modules["flask"].Request(dict(request.environ))


def _originals() -> list[Any]:
    names = ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request")
    return [sys.modules[name] for name in names if name in sys.modules]
