"""The machine that a model needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ResourceConfiguration:
    """Cores, gigabytes of memory, and GPUs. They are saved with a registered model, as information for its users."""

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None

    def facts(self) -> dict[str, float]:
        """Returns the values that are set, by name."""
        named = {"cpu": self.cpu, "memory_in_gb": self.memory_in_gb, "gpu": self.gpu}
        return {name: float(value) for name, value in named.items() if value is not None}

    def serialize(self) -> dict[str, float | int | None]:
        """Returns the configuration as a dictionary for JSON."""
        return {"cpu": self.cpu, "memoryInGB": self.memory_in_gb, "gpu": self.gpu}

    @classmethod
    def deserialize(cls, payload_obj: Mapping[str, Any] | None) -> ResourceConfiguration | None:
        """Returns the configuration that `serialize` gave; None for none."""
        if payload_obj is None:
            return None
        return cls(payload_obj.get("cpu"), payload_obj.get("memoryInGB"), payload_obj.get("gpu"))

    @classmethod
    def of(cls, facts: dict[str, float]) -> ResourceConfiguration | None:
        """Returns the configuration of a registered model; None if it has none."""
        gpu = facts.get("gpu")
        return cls(facts.get("cpu"), facts.get("memory_in_gb"), None if gpu is None else int(gpu)) if facts else None
