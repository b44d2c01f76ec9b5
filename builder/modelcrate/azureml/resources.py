"""What a model asks of the machine that serves it."""

from __future__ import annotations

from modelcrate_layers.frozen import dataclass


@dataclass(frozen=True, slots=True)
class ResourceConfiguration:
    """Cores, gigabytes and GPUs; kept with a registered model, and a hint to whoever runs it."""

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None

    def facts(self) -> dict[str, float]:
        """What was said, by name."""
        named = {"cpu": self.cpu, "memory_in_gb": self.memory_in_gb, "gpu": self.gpu}
        return {name: float(value) for name, value in named.items() if value is not None}

    @classmethod
    def of(cls, facts: dict[str, float]) -> ResourceConfiguration | None:
        gpu = facts.get("gpu")
        return cls(facts.get("cpu"), facts.get("memory_in_gb"), None if gpu is None else int(gpu)) if facts else None
