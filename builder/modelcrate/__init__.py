"""modelcrate: turns a trained model into a runnable container image, with nothing but Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcrate._version import __version__

if TYPE_CHECKING:
    from modelcrate.api import Building, Built, build, find, start
    from modelcrate.home.settings import Settings
    from modelcrate.pipeline.batch import Order, Outcome, build_all
    from modelcrate.pipeline.receipt import Receipt
    from modelcrate_layers.errors import CrateError

_HOMES = {
    "Building": "modelcrate.api",
    "Built": "modelcrate.api",
    "CrateError": "modelcrate_layers.errors",
    "Order": "modelcrate.pipeline.batch",
    "Outcome": "modelcrate.pipeline.batch",
    "Receipt": "modelcrate.pipeline.receipt",
    "Settings": "modelcrate.home.settings",
    "build": "modelcrate.api",
    "build_all": "modelcrate.pipeline.batch",
    "find": "modelcrate.api",
    "start": "modelcrate.api",
}

__all__ = [
    "Building",
    "Built",
    "CrateError",
    "Order",
    "Outcome",
    "Receipt",
    "Settings",
    "__version__",
    "build",
    "build_all",
    "find",
    "start",
]


def __getattr__(name: str) -> Any:
    """The public names, imported when they are used: importing modelcrate costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'modelcrate' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
