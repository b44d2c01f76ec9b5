"""What is known about a model file: its format, the facts that it states, and the verdicts on the code in it. Importing this costs little."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from modelcrate_layers.frozen import dataclass, field

if TYPE_CHECKING:
    from modelcrate.modelfiles.pickle.findings import StatedVersion
    from modelcrate.modelfiles.pickle.policy import Judgement


class Verdict(Enum):
    """The judgement of a file; the higher value is the worse."""

    SAFE = 0
    UNKNOWN = 1
    UNSAFE = 2


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a file. `format` is such as `safetensors`, empty for an unknown one; `fault` is the header's fault, in words."""

    format: str
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fault: str = ""
    pickles: tuple[Judgement, ...] = ()

    @property
    def versions(self) -> tuple[StatedVersion, ...]:
        """The versions that the file's pickles name."""
        return tuple(dict.fromkeys(stated for each in self.pickles for stated in each.versions))

    @property
    def verdict(self) -> Verdict:
        """The worst verdict on the file's pickles."""
        return max((each.verdict for each in self.pickles), key=lambda one: one.value, default=Verdict.SAFE)


NO_FACTS = ModelFacts("")
"""Those of a file that is no model."""
