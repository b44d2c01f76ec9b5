"""What the YAML of Azure Machine Learning's CLI v2 says of a container: deployments, models and environments as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate_layers.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class AssetReference:
    """`azureml:NAME:VERSION`, `azureml:NAME@LABEL`, or an asset of a registry of the cloud."""

    text: str
    name: str
    version: str = ""
    label: str = ""
    registry: str = ""


@dataclass(frozen=True, slots=True)
class V2Model:
    """A model by its path."""

    path: Path
    name: str = ""
    version: str = ""
    type: str = "custom_model"


@dataclass(frozen=True, slots=True)
class V2Route:
    """A port of the container, and a path."""

    port: int
    path: str


@dataclass(frozen=True, slots=True)
class V2Environment:
    """An environment. `conda` is the contents of its conda file, `conda_path` its place, if it has one of its own."""

    name: str = ""
    image: str = ""
    conda: Mapping[str, Any] | None = field(default=None, hash=False)
    conda_path: Path | None = None
    dockerfile: Path | None = None
    liveness: V2Route | None = None
    scoring: V2Route | None = None


@dataclass(frozen=True, slots=True)
class V2Deployment:
    """An online deployment. A model or an environment alone is one with nothing else.

    Attributes:
        file: Where it was read.
        name: Its name; empty where it comes from the command line of the original.
        endpoint: The name of its endpoint; empty as the name.
        model: The model, by its path or by its name in a workspace.
        environment: The environment, or its name.
        code: The folder of the code.
        script: The entry script, relative to `code`.
        variables: The variables of the container.
        mount_path: Where the container expects the models, if it says so.
        not_taken: What the file says and an image can't have: key, value, and what to do.
        alone: Whether the file is that of a model or an environment alone.
    """

    file: Path
    name: str = ""
    endpoint: str = ""
    model: V2Model | AssetReference | None = None
    environment: V2Environment | AssetReference | None = None
    code: Path | None = None
    script: str = ""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    mount_path: str = ""
    not_taken: tuple[str, ...] = ()
    alone: bool = False
