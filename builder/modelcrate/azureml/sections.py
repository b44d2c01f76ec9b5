"""The parts of an Environment. Scripts set their fields one by one, so they are not frozen."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate_layers.content import Platform
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.named_file import read_source


@dataclass(slots=True)
class DockerImagePlatform:
    """For which system the image is made: `Linux` or `linux`, and `amd64` or `arm64`.

    Not frozen: users set its members one by one, as in Azure.
    """

    os: str = "Linux"
    architecture: str = "amd64"

    def __str__(self) -> str:
        return str(self.platform)

    @property
    def platform(self) -> Platform:
        """The platform as a value."""
        return Platform.of({"os": self.os, "architecture": self.architecture})

    @classmethod
    def parse(cls, said: str | Mapping[str, Any] | None) -> DockerImagePlatform:
        """Returns the platform of a text such as `linux/arm64`, or of a mapping, as the original writes it; the default for None."""
        if not said:
            return cls()
        if isinstance(said, Mapping):
            return cls(str(said.get("os") or "Linux"), str(said.get("architecture") or "amd64"))
        platform = Platform.parse(said)
        return cls(platform.os.capitalize(), platform.architecture)


@dataclass(slots=True)
class DockerSection:
    """The base: the reference of an image, or any other base of a project file (`oci:DIR`, `rootfs:FILE`, ...).

    None is modelcrate's own base, made from signed Debian packages. Not frozen: users set its members one by one, as in Azure, where an image, a
    Dockerfile and a build context take each other's place, and a Dockerfile may be given as a text, as the path of a file, or as an open file.
    """

    base_image: str | None = None
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    base_dockerfile: str | None = None
    build_context: object = None
    platform: DockerImagePlatform = field(default_factory=DockerImagePlatform)
    enabled: bool = True
    shm_size: str | None = None
    arguments: list[str] = field(default_factory=list)
    gpu_support: bool = False
    shared_volumes: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "base_dockerfile":
            value = _dockerfile(value)
        for other in _BASES if name in _BASES and value else ():
            if other != name and getattr(self, other, None):
                warnings.warn(f"docker.{name} takes the place of docker.{other}", UserWarning, stacklevel=2)
                object.__setattr__(self, other, None)
        object.__setattr__(self, name, value)


_BASES = ("base_image", "base_dockerfile", "build_context")


def _dockerfile(given: Any) -> Any:
    """Returns the text of a Dockerfile that is given as one, as a path, or as an open file."""
    if callable(read := getattr(given, "read", None)):
        return read()
    is_path = isinstance(given, str | os.PathLike) and "\n" not in os.fspath(given) and os.path.isfile(given)
    return read_source(Path(given)).decode("utf-8", "replace") if is_path else given


@dataclass(slots=True)
class PythonSection:
    """The Python packages. With `user_managed_dependencies` none are installed, because the base has them.

    Not frozen: users set its members one by one, as in Azure.
    """

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies: CondaDependencies | None = field(default_factory=CondaDependencies)
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None


@dataclass(slots=True)
class SparkSection:
    """Packages of Spark, which are refused where an image is made.

    Not frozen: users set its members one by one, as in Azure.
    """

    repositories: list[str] = field(default_factory=list)
    packages: list[object] = field(default_factory=list)
    precache_packages: bool = True


@dataclass(slots=True)
class DatabricksSection:
    """Libraries of Databricks, which are refused where an image is made.

    Not frozen: users set its members one by one, as in Azure.
    """

    maven_libraries: list[object] = field(default_factory=list)
    pypi_libraries: list[object] = field(default_factory=list)
    rcran_libraries: list[object] = field(default_factory=list)
    jar_libraries: list[object] = field(default_factory=list)
    egg_libraries: list[object] = field(default_factory=list)


@dataclass(slots=True)
class RSection:
    """Packages of R, which are refused where an image is made.

    Not frozen: users set its members one by one, as in Azure.
    """

    r_version: str | None = None
    user_managed: bool = False
    rscript_path: str | None = None
    snapshot_date: str | None = None
    cran_packages: list[object] = field(default_factory=list)
    github_packages: list[object] = field(default_factory=list)
    custom_url_packages: list[object] = field(default_factory=list)
    bioconductor_packages: list[object] = field(default_factory=list)
