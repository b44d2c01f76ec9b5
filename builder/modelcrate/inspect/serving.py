"""An image that is started for a few requests, and a server that is asked wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelcrate.config import Config
from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.images.image import DEFAULT_VARIANT
from modelcrate.images.image_config import exposed_ports, health_path
from modelcrate.inspect.conformance import Reply, Target, is_healthy, listed_model, send_request, split_server_url
from modelcrate.inspect.golden_requests import GoldenRequest, compare
from modelcrate.project.contracts import DEFAULT
from modelcrate_layers import content
from modelcrate_layers.errors import CrateError, MachineError, RegistryError, UserError
from modelcrate_layers.frozen import dataclass, replace
from modelcrate_server.platforms import VARIABLE, platforms

if TYPE_CHECKING:
    from modelcrate.containers import Container
    from modelcrate.images.image import Image
    from modelcrate_server.platforms import Platform

TIMEOUT = 60.0
"""Seconds to wait for one answer."""

_ASKED = "ask"
"""How the name of a container begins that was started for a few requests."""

FAILED = 500
"""The first status of a server's own fault; the reason is in its log."""

_TAIL = 2000
"""Bytes of a log that a message shows."""

PATIENT_FOR = 5.0
"""Seconds after which it is said that an image is waited for."""

READY_AFTER = 600.0
"""Seconds that an image gets until it answers: large models take minutes to load."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, the path that takes requests, and the container if it was started for them."""

    target: Target
    path: str
    container: Container | None = None

    def ask(self, body: bytes, path: str = "", content_type: str = "application/json") -> Reply:
        """Sends one request. The reply of a container has what the container logged meanwhile.

        Raises:
            RegistryError: The server does not answer.
        """
        from modelcrate.containers import log_since

        before = self.container.log_size() if self.container is not None else 0
        reply = send_request(self.target, "POST", path or self.path, body, content_type)
        log = log_since(self.container, before) if self.container is not None else ""
        if reply.fault:
            raise RegistryError(
                "the server does not answer", where=self.target.url, why="\n".join(filter(None, [reply.fault, log]))
            )
        return replace(reply, log=log)


@dataclass(frozen=True, slots=True)
class GoldenVerdict:
    """The result of one golden request: what is wrong with the answer, and how long it took in seconds."""

    name: str
    differences: tuple[str, ...]
    seconds: float


def choose_runnable(images: Sequence[Image], platform: content.Platform | None = None, variant: str = "") -> Image:
    """Returns the image for a platform; of several that fit, the plainest variant.

    Args:
        images: The images.
        platform: The platform; by default this machine's.
        variant: The name of a variant, or `default`; empty for the default, where there is one.

    Raises:
        UserError: There is none.
    """
    from modelcrate.containers.host import host_platform

    wanted = platform or host_platform()
    images = _of_variant(images, variant)
    fitting = [each for each in images if wanted.matches(each.settings)]
    if not fitting:
        built = ", ".join(str(each.platform) for each in images)
        raise UserError(
            f"the image is for {built or 'no platform'}, and {wanted} is wanted here",
            hint="build it for that platform too: `platforms:` in the project file",
        )
    return min(fitting, key=lambda each: each.platform.level)


def _of_variant(images: Sequence[Image], variant: str) -> Sequence[Image]:
    named = [each for each in images if (each.variant or DEFAULT_VARIANT) == (variant or DEFAULT_VARIANT)]
    if variant and not named:
        names = ", ".join(dict.fromkeys(each.variant or DEFAULT_VARIANT for each in images))
        raise UserError(f"the image has no variant {variant[:100]!r}", why=f"it has: {names}")
    return named or images


@contextmanager
def serve(image: Image, config: Config, emit: Emit = ignore_event) -> Iterator[Endpoint]:
    """Starts an image, waits until it answers, and removes the container in the end.

    Args:
        image: An image for this machine.
        config: The configuration; its home has the container.
        emit: Gets a notice where the image takes long.

    Raises:
        UserError: The image names no port.
        MachineError: This machine can't start it, or it does not get ready. `why` is the end of its log.
    """
    from modelcrate.containers import Port, RunOptions, start
    from modelcrate.containers.processes import own_name

    _remove_abandoned(config)
    settings = image.settings.get("config") or {}
    served = served_contracts(settings)
    ports = sorted(exposed_ports(settings))
    port = served[0].port if served and served[0].port in ports else next(iter(ports), 0)
    if not port:
        raise UserError("the image names no port, so it can't be asked", hint="EXPOSE the port that its server has")
    options = RunOptions(
        own_name(_ASKED),
        config.containers,
        (Port(0, port),),
        image=str(image.digest),
        digest=str(image.digest),
        trees=config.unpacked,
    )
    container = start(image.settings, [layer.blob for layer in image.layers], options)
    try:
        _wait(container, served[0].health if served else health_path(image.settings), emit)
        target = Target(f"http://{container.state().ports[0].reached}", timeout=TIMEOUT)
        yield Endpoint(target, score_path(target, served), container)
    finally:
        container.stop(timeout=1)
        container.remove()


def _wait(container: Container, path: str | None, emit: Emit) -> None:
    from modelcrate.containers.ready import NotReadyError, wait_ready

    try:
        wait_ready(container, path, PATIENT_FOR)
    except NotReadyError:
        emit(Notice(f"waiting until the image answers GET {path or '/'}, for at most {READY_AFTER:g} seconds"))
        try:
            wait_ready(container, path, READY_AFTER - PATIENT_FOR)
        except NotReadyError as fault:
            log = b"".join(container.logs())[-_TAIL:].decode("utf-8", "replace")
            hint = "modelcrate run -d IMAGE starts it, and modelcrate logs shows what it does"
            raise MachineError("the image does not get ready", why=f"{fault.why}\n{log}", hint=hint) from None


def _remove_abandoned(config: Config) -> None:
    """Ends and removes the containers that killed processes have started for their requests."""
    from modelcrate.containers import containers
    from modelcrate.containers.processes import is_leftover

    for container in containers(config.containers):
        if is_leftover(container.name, _ASKED):
            with suppress(CrateError):  # another process removes it, too
                container.stop(timeout=1)
                container.remove()


def endpoint(url: str) -> Endpoint:
    """Returns a server by its URL. A path in it is where requests go; else that of the first contract whose health route answers.

    Raises:
        UserError: The URL is malformed.
        RegistryError: The server does not answer, or none of its routes is known.
    """
    path = split_server_url(url)[-1]
    if path.strip("/"):
        return Endpoint(Target(url.removesuffix(path), timeout=TIMEOUT), path)
    target = Target(url, timeout=TIMEOUT)
    first = send_request(target, "GET", "/")
    if first.fault:
        raise RegistryError("no server answers", where=url, why=first.fault)
    served = [each for each in platforms().values() if is_healthy(target, each)]
    if not served:
        raise RegistryError(
            "none of the health routes that are known answers",
            where=url,
            hint=f"name the path that takes requests: {url.rstrip('/')}/PATH",
        )
    return Endpoint(target, score_path(target, served))


def score_path(target: Target, served: Sequence[Platform]) -> str:
    """Returns the path of the first contract that takes requests; "/" for a server without one."""
    if not served:
        return "/"
    routes = [each for each in served[0].routes({}) if "POST" in each.methods and each.logged]
    path = routes[0].path if routes else "/"
    return path.replace("{model}", quote(listed_model(target, served[0]), safe="")) if "{model}" in path else path


def run_golden(where: Endpoint, tests: Sequence[GoldenRequest]) -> Iterator[GoldenVerdict]:
    """Sends golden requests, and yields a verdict for each.

    Raises:
        RegistryError: The server does not answer.
    """
    for each in tests:
        reply = where.ask(each.body.encode(), each.path)
        differences = compare(each, reply.status, reply.body)
        if differences and reply.status >= FAILED and reply.log:
            differences = (*differences, f"it logged:\n{reply.log}")
        yield GoldenVerdict(each.name, differences, reply.seconds)


def served_contracts(settings: Mapping[str, Any]) -> list[Platform]:
    """Returns the contracts of an image of ours, by the object `config` of its image config; none for another image."""
    environ = dict(entry.partition("=")[::2] for entry in settings.get("Env") or ())
    if "AML_APP_ROOT" not in environ:
        return []
    known = platforms()
    return [known[name] for name in environ.get(VARIABLE, DEFAULT).split(",") if name in known]
