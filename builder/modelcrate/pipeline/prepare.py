"""The steps up to the plan: check, resolve, plan. Nothing is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.events import Emit, Event, Notice, time_step
from modelcrate.images.image import image_label
from modelcrate.images.previous import Previous
from modelcrate.images.reference import split_tag
from modelcrate.pipeline import compose
from modelcrate.pipeline.autoserve import check_model_versions, complete, read_models
from modelcrate.pipeline.checks import check
from modelcrate.pipeline.choose_models import choose_models
from modelcrate.pipeline.import_guard import ImportCheck
from modelcrate.pipeline.locking import read_fitting_lock
from modelcrate.pipeline.plan import KnownLayers, Plan, plan
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.reuse import EarlierImages, Images, RepositoryOutput, missing_layers
from modelcrate.project.values import Project
from modelcrate.resolve.lock import Lock, Pins
from modelcrate.resolve.world import Resolved, World, resolve
from modelcrate.security.scan.guard import pass_gates
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Output
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError, placed
from modelcrate_layers.frozen import NamedTuple, dataclass, field, replace
from modelcrate_layers.tar.sources import FileRange

if TYPE_CHECKING:
    from modelcrate.modelfiles.facts import ModelFacts
    from modelcrate.pipeline.shared_layers import SharedLayers


@dataclass(frozen=True, slots=True)
class Prepared:
    """A build with everything decided and nothing made: the plan of every platform.

    Attributes:
        request: The request, with the project completed: the models' versions, and a script where the project has none.
        previous: Images whose layers may be taken.
        timings: Seconds by step.
        facts: The facts in the models' files that the gates have read.
        given: The project as it was read.
        imports: The check of imports, which the packages' files decide anew where one of them was not there.
        own: The project's own modules that go with a script which was generated.
        shared: What the list of shared layers has for it, where the request names one.
        variants: The same of each variant of the project.
    """

    request: Request
    files: compose.Files = field(repr=False)
    world: World = field(repr=False)
    plans: tuple[Plan, ...]
    previous: tuple[Previous, ...] = field(repr=False)
    lock: Lock | None = field(repr=False)
    timings: dict[str, float] = field(hash=False)
    facts: Mapping[FileRange, ModelFacts] = field(hash=False, repr=False)
    given: Project = field(repr=False)
    imports: ImportCheck = field(hash=False, repr=False)
    own: tuple[Path, ...] = ()
    shared: SharedLayers | None = field(repr=False, default=None)
    variants: tuple[Prepared, ...] = field(repr=False, default=())

    @property
    def every(self) -> tuple[Prepared, ...]:
        """The project and its variants, in the order of their images."""
        return (self, *self.variants)

    @property
    def all_plans(self) -> tuple[Plan, ...]:
        """The plans of all images."""
        return tuple(plan for each in self.every for plan in each.plans)

    @property
    def all_platforms(self) -> tuple[Resolved, ...]:
        """What all images are made of, in their order."""
        return tuple(resolved for each in self.every for resolved in each.world.platforms)

    @property
    def all_previous(self) -> tuple[Previous, ...]:
        """The images whose layers any of them may take."""
        return tuple(previous for each in self.every for previous in each.previous)

    @property
    def pins(self) -> dict[str, Pins]:
        """The pins of all images, by their labels."""
        return {
            image_label(platform, each.request.variant_name): pins
            for each in self.every
            for platform, pins in each.world.pins.items()
        }

    def __repr__(self) -> str:
        layers = [each for plan in self.all_plans for each in plan.layers]
        new = sum(each.new for each in layers)
        return f"<plan of {self.request.project.name}: {len(layers)} layer{'s' * (len(layers) != 1)}, {new} new>"


def prepare(request: Request, connections: Connections, emit: Emit, *, fetch_models: bool = False) -> Prepared:
    """Checks, resolves and plans a request.

    Args:
        request: The request.
        connections: The connections of the run.
        emit: Gets the notices.
        fetch_models: Whether models of a hub are fetched as a whole. For a plan or a lock, large safetensors files are left there.

    Raises:
        CrateError: By its class: the project's faults, an unreachable index, a lock that does not fit, and so on.
    """
    names = [each.name for each in request.project.variants]
    if not names:
        return _prepare(request, connections, emit, fetch_models=fetch_models)
    check_names(names, request)
    said = _OnceSaid(emit)
    made = _prepare(request, connections, said, fetch_models=fetch_models)
    variants = []
    for name in names:
        with placed(f"the variant {name}"):
            one = replace(said, name=name)
            variants.append(_prepare(request.for_variant(name), connections, one, fetch_models=fetch_models))
    steps = dict.fromkeys(step for each in (made, *variants) for step in each.timings)
    timings = {step: sum(each.timings.get(step, 0.0) for each in (made, *variants)) for step in steps}
    return replace(made, timings=timings, variants=tuple(variants))


def check_names(names: Sequence[str], request: Request) -> None:
    """Refuses outputs whose tags leave no room for the names of variants, and two that would have one tag.

    Raises:
        UserError: There is such an output.
    """
    wanted = {_name_in(each) for each in request.outputs} - {None}
    for each in request.outputs:
        for name in names:
            if (other := _name_in(each, f"-{name}")) in wanted:
                raise UserError(
                    f"{other} is wanted for the project, and is what its variant {name} gets with {each.target}",
                    hint="name one of the two, or call the variant otherwise",
                )


def _name_in(output: Output, ending: str = "") -> str | None:
    """Returns what an image is called in an output, with an ending for its tag; None where it has no tag there."""
    if isinstance(output, RepositoryOutput):
        reference = output.reference
        return str(reference.tagged(f"{reference.tag}{ending}")) if reference.tag else None
    return f"{output.kind}:{output.target}{ending}" if split_tag(output.target)[1] is not None else None


@dataclass(frozen=True, slots=True)
class _OnceSaid:
    """Passes events on; of the notices of variants those that the project has not had, with the variant's name."""

    emit: Emit
    name: str = ""
    texts: set[str] = field(default_factory=set, hash=False)

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Notice):
            self.emit(event)
        elif event.text not in self.texts:
            self.texts.add(event.text)
            self.emit(Notice(f"{self.name}: {event.text}") if self.name else event)


def _prepare(request: Request, connections: Connections, emit: Emit, *, fetch_models: bool) -> Prepared:
    config, timings = connections.config, dict[str, float]()
    folder = request.folder
    with time_step("resolve", timings, emit):
        check(request.project, folder)
        given = request.project
        chosen = choose_models(given, folder, connections, request.use_lock, fetch=fetch_models, given=request.given)
        registered = chosen.registered
        completed = complete(chosen, folder, config)
        project = completed.project
        request = replace(request, project=project)
        earlier = EarlierImages(request, connections, emit)
        files = compose.list_files(project, folder, registered, chosen.hub)
        passed = pass_gates(project, folder, compose.scan_parts(project, folder, files), config, registered)
        _notify(emit, chosen.notices, completed.notices, files.notices, passed.warned)
        lock = read_fitting_lock(request, files, emit) if request.use_lock else None
        world = resolve(project, folder, connections, datetime.now(UTC), lock, emit, earlier.scans)
        models = read_models(completed, folder, registered, config, files.by_model, passed.facts)
        _notify(emit, check_model_versions(completed, models, world, connections))
        imports = ImportCheck(project, folder, files, models, world, config.home, bool(completed.needs))
        _notify(emit, imports.run())
        _check_base(request, world, connections, emit)
    with time_step("plan", timings, emit):
        planned = _plan_layers(request, world, files, earlier.images(), connections, emit)
    if request.limit is not None:
        from modelcrate.pipeline.size_limit import check_plans

        check_plans(planned.plans, request.limit, limit_way_out(request, world))
    plans, previous, shared = planned
    return Prepared(
        request, files, world, plans, previous, lock, timings, passed.facts, given, imports, completed.own, shared
    )


class _Planned(NamedTuple):
    plans: tuple[Plan, ...]
    previous: tuple[Previous, ...]
    shared: SharedLayers | None


def _plan_layers(
    request: Request,
    world: World,
    files: compose.Files,
    earlier: Images,
    connections: Connections,
    emit: Emit,
) -> _Planned:
    """Plans all platforms, with the layers that earlier images and the list of shared layers have, as far as their blobs are there."""
    project = request.project
    known = None if request.paranoid else KnownLayers.of(connections.config, emit)
    plans = _plans(project, world, files, known, earlier)
    shared = None
    if request.share_layers is not None:
        from modelcrate.pipeline.shared_layers import find_shared

        shared = find_shared(request.share_layers, request, plans, connections, emit)
        earlier = {name: (*found, *shared.previous.get(name, ())) for name, found in earlier.items()}
        plans = _plans(project, world, files, known, earlier) if shared.previous else plans
    missing = missing_layers(each.taken for plan in plans for each in plan.layers if each.taken is not None)
    if missing:
        earlier = {name: tuple(replace(each, missing=missing) for each in found) for name, found in earlier.items()}
        plans = _plans(project, world, files, known, earlier)
        shared = shared.lacking(missing) if shared is not None else None
    return _Planned(plans, tuple(chain.from_iterable(earlier.values())), shared)


def limit_way_out(request: Request, world: World) -> str:
    """Returns what can be done about an image that is larger than the limit; empty where nothing particular can."""
    from modelcrate.resolve.cuda import way_out

    wheels = (wheel for each in world.platforms for wheel in each.pins.wheels)
    way = way_out(wheels, request.project.dependencies)
    return f"without CUDA: {way}" if way else ""


def _plans(
    project: Project,
    world: World,
    files: compose.Files,
    known: KnownLayers | None,
    earlier: Mapping[Platform, Sequence[Previous]],
) -> tuple[Plan, ...]:
    policies = compose.policies(project)
    return tuple(
        plan(
            each.platform,
            each.below.layers,
            compose.kinds(project, each, files),
            policies,
            known,
            earlier.get(each.platform, ()),
        )
        for each in world.platforms
    )


def _check_base(request: Request, world: World, connections: Connections, emit: Emit) -> None:
    """Holds the base to the request's policy, if there is one."""
    if request.policy is None:
        return
    from modelcrate.security.signing.bases import check_base
    from modelcrate.security.signing.policy import read_policy

    policy = read_policy(request.policy)
    pinned = tuple(each.below.digest for each in world.platforms if each.below.digest is not None)
    _notify(emit, check_base(request.project, request.folder, pinned, policy, connections, datetime.now(UTC)))


def _notify(emit: Emit, *notices: Sequence[str]) -> None:
    for notice in chain.from_iterable(notices):
        emit(Notice(notice))
