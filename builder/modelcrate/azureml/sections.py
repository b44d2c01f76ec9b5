"""The parts of an Environment. Scripts set their fields one by one, so they are not frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate_layers.content import Platform


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

    None is modelcrate's own base, made from signed Debian packages. Not frozen: users set its members one by one, as in Azure.
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
