"""@rawhttp: a run() that wants the request itself.

Entry scripts import it under the original's names (see `compat_imports`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from .request import AMLRequest

__all__ = ["AMLRequest", "rawhttp"]

_Run = TypeVar("_Run", bound=Callable[..., Any])
_asked = False


def rawhttp(run: _Run) -> _Run:
    """Marks the entry script: run() gets the HTTP request and may return an AMLResponse."""
    global _asked
    _asked = True
    return run


def forget() -> None:
    """Before an entry script is loaded: nobody has asked yet."""
    global _asked
    _asked = False


def asked() -> bool:
    """Whether the loaded script asked for the raw request, with our decorator or with the original's, where that is
    installed.
    """
    return _asked or any(getattr(module, "_rawHttpRequested", False) for module in _originals())


def adapt(request: AMLRequest) -> Any:
    """The request as the script expects it.

    Ours, or the web framework's own where the original's decorator was used.
    """
    if _asked or "flask" not in sys.modules:
        return request
    return sys.modules["flask"].Request(dict(request.environ))


def _originals() -> list[Any]:
    names = ("azureml_inference_server_http.api.aml_request", "azureml.contrib.services.aml_request")
    return [sys.modules[name] for name in names if name in sys.modules]
