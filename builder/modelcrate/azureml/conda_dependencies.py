"""The packages of an environment, as conda and pip name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.azureml.requirements_files import with_included
from modelcrate.project.conda import CondaSpec, conda_text, package_name, parse_conda, read_conda, spec
from modelcrate_layers.errors import UserError
from modelcrate_layers.named_file import read_source
from modelcrate_layers.packages.pinned import normalise_name


class CondaDependencies:
    """Packages of conda and pip, channels, and the version of Python. It is changed by its methods, as in the original.

    Without a version of Python, the base's Python is used. The original would take 3.10.
    """

    DEFAULT_NUMBER_OF_CONDA_PACKAGES = 0
    DEFAULT_NUMBER_OF_PIP_PACKAGES = 0

    def __init__(
        self,
        conda_dependencies_file_path: str | None = None,
        _underlying_structure: Mapping[str, object] | None = None,
    ) -> None:
        self._spec = CondaSpec()
        if conda_dependencies_file_path is not None:
            path = Path(conda_dependencies_file_path)
            self._spec = parse_conda(read_source(path), str(path))
            self.include(path.parent)
        elif _underlying_structure is not None:
            self._spec = read_conda(_underlying_structure, "the conda dependencies")

    @staticmethod
    def parse(text: str, where: str) -> CondaDependencies:
        """Returns the dependencies in the text of a conda environment file.

        Raises:
            UserError: The text is malformed.
        """
        made = CondaDependencies()
        made._spec = parse_conda(text.encode(), where)
        return made

    @staticmethod
    def create(
        pip_indexurl: str | None = None,
        pip_packages: Sequence[str] | None = None,
        conda_packages: Sequence[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
    ) -> CondaDependencies:
        """Returns new dependencies.

        Args:
            pip_indexurl: The URL of the package index for pip.
            pip_packages: Requirements of pip.
            conda_packages: Packages of conda.
            python_version: The version of Python.
            pin_sdk_version: Ignored: it is about packages of the original, which are not installed.
        """
        made = CondaDependencies()
        if pip_indexurl:
            made.set_pip_index_url(pip_indexurl)
        for each in pip_packages or ():
            made.add_pip_package(each)
        for each in conda_packages or ():
            made.add_conda_package(each)
        if python_version:
            made.set_python_version(python_version)
        return made

    @staticmethod
    def of_pip(lines: Sequence[str]) -> CondaDependencies:
        """Returns dependencies with all these lines of a requirements file: one package may have several, by markers."""
        made = CondaDependencies()
        made._set(pip=lines)
        return made

    def include(self, folder: Path) -> None:
        """Takes the lines of the requirements files that the pip part includes (`-r FILE`), and not the files' names.

        Args:
            folder: The folder from which their paths start.

        Raises:
            SourceError: A file can't be read.
            UserError: Files include each other.
        """
        lines = with_included(self._spec.pip, folder)
        if lines != list(self._spec.pip):
            self._set(pip=lines)

    @property
    def spec(self) -> CondaSpec:
        """The dependencies as a value."""
        return self._spec

    @property
    def python_version(self) -> str | None:
        """The version of Python, if one was set."""
        return self._spec.python

    @property
    def conda_packages(self) -> list[str]:
        """The packages of conda."""
        return list(self._spec.packages)

    @property
    def conda_channels(self) -> list[str]:
        """The channels of conda."""
        return list(self._spec.channels)

    @property
    def pip_packages(self) -> list[str]:
        """The requirements of pip."""
        return [line for line in self._spec.pip if not line.startswith("-")]

    @property
    def pip_options(self) -> list[str]:
        """The options of pip."""
        return [line for line in self._spec.pip if line.startswith("-")]

    def add_conda_package(self, conda_package: str) -> None:
        """Adds a package of conda, or replaces it. `python=3.11` sets the version of Python."""
        name = package_name(conda_package)
        kept = [line for line in self._spec.packages if package_name(line) != name]
        self._set(packages=[*kept, conda_package])

    def remove_conda_package(self, conda_package: str) -> None:
        """Removes a package of conda. One that was not added is ignored."""
        self._set(packages=[line for line in self._spec.packages if line != conda_package])

    def add_pip_package(self, pip_package: str) -> None:
        """Adds a requirement of pip. Another requirement of the same package is replaced."""
        name = _pip_name(pip_package)
        kept = [line for line in self._spec.pip if line.startswith("-") or _pip_name(line) != name]
        self._set(pip=[*kept, pip_package])

    def remove_pip_package(self, pip_package: str) -> None:
        """Removes a requirement of pip. One that was not added is ignored."""
        self._set(pip=[line for line in self._spec.pip if line != pip_package])

    def add_channel(self, channel: str) -> None:
        """Adds a channel of conda, if it was not added before."""
        if channel not in self._spec.channels:
            self._set(channels=[*self._spec.channels, channel])

    def remove_channel(self, channel: str) -> None:
        """Removes a channel of conda. One that was not added is ignored."""
        self._set(channels=[each for each in self._spec.channels if each != channel])

    def set_pip_option(self, pip_option: str) -> None:
        """Adds an option of pip, such as `--extra-index-url URL`. An option with the same name is replaced.

        Raises:
            UserError: The text does not begin with a dash.
        """
        if not pip_option.startswith("-"):
            raise UserError(
                f"not an option of pip: {pip_option[:60]!r}",
                hint="expected for instance --extra-index-url https://HOST/simple",
            )
        word = pip_option.split()[0]
        self._set(pip=[pip_option, *(line for line in self._spec.pip if line.split()[0] != word)])

    def remove_pip_option(self, pip_option: str) -> None:
        """Removes an option of pip by its name."""
        self._set(pip=[line for line in self._spec.pip if line.split()[0] != pip_option.split()[0]])

    def set_pip_index_url(self, index_url: str) -> None:
        """Sets the index of pip. Another one that was set before is replaced."""
        self.set_pip_option(index_url if index_url.startswith("-") else f"--index-url {index_url}")

    def set_pip_requirements(self, pip_requirements: Sequence[str]) -> None:
        """Replaces all requirements of pip. The options stay."""
        self._set(pip=[*self.pip_options, *pip_requirements])

    def set_python_version(self, version: str) -> None:
        """Sets the version of Python."""
        self._set(packages=[*self._spec.packages, f"python={version}"])

    def get_python_version(self) -> str | None:
        """Returns the version of Python, if one was set."""
        return self._spec.python

    def get_default_number_of_packages(self) -> int:
        """Returns how many packages are there by default: none."""
        return self.DEFAULT_NUMBER_OF_CONDA_PACKAGES + self.DEFAULT_NUMBER_OF_PIP_PACKAGES

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow: for processors, or with the libraries of CUDA.

        Args:
            core_type: `cpu` or `gpu`.
            version: The version; None for any.

        Raises:
            UserError: The kind is another one.
        """
        if core_type not in ("cpu", "gpu"):
            raise UserError(f"not a kind of processor: {core_type!r:.40}", hint="expected cpu or gpu")
        name = "tensorflow-cpu" if core_type == "cpu" else "tensorflow[and-cuda]"
        self.add_pip_package(f"{name}=={version}" if version else name)

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow. See `add_tensorflow_pip_package`: its wheels need nothing of conda."""
        self.add_tensorflow_pip_package(core_type, version)

    def add_cntk_package(self, core_type: str = "cpu") -> None:
        """Raises a UserError: CNTK ended in 2019, and has no wheel for a Python of today."""
        raise UserError("CNTK ended in 2019, and no Python of today has it", hint="save the model as ONNX")

    @staticmethod
    def sdk_origin_url() -> str:
        """Raises a UserError: the original's packages are not installed."""
        raise UserError(
            "the original's packages are not installed", hint="requirements come from set_pip_index_url, else from PyPI"
        )

    def as_dict(self) -> dict[str, object]:
        """Returns the dependencies as a conda environment file has them."""
        spec = self._spec
        python = [f"python={spec.python}"] if spec.python else []
        pip: list[object] = [{"pip": list(spec.pip)}] if spec.pip else []
        return {
            "name": spec.name or "project_environment",
            "dependencies": [*python, *spec.packages, *pip],
            "channels": list(spec.channels),
        }

    def serialize_to_string(self) -> str:
        """Returns the text of a conda environment file."""
        return conda_text(self._spec)

    def save_to_file(self, base_directory: str, conda_file_path: str | None = None) -> str:
        """Writes the file into a folder, and returns its name there."""
        name = conda_file_path or "conda_dependencies.yml"
        Path(base_directory, name).write_text(self.serialize_to_string(), encoding="utf-8", newline="\n")
        return name

    def save(self, path: str | None = None) -> str:
        """Writes the file, by default conda_dependencies.yml in the current folder, and returns its path."""
        place = Path(path or "conda_dependencies.yml")
        place.write_text(self.serialize_to_string(), encoding="utf-8", newline="\n")
        return str(place)

    @staticmethod
    def merge_requirements(requirements: Sequence[str]) -> list[str]:
        """Returns requirements with those of the same package joined: `a>=1` and `a<2` become `a>=1,<2`.

        Raises:
            UserError: A text is not a requirement.
        """
        from packaging.requirements import InvalidRequirement, Requirement

        joined: dict[str, Requirement] = {}
        for line in requirements:
            try:
                each = Requirement(line)
            except InvalidRequirement:
                raise UserError(
                    f"not a requirement: {line[:80]!r}", hint="expected for instance scikit-learn==1.7.2"
                ) from None
            other = joined.setdefault(_pip_name(line), each)
            if other is not each:
                other.specifier &= each.specifier
                other.extras |= each.extras
        return [str(each) for each in joined.values()]

    def _set(
        self,
        packages: Sequence[str] | None = None,
        pip: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
    ) -> None:
        now = self._spec
        python = [f"python={now.python}"] if now.python else []
        self._spec = spec(
            now.name,
            now.channels if channels is None else channels,
            [*python, *(now.packages if packages is None else packages)],
            now.pip if pip is None else pip,
        )


def _pip_name(line: str) -> str:
    """Returns the normalised name of a requirement (PEP 503), or the text if it has none."""
    match = re.match(r"\s*([A-Za-z0-9._-]+)", line)
    return normalise_name(match[1]) if match else line
