"""An image, or the folder of a Dockerfile, that is being made in the background."""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modelcrate.azureml.build_log import BuildLog
from modelcrate.azureml.container_registry import ContainerRegistry
from modelcrate.azureml.inference_config import InferenceConfig
from modelcrate.azureml.projects import AzureProject, make_project
from modelcrate.azureml.workspace import Workspace
from modelcrate.events import Notice
from modelcrate.home.folder import open_store
from modelcrate.images.reference import Reference
from modelcrate.pipeline.autoserve import complete
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Build, Session
from modelcrate.project.values import DebianBase, RegisteredModel, RegistryBase
from modelcrate.transports.connections import registry_config
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.output import Output
from modelcrate.transports.registry import RegistryOutput
from modelcrate.workspace.find import open_layers
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.errors import CrateError, UserError

REPOSITORY = "package"
"""What the original calls an image that was given no name."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,30}[a-z0-9]")


class ModelPackage:
    """`Model.package` makes it. It runs in a thread of its own, so it is no value; `state` says how far it is."""

    def __init__(self, workspace: Workspace, made: AzureProject, output: Output, *, dockerfile: bool) -> None:
        self.workspace, self.generate_dockerfile = workspace, dockerfile
        self.state = "NotStarted"
        self.error: str | None = None
        self.location: str | None = None
        self.package_build_log_uri: str | None = None
        self._made, self._output, self._log = made, output, BuildLog()
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
        """What can be refused without building is refused here. The tag is the time of now, where none is given."""
        if name is not None and not _NAME.fullmatch(name):
            rule = "3 to 32 lower-case letters, digits, dashes and dots, a letter or digit at both ends"
            warnings.warn(f"the original would refuse the image name {name!r}: {rule}", UserWarning, stacklevel=3)
        repository, tag = name or REPOSITORY, label or datetime.now(UTC).strftime("%Y%m%d%H%M%S")
        Reference.parse(f"registry.example/{repository}:{tag}")  # a UserError, where it can't name an image
        made = make_project(repository, workspace.address, records, config)
        if dockerfile:
            made = _with_shell(made)
        if config is None:  # what can't be served is refused here, and not in the background
            layers = open_layers(workspace.backend, records[0])
            model = RegisteredModel(records[0].name, records[0].version)
            complete(made.project, Path.cwd(), {model: layers}, workspace.settings)
        package = cls(workspace, made, workspace.backend.image_output(repository, tag), dockerfile=dockerfile)
        package._thread.start()
        return package

    def __repr__(self) -> str:
        shown = f", location={self.location!r}" if self.location and not self.generate_dockerfile else ""
        return f"ModelPackage(workspace={self.workspace!r}, state={self.state!r}{shown})"

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Wait for the end; with `show_output`, what is new in the log is printed as it comes. A failure is raised, with state and message."""
        offset = 0
        while show_output and (new := self._log.wait(offset)):
            _say(new.decode(), end="")
            offset += len(new)
        self._thread.join()
        if show_output:
            _say(f"Package creation {self.state}")
        if self._fault is not None:
            raise _add_state(self._fault, self.state)

    def update_creation_state(self) -> None:
        """`state`, `error` and `location` are always those of now; the original asks its service here."""

    def get_logs(self, decode: bool = True, offset: int = 0) -> str | bytes:
        """The log from a byte offset on; empty behind its end."""
        data = self._log.read(offset)
        return data.decode("utf-8", "replace") if decode else data

    def pull(self) -> None:
        """Bring the image into the local store, where `modelcrate images` and `run` find it. It waits for the image, if it has to."""
        if self.generate_dockerfile:
            raise UserError(
                "this package is a Dockerfile, there is no image to pull", hint="save it: package.save('./imagefiles')"
            )
        self.wait_for_creation()
        from modelcrate.transports.addresses import find
        from modelcrate.transports.store import StoreOutput
        from modelcrate.transports.store import find as in_store

        assert self.location is not None
        settings, name = self.workspace.settings, self.image_name
        with Session(settings) as session:
            image = find(self.location, session.connections).read()
            layers, store = image.images[0].layers, open_store(settings)
            there = {layer.descriptor.digest for layer in layers if store.has(layer.descriptor)}
            before = in_store(name, settings)
            session.copy(name, image, [StoreOutput(name)])
        for layer in layers:
            how = "Already exists" if layer.descriptor.digest in there else "Pull complete"
            _say(f"{layer.descriptor.digest.short}: {how}")
        same = before is not None and before.descriptor.digest == image.digest
        news = "Image is up to date" if same else "Downloaded newer image"
        _say(f"Digest: {image.digest}\nStatus: {news} for {name}")

    def save(self, output_directory: str) -> None:
        """Write the folder: Dockerfile, `azureml-app/`, base and packages, enough to build without a network. It waits, if it has to."""
        if not self.generate_dockerfile:
            raise UserError("this package is an image, there is no Dockerfile to save", hint="pull it: package.pull()")
        folder = Path(output_directory)
        if folder.exists() and not folder.is_dir():
            raise UserError("is a file, and a folder is needed", where=output_directory)
        self.wait_for_creation()
        from modelcrate.export.dockerfile import DockerfileOutput

        assert self._done is not None
        with Session(self.workspace.settings) as session:
            session.deliver(self._done, [DockerfileOutput(folder)])

    def get_container_registry(self) -> ContainerRegistry:
        """Where the image is, or, of a Dockerfile package, where its base is; with the credentials that are found for it.

        Without a registry (a folder, a base that is no registry's) the address is that place, and there is nothing to log in to.
        """
        self.wait_for_creation()
        base = self._made.project.base
        if self.generate_dockerfile:
            reference = Reference.parse(base.reference) if isinstance(base, RegistryBase) else None
            place = str(base)
        else:
            reference = self._output.reference if isinstance(self._output, RegistryOutput) else None
            place = self.workspace.address
        if reference is None:
            return ContainerRegistry(place)
        from modelcrate.registry import credentials

        found = credentials.find(reference.registry, reference.repository, registry_config(self.workspace.settings))
        if found is None:
            return ContainerRegistry(reference.registry)
        return ContainerRegistry(reference.registry, found.username, found.password)

    def serialize(self) -> dict[str, Any]:
        return {"generateDockerfile": self.generate_dockerfile, "state": self.state, "location": self.location}

    @property
    def image_name(self) -> str:
        """What the image is called: in its registry, or in the local store after `pull`."""
        if isinstance(self._output, LayoutOutput):
            repository, _, tag = (self._output.tag or "").rpartition(".")
            return f"{repository}:{tag}"
        return self._output.target

    @property
    def digest(self) -> str | None:
        """The digest of the image, once it is there."""
        return str(self._done.receipt.image.digest) if self._done is not None else None

    def _work(self) -> None:
        self.state = "Running"
        try:
            self._build()
        except BaseException as fault:  # it is raised where somebody waits
            self._fault, self.error, self.state = fault, str(fault), "Failed"
            self._log.write(f"{fault}\n")
        else:
            self.state = "Succeeded"
        finally:
            self._log.end()

    def _build(self) -> None:
        from modelcrate.render.text import receipt_text

        for notice in self._made.notices:
            self._log.emit(Notice(notice))
        outputs = () if self.generate_dockerfile else (self._output,)
        with Session(self.workspace.settings, self._log.emit) as session:
            done = session.build(Request(self._made.project, Path.cwd(), outputs, use_lock=False))
        if not self.generate_dockerfile:
            self.location = _location(self._output, done.receipt)
        self._done = done
        self._log.write(f"{receipt_text(done.receipt)}\n")


def _location(output: Output, receipt: Receipt) -> str:
    """Where the image is: an address that all of modelcrate takes, of a registry's with the digest."""
    if isinstance(output, LayoutOutput):
        return f"oci:{output.target}"
    return f"{output.target}@{receipt.image.digest}"


def _add_state(fault: BaseException, state: str) -> BaseException:
    """What went wrong, as an error of the same class that begins with the state; anything but ours is raised as it is."""
    if not isinstance(fault, CrateError):
        return fault
    plain: type[CrateError] = next(each for each in type(fault).__mro__ if each.__module__ == CrateError.__module__)
    message = f"StatusCode: {fault.exit_code}\nMessage: {fault}"
    return plain(f"package creation ended with state {state}", why=message)


def _say(text: str, end: str = "\n") -> None:
    from modelcrate.render.stdout import print_text

    print_text(text, end)


def _with_shell(made: AzureProject) -> AzureProject:
    """Returns the project with a shell in its base: people add RUN lines to a Dockerfile."""
    base = made.project.base
    if not isinstance(base, DebianBase):
        return made
    base = replace(base, shell=True)  # noqa: S604 - a key of the project file, and no call of a shell
    return replace(made, project=replace(made.project, base=base))
