"""The parts of an Environment. Scripts set their fields one by one, so they are not frozen."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelcrate.azureml.conda_dependencies import CondaDependencies
from modelcrate.azureml.container_registry import ContainerRegistry


@dataclass(slots=True)
class DockerSection:
    """The base: the reference of an image, or any other base of a project file (`oci:DIR`, `rootfs:FILE`, ...).

    None is modelcrate's own base, made from signed Debian packages. Not frozen: users set its members one by one, as in Azure.
    """

    base_image: str | None = None
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    base_dockerfile: str | None = None
    build_context: object = None
    platform: str = "linux/amd64"
    enabled: bool = True
    shm_size: str | None = None
    arguments: list[str] = field(default_factory=list)


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
