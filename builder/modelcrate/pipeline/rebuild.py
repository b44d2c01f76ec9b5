"""Rebuilds an image from what is beside it: its lock and its sources. Models are the image's own; all else is made again, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate._version import __version__
from modelcrate.events import Notice
from modelcrate.images.image import DEFAULT_VARIANT, Deliverable, Image, Index, combine
from modelcrate.images.reading import Found
from modelcrate.images.sources import UNCHANGED, Sources, blamed_on_sources, require_sources
from modelcrate.inspect.verify_rebuild import list_mismatches
from modelcrate.pipeline.changed_sources import change
from modelcrate.pipeline.image_models import given_models, place_files
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.session import Session
from modelcrate.resolve.declared.files import declared_files
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import read_lock
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import Digest, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, LockedError, placed
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_layers.store import as_machine_error

if TYPE_CHECKING:
    from modelcrate.security.signing.verifying import Verified

MOST = 16
"""How many sources beside one image are tried: whoever builds the same image from other files puts others there."""


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


def rebuild_image(found: Found, session: Session, verified: Verified | None = None) -> Rebuilt:
    """Builds an image again from the sources and the lock beside it, and compares. Nothing that was remembered is believed.

    The base and the packages come from where the lock and the sources have them, by their hashes. Only models are taken from the image.

    Args:
        found: The image, or an index of several platforms.
        session: Builds it; it is open.
        verified: What is signed beside the image, where keys are trusted: then no other sources are used.

    Raises:
        SourceError: There are no sources beside the image.
        IntegrityError: The sources are damaged, name what the image does not have, or none is signed by a trusted key.
        CrateError: The rebuild failed; the class is the kind of cause.
    """
    image = found.read()
    beside = require_sources(found, image.images[0])
    if verified is not None:
        beside = _signed(beside, verified)
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


def _signed(beside: Sequence[Sources], verified: Verified) -> tuple[Sources, ...]:
    """Returns the sources that are signed by a trusted key."""
    signed = tuple(each for each in beside if each.digest in verified.sources)
    if not signed:
        raise IntegrityError(
            "the image is signed, and the sources beside it are not",
            where=verified.name,
            why="whoever may push beside an image can put sources there",
            hint="build it with --sources and --sign; or rebuild it from what nobody has signed: leave --key and --policy out",
        )
    return signed


def _rebuild(sources: Sources, found: Found, image: Image | Index, session: Session) -> Rebuilt:
    with scratch_folder() as scratch:
        top = scratch / "project"
        with as_machine_error(top):
            top.mkdir()
        sources.unpack(top, LOCK_NAME)
        with blamed_on_sources(top):
            request = _for_image(_read(sources, top, session), image)
            for each in request.project.every:
                if each.dependencies.project:
                    raise IntegrityError("the sources want to run a build of their own (project: true)")
                for _ in declared_files(each.dependencies, top, session.config.file_variables):
                    pass  # a variable that they want is told before anything is fetched
            place_files(request, image.images[0], scratch)
            given = given_models(request, image.images[0], scratch)
        project = request.project
        if project.created is None:
            project = replace(project, created=_created(image.images[0]))
        project = replace(project, max_size=None, max_layer_growth=None)  # limits are for what is delivered
        try:
            made = _part_like(session.rebuild(replace(request, project=project, given=given)), image)
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


def _part_like(made: Deliverable, image: Image | Index) -> Deliverable:
    """Returns those images of a rebuilt one that an image has: one platform that was copied by itself has the sources of all."""
    images = [each for each in made.images if _has(image, each)]
    if not images or len(images) == len(made.images):
        return made
    return images[0] if isinstance(image, Image) else combine(images)


def _has(image: Deliverable, one: Image) -> bool:
    return any(one.variant == each.variant and one.platform.matches(each.settings) for each in image.images)


def _read(sources: Sources, top: Path, session: Session) -> Request:
    """Reads the project that the sources are, with what the image has instead."""
    request = session.read(top / sources.file)
    lock = read_lock(top / LOCK_NAME)
    if lock is None or sources.changes == UNCHANGED:
        return request
    project, lock = change(request.project, lock, sources.changes)
    return replace(request, project=project, lock=lock)


def _created(image: Image) -> datetime | None:
    """Returns the creation time of an image: a setting of a build, which may stand in its environment."""
    try:
        found = datetime.fromisoformat(str(image.settings.get("created", "")))
        return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
