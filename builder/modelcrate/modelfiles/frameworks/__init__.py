"""Models that need no entry script: the framework of their files, their inputs, and what is needed to serve them.

One module here is one framework, found by its name; its script is in `modelfiles/scripts`. Nothing is loaded or unpickled.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate_layers.frozen import dataclass, field

if TYPE_CHECKING:
    from modelcrate.modelfiles.framework_files import ModelFiles

Schema = Mapping[str, Any]
"""A JSON schema; empty where nothing is known."""


@dataclass(frozen=True, slots=True)
class FrameworkModel:
    """What is needed to serve a model: `file` is what the script loads, as a path below AZUREML_MODEL_DIR.

    `requirements` are PEP 508 lines. `takes` and `gives` describe a request and an answer. `assumed` are
    sentences about facts that the file doesn't state.
    """

    framework: str
    template: str
    file: str
    requirements: tuple[str, ...]
    takes: Schema = field(default_factory=dict, hash=False)
    gives: Schema = field(default_factory=dict, hash=False)
    assumed: tuple[str, ...] = ()
    python: str = ""
    """Major and minor of the Python that made it, where the files name it and it matters."""


class Framework(Protocol):
    """The interface of a module of this package."""

    NAME: str
    IDENTIFIED_BY: str
    """The files that identify its models, in words for a message."""

    def find(self, files: ModelFiles) -> tuple[str, ...]:
        """Returns the framework's models among these files; "." where the folder as a whole is one."""

    def versions(self, files: ModelFiles, name: str) -> Iterator[StatedVersion]:
        """Yields the package versions that a model names.

        Raises:
            CrateError: A file can't be read. `where` names it.
        """

    def understand(self, files: ModelFiles, name: str) -> FrameworkModel:
        """Returns what is needed to serve a model.

        Raises:
            UserError: The model can't be served without an entry script.
            SourceError: A file can't be read, or is damaged.
        """


@cache
def frameworks() -> tuple[Framework, ...]:
    """Returns all frameworks, in the order of their names."""
    import pkgutil

    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(cast("Framework", module) for module in modules if hasattr(module, "IDENTIFIED_BY"))
