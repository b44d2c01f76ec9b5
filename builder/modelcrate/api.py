"""The library: modelcrate from Python. Every function does what the command of the same name does, and returns values.

    import modelcrate

    image = modelcrate.build("fixtures/projects/diabetes")
    receipt = image.push("registry.example/team/diabetes:1")
    print(image.digest, receipt.sent_bytes, [layer.role for layer in image.layers])

Nothing is printed. In a notebook, progress is shown.
"""

from __future__ import annotations

import errno
import json
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.arguments import as_one_of, as_path, as_text, as_texts
from modelcrate.config import Config
from modelcrate.environment import of_the_system, read_config
from modelcrate.events import Emit, Event, Notice
from modelcrate.images.image import Deliverable, ImageLayer
from modelcrate.pipeline.receipt import Receipt
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import RegistryError, UserError
from modelcrate_layers.frozen import replace

if TYPE_CHECKING:
    from modelcrate.containers import Container
    from modelcrate.images.image import Image
    from modelcrate.images.reading import Found
    from modelcrate.inspect.serving import GoldenVerdict
    from modelcrate.pipeline.prepare import Prepared
    from modelcrate.pipeline.running import ContainerOptions
    from modelcrate.pipeline.session import Build, Session
    from modelcrate.reports.timeline import Timeline
    from modelcrate.resolve.lock import Lock
    from modelcrate.transports.output import Output


class Built:
    """An image that was built or found. Bytes that no output has yet are made when the image is pushed or saved."""

    def __init__(
        self,
        receipt: Receipt,
        settings: Config,
        build: Build | None = None,
        timeline: Timeline | None = None,
        found: Found | None = None,
    ) -> None:
        self.receipt, self.settings = receipt, settings
        self._build, self._timeline, self._found = build, timeline, found
        self._delivered = receipt.outputs

    def __repr__(self) -> str:
        from modelcrate.project.byte_sizes import format_size
        from modelcrate.render.text import counted

        stored = sum(layer.descriptor.size for layer in self.layers)
        layers = counted(len(self.layers), "layer")
        return f"<image {self.receipt.name} {self.digest.short}: {layers}, {format_size(stored)}>"

    def _repr_html_(self) -> str:
        from modelcrate.render.notebook import image_html

        return image_html(self.receipt.name, self.image)

    @property
    def image(self) -> Deliverable:
        """The image, or the index of several platforms, with its documents and layers."""
        return self.receipt.image

    @property
    def digest(self) -> Digest:
        """The digest of the manifest, or of the index of several platforms."""
        return self.image.digest

    @property
    def id(self) -> Digest:
        """The image id of the first platform: the digest of its config."""
        return self.image.images[0].id

    @property
    def layers(self) -> tuple[ImageLayer, ...]:
        """The layers of the first platform, lowest first."""
        return self.image.images[0].layers

    @property
    def address(self) -> str:
        """The address at which the image is: where it was found, else the first place that it was delivered to.

        Raises:
            UserError: It is nowhere yet, or in a form only that is no image.
        """
        from modelcrate.transports.addresses import KINDS
        from modelcrate.transports.store import KIND as STORE

        if self._found is not None:
            return self.receipt.name
        for each in self._delivered:
            if each.kind in KINDS or each.kind == STORE:
                return each.target if each.kind == STORE else f"{each.kind}:{each.target}"
        hint = 'push it or save it before: image.save("store:NAME")'
        raise UserError(
            f"the image {self.receipt.name} is nowhere yet, and what is beside an image is there", hint=hint
        )

    def push(self, *references: str, emit: Emit | None = None) -> Receipt:
        """Sends the image to registries, with bills of materials beside it, as `modelcrate build --push` does.

        Args:
            *references: HOST/REPOSITORY[:TAG]; without a tag, `latest`.
            emit: Gets the events of the transfer.

        Returns:
            The receipt, with what was sent to each registry.

        Raises:
            UserError: A reference is malformed, or none is named.
            RegistryError: A registry refused; the message says which one and why.
        """
        from modelcrate.images.reference import Reference
        from modelcrate.transports.registry import RegistryOutput

        wanted = as_texts("references", references)
        return self._deliver([RegistryOutput.of(Reference.parse(each)) for each in wanted], emit)

    def save(self, *targets: str, emit: Emit | None = None) -> Receipt:
        """Writes the image to outputs.

        Args:
            *targets: Outputs as the command line names them: `oci:DIR`, `docker-archive:FILE`, `store:NAME`.
            emit: Gets the events of the transfer.

        Returns:
            The receipt, with what was written to each output.

        Raises:
            UserError: A target is malformed, or none is named.
            SourceError: A file of the project has changed since it was built.
        """
        from modelcrate import transports

        return self._deliver([transports.parse(target) for target in as_texts("targets", targets)], emit)

    def write_report(self, path: str | Path, *, against: Built | str | None = None, emit: Emit | None = None) -> Path:
        """Writes a page about the image: what takes the room, what decided each layer, how long it took, what is known of the contents.

        Args:
            path: The file to write.
            against: An earlier image, or its address: the page is about what differs from it.
            emit: Gets the progress of layers that are fetched: those of an image in a registry.

        Returns:
            The file.

        Raises:
            UserError: There is no such folder; or with `against`, an image is for several platforms.
            IntegrityError: A layer is damaged.
            MachineError: The file can't be written.
        """
        from modelcrate.reports import pages
        from modelcrate.reports.files import check_target, write_file

        target = as_path("path", path)
        check_target(target)
        with as_session(self.settings, emit) as session:
            if against is not None:
                other = (
                    against if isinstance(against, Built) else find(as_text("against", against), settings=self.settings)
                )
                page = pages.page_of_two(other.receipt.name, other._only, self.receipt.name, self._only)
            elif self._build is not None:
                page = pages.page_of_build(self._build, session.connections, session.emit, self._timeline)
            else:
                page = pages.page_of_found(self.receipt.name, self._found, self.image, session.config, session.emit)
        write_file(target, page.data)
        return target

    def write_trace(self, path: str | Path) -> Path:
        """Writes the times of the build in the form that Chromium's trace viewer and Perfetto open.

        Args:
            path: The file to write.

        Returns:
            The file.

        Raises:
            UserError: The image was found, not built.
            MachineError: The file can't be written.
        """
        from modelcrate.reports.files import write_file
        from modelcrate.reports.timeline import chrome_trace

        if self._timeline is None:
            raise UserError("an image that was found has no times", hint="build it, or keep the trace of its build")
        target = as_path("path", path)
        write_file(target, chrome_trace(self._timeline))
        return target

    @property
    def _only(self) -> Image:
        """The image, which has to be one for a comparison."""
        if len(self.image.images) != 1:
            raise UserError(
                f"{self.receipt.name} has {len(self.image.images)} images, and one is compared with one",
                hint="modelcrate diff --platform OS/ARCHITECTURE --html FILE chooses",
            )
        return self.image.images[0]

    def _deliver(self, outputs: Sequence[Output], emit: Emit | None) -> Receipt:
        if not outputs:
            raise UserError(
                "no place is named that the image goes to", hint="name one: HOST/REPOSITORY:TAG, store:NAME"
            )
        with as_session(self.settings, emit) as session:
            done = (
                session.copy(self.receipt.name, self.image, outputs)
                if self._build is None
                else session.deliver(self._build, outputs)
            )
        self._delivered += done.outputs
        return done


class Building:
    """A build in a thread of its own: iterate it for its events, then take the `result`.

    Leaving the iteration early does not end the build; `cancel` does.
    """

    def __init__(self, project: str | Path, settings: Config, options: Mapping[str, Any]) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._outcome: Built | BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, args=(as_path("project", project), settings, options), name="modelcrate", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Event]:
        while (event := self._events.get()) is not None:
            yield event

    def cancel(self) -> None:
        """Ends the build at its next event; `result` raises KeyboardInterrupt then."""
        self._cancelled.set()

    def result(self) -> Built:
        """Waits for the end and returns the image.

        Raises:
            BaseException: What the build raised.
        """
        self._thread.join()
        if isinstance(self._outcome, Built):
            return self._outcome
        assert self._outcome is not None
        raise self._outcome

    def _work(self, project: Path, settings: Config, options: Mapping[str, Any]) -> None:
        try:
            self._outcome = build(project, settings=settings, emit=self._emit, **options)
        except BaseException as fault:
            self._outcome = fault
        finally:
            self._events.put(None)

    def _emit(self, event: Event) -> None:
        if self._cancelled.is_set():
            raise KeyboardInterrupt
        self._events.put(event)


def init(
    folder: str | Path | None = None,
    *,
    source: str | Path | None = None,
    force: bool = False,
    workspace: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Path:
    """Writes the project file of a folder, from what is found in it, or from another tool's configuration.

    Args:
        folder: The folder with the model, the script and the requirements; None for this one, and with a source for that of its file.
        source: The configuration: a cog.yaml, bentofile.yaml, Kitfile, config.yaml of Truss, MLmodel, Modelfile, or Azure's YAML or JSON.
        force: Whether files that exist are replaced.
        workspace: Where `azureml:NAME:VERSION` of Azure's YAML is looked for; empty for the default.
        settings: The configuration of this run; None for that of the environment.
        emit: Gets a notice for each key of the source that was taken over, each that was not, and what is missing before a build.

    Returns:
        The path of modelcrate.yaml.

    Raises:
        SourceError: A file can't be read.
        UserError: There is a project file already, or nothing can become an image.
    """
    place = None if folder is None else as_path("folder", folder)
    if source is None:
        from modelcrate.pipeline.detection.detect import write_project

        return write_project(place or Path(), force=force)[0]
    from modelcrate.importers import read_configuration
    from modelcrate.importers.imported import write_imported
    from modelcrate.workspace.opening import open_usual

    file = as_path("source", source)
    with as_session(settings, emit) as session:
        found = read_configuration(
            file, lambda: open_usual(as_text("workspace", workspace), session.connections), place
        )
        written = write_imported(found, force=force)
        for line in found.lines():
            session.emit(Notice(line))
    return written[0]


def plan(
    project: str | Path,
    *,
    push: str | Sequence[str] = (),
    locked: bool = False,
    policy: str | Path | None = None,
    cache_from: str | Sequence[str] = (),
    share_layers: str = "",
    sign: str | Path = "",
    reuse: bool = True,
    paranoid: bool = False,
    max_size: int | str | None = None,
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Prepared:
    """Decides what a build would do: which layers are known, and why the others are new. Makes nothing.

    Args:
        project: A folder, or a project file.
        push: References that the build would push to; their layers are taken into account.
        locked: Whether the lock has to fit.
        policy: The file with a policy that the base has to satisfy.
        cache_from: Addresses of images whose layers may be taken.
        share_layers: HOST/REPOSITORY of a signed list of layers that may be taken; it counts by `sign` or `policy`.
        sign: The key that the build would sign with: a file, or `command:PROGRAM`.
        reuse: Whether layers may be taken from images that exist, as from the one that the target has.
        paranoid: Whether every file is read, and nothing that was remembered is believed.
        max_size: The most that the image may have: bytes, or a text such as `2GB`.
        variant: The one that is wanted, or `default` for the project without variants; empty for all.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The plan of every platform; `variants` has the same of each variant.

    Raises:
        LimitError: The image would be larger than `max_size`.
        CrateError: The project can't be built; the class is the kind of cause.
    """
    from modelcrate.pipeline.order import Order, read_order

    order = Order(
        as_path("project", project),
        push=as_texts("push", push),
        locked=locked,
        policy=None if policy is None else as_path("policy", policy),
        cache_from=as_texts("cache_from", cache_from),
        share_layers=as_text("share_layers", share_layers),
        sign=as_address("sign", sign),
        reuse=reuse,
        paranoid=paranoid,
        max_size=as_bytes("max_size", max_size),
        variant=as_text("variant", variant),
    )
    with as_session(settings, emit) as session:
        return session.prepare(read_order(order, session))


def lock(project: str | Path, *, settings: Config | None = None, emit: Emit | None = None) -> Lock:
    """Pins the base, the packages and the models of a project, and writes modelcrate.lock beside it.

    Args:
        project: A folder, or a project file.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The lock that was written.

    Raises:
        CrateError: The project can't be resolved.
    """
    from modelcrate.resolve.lock import FILE_NAME, write_lock

    with as_session(settings, emit) as session:
        request = session.read(as_path("project", project))
        made = session.lock(request)
        write_lock(request.folder / FILE_NAME, made)
        return made


def build(  # noqa: PLR0913  (each is an option of the command, and is given by its name)
    project: str | Path,
    *,
    push: str | Sequence[str] = (),
    outputs: str | Sequence[str] = (),
    locked: bool = False,
    sbom: bool | None = None,
    provenance: bool = False,
    sources: bool = False,
    sign: str | Path = "",
    policy: str | Path | None = None,
    cache_from: str | Sequence[str] = (),
    share_layers: str = "",
    reuse: bool = True,
    paranoid: bool = False,
    max_size: int | str | None = None,
    max_layer_growth: int | str | None = None,
    against: Built | str = "",
    test: bool = False,
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Built:
    """Builds the image of a project.

    Without `push` and `outputs` nothing is delivered: `Built.push` and `Built.save` do that later.

    Args:
        project: A folder, or a project file.
        push: References of registries: HOST/REPOSITORY[:TAG].
        outputs: Outputs as the command line names them: `oci:DIR`, `docker-archive:FILE`, `store:NAME`. In these, `{name}` is the project's name.
        locked: Whether the image has to be what the lock says.
        sbom: Whether bills of materials are put beside the image; None: where it is pushed or signed.
        provenance: Whether a statement of how the image was built is put beside it.
        sources: Whether the project file, the lock and the sources are put beside it, of which `rebuild` makes it again.
        sign: The key to sign with: a file, or `command:PROGRAM`. Its password is that of the environment in `settings`.
        policy: The file with a policy that the base has to satisfy.
        cache_from: Addresses of images whose layers may be taken.
        share_layers: HOST/REPOSITORY of a signed list: layers that it names may be taken, and those of this image are added. It counts by `sign` or
            `policy`.
        reuse: Whether layers may be taken from images that exist, as from the one that the target has.
        paranoid: Whether every file is read, and nothing that was remembered is believed.
        max_size: The most that the image may have: bytes, or a text such as `2GB`; None: what the project says.
        max_layer_growth: The most by which a layer may be larger than in the image before, likewise.
        against: The image before, or its address; by default what the target has.
        test: Whether the image has to pass its golden requests before it is delivered.
        variant: The one that is built alone, or `default` for the project without variants; empty for an index of all.
        settings: The configuration; by default that of the process.
        emit: Gets the events. It may raise to cancel the build.

    Returns:
        The image, and where it was delivered.

    Raises:
        LimitError: The image would be larger than the limit; nothing was delivered.
        IntegrityError: With `test`: a golden request has another answer; nothing was delivered.
        CrateError: The build failed; the class is the kind of cause. No output has an incomplete image.
    """
    from modelcrate.pipeline.order import Order, read_order
    from modelcrate.reports.timeline import Recorder

    order = Order(
        as_path("project", project),
        push=as_texts("push", push),
        outputs=as_texts("outputs", outputs),
        locked=locked,
        sbom=sbom,
        provenance=provenance,
        sources=sources,
        sign=as_address("sign", sign),
        policy=None if policy is None else as_path("policy", policy),
        cache_from=as_texts("cache_from", cache_from),
        share_layers=as_text("share_layers", share_layers),
        reuse=reuse,
        paranoid=paranoid,
        max_size=as_bytes("max_size", max_size),
        max_layer_growth=as_bytes("max_layer_growth", max_layer_growth),
        against=as_image("against", against),
        test=test,
        variant=as_text("variant", variant),
    )
    config, recorder = as_config(settings), Recorder(as_emit(emit))
    with as_session(config, recorder.emit) as session:
        done = session.build(read_order(order, session))
        return Built(done.receipt, config, done, recorder.timeline())


def start(project: str | Path, *, settings: Config | None = None, **options: Any) -> Building:
    """Builds a project in the background.

    Args:
        project: A folder, or a project file.
        settings: The configuration; by default that of the process.
        **options: All options of `build` but `emit`.

    Returns:
        The build, as an iterable of its events.

    Raises:
        CrateError: The configuration can't be used. Errors of the build are raised by `Building.result`.
    """
    return Building(project, as_config(settings), options)


def find(address: str, *, settings: Config | None = None) -> Built:
    """Finds an image that exists.

    Args:
        address: A name in the local store, `registry:REF`, `oci:DIR` or `docker-archive:FILE`.
        settings: The configuration; by default that of the process.

    Returns:
        The image. Its layers are read when they are needed.

    Raises:
        SourceError: There is no such image on this machine.
        RegistryError: The registry has no such image, or can't be reached.
    """
    from modelcrate.transports.addresses import find as find_image
    from modelcrate.transports.connections import Connections

    config, address = as_config(settings), as_text("address", address)
    with _faults_of_the_system():
        found = find_image(address, Connections(config))
        return Built(Receipt(address, found.read()), config, found=found)


def run(
    image: Built | str | Path,
    *,
    ports: Mapping[int | str, int] | None = None,
    env: Mapping[str, str] | None = None,
    name: str = "",
    options: ContainerOptions | None = None,
    wait: float | None = 60.0,
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Container:
    """Starts an image as a container, without a container engine, and waits until it answers.

    Args:
        image: An image, its address, or a project, which is built into the local store.
        ports: Ports of the container by ports of this machine's loopback address, `{8080: 5001}`, or of another, `{"0.0.0.0:8080": 5001}`.
        env: Variables for the container.
        name: The container's name; by default the image's.
        options: All else that can be said of a container: volumes, limits, devices, a program.
        wait: How many seconds to wait for an answer, where a port is published; None does not wait.
        settings: The configuration; by default that of the image or the process.
        emit: Gets the events of a build, and notices.

    Returns:
        The running container; `stop` ends it.

    Raises:
        UserError: An option can't be fulfilled: the name or a port is taken, or the image is for another system.
        SourceError: There is no such image, or none for the platform.
        MachineError: This machine can't start containers, or the container did not answer.
    """
    from modelcrate.containers import Port, container_name, wait_ready
    from modelcrate.images.image_config import health_path
    from modelcrate.inspect.serving import choose_runnable
    from modelcrate.pipeline.running import ContainerOptions, find_image, start_image

    target = image if isinstance(image, Built) else as_address("image", image)
    config = as_config(settings_of(target, settings))
    more = as_one_of(
        "options", ContainerOptions() if options is None else options, ContainerOptions, "modelcrate.ContainerOptions"
    )
    given = as_one_of("ports", ports or {}, Mapping, "a mapping, such as {8080: 5001}")  # type: ignore[type-abstract]
    published = [Port.of(host, container) for host, container in given.items()]
    variables = as_one_of("env", env or {}, Mapping, "a mapping of names to values")  # type: ignore[type-abstract]
    wanted = more.read(as_text("name", name) or "unnamed", published, variables, config)
    devices, platform = more.device_names(), more.wanted_platform()
    with as_session(config, emit) as session:
        if isinstance(target, Built):
            address, several = target.receipt.name, target.image.images
            alone = len(several) == 1 and platform is None and not more.variant
            chosen = several[0] if alone else choose_runnable(several, platform, more.variant)
        else:
            address, chosen = find_image(target, session, platform, more.variant)
        wanted = wanted if name else replace(wanted, name=container_name(address))
        container = start_image(chosen, address, wanted, session, devices)
    if published and wait is not None:
        wait_ready(container, health_path(chosen.settings), wait)
    return container


def predict(
    target: Built | str | Path,
    data: Any,
    *,
    path: str = "",
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Any:
    """Asks a model, wherever it is.

    Args:
        target: The URL of a server, the folder of a project, the address of an image, or an image. All but a server are started on this
            machine for the one request.
        data: The request: bytes as they are, anything else as JSON.
        path: The path of the request; by default that of the first contract, such as `/score`.
        variant: The variant that is asked, by its name; by default the image that is none.
        settings: The configuration; by default that of the process.
        emit: Gets the events of a build.

    Returns:
        The answer: the value of its JSON, or bytes, if it is none.

    Raises:
        UserError: The data is no JSON: a set, or an array of numpy, which has `tolist()`.
        RegistryError: The server does not answer, or answers with a status of 300 or more.
        CrateError: The project can't be built, or the image can't be started.
    """
    from modelcrate.inspect.serving import FAILED, choose_runnable, serve
    from modelcrate.pipeline.asking import open_endpoint

    body = data if isinstance(data, bytes) else _as_json(data)
    config = as_config(settings_of(target, settings))
    with as_session(config, emit) as session:
        opened = (
            serve(choose_runnable(target.image.images, variant=variant), config, session.emit)
            if isinstance(target, Built)
            else open_endpoint(as_address("target", target), session, variant)
        )
        with opened as where:
            reply = where.ask(body, path)
    if not 200 <= reply.status < 300:
        said = reply.body[:2000].decode("utf-8", "replace")
        log = f"it logged:\n{reply.log}" if reply.status >= FAILED and reply.log else ""
        raise RegistryError(f"the server answered with status {reply.status}", why="\n".join(filter(None, [said, log])))
    try:
        return json.loads(reply.body)
    except ValueError:
        return reply.body


def test(
    address: Built | str | Path,
    *,
    project: str | Path | None = None,
    variant: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> tuple[GoldenVerdict, ...]:
    """Starts an image, and sends it the golden requests that are beside it; those of the project, where a project is named.

    Args:
        address: An image, its address, or a folder or project file, which is built. An image that was just built gets the requests of its project.
        project: A folder, or a project file, whose golden requests are sent instead.
        variant: The variant that is asked, by its name; by default the image that is none.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        A verdict for each request; its `differences` are empty where the answer is right.

    Raises:
        SourceError: There are no golden requests, or no such image.
        CrateError: The image can't be started.
    """
    from modelcrate.pipeline.asking import ask_golden, run_tests
    from modelcrate.pipeline.testing import load_tests

    named = None if project is None else as_path("project", project)
    with as_session(settings_of(address, settings), emit) as session:
        if isinstance(address, Built) and address._build is not None:
            request = address._build.prepared.request if named is None else session.read(named)
            return ask_golden(
                address.image.images, load_tests(request), session, variant, str(request.folder), "in the project"
            )
        target = address.address if isinstance(address, Built) else as_address("address", address)
        return run_tests(target, session, named, variant)


def as_bytes(name: str, value: int | str | None) -> int | None:
    """Returns a number of bytes; None if there is none.

    Raises:
        UserError: It is neither a number nor a text such as `4GB`.
    """
    from modelcrate.project.byte_sizes import parse_size

    if value is None:
        return None
    return (
        parse_size(value) if isinstance(value, str) else as_one_of(name, value, int, "bytes, or a text such as '2GB'")
    )


def as_address(name: str, value: object) -> str:
    """Returns what names an image, a project or a key: an address, a URL, a program, or a path."""
    return as_text(name, value) if isinstance(value, str) else str(as_path(name, value))


def as_image(name: str, value: Built | str) -> str:
    """Returns the address of an image.

    Raises:
        UserError: It is neither an address nor an image, or the image is nowhere yet.
    """
    return value.address if isinstance(value, Built) else as_text(name, value)


def settings_of(image: object, settings: Config | None) -> Config | None:
    """Returns the configuration that was given, else that of an image, else none."""
    return image.settings if settings is None and isinstance(image, Built) else settings


def as_config(value: Config | None) -> Config:
    """Returns the configuration that was given, else that of the process."""
    if value is None:
        return read_config()
    given = as_one_of("settings", value, Config, "a modelcrate.Config")
    return replace(given, home=as_path("the home of settings", given.home).absolute())


@contextmanager
def as_session(config: Config | None, emit: Emit | None) -> Iterator[Session]:
    """Opens a session for a configuration and a receiver of events; without one, a notebook shows progress.

    Raises:
        UserError: One is something else.
        MachineError: The operating system refuses something.
    """
    from modelcrate.pipeline.session import Session

    with _faults_of_the_system(), Session(as_config(config), as_emit(emit)) as session:
        yield session


@contextmanager
def _faults_of_the_system() -> Iterator[None]:
    """Raises what the operating system says as one of our errors, as the command line does.

    One that names no file may be the caller's own: a receiver of events raises it to cancel a build.
    """
    try:
        yield
    except OSError as fault:
        if not fault.filename and fault.errno != errno.ENOSPC:
            raise
        raise of_the_system(fault) from fault


def _as_json(data: Any) -> bytes:
    try:
        return json.dumps(data).encode()
    except (TypeError, ValueError) as fault:
        raise UserError(
            f"data is no JSON: {fault}", hint="expected bytes, or what json.dumps takes; an array has tolist()"
        ) from None


def as_emit(emit: Emit | None) -> Emit:
    """Returns a receiver of events; without one, that which shows progress in a notebook.

    Raises:
        UserError: It is something else.
    """
    from modelcrate.render.notebook import notebook_emit

    if emit is not None and not callable(emit):
        raise UserError(f"emit is {emit!r:.80}", hint="expected a function that takes an event")
    return emit or notebook_emit()
