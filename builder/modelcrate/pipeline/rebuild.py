"""Rebuilds an image from what is beside it: its lock and its sources. Models are the image's own; all else is made again, and compared."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate._version import __version__
from modelcrate.config import Config
from modelcrate.events import Notice
from modelcrate.images.image import DEFAULT_VARIANT, Image, ImageLayer, Index
from modelcrate.images.reading import Found
from modelcrate.images.sources import Sources, blamed_on_sources, check_links, read_sources
from modelcrate.images.unpack import unpack
from modelcrate.inspect.verify_rebuild import list_mismatches
from modelcrate.pipeline.choose_models import GivenModels
from modelcrate.pipeline.request import Request, read_request
from modelcrate.pipeline.session import Session
from modelcrate.project.values import AnyModel, HubModel, Model, RegisteredModel
from modelcrate.resolve.declared.files import declared_files
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import Lock, ModelPin, read_lock
from modelcrate_layers.atomic import remove, scratch_folder
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError, SourceError, UserError, placed
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.kinds.model import folder as model_folder
from modelcrate_layers.kinds.ready import ReadyLayer
from modelcrate_layers.packages.checked import hash_file
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.resolve.hub.folder import HubFolder

MOST = 16
"""How many sources beside one image are tried: whoever builds the same image from other files puts others there."""


INCOMING = ".modelcrate-incoming-"
"""How the name of the folder begins in which a project is put together, beside or in its place."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An image that was built again.

    Attributes:
        digest: Its digest.
        mismatches: How the image that is there differs from it, a line each.
        made_by: The version of modelcrate that made that image, where it is another than this.
    """

    digest: Digest
    mismatches: tuple[str, ...]
    made_by: str = ""


def rebuild_image(found: Found, session: Session) -> Rebuilt:
    """Builds an image again from the sources and the lock beside it, and compares. Nothing that was remembered is believed.

    The base and the packages come from where the lock and the sources have them, by their hashes. Only models are taken from the image.

    Args:
        found: The image, or an index of several platforms.
        session: Builds it; it is open.

    Raises:
        SourceError: There are no sources beside the image.
        IntegrityError: The sources are damaged, or name what the image does not have.
        CrateError: The rebuild failed; the class is the kind of cause.
    """
    image = found.read()
    beside = _sources_beside(found, image.images[0])
    if len(beside) > MOST:
        text = f"{len(beside)} sources are beside the image; the last {MOST} are tried, and no others"
        session.emit(Notice(text))
        beside = beside[-MOST:]
    done: list[Rebuilt] = []
    faults: list[CrateError] = []
    # nobody has to have signed the sources: their files get no variables of this machine, and their indexes no credentials
    with Session(replace(session.config, foreign=True), session.emit, session.connections.logins) as foreign:
        for sources in beside:
            try:
                with placed(found.collection.where):
                    done.append(_rebuild(sources, found, image, foreign))
            except CrateError as fault:
                faults.append(fault)
            else:
                if not done[-1].mismatches:
                    return done[-1]
    if not done:
        raise faults[-1]
    return min(done, key=lambda each: len(each.mismatches))


def restore_project(found: Found, folder: Path, config: Config, digest: str = "") -> Path:
    """Writes the project that an image was made of into a folder: its sources, its lock, and those models that were files beside them.

    Registered models and those of hubs stay where they are.

    Args:
        found: The image, or an index of several platforms.
        folder: The folder, which is not there yet, or is empty.
        config: The configuration.
        digest: Which sources are taken where several are beside the image: the digest of their artifact, or how it begins.

    Returns:
        The project file.

    Raises:
        UserError: There is something in the folder, or several sources are beside the image, and the digest does not name one of them.
        SourceError: There are no sources beside the image.
        IntegrityError: The sources are damaged, or name what the image does not have.
    """
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError("is there, and is no empty folder", where=str(folder), hint="name another folder")
    image = found.read().images[0]
    beside = _sources_beside(found, image)
    sources, real = _chosen(beside, digest, found.collection.where), Path(os.path.realpath(folder))
    with as_machine_error(folder), placed(found.collection.where):
        real.parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(real if real.is_dir() else real.parent, INCOMING, clear=False) as scratch:
            top = scratch / "project"
            top.mkdir()
            sources.unpack(top, LOCK_NAME)
            with blamed_on_sources(top):
                _place_files(read_request(top / sources.file, replace(config, foreign=True)), image, scratch)
            if real.is_dir():
                _move_children(top, real)
            else:
                os.rename(top, real)
    return folder / sources.file


def _move_children(top: Path, folder: Path) -> None:
    """Moves all that is in a folder into an empty one, or nothing: it may be the current folder, or a mount, and stays."""
    moved: list[Path] = []
    try:
        for each in sorted(top.iterdir()):
            os.rename(each, folder / each.name)
            moved.append(folder / each.name)
    except BaseException:
        for each in moved:
            remove(each)
        raise


def _chosen(beside: Sequence[Sources], digest: str, where: str) -> Sources:
    """Returns the sources that are meant. Nobody has to have signed any of them, so that none of several is taken unasked."""
    fitting = [each for each in beside if digest in ("", str(each.digest)) or _begins(each, digest)]
    if len({(each.file, each.blob.descriptor.digest) for each in fitting}) == 1:
        return fitting[-1]
    listed = "\n".join(f"{each.digest} ({each.blob.descriptor.size} bytes)" for each in beside[-MOST:])
    what = (
        f"none of the sources beside the image is {digest[:80]!r}" if digest else "several sources are beside the image"
    )
    raise UserError(what, where=where, why=listed, hint="name those that you want: modelcrate sources --digest DIGEST")


def _begins(sources: Sources, digest: str) -> bool:
    return len(digest) >= 8 and str(sources.digest).removeprefix("sha256:").startswith(digest.removeprefix("sha256:"))


def _sources_beside(found: Found, image: Image) -> tuple[Sources, ...]:
    beside = read_sources(found, image)
    if not beside:
        raise SourceError(
            "there are no sources beside the image",
            where=found.collection.where,
            why="a build puts its lock and its sources beside an image where it is asked to",
            hint="build it with --sources; or verify its project: modelcrate verify PROJECT --against IMAGE",
        )
    return beside


def _rebuild(sources: Sources, found: Found, image: Image | Index, session: Session) -> Rebuilt:
    with scratch_folder() as scratch:
        top = scratch / "project"
        with as_machine_error(top):
            top.mkdir()
        sources.unpack(top, LOCK_NAME)
        with blamed_on_sources(top):
            request = _for_image(session.read(top / sources.file), image)
            for each in request.project.every:
                if each.dependencies.project:
                    raise IntegrityError("the sources want to run a build of their own (project: true)")
                for _ in declared_files(each.dependencies, top, session.config.file_variables):
                    pass  # a variable that they want is told before anything is fetched
            _place_files(request, image.images[0], scratch)
            given = _given_models(request, image.images[0], scratch)
        project = request.project
        if project.created is None:
            project = replace(project, created=_created(image.images[0]))
        project = replace(project, max_size=None, max_layer_growth=None)  # limits are for what is delivered
        try:
            made = session.rebuild(replace(request, project=project, given=given))
        except LockedError as fault:
            if fault.where != LOCK_NAME:
                raise  # a package that can't be had any more
            what = "the lock among the sources beside the image does not fit them"
            raise IntegrityError(what, why=fault.why or fault.what) from None
        mismatches = [
            line
            for each in made.images
            for line in list_mismatches(found.image(each.platform, each.variant or DEFAULT_VARIANT), each)
        ]
        built = [(each.variant, each.platform) for each in made.images]
        mismatches += [
            f"{replace(each, platform=Platform.of(each.settings)).label}: the sources do not build this {'variant' if each.variant else 'platform'}"
            for each in image.images
            if not any(name == each.variant and platform.matches(each.settings) for name, platform in built)
        ]
        if not mismatches and made.digest != image.digest:
            mismatches = ["index: only its annotations, or the order of its images, differ"]
    made_by = sources.version if sources.version != __version__ else ""
    return Rebuilt(made.digest, tuple(mismatches), made_by)


def _for_image(request: Request, image: Image | Index) -> Request:
    """Returns the request for those variants that an image has: one that was copied by itself has none beside it."""
    names = {each.variant or DEFAULT_VARIANT for each in image.images}
    return request.for_variant(*names) if request.project.variants and len(names) == 1 else request


def _created(image: Image) -> datetime | None:
    """Returns the creation time of an image: a setting of a build, which may stand in its environment."""
    try:
        found = datetime.fromisoformat(str(image.settings.get("created", "")))
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _place_files(request: Request, image: Image, scratch: Path) -> None:
    """Puts those models of an image that are files of its project where the project has them."""
    for model in request.project.models:
        if isinstance(model, Model):
            layers = _layers_of(image, model.name, model.version)
            _move_into(_unpacked(model.name, model.version, layers, scratch), request.folder, model)
    check_links(request.folder)


def _given_models(request: Request, image: Image, scratch: Path) -> GivenModels:
    """Returns the models of an image that its project has in a workspace or in a hub."""
    lock = read_lock(request.folder / LOCK_NAME)
    registered: dict[AnyModel, tuple[RegisteredModel, tuple[ReadyLayer, ...]]] = {}
    hub: dict[AnyModel, tuple[Model, HubFolder]] = {}
    for model in request.project.models:
        pin = _pin_of(model, lock)
        version = pin.version if pin is not None else model.version or 0
        if isinstance(model, RegisteredModel):
            layers = _layers_of(image, model.name, version)
            ready = tuple(ReadyLayer(each.role, each.name, each.layer, each.blob) for each in layers)
            registered[model] = RegisteredModel(model.name, version), ready
        elif isinstance(model, HubModel):
            hub[model] = _hub_model(model, pin, _layers_of(image, model.name, version), scratch)
    return GivenModels(registered, hub)


def _pin_of(model: AnyModel, lock: Lock | None) -> ModelPin | None:
    fitting = (each for each in (lock.models if lock is not None else ()) if each.name == model.name)
    return next((each for each in fitting if model.version in (None, each.version)), None)


def _layers_of(image: Image, name: str, version: int) -> Sequence[ImageLayer]:
    label = f"{name}:{version}"
    found = [
        each
        for each in image.layers
        if each.role == "model" and (each.name == label or each.name.startswith(f"{label} "))
    ]
    if not found:
        raise IntegrityError(f"the sources name the model {label[:200]}, which the image does not have")
    return found


def _unpacked(name: str, version: int, layers: Sequence[ImageLayer], scratch: Path) -> Path:
    """Returns the file or folder of a model, out of its layers."""
    root = scratch / "models" / f"{len(list(scratch.glob('models/*')))}"
    with as_machine_error(root):
        root.mkdir(parents=True)
    unpack([each.blob for each in layers], root)
    inner = root / os.fsdecode(model_folder(name, version))
    tops = list(inner.iterdir()) if inner.is_dir() and not inner.is_symlink() else []
    if len(tops) != 1 or tops[0].is_symlink():
        raise IntegrityError(f"the layers of the model {name[:200]}:{version} have no single file or folder of it")
    return tops[0]


def _move_into(place: Path, folder: Path, model: Model) -> None:
    """Moves a model to where its project has it, which has to be in the project's folder."""
    target = folder / model.path
    inside = os.path.realpath(target.parent) + os.sep
    refusal = IntegrityError(f"the sources want the model {model.name[:200]} at {str(model.path)[:200]!r}")
    if not inside.startswith(os.path.realpath(folder) + os.sep):
        raise refusal
    with as_machine_error(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise refusal from None
        if not _merged(place, target):
            raise refusal


def _merged(place: Path, target: Path) -> bool:
    """Moves a file or folder to where nothing is, or what is equal; returns whether it could.

    Models share files with the entry, with golden requests and with each other.
    """
    if not os.path.lexists(target):
        os.rename(place, target)
        return True
    if place.is_symlink() or target.is_symlink():
        return place.is_symlink() and target.is_symlink() and os.readlink(place) == os.readlink(target)
    if place.is_dir() and target.is_dir():
        return all(_merged(each, target / each.name) for each in sorted(place.iterdir()))
    return place.is_file() and target.is_file() and filecmp.cmp(place, target, shallow=False)


def _hub_model(
    model: HubModel, pin: ModelPin | None, layers: Sequence[ImageLayer], scratch: Path
) -> tuple[Model, HubFolder]:
    """Returns a model of a hub as a folder, whose files are held to the hashes of the lock."""
    from modelcrate.resolve.hub.folder import HubFolder

    if pin is None or pin.hub is None:
        raise IntegrityError(f"the lock has nothing for the model {model.name[:200]}")
    place = _unpacked(model.name, model.version, layers, scratch)
    for path, size, sha256 in pin.hub.files:
        if not _holds(place / path, size, sha256):
            raise IntegrityError(f"the image's {path[:200]} of the model {model.name[:200]} is not what was locked")
    files = frozenset(os.path.realpath(each) for each in _files(place))
    return Model(place, model.name, model.version), HubFolder(place, pin.hub, files)


def _files(folder: Path) -> Iterator[Path]:
    return (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())


def _holds(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and hash_file(path)[1] == sha256
    except (OSError, CrateError):
        return False
