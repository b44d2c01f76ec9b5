"""What an image says about how it wants to be run, in the terms that all orchestrators share. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcrate.images.image_config import environment, exposed_ports, health_path
from modelcrate.images.reference import Reference
from modelcrate.inspect.serving import served_contracts
from modelcrate.project.contracts import PYTHON
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    from modelcrate.images.image import Image

PROGRAM_MEMORY = 512 << 20
"""Bytes that an interpreter with the usual libraries takes; the models come on top of it."""

START_SECONDS = 600
"""How long a container may take until it answers for the first time: large models take minutes to load."""

MAX_CPUS = 1024
"""Processors that may be asked for: more than any machine has."""

LEAST_MEMORY = 6 << 20
"""Bytes of memory that may be asked for: Docker's own least."""

_LABEL = compile_later(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""A DNS label that begins with a letter (RFC 1035, section 2.3.1), as Kubernetes asks of services."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """How one image is to be run.

    Attributes:
        name: What the container is called: a DNS label.
        image: The image, by its digest.
        ports: The TCP ports that it listens on. The first takes requests.
        health: The path that answers with 2xx once the container is ready; None if the image names none.
        contracts: The names of the protocols that our server in it speaks; none for another program.
        user: Numbers of user and group; None if the image names its user by name, or names none.
        memory: Bytes of memory.
        cpus: Processors.
        gpu: Whether the image asks for NVIDIA's devices.
        served: Whether our server runs in it. It needs nothing that can be written but /tmp, and Python is there to ask for its health.
        architectures: The machines that the image is for, in Go's words.
    """

    name: str
    image: str
    ports: tuple[int, ...]
    health: str | None
    contracts: tuple[str, ...]
    user: tuple[int, int] | None
    memory: int
    cpus: float
    gpu: bool
    served: bool
    architectures: tuple[str, ...]

    def probe_command(self) -> list[str]:
        """Returns a command for inside the container that ends with 0 if it is ready, for platforms that send no requests themselves."""
        url = f"http://127.0.0.1:{self.ports[0]}{self.health}"
        return [PYTHON, "-c", f"import urllib.request; urllib.request.urlopen('{url}', timeout=5)"]


def describe_deployment(
    images: Sequence[Image], reference: Reference, name: str = "", memory: int | None = None, cpus: float = 1.0
) -> Deployment:
    """Returns what an image says about how it wants to be run.

    Args:
        images: The images at the reference, one a platform. Their settings are the first one's.
        reference: Its address in a registry, with its digest.
        name: What the container is called; without one, the last part of the repository.
        memory: Bytes of memory; None takes what a program needs, and twice the models.
        cpus: Processors.

    Raises:
        UserError: The name is no DNS label, or a number is out of range.
    """
    if not 0 < cpus <= MAX_CPUS:
        raise UserError(
            f"not a number of processors: {cpus:g}", hint=f"expected for instance 0.5 or 2, up to {MAX_CPUS}"
        )
    if memory is not None and memory < LEAST_MEMORY:
        raise UserError(f"not enough memory for any program: {memory} bytes", hint="expected at least 6MiB")
    image = images[0]
    settings = image.settings.get("config") or {}
    contracts = served_contracts(settings)
    first = contracts[0].port if contracts else 0
    models = sum(each.layer.tar_size for each in image.layers if each.role == "model")
    return Deployment(
        _label(name) if name else _derive_label(reference.repository),
        str(reference),
        tuple(sorted(exposed_ports(settings), key=lambda port: (port != first, port))),
        contracts[0].health if contracts else health_path(image.settings),
        tuple(each.name for each in contracts),
        _user(settings.get("User") or ""),
        PROGRAM_MEMORY + 2 * models if memory is None else memory,
        cpus,
        environment(image.settings).get("NVIDIA_VISIBLE_DEVICES", "void") not in ("", "void", "none"),
        bool(contracts),
        tuple(sorted({each.platform.architecture for each in images})),
    )


def _user(text: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"([0-9]{1,10})(?::([0-9]{1,10}))?", text)
    return (int(found[1]), int(found[2] or 0)) if found else None


def _derive_label(repository: str) -> str:
    label = re.sub(r"[^a-z0-9]+", "-", repository.rpartition("/")[2].lower()).strip("-")
    return (label if label[:1].isalpha() else f"model-{label}")[:63].rstrip("-")


def _label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise UserError(
            f"not a name for clusters: {name[:80]!r}",
            hint="expected up to 63 lower-case letters, digits and dashes, a letter first",
        )
    return name
