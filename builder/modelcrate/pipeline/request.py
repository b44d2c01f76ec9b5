"""The request for a build: a project, and what to do with its image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.config import Config
from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.images.image import DEFAULT_VARIANT
from modelcrate.images.reference import Reference
from modelcrate.project.opening import open_project
from modelcrate.project.values import FILE_NAME, Project
from modelcrate.transports.output import Output
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field, replace

if TYPE_CHECKING:
    from modelcrate.pipeline.choose_models import GivenModels
    from modelcrate.resolve.lock import Lock
    from modelcrate.security.signing.keys import Signer


PUSHED = "registry"
"""The kind of outputs that are repositories of a registry."""


@dataclass(frozen=True, slots=True)
class AttestationOptions:
    """The attestations of an image.

    Attributes:
        sbom: Whether bills of materials are attached. None: where the image is pushed or signed, from local files; True fetches what is missing.
        provenance: Whether a statement of how it was built is attached.
        sources: Whether the project file, the lock and the sources are attached, of which `verify --rebuild` makes the image again.
        signer: The signer of the image and of its attestations.
    """

    sbom: bool | None = None
    provenance: bool = False
    signer: Signer | None = None
    sources: bool = False

    def wants_any(self, outputs: Sequence[Output]) -> bool:
        """Returns whether anything is put beside the image."""
        return self.wants_sbom(outputs) or self.provenance or self.sources or self.signer is not None

    def wants_sbom(self, outputs: Sequence[Output]) -> bool:
        """Returns whether there will be bills of materials."""
        if self.sbom is None:
            return self.signer is not None or any(each.kind == PUSHED for each in outputs)
        return self.sbom


@dataclass(frozen=True, slots=True)
class Request:
    """A project in its folder, and how it is built.

    Attributes:
        file: The project file; None where there is none.
        given: The models of workspaces and hubs, where they are at hand.
        lock: The lock, where it is another than the file beside the project.
        outputs: Where the image goes. A caller that names none delivers it later.
        locked: Whether the build has to be what the lock says.
        use_lock: Whether a lock beside the project is read at all; a new lock is made without the old one.
        reuse: Whether layers may be taken from images that exist.
        cache_from: Addresses of images whose layers may be taken, besides those that the outputs name.
        share_layers: Where the signed list of layers is by which projects share them (see `pipeline.shared_layers`).
        paranoid: Whether every file is read and no remembered result is used.
        attestations: The attestations of the image.
        policy: A policy file that the base has to satisfy.
        max_size: The most bytes that the image may have; None: what the project says.
        test: Whether the image has to pass its golden requests before it is delivered.
        max_layer_growth: The most stored bytes by which a layer may grow; None: what the project says.
        against: The address of the image that growth is measured against; empty for the one that is in the target.
        variant: The variant that this is a request for, or `default`; empty for the project with all of them.
    """

    project: Project
    folder: Path
    outputs: tuple[Output, ...] = ()
    locked: bool = False
    use_lock: bool = True
    reuse: bool = True
    cache_from: tuple[str, ...] = ()
    share_layers: Reference | None = None
    paranoid: bool = False
    attestations: AttestationOptions = AttestationOptions()
    policy: Path | None = None
    max_size: int | None = None
    test: bool = False
    max_layer_growth: int | None = None
    against: str = ""
    variant: str = ""
    file: Path | None = None
    given: GivenModels | None = field(default=None, repr=False)
    lock: Lock | None = field(default=None, repr=False)

    def for_variant(self, name: str) -> Request:
        """Returns the request for one variant alone, or for the project without them by the name `default`; without a name, this one.

        Raises:
            UserError: The project has no such variant.
        """
        if not name or name == self.variant:
            return self
        if name == DEFAULT_VARIANT:
            return replace(self, project=replace(self.project, variants=()), variant=DEFAULT_VARIANT)
        for each in self.project.variants:
            if each.name == name:
                return replace(self, project=each.of(self.project), variant=name)
        names = ", ".join([DEFAULT_VARIANT, *(each.name for each in self.project.variants)])
        raise UserError(
            f"the project has no variant {name[:100]!r}",
            where=str(self.file or self.folder),
            why=f"it has: {names}",
            hint="name one that it has, or add it: variants: [{name: ..., ...}]",
        )

    @property
    def variant_name(self) -> str:
        """The name of the variant that images of this request are; empty for the project itself."""
        return "" if self.variant == DEFAULT_VARIANT else self.variant

    @property
    def usual_name(self) -> str:
        """The name of the image in the local store, where no output is named."""
        return self.project.name + (f":latest-{self.variant_name}" if self.variant_name else "")

    @property
    def growth_limit(self) -> int | None:
        """The most stored bytes by which a layer may grow."""
        return self.project.max_layer_growth if self.max_layer_growth is None else self.max_layer_growth

    @property
    def limit(self) -> int | None:
        """The most bytes that the image may have."""
        return self.project.max_size if self.max_size is None else self.max_size


def read_request(path: Path, config: Config, emit: Emit = ignore_event) -> Request:
    """Reads a project.

    Args:
        path: A project file, or a folder. A folder without a project file is searched, and what was found is reported as notices.
        config: Names the home, where parsed project files are remembered.
        emit: Gets the notices.

    Raises:
        UserError: The project has faults; all of them are in the error.
    """
    if path.is_dir() and not (path / FILE_NAME).exists():
        from modelcrate.pipeline.detection.detect import detect

        project, findings = detect(path)
        for finding in findings:
            emit(Notice(f"detected {finding}"))
        return Request(project, path)
    file = path / FILE_NAME if path.is_dir() else path
    _refuse_edited(file.parent / "Dockerfile")
    return Request(open_project(file, config.home), file.parent, file=file)


def _refuse_edited(dockerfile: Path) -> None:
    if not dockerfile.exists():
        return
    from modelcrate.project.dockerfile import is_edited  # most projects have none

    if is_edited(dockerfile.parent):
        raise UserError(
            "was changed, and a build reads modelcrate.yaml",
            where=str(dockerfile),
            hint=f"take its ENV, LABEL and USER lines over with: modelcrate init --from Dockerfile {dockerfile.parent}",
        )
