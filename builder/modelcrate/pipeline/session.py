"""The one conductor of builds. Every caller uses it: the command line, the library, batches, Azure's objects.

    read -> resolve -> plan -> pack -> assemble -> attest -> deliver

A session owns what is alive in a build: the home's lock, and the connections to registries and indexes. Its steps take frozen values and
return frozen values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from modelcrate.config import Config
from modelcrate.events import Done, Emit, Notice, ignore_event, time_step
from modelcrate.home.folder import open_store
from modelcrate.home.home_lock import shared_home_lock
from modelcrate.home.result_cache import ResultCache
from modelcrate.images.blobs import FetchPackages
from modelcrate.images.image import Copy, Deliverable, Image, ImageLayer, Index
from modelcrate.images.sinks import Discard, EarlyUpload, PlacingOutput, Sink
from modelcrate.pipeline.assemble import assemble_parts, join_parts
from modelcrate.pipeline.compatible import remember_checked, were_checked_together
from modelcrate.pipeline.hash_tee import HashTee
from modelcrate.pipeline.locking import check_models, make_lock, measured_models, own_models, remember_build
from modelcrate.pipeline.pack import DEFAULT_TARGETS, Packed, Packer, PackTargets, Places
from modelcrate.pipeline.plan import Plan
from modelcrate.pipeline.prepare import Prepared, limit_way_out, prepare
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.request import PUSHED, Request, read_request
from modelcrate.pipeline.reuse import RepositoryOutput, contradictions
from modelcrate.resolve.lock import Lock
from modelcrate.resolve.package_fetcher import PackageFetcher, supply
from modelcrate.resolve.world import (
    check_package_conflicts,
    fetch_packages,
    open_fetcher,
    package_notices,
)
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered, NameableOutput, Output, open_output
from modelcrate_layers.frozen import dataclass, field, replace

if TYPE_CHECKING:
    from modelcrate.registry.credential import Credential
    from modelcrate_layers.content import Digest
    from modelcrate_layers.packages.conflicts import LayerPaths


@runtime_checkable
class PreparedOutput(Protocol):
    """An output that takes more than an image: what the image was made from."""

    def prepared(self, source: Prepared) -> Output:
        """Returns the output for this build, which takes what the image was made from."""


@dataclass(frozen=True, slots=True)
class Build:
    """A build that has ended.

    Attributes:
        prepared: What was decided before anything was made.
        receipt: The image, where it was delivered, and how long each step took.
        hashes: What the models' files were found to hash to while their bytes passed.
        begun: When the build began.
    """

    prepared: Prepared
    receipt: Receipt
    hashes: HashTee = field(repr=False)
    begun: datetime


class Session:
    """Builds projects and delivers images. A context manager; safe for threads, so that many projects can share it.

    While it is open, `cache prune` waits: what a build uses is not taken away.
    """

    def __init__(
        self, config: Config, emit: Emit = ignore_event, logins: Mapping[str, Credential] = MappingProxyType({})
    ) -> None:
        """Takes what a session needs.

        Args:
            config: The configuration.
            emit: Gets the events.
            logins: Credentials for one repository each (HOST[:PORT]/REPOSITORY), for what the user gave and did not save.
        """
        self.config, self.emit = config, emit
        self.connections = Connections(config, emit, logins, ResultCache(config.cache / "documents"))
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(shared_home_lock(self.config))
            stack.enter_context(self.connections)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, fault, trace)

    def read(self, path: Path) -> Request:
        """Reads a project file, or a folder with or without one."""
        return read_request(path, self.config, self.emit)

    def prepare(self, request: Request) -> Prepared:
        """Resolves and plans, and makes nothing."""
        prepared = self._prepare(request, fetch_models=False)
        for each in prepared.every:
            self._check_local_wheels(each)
        return prepared

    def _prepare(self, request: Request, *, fetch_models: bool = True) -> Prepared:
        """The same for a build, which needs the whole of models."""
        if request.project.tests:  # a fault in one of them is found before anything is fetched
            from modelcrate.pipeline.testing import load_tests

            load_tests(request)
        return prepare(request, self.connections, self.emit, fetch_models=fetch_models)

    def known_image(self, prepared: Prepared) -> Deliverable | None:
        """Returns the image that a build would give, if all its layers are known; else None."""
        if any(each.new for plan in prepared.all_plans for each in plan.layers):
            return None
        return self._assembled(prepared, self._pack(prepared, DEFAULT_TARGETS))

    def lock(self, request: Request) -> Lock:
        """Resolves a project anew, and returns its lock. Only the models on this machine are read; no package is fetched or built into a layer.

        Nothing that earlier images say is believed: the lock says it for years.
        """
        prepared = self.prepare(replace(request, use_lock=False, reuse=False))
        return make_lock(prepared, self._measure_models(prepared))

    def build(self, request: Request) -> Build:
        """Builds a project and delivers its image to the outputs of the request.

        Raises:
            CrateError: By its class, whose fault it was. No output has a half-made image then.
        """
        begun = datetime.now(UTC)
        prepared = self._prepare(request)
        if request.attestations.sources:
            from modelcrate.pipeline.sources import list_sources

            list_sources(prepared, self.config)  # what they lack is said before anything is made
        with ExitStack() as stack:
            outputs = [self._completed(each, prepared) for each in prepared.request.outputs]
            places = [stack.enter_context(open_output(each, self.connections, self.emit)) for each in outputs]
            hashes = HashTee()
            targets = self._targets(prepared, places, hashes)
            receipt = self._with_tests(request, self._make(prepared, targets))
            return self._delivered(Build(prepared, receipt, hashes, begun), places)

    def rebuild(self, request: Request) -> Deliverable:
        """Builds a project from its lock once more, believes nothing, and keeps nothing."""
        prepared = self._prepare(replace(request, locked=True, paranoid=True, outputs=()))
        return self._make(prepared, PackTargets(Discard(), Discard())).image

    def deliver(self, build: Build, outputs: Sequence[Output]) -> Receipt:
        """Delivers an image that this or an earlier session has built, with the same artifacts that `build` puts beside it."""
        with ExitStack() as stack:
            completed = [self._completed(each, build.prepared) for each in outputs]
            places = [stack.enter_context(open_output(each, self.connections, self.emit)) for each in completed]
            return self._delivered(build, places).receipt

    def copy(self, name: str, found: Deliverable, outputs: Sequence[Output]) -> Receipt:
        """Delivers an image that exists, and changes nothing of it. One that is pushed gets bills of materials, if it has none."""
        if isinstance(found, Copy) and any(each.kind == PUSHED for each in outputs):
            from modelcrate.pipeline.attest import attest_copy

            found = attest_copy(found, self.config)
        return self._put(Receipt(name, found), outputs)

    def _with_tests(self, request: Request, receipt: Receipt) -> Receipt:
        """Holds the image to the project's golden requests, if that is asked for, and returns it with them beside it."""
        if not request.project.tests and not request.test:
            return receipt
        from modelcrate.pipeline.testing import load_tests, test_image, with_tests

        tests, timings = load_tests(request), dict(receipt.timings)
        if request.test:
            with time_step("test", timings, self.emit):
                test_image(receipt.image.images, tests, self.config, self.emit)
        return replace(receipt, image=with_tests(receipt.image, tests) if tests else receipt.image, timings=timings)

    def _delivered(self, build: Build, places: Sequence[Output]) -> Build:
        receipt = build.receipt
        if build.prepared.request.attestations.wants_any(places):
            from modelcrate.pipeline.attest import attest

            receipt = attest(build.prepared, receipt, places, self.connections, build.begun, build.hashes.found)
        delivered = replace(build, receipt=self._put(receipt, places))
        self._share_layers(delivered, places)
        return delivered

    def _put(self, receipt: Receipt, places: Sequence[Output]) -> Receipt:
        """Puts the image into every output, one after the other; the first that fails ends it."""
        if not places:
            return receipt
        timings = dict(receipt.timings)
        with time_step("deliver", timings, self.emit):
            delivered = tuple(self._put_into(each, receipt.image) for each in places)
        return replace(receipt, outputs=(*receipt.outputs, *delivered), timings=timings)

    def _put_into(self, output: Output, made: Deliverable) -> Delivered:
        delivered = output.deliver(made, self.connections, self.emit)
        self.emit(Done(f"{delivered.kind} {delivered.target}"))
        return delivered

    def _completed(self, output: Output, prepared: Prepared) -> Output:
        """An output with the image's name, where it was given none, and with what the image is made from, where it takes that."""
        named = output.with_name(prepared.request.project.name) if isinstance(output, NameableOutput) else output
        return named.prepared(prepared) if isinstance(named, PreparedOutput) else named

    def _targets(self, prepared: Prepared, outputs: Sequence[Output], hashes: HashTee) -> PackTargets:
        """Where the bytes of a build go: into its output as they come, if it has only one, and that takes them so.

        An output has no room for layers, if it gets documents whose lengths nobody knows before there are layers.
        """
        only = outputs[0] if len(outputs) == 1 else None
        wanted = prepared.request.attestations
        places = None
        if isinstance(only, PlacingOutput) and not wanted.wants_any(outputs):
            places = Places(only, partial(self._expected, prepared))
        return PackTargets(
            models=only if isinstance(only, Sink) else Discard(),
            ahead=only if isinstance(only, EarlyUpload) else None,
            hashes=hashes if wanted.wants_sbom(outputs) else None,
            places=places,
        )

    def _make(self, prepared: Prepared, targets: PackTargets) -> Receipt:
        timings = dict(prepared.timings)
        with time_step("pack", timings, self.emit):
            packed = self._pack(prepared, targets)
        with time_step("assemble", timings, self.emit):
            made = self._assembled(prepared, packed)
            remember_build(prepared, made, self.config)
        return Receipt(prepared.request.project.name, made, (), timings)

    def _measure_models(self, prepared: Prepared) -> tuple[ImageLayer, ...]:
        """Returns the layers of the models that a lock holds to them. They are the same for every platform."""
        first = prepared.plans[0]
        models = [each for each in first.layers if each.role == "model"]
        plan = Plan(first.platform, (), tuple(measured_models(prepared.files, models)))
        fetcher = open_fetcher(prepared.world, self.connections)
        (layers,) = self._packer(prepared, fetcher.supply, DEFAULT_TARGETS).pack([plan])
        return layers

    def _packer(self, prepared: Prepared, fetch: FetchPackages, targets: PackTargets) -> Packer:
        paranoid = prepared.request.paranoid
        cache, earlier = (None, ()) if paranoid else (self.config.layer_cache, prepared.all_previous)
        return Packer(self.config, open_store(self.config), fetch, self.emit, targets, earlier, cache)

    def _pack(self, prepared: Prepared, targets: PackTargets) -> list[tuple[ImageLayer, ...]]:
        """Makes the layers that are not known yet, for each image. A layer of several images is made once."""
        fetchers = [open_fetcher(each.world, self.connections) for each in prepared.every]
        checks: list[Callable[[], None]] = []
        for each, fetcher in zip(prepared.every, fetchers, strict=True):
            if not self._were_checked(each):
                self._check_local_wheels(each)
                elsewhere = self._read_paths(each)
                fetch_packages(each.world, fetcher, elsewhere)
                checks.append(partial(self._check_packages, each, fetcher, elsewhere))
        packer = self._packer(prepared, partial(supply, fetchers), targets)
        packed = packer.pack(prepared.all_plans, partial(_call_all, checks) if checks else None)
        if checks:
            remember_checked(prepared.all_plans, self.config)
        for text in contradictions(chain.from_iterable(packed), prepared.all_previous):
            self.emit(Notice(text))
        check_models(prepared, own_models(prepared, packed[0]))
        return packed

    def _check_local_wheels(self, prepared: Prepared) -> None:
        """Looks at the wheels on this machine. A lock was made of good ones, and where no layer of them is made, an earlier build has looked."""
        if prepared.lock is None and prepared.world.packages:
            from modelcrate.resolve.wheels import check_local_wheels

            pinned = chain.from_iterable(each.pins.wheels for each in prepared.world.platforms)
            check_local_wheels(pinned, self.config.cache)

    def _were_checked(self, prepared: Prepared) -> bool:
        """Returns whether the packages were in one image before, and no layer of them is made."""
        new = any(each.new and each.role == "dependencies" for plan in prepared.plans for each in plan.layers)
        return not new and were_checked_together(prepared.plans, prepared.previous, self.config)

    def _read_paths(self, prepared: Prepared) -> Mapping[Digest, LayerPaths]:
        """Returns the paths of known layers whose packages are not here, from the list of shared layers."""
        place, shared = prepared.request.share_layers, prepared.shared
        if place is None or shared is None or not shared.listed.images:
            return {}
        from modelcrate.pipeline.shared_layers import read_paths

        return read_paths(place, shared, prepared.plans, self.connections, self.emit)

    def _share_layers(self, build: Build, places: Sequence[Output]) -> None:
        """Adds the layers of an image that was pushed to the list of shared layers, if there is a key to sign it."""
        prepared = build.prepared
        place, shared, signer = prepared.request.share_layers, prepared.shared, prepared.request.attestations.signer
        if place is None or shared is None or signer is None:
            return
        pushed = [each.reference for each in places if isinstance(each, RepositoryOutput) and each.kind == PUSHED]
        for each in pushed:
            if each.registry == place.registry:
                from modelcrate.pipeline.shared_layers import PushedImages, share

                made = PushedImages(build.receipt.image.images, each.repository, prepared.all_plans, shared)
                share(place, signer, made, self.connections, self.emit)
                return

    def _check_packages(
        self, prepared: Prepared, fetcher: PackageFetcher, elsewhere: Mapping[Digest, LayerPaths]
    ) -> None:
        """Checks that no two packages own the same file and that they have what is imported, and reports what a user should know of them."""
        check_package_conflicts(prepared.world, fetcher, elsewhere)
        prepared.imports.run()  # what it notices was said before
        for notice in package_notices(prepared.world, elsewhere):
            self.emit(Notice(notice))

    def _assembled(self, prepared: Prepared, packed: Packed) -> Image | Index:
        """Assembles the image, or the index of several platforms and variants, and holds it to the limits of its size and growth."""
        parts = assemble_parts(prepared, packed, self.config.created)
        return join_parts([self._limited(each, made) for each, made in zip(prepared.every, parts, strict=True)])

    def _expected(self, prepared: Prepared, packed: Packed) -> Deliverable:
        """Assembles the image that an output makes room for, with what goes beside it."""
        made = join_parts(assemble_parts(prepared, packed, self.config.created))
        if not prepared.request.project.tests:
            return made
        from modelcrate.pipeline.testing import load_tests, with_tests

        return with_tests(made, load_tests(prepared.request))

    def _limited(self, prepared: Prepared, made: Image | Index) -> Image | Index:
        request = prepared.request
        if request.limit is None and request.growth_limit is None:
            return made
        from modelcrate.pipeline.size_limit import ImageSizeError, check_growth, check_size, find_earlier

        earlier = find_earlier(request, self.connections) if request.growth_limit is not None else {}
        try:
            if request.limit is not None:
                check_size(made, request.limit, limit_way_out(request, prepared.world))
            if request.growth_limit is not None:
                for each in made.images:
                    if each.platform not in earlier:
                        text = (
                            f"no earlier image is there to measure {each.label} against, so nothing of it was refused"
                        )
                        self.emit(Notice(f"max-layer-growth: {text}"))
                check_growth(made, earlier, request.growth_limit)
        except ImageSizeError as fault:
            fault.previous = (*earlier.values(), *prepared.previous)
            raise
        return made


def _call_all(checks: Iterable[Callable[[], None]]) -> None:
    for check in checks:
        check()
