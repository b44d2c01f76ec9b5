"""What a container may use of the machine, and whether it is started again after its end. Pure values, read as docker reads its own."""

from __future__ import annotations

import re
from typing import Any

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

MIN_MEMORY = 6 << 20
"""Bytes below which no program starts (docker's limit)."""

PERIOD = 100_000
"""Microseconds of a period in which processor time is counted (the kernel's usual one)."""

_MEMORY = compile_later(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)([bkmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_CPUS = compile_later(r"[0-9]{0,5}(?:\.[0-9]{1,3})?")
_COUNT = compile_later(r"[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of memory, and processors; 0 means no limit."""

    memory: int = 0
    cpus: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.memory or self.cpus)

    @classmethod
    def parse(cls, memory: str | None, cpus: str | None) -> Limits:
        """Reads `--memory` (`512m`, `2g`, bytes) and `--cpus` (`1.5`). UserError for anything else."""
        found, number = 0, 0.0
        if memory is not None:
            match = _MEMORY.fullmatch(memory)
            found = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
            if found < MIN_MEMORY:
                hint = f"expected a number with b, k, m or g, such as 512m or 2g; at least {MIN_MEMORY >> 20}m"
                raise UserError(f"not an amount of memory: {memory[:40]!r}", hint=hint)
        if cpus is not None:
            number = float(cpus) if _CPUS.fullmatch(cpus) and any(map(str.isdigit, cpus)) else 0.0
            if number < 0.01:
                raise UserError(
                    f"not a number of processors: {cpus[:40]!r}",
                    hint="expected a number such as 2 or 0.5; at least 0.01",
                )
        return cls(found, number)

    def resources(self) -> dict[str, Any]:
        """Returns the limits as a runtime takes them (OCI runtime specification, config-linux.md)."""
        found: dict[str, Any] = {}
        if self.memory:
            found["memory"] = {"limit": self.memory}
        if self.cpus:
            found["cpu"] = {"period": PERIOD, "quota": round(self.cpus * PERIOD)}
        return found


@dataclass(frozen=True, slots=True)
class Restart:
    """When a container that has ended is started again: `no`, `on-failure` or `always`; with `on-failure` at most `times`, 0 for any number."""

    policy: str = "no"
    times: int = 0

    @classmethod
    def parse(cls, text: str) -> Restart:
        """Reads `no`, `always`, `on-failure`, `on-failure:N`, or N alone for the last. UserError for anything else."""
        policy, colon, times = text.partition(":")
        if _COUNT.fullmatch(text):
            return cls("on-failure", int(text)) if int(text) else cls()
        if policy == "on-failure" and (not colon or _COUNT.fullmatch(times)):
            return cls(policy, int(times or 0))
        if text in ("no", "always"):
            return cls(text)
        hint = "expected a number, on-failure, on-failure:N, always or no"
        if text == "unless-stopped":
            hint = "take always: nothing here starts containers with the machine, so the two are the same"
        raise UserError(f"unknown restart policy {text[:40]!r}", hint=hint)

    def again(self, code: int, before: int) -> bool:
        """Returns whether a container that ended with `code` after `before` restarts is started once more."""
        if self.policy == "on-failure":
            return code != 0 and (not self.times or before < self.times)
        return self.policy == "always"
