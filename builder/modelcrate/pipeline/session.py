"""The straight line: read -> resolve -> plan -> pack -> assemble -> deliver. Each step takes the frozen value of the one before.

`Prepared` is where `plan` stops and `build` goes on; both are the same line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.events import Done, Emit, Notice, Step, silent
from modelcrate.export.dockerfile_import import LISTING, apply_dockerfile_edits
from modelcrate.home.settings import Settings
from modelcrate.images import image
from modelcrate.images.image import Deliverable, Image, ImageLayer, Index
from modelcrate.images.image_config import EPOCH
from modelcrate.net.download import Downloader
from modelcrate.pipeline import compose
from modelcrate.pipeline.autoserve import check_model_versions, complete
from modelcrate.pipeline.checks import check
from modelcrate.pipeline.choose_models import choose_models
from modelcrate.pipeline.import_check import check_imports
from modelcrate.pipeline.pack import DEFAULT_TARGETS, Packer, PackTargets
from modelcrate.pipeline.plan import Plan, plan
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.reuse import Previous, contradictions, find_previous, missing_layers
from modelcrate.project.opening import open_project
from modelcrate.project.values import FILE_NAME, Project
from modelcrate.resolve.lock import FILE_NAME as LOCK_NAME
from modelcrate.resolve.lock import Lock, ModelPin, changed_models, differences, read_lock, refuse_differences
from modelcrate.resolve.lock_inputs import lock_inputs
from modelcrate.resolve.world import (
    Resolved,
    World,
    check_package_conflicts,
    fetch_packages,
    package_notices,
    resolve,
    server_requirements,
)
from modelcrate.security.scan.guard import pass_gates
from modelcrate.transports import Delivered, Output
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import LockedError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.tar.sources import FileRange

if TYPE_CHECKING:
    from modelcrate.modelfiles.recognition import ModelFacts


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built: a project in its folder, and how.

    `locked` means: from the lock, or not at all. `reuse` are addresses of images that may have layers of it. `paranoid` remembers
    nothing, believes no key, and reads everything.
    """

    project: Project
    folder: Path
    locked: bool = False
    reuse: tuple[str, ...] = ()
    paranoid: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything decided, nothing made: the plan of every platform."""

    request: Request
    files: compose.Files = field(repr=False)
    world: World = field(repr=False)
    plans: tuple[Plan, ...]
    previous: tuple[Previous, ...] = field(repr=False)
    lock: Lock | None = field(repr=False)
    timings: dict[str, float] = field(hash=False)
    facts: Mapping[FileRange, ModelFacts] = field(hash=False, repr=False)
    """What the models' files that the gates have read say of themselves."""


def read(path: Path, settings: Settings, emit: Emit = silent) -> Request:
    """A project file, or a folder with one; a folder without one is looked through, and what was found is said."""
    if path.is_dir() and not (path / FILE_NAME).exists():
        from modelcrate.pipeline.detect import detect

        project, findings = detect(path)
        for finding in findings:
            emit(Notice(f"detected {finding}"))
        return Request(project, path)
    file = path / FILE_NAME if path.is_dir() else path
    project = open_project(file, settings.home)
    if (file.parent / LISTING).exists():
        project = apply_dockerfile_edits(project, file.parent)
    return Request(project, file.parent)


def prepare(
    request: Request, settings: Settings, fetcher: Downloader, emit: Emit = silent, use_lock: bool = True
) -> Prepared:
    """Check, resolve, plan. A lock beside the project is used if it is of this project; to make a new one it must not be."""
    settings.check_home()
    timings: dict[str, float] = {}
    folder = request.folder
    with _timed("resolve", timings, emit):
        check(request.project, folder)
        project, registered = choose_models(request.project, request.folder, settings, use_lock)
        completed = complete(project, folder, registered, settings)
        for notice in completed.notices:
            emit(Notice(notice))
        project = completed.project
        request = replace(request, project=project)
        files = compose.list_files(project, folder, registered)
        passed = pass_gates(project, folder, files, settings)
        for warning in (*files.notices, *passed.warned):
            emit(Notice(warning))
        lock = _lock(request, files, emit) if use_lock else None
        world = resolve(project, folder, settings, fetcher, datetime.now(UTC), lock, emit)
        for warning in check_model_versions(completed, folder, registered, world.packages, settings, files.by_model):
            emit(Notice(warning))
        for warning in check_imports(project, files, passed.facts, world, settings.cache, bool(completed.needs)):
            emit(Notice(warning))
        _trusted(request, world, settings, emit)
    with _timed("plan", timings, emit):
        earlier = _previous(request, settings, emit)
        plans = _plans(request, world, files, settings, earlier)
        gone = missing_layers(each.taken for plan in plans for each in plan.layers if each.taken is not None)
        if gone:
            earlier = {name: tuple(replace(each, missing=gone) for each in found) for name, found in earlier.items()}
            plans = _plans(request, world, files, settings, earlier)
    previous = tuple(chain.from_iterable(earlier.values()))
    return Prepared(request, files, world, plans, previous, lock, timings, passed.facts)


def _plans(
    request: Request,
    world: World,
    files: compose.Files,
    settings: Settings,
    earlier: Mapping[Platform, Sequence[Previous]],
) -> tuple[Plan, ...]:
    """The plan of every platform."""
    project = request.project
    memo = None if request.paranoid else settings.memo
    policies = compose.policies(project)
    return tuple(
        plan(
            each.platform,
            each.below.layers,
            compose.kinds(project, each, files),
            policies,
            memo,
            earlier.get(each.platform, ()),
        )
        for each in world.platforms
    )


def predict(prepared: Prepared, settings: Settings) -> Deliverable | None:
    """The image, if all its layers are known: assembling is pure, so this is what a build would give. Else None."""
    if any(each.new for plan in prepared.plans for each in plan.layers):
        return None
    return build(prepared, settings).image


def build(prepared: Prepared, settings: Settings, emit: Emit = silent, sinks: PackTargets = DEFAULT_TARGETS) -> Receipt:
    """Pack and assemble: the image, with nothing delivered yet."""
    project, timings = prepared.request.project, dict(prepared.timings)
    paranoid = prepared.request.paranoid
    with _timed("pack", timings, emit):
        world = prepared.world
        changed = any(each.new and each.role == "dependencies" for plan in prepared.plans for each in plan.layers)
        if changed:
            fetch_packages(world)
        memo, earlier = (None, ()) if paranoid else (settings.memo, prepared.previous)
        packer = Packer(settings, world.supplier.supply, emit, sinks, earlier, memo)
        packed = packer.pack(prepared.plans, partial(_whole, world, emit) if changed else None)
        for lie in contradictions(chain.from_iterable(packed), prepared.previous):
            emit(Notice(lie))
        if prepared.request.locked and prepared.lock is not None:
            refuse_differences(list(changed_models(prepared.lock, model_pins(prepared, packed[0]))))
    with _timed("assemble", timings, emit):
        created = project.created or settings.created or EPOCH
        images = [
            _assemble(project, resolved, layers, created)
            for resolved, layers in zip(prepared.world.platforms, packed, strict=True)
        ]
        made: Image | Index = images[0] if len(images) == 1 else image.combine(images)
    return Receipt(project.name, made, (), timings)


def deliver(receipt: Receipt, outputs: Sequence[Output], settings: Settings, emit: Emit = silent) -> Receipt:
    """Put the image into every output, one after the other; the first that fails ends it."""
    timings = dict(receipt.timings)
    with _timed("deliver", timings, emit):
        delivered = tuple(_deliver(receipt, output, settings, emit) for output in outputs)
    return replace(receipt, outputs=(*receipt.outputs, *delivered), timings=timings)


def _deliver(receipt: Receipt, output: Output, settings: Settings, emit: Emit) -> Delivered:
    delivered = output.deliver(receipt.image, settings, emit)
    emit(Done(f"{delivered.kind} {delivered.target}"))
    return delivered


def make_lock(prepared: Prepared, settings: Settings, emit: Emit = silent) -> Lock:
    """The lock of a prepared project. Model layers are measured for it, and remembered."""
    receipt = build(prepared, settings, emit)
    layers = receipt.image.images[0].layers
    codecs = sorted({str(layer.layer.codec) for layer in layers if not layer.foreign})
    return Lock(prepared.world.lock_inputs, prepared.world.pins, model_pins(prepared, layers), tuple(codecs))


def model_pins(prepared: Prepared, layers: Sequence[ImageLayer]) -> tuple[ModelPin, ...]:
    """The models with the diff ids of their layers. A base of ours may have models of its own below."""
    files, below = prepared.files, len(prepared.plans[0].base)
    ids = iter([layer.layer.diff_id for layer in layers[below:] if layer.role == "model"])
    return tuple(
        replace(pin, layers=tuple(next(ids) for _ in made)) for pin, made in zip(files.pins, files.models, strict=True)
    )


def _trusted(request: Request, world: World, settings: Settings, emit: Emit) -> None:
    """Hold the base to the policy, if there is one."""
    if settings.policy is None:
        return
    from modelcrate.security.signing.bases import check_base
    from modelcrate.security.signing.policy import read_policy

    policy = read_policy(settings.policy)
    pinned = tuple(each.below.digest for each in world.platforms if each.below.digest is not None)
    for checked in check_base(request.project, request.folder, pinned, policy, settings, datetime.now(UTC)):
        emit(Notice(checked))


def _lock(request: Request, files: compose.Files, emit: Emit) -> Lock | None:
    """The lock, if it is of this project. One that is not is refused where it was asked for, and passed over where it wasn't."""
    lock = read_lock(request.folder / LOCK_NAME)
    if lock is None:
        if request.locked:
            raise LockedError(
                "there is no lock", where=str(request.folder / LOCK_NAME), hint="make one: modelcrate lock"
            )
        return None
    differing = differences(lock_inputs(request.project, request.folder, server_requirements(request.project)), lock)
    if request.locked:
        refuse_differences([*differing, *_other_files(lock, files)])
    elif differing:
        emit(
            Notice(
                f"{LOCK_NAME} is of another state of this project and was passed over; renew it with: modelcrate lock"
            )
        )
        return None
    return lock


def _other_files(lock: Lock, files: compose.Files) -> Iterator[str]:
    """How the models' names and sizes differ from the lock's, which can be seen without reading them."""
    then = {(model.name, model.version): model.layers for model in lock.models}
    now = [replace(pin, layers=then.get((pin.name, pin.version), ())) for pin in files.pins]
    return changed_models(lock, now)


def _previous(request: Request, settings: Settings, emit: Emit) -> dict[Platform, tuple[Previous, ...]]:
    """The images that may have layers, by platform."""
    return {platform: find_previous(request.reuse, platform, settings, emit) for platform in request.project.platforms}


def _whole(world: World, emit: Emit) -> None:
    """Checks that no two packages own the same file, and reports what a user should know of them."""
    check_package_conflicts(world)
    for notice in package_notices(world):
        emit(Notice(notice))


def _assemble(project: Project, resolved: Resolved, layers: Sequence[ImageLayer], created: datetime) -> Image:
    below = resolved.below
    notes = {"org.opencontainers.image.title": project.name}
    if below.reference:
        notes |= {
            "org.opencontainers.image.base.name": below.reference,
            "org.opencontainers.image.base.digest": str(below.digest),
        }
    run = compose.run_spec(project, resolved)
    return image.assemble(resolved.platform, below.config, layers, run, created, notes)


@contextmanager
def _timed(
    name: str, timings: dict[str, float], emit: Emit, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    emit(Step(name))
    begun = clock()
    try:
        yield
    finally:
        timings[name] = timings.get(name, 0.0) + clock() - begun
