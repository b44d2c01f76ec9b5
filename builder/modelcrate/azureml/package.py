"""A package: an image, or a folder with a Dockerfile, that is built in the background."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelcrate.arguments import as_path
from modelcrate.azureml.build_log import BuildLog
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.projects import AzureProject, make_project
from modelcrate.azureml.workspace import Workspace
from modelcrate.events import Notice
from modelcrate.home.folder import open_store
from modelcrate.images.reference import Reference
from modelcrate.pipeline.autoserve import complete
from modelcrate.pipeline.choose_models import ChosenModels
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Build, Session
from modelcrate.project.values import DebianBase, RegisteredModel, RegistryBase
from modelcrate.render.stdout import print_text
from modelcrate.transports.connections import registry_config
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.output import Output
from modelcrate.transports.registry import RegistryOutput
from modelcrate.workspace.find import open_layers
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.patterns import compile_later

REPOSITORY = "package"
"""The original's name for an image without a name."""

_NAME = compile_later(r"[a-z0-9][a-z0-9.-]{1,30}[a-z0-9]")


class ModelPackage:
    """The result of `Model.package`. It is built in a thread, so it is not a value. `state` is the state of the build."""

    def __init__(self, workspace: Workspace, project: AzureProject, output: Output, *, dockerfile: bool) -> None:
        self.workspace, self.generate_dockerfile = workspace, dockerfile
        self.state = "NotStarted"
        self.error: str | None = None
        self.location: str | None = None
        self.package_build_log_uri: str | None = None
        self._project, self._output, self._log = project, output, BuildLog()
        self._fault: BaseException | None = None
        self._done: Build | None = None
        self._thread = threading.Thread(target=self._work, name="modelcrate package", daemon=True)

    @classmethod
    def begin(
        cls,
        workspace: Workspace,
        records: Sequence[ModelRecord],
        config: InferenceConfig | None,
        name: str | None,
        label: str | None,
        *,
        dockerfile: bool,
    ) -> ModelPackage:
        """Checks what can be checked without building, and starts the build.

        Args:
            workspace: The workspace, which gets the image.
            records: The models.
            config: The entry script and its environment.
            name: The name of the image; by default `package`.
            label: The tag of the image; by default the current time.
            dockerfile: Whether a folder with a Dockerfile is made instead of an image.

        Returns:
            The package.

        Raises:
            CrateError: The package can't be built.
        """
        if name is not None and not _NAME.fullmatch(name):
            rule = "3 to 32 lower-case letters, digits, dashes and dots, a letter or digit at both ends"
            warnings.warn(f"the original would refuse the image name {name!r}: {rule}", UserWarning, stacklevel=3)
        repository, tag = name or REPOSITORY, label or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        Reference.parse(f"registry.example/{repository}:{tag}")  # a UserError, where it can't name an image
        project = make_project(repository, workspace.address, records, config)
        if dockerfile:
            project = _with_shell(project)
        if config is None:  # what can't be served is refused here, and not in the background
            layers = open_layers(workspace.backend, records[0])
            model = RegisteredModel(records[0].name, records[0].version)
            complete(ChosenModels(project.project, {model: layers}), Path.cwd(), workspace.settings)
        package = cls(workspace, project, workspace.backend.image_output(repository, tag), dockerfile=dockerfile)
        package._thread.start()
        return package

    def __repr__(self) -> str:
        shown = f", location={self.location!r}" if self.location and not self.generate_dockerfile else ""
        return f"ModelPackage(workspace={self.workspace!r}, state={self.state!r}{shown})"

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Waits for the end of the build.

        Args:
            show_output: Whether the log is printed while it is written.

        Raises:
            CrateError: The build failed. The message has the state and the reason.
        """
        offset = 0
        while show_output and (new := self._log.wait(offset)):
            print_text(new.decode(), end="")
            offset += len(new)
        self._thread.join()
        if show_output:
            print_text(f"Package creation {self.state}")
        if self._fault is not None:
            raise _with_state(self._fault, self.state)

    def update_creation_state(self) -> None:
        """Does nothing: `state`, `error` and `location` are always current. The original queries its service."""

    def get_logs(self, decode: bool = True, offset: int = 0) -> str | bytes:
        """Returns the log from a byte offset on; empty after its end."""
        data = self._log.read(offset)
        return data.decode("utf-8", "replace") if decode else data

    def pull(self) -> None:
        """Waits for the build, and copies the image into the local store for `modelcrate images` and `run`.

        Raises:
            UserError: The package is a Dockerfile.
            CrateError: The build or the copy failed.
        """
        if self.generate_dockerfile:
            raise UserError(
                "this package is a Dockerfile, there is no image to pull", hint="save it: package.save('./imagefiles')"
            )
        self.wait_for_creation()
        from modelcrate.transports.addresses import find
        from modelcrate.transports.store import StoreOutput
        from modelcrate.transports.store import find as find_in_store

        assert self.location is not None
        settings, name = self.workspace.settings, self.image_name
        with Session(settings) as session:
            image = find(self.location, session.connections).read()
            layers, store = image.images[0].layers, open_store(settings)
            existing = {layer.descriptor.digest for layer in layers if store.has(layer.descriptor)}
            before = find_in_store(name, settings)
            session.copy(name, image, [StoreOutput(name)])
        for layer in layers:
            how = "Already exists" if layer.descriptor.digest in existing else "Pull complete"
            print_text(f"{layer.descriptor.digest.short}: {how}")
        same = before is not None and before.descriptor.digest == image.digest
        news = "Image is up to date" if same else "Downloaded newer image"
        print_text(f"Digest: {image.digest}\nStatus: {news} for {name}")

    def save(self, output_directory: str) -> None:
        """Waits for the build, and writes the folder: Dockerfile, `azureml-app/`, base and packages, for a build without a network.

        Raises:
            UserError: The package is an image, or the folder has other files.
            CrateError: The build failed.
        """
        if not self.generate_dockerfile:
            raise UserError("this package is an image, there is no Dockerfile to save", hint="pull it: package.pull()")
        folder = as_path("output_directory", output_directory)
        if folder.exists() and not folder.is_dir():
            raise UserError(
                "is a file, and a folder is needed",
                where=output_directory,
                hint="name a folder, or a name that is free",
            )
        self.wait_for_creation()
        from modelcrate.export.dockerfile import DockerfileOutput

        assert self._done is not None
        with Session(self.workspace.settings, logins=self._project.logins) as session:
            session.deliver(self._done, [DockerfileOutput(folder)])

    def get_container_registry(self) -> ContainerRegistry:
        """Returns the registry of the image, or of the base of a Dockerfile, with the credentials that are saved for it.

        Without a registry, the address is that of the folder or of the base, without credentials.
        """
        self.wait_for_creation()
        base = self._project.project.base
        if self.generate_dockerfile:
            reference = Reference.parse(base.reference) if isinstance(base, RegistryBase) else None
            place = str(base)
        else:
            reference = self._output.reference if isinstance(self._output, RegistryOutput) else None
            place = self.workspace.address
        if reference is None:
            return ContainerRegistry(place)
        from modelcrate.registry import credentials

        config = replace(registry_config(self.workspace.settings), logins=self._project.logins)
        found = credentials.find(reference.registry, reference.repository, config)
        if found is None:
            return ContainerRegistry(reference.registry)
        return ContainerRegistry(reference.registry, found.username, found.password)

    def serialize(self) -> dict[str, Any]:
        """Returns the package as a dictionary for JSON."""
        return {"generateDockerfile": self.generate_dockerfile, "state": self.state, "location": self.location}

    @property
    def image_name(self) -> str:
        """The name of the image in its registry, or in the local store after `pull`."""
        if isinstance(self._output, LayoutOutput):
            repository, _, tag = (self._output.tag or "").rpartition(".")
            return f"{repository}:{tag}"
        return self._output.target

    @property
    def digest(self) -> str | None:
        """The digest of the image; None before the end of the build."""
        return str(self._done.receipt.image.digest) if self._done is not None else None

    def _work(self) -> None:
        self.state = "Running"
        try:
            self._build()
        except BaseException as fault:  # `wait_for_creation` raises it
            self._fault, self.error, self.state = fault, str(fault), "Failed"
            self._log.write(f"{fault}\n")
        else:
            self.state = "Succeeded"
        finally:
            self._log.end()

    def _build(self) -> None:
        from modelcrate.render.text import receipt_text

        for notice in self._project.notices:
            self._log.emit(Notice(notice))
        outputs = () if self.generate_dockerfile else (self._output,)
        with Session(self.workspace.settings, self._log.emit, self._project.logins) as session:
            done = session.build(Request(self._project.project, Path.cwd(), outputs, use_lock=False))
        if not self.generate_dockerfile:
            self.location = _location(self._output, done.receipt)
        self._done = done
        self._log.write(f"{receipt_text(done.receipt)}\n")


def _location(output: Output, receipt: Receipt) -> str:
    """Returns the address of the image; in a registry, with its digest."""
    if isinstance(output, LayoutOutput):
        return f"oci:{output.target}"
    return f"{output.target}@{receipt.image.digest}"


def _with_state(fault: BaseException, state: str) -> BaseException:
    """Returns an error of the same class whose message begins with the state. Exceptions of other libraries are not changed."""
    if not isinstance(fault, CrateError):
        return fault
    plain: type[CrateError] = next(each for each in type(fault).__mro__ if each.__module__ == CrateError.__module__)
    message = f"StatusCode: {fault.exit_code}\nMessage: {fault}"
    return plain(f"package creation ended with state {state}", why=message)


def _with_shell(project: AzureProject) -> AzureProject:
    """Returns the project with a shell in its base: people add RUN lines to a Dockerfile."""
    base = project.project.base
    if not isinstance(base, DebianBase):
        return project
    base = replace(base, shell=True)  # noqa: S604 - a key of the project file, and no call of a shell
    return replace(project, project=replace(project.project, base=base))
