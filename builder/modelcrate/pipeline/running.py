"""A container of an image, for every caller: an image that is found or built, of several the one for this machine, with devices by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelcrate.arguments import as_text, as_texts
from modelcrate.config import Config
from modelcrate.containers import Container, Port, RunOptions, Volume, start
from modelcrate.containers.host import host_platform
from modelcrate.containers.limits import Limits, Restart
from modelcrate.containers.process import check_variable
from modelcrate.events import Notice
from modelcrate.images.image import Image
from modelcrate.images.image_config import environment
from modelcrate.pipeline.asking import project_of
from modelcrate.pipeline.session import Session
from modelcrate.project.cdi import gpu_names, with_devices
from modelcrate.transports.addresses import find
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """What may be said of a container besides its name, ports and variables, in the words of docker's command line.

    Attributes:
        command: A program with its arguments, instead of the image's entry point and command; with `entrypoint`, only the arguments.
        entrypoint: A program instead of the image's entry point; "" for none.
        user: `USER[:GROUP]`, names or numbers, instead of the image's user.
        workdir: The working folder instead of the image's.
        volumes: Folders and files of this machine, as `HOST:CONTAINER` or `HOST:CONTAINER:ro`.
        memory: Bytes of memory, or a text such as `"2g"`.
        cpus: The number of processors, such as 1.5.
        gpus: NVIDIA's cards: `"all"`, a number of them, or `"device=0,1"`.
        devices: Devices that CDI files of this machine describe, as `VENDOR/CLASS=NAME`.
        network: `own`, `host` or `none`.
        restart: When it is started again after its end: a number of times, `on-failure[:N]`, `always` or `no`.
        read_only: Whether nothing but /tmp and mounted folders can be written.
        keep: Whether the unpacked root folder stays after the end.
        remove: Whether the container and its log are removed after the end.
        engine: `runc`, `crun`, `namespaces` or `chroot`; `auto` is the first that works, but never `chroot`.
        platform: Which of several images, such as `linux/arm64`; by default this machine's.
        variant: Which of them, by the name of a variant, such as `gpu`, or `default`.
    """

    command: str | Sequence[str] = ()
    entrypoint: str | None = None
    user: str | None = None
    workdir: str | None = None
    volumes: str | Sequence[str] = ()
    memory: str | int | None = None
    cpus: str | float | None = None
    gpus: str | int | None = None
    devices: str | Sequence[str] = ()
    network: str = "own"
    restart: str | int = "no"
    read_only: bool = False
    keep: bool = False
    remove: bool = False
    engine: str = "auto"
    platform: str | None = None
    variant: str = ""

    def device_names(self) -> tuple[str, ...]:
        """Returns the names of all devices, cards included. UserError where `gpus` can't be read."""
        cards = () if self.gpus is None else gpu_names(str(self.gpus))
        return (*as_texts("devices", self.devices), *cards)

    def wanted_platform(self) -> Platform | None:
        """Returns the platform, where one was named. UserError where it is none."""
        return None if self.platform is None else Platform.parse(as_text("platform", self.platform))

    def read(self, name: str, ports: Sequence[Port], env: Mapping[str, str], config: Config) -> RunOptions:
        """Returns the options as values.

        Args:
            name: The container's name.
            ports: The ports that are published.
            env: Variables for the container.
            config: The configuration; its home has the container.

        Returns:
            The options of the container. Its devices are found when it is started.

        Raises:
            UserError: One can't be read.
        """
        for each in ("entrypoint", "user", "workdir", "network", "engine"):
            if (value := getattr(self, each)) is not None:
                as_text(each, value)
        variables = {str(variable): str(value) for variable, value in env.items()}
        for variable, value in variables.items():
            check_variable(variable, value)
        words = as_texts("command", self.command)
        program = (self.entrypoint,) if self.entrypoint else () if words or self.entrypoint is not None else None
        return RunOptions(
            name,
            config.containers,
            tuple(ports),
            variables,
            entrypoint=program,
            command=words or None,
            user=self.user,
            workdir=self.workdir,
            volumes=tuple(map(Volume.parse, as_texts("volumes", self.volumes))),
            engine=self.engine,
            network=self.network,
            limits=Limits.parse(_text(self.memory), _text(self.cpus)),
            restart=Restart.parse(str(self.restart)),
            read_only=self.read_only,
            keep=self.keep,
            remove=self.remove,
        )


def _text(value: str | float | None) -> str | None:
    return None if value is None else str(value)


def find_image(target: str, session: Session, platform: Platform | None = None, variant: str = "") -> tuple[str, Image]:
    """Returns an image and its address.

    Args:
        target: An address, or a project, which is built into the local store, under its name.
        session: Finds and builds; it is open.
        platform: Which of several images; by default the one for this machine.
        variant: The name of a variant, or `default`. Of a project that one alone is built.

    Raises:
        SourceError: There is no such image, or none for the platform or of the variant.
        CrateError: The project can't be built, or the image can't be read.
    """
    if (project := project_of(target, session.config)) is not None:
        request = session.read(project).for_variant(variant)
        target = request.project.name + (f":latest-{request.variant_name}" if request.variant_name else "")
        session.build(replace(request, outputs=(StoreOutput(target),)))
    found = find(target, session.connections)
    several = len(found.members()) > 1
    try:
        return target, found.image(platform or (host_platform() if several else None), variant)
    except SourceError as fault:
        if several:
            fault.hint = fault.hint or "name one of them with --platform"
        raise


def start_image(
    image: Image, address: str, options: RunOptions, session: Session, devices: Sequence[str] = ()
) -> Container:
    """Starts an image as a container of the home.

    Args:
        image: The image.
        address: Its address.
        options: What the user wants; the image and its layers on this machine are filled in.
        session: Keeps the image from being pruned, and gets a notice of an image for another processor; it is open.
        devices: Names of devices, as `vendor.com/class=name`.

    Raises:
        UserError: An option can't be fulfilled, or the image is for another system than Linux.
        IntegrityError: The image is damaged.
        MachineError: This machine can't do it.
    """
    mine = host_platform()
    if image.platform.os != mine.os:
        raise UserError(
            f"the image is for {image.platform}, and only images for Linux run here",
            where=address,
            hint="take an image for Linux; of one for several platforms, --platform names it",
        )
    if image.platform.architecture != mine.architecture:
        session.emit(
            Notice(f"the image is for {image.platform}, and this machine is {mine}: it needs an emulator to run")
        )
    filled = replace(options, image=address, digest=str(image.digest), trees=session.config.unpacked)
    wanted = with_devices(filled, devices, environment(image.settings), session.config.environment)
    return start(image.settings, [layer.blob for layer in image.layers], wanted)
