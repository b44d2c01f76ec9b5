"""Deployments on this machine: an image is built, and started as a container that is labelled as a service.

`LocalWebservice` and `modelcrate deploy --local` use it. All that is known of a service is in its container's description, so a service
is found again by any process, and is gone when its container is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelcrate.config import Config
from modelcrate.containers import Container, Port, RunOptions, containers
from modelcrate.containers.forward import check_free
from modelcrate.events import Emit
from modelcrate.inspect.serving import choose_runnable
from modelcrate.pipeline.request import Request
from modelcrate.pipeline.running import start_image
from modelcrate.pipeline.session import Session
from modelcrate.registry.credential import Credential
from modelcrate.transports.store import StoreOutput, find
from modelcrate_layers.errors import MachineError, SourceError, UserError, placed
from modelcrate_layers.frozen import dataclass, replace

LABEL = "modelcrate.service"
"""The label of a service's container. Its value is JSON: the facts of the service."""

PORT = 5001
"""The port of our server in a container."""


@dataclass(frozen=True, slots=True)
class Service:
    """A container that is a service, and the facts that it was deployed with.

    Attributes:
        container: The container.
        facts: `workspace`, an address; `models`, ids; `port`, that of the container; `health` and `scoring`, paths; and what only the
            caller that deployed it understands.
        digest: The digest of its image.
    """

    container: Container
    facts: Mapping[str, Any]
    digest: str

    @property
    def name(self) -> str:
        """The name of the service, its container and its image."""
        return self.container.name

    @property
    def port(self) -> int | None:
        """The port of this machine; None before the start and after the end."""
        state = self.container.state()
        return state.ports[0].host if state.ports and state.status == "running" else None


def find_services(config: Config) -> list[Service]:
    """Returns the services of this machine, by name, whatever their state."""
    return [found for each in containers(config.containers) if (found := _service(each)) is not None]


def find_service(name: str, config: Config) -> Service:
    """Returns the service with this name.

    Raises:
        SourceError: There is none.
    """
    known = {each.name: each for each in find_services(config)}
    if name not in known:
        raise SourceError(
            f"there is no service {name}",
            why=f"there are: {', '.join(known) or 'none'}",
            hint="Model.deploy(ws, name, ...) makes one; `modelcrate ps` lists all containers",
        )
    return known[name]


def deploy(
    request: Request,
    name: str,
    port: int | None,
    facts: Mapping[str, Any],
    config: Config,
    emit: Emit,
    logins: Mapping[str, Credential],
) -> Service:
    """Builds an image into the local store, under the service's name, and starts it in place of the service that has the name.

    A build that fails leaves the service as it is.

    Args:
        request: What is to be built; its outputs are replaced.
        name: The name of the service.
        port: The port of this machine; None for any free one.
        facts: What is to be known of the service. See `Service`.
        config: The configuration.
        emit: Gets the events of the build.
        logins: See `Session`.

    Raises:
        UserError: The name is that of a container which is no service, or the port is taken.
        CrateError: The image can't be built, or this machine can't start it.
    """
    published = (Port(port or 0, int(facts.get("port") or PORT)),)
    options = RunOptions(
        name,
        config.containers,
        published,
        labels={LABEL: json.dumps(dict(facts))},
    )
    _check_name(name, config)
    if not any(each.name == name and each.port == port for each in find_services(config)):
        check_free(published)  # before anything is built, and before the service that has the name is ended
    with Session(config, emit, logins) as session:
        session.build(replace(request, outputs=(StoreOutput(name),)))
        found = find(name, config)
        if found is None:
            raise MachineError(f"the image {name} has gone", hint="try again")
        image = choose_runnable(found.read().images)
        remove(name, config)
        with placed(f"the service {name}"):
            started = start_image(image, f"{name}:latest", options, session)
    return Service(started, dict(facts), str(image.digest))


def remove(name: str, config: Config) -> None:
    """Stops and removes the container of a service, if there is one."""
    for each in find_services(config):
        if each.name == name:
            each.container.stop()
            each.container.remove()


def _check_name(name: str, config: Config) -> None:
    """Refuses the name of a container that runs and is no service."""
    for each in containers(config.containers):
        if each.name == name and _service(each) is None and each.state().status != "ended":
            raise UserError(
                f"a container {name} runs, and it is no service",
                hint=f"choose another name, or end it: modelcrate stop {name}",
            )


def _service(container: Container) -> Service | None:
    try:
        spec = container.spec()
        facts = json.loads(spec.options.labels[LABEL])
    except (MachineError, KeyError, ValueError):  # it is being made or removed, is damaged, or is no service
        return None
    return Service(container, facts, spec.options.digest) if isinstance(facts, dict) else None
