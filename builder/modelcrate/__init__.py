"""modelcrate: turns a trained model into a runnable container image, with nothing but Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcrate._version import __version__

if TYPE_CHECKING:
    from modelcrate.api import (
        Building,
        Built,
        build,
        find,
        init,
        lock,
        plan,
        predict,
        run,
        start,
        test,
    )
    from modelcrate.config import Config
    from modelcrate.config import Config as Settings
    from modelcrate.lifecycle.bundles import create_bundle, load_bundle, take_inventory
    from modelcrate.lifecycle.changes import export_model, rebase, rebuild, swap_model, write_sources
    from modelcrate.lifecycle.supply_chain import find_outdated, sbom, sign, verify, verify_signatures
    from modelcrate.pipeline.batch import Outcome, build_all
    from modelcrate.pipeline.order import Order
    from modelcrate.pipeline.receipt import Receipt
    from modelcrate.pipeline.running import ContainerOptions
    from modelcrate_layers.errors import (
        CrateError,
        IntegrityError,
        LimitError,
        LockedError,
        MachineError,
        RegistryError,
        SourceError,
        UserError,
    )

_HOMES = {
    "Building": "modelcrate.api",
    "Built": "modelcrate.api",
    "Config": "modelcrate.config",
    "ContainerOptions": "modelcrate.pipeline.running",
    "CrateError": "modelcrate_layers.errors",
    "IntegrityError": "modelcrate_layers.errors",
    "LimitError": "modelcrate_layers.errors",
    "LockedError": "modelcrate_layers.errors",
    "MachineError": "modelcrate_layers.errors",
    "Order": "modelcrate.pipeline.order",
    "Outcome": "modelcrate.pipeline.batch",
    "Receipt": "modelcrate.pipeline.receipt",
    "RegistryError": "modelcrate_layers.errors",
    "SourceError": "modelcrate_layers.errors",
    "UserError": "modelcrate_layers.errors",
    "build": "modelcrate.api",
    "build_all": "modelcrate.pipeline.batch",
    "create_bundle": "modelcrate.lifecycle.bundles",
    "export_model": "modelcrate.lifecycle.changes",
    "find": "modelcrate.api",
    "find_outdated": "modelcrate.lifecycle.supply_chain",
    "init": "modelcrate.api",
    "load_bundle": "modelcrate.lifecycle.bundles",
    "lock": "modelcrate.api",
    "plan": "modelcrate.api",
    "predict": "modelcrate.api",
    "rebase": "modelcrate.lifecycle.changes",
    "rebuild": "modelcrate.lifecycle.changes",
    "run": "modelcrate.api",
    "sbom": "modelcrate.lifecycle.supply_chain",
    "sign": "modelcrate.lifecycle.supply_chain",
    "start": "modelcrate.api",
    "swap_model": "modelcrate.lifecycle.changes",
    "take_inventory": "modelcrate.lifecycle.bundles",
    "test": "modelcrate.api",
    "verify": "modelcrate.lifecycle.supply_chain",
    "verify_signatures": "modelcrate.lifecycle.supply_chain",
    "write_sources": "modelcrate.lifecycle.changes",
}

_FORMER = {"Settings": "Config"}
"""Names that were given another one, and still work."""

__all__ = [
    "Building",
    "Built",
    "Config",
    "ContainerOptions",
    "CrateError",
    "IntegrityError",
    "LimitError",
    "LockedError",
    "MachineError",
    "Order",
    "Outcome",
    "Receipt",
    "RegistryError",
    "Settings",
    "SourceError",
    "UserError",
    "__version__",
    "build",
    "build_all",
    "create_bundle",
    "export_model",
    "find",
    "find_outdated",
    "init",
    "load_bundle",
    "lock",
    "plan",
    "predict",
    "rebase",
    "rebuild",
    "run",
    "sbom",
    "sign",
    "start",
    "swap_model",
    "take_inventory",
    "test",
    "verify",
    "verify_signatures",
    "write_sources",
]


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours

    def __getattr__(name: str) -> Any:
        """Imports a public name when it is first used: importing modelcrate costs nothing."""
        home = _HOMES.get(_FORMER.get(name, name))
        if home is None:
            raise AttributeError(f"module 'modelcrate' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(home), _FORMER.get(name, name))


def __dir__() -> list[str]:
    return __all__
