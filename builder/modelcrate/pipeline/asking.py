"""A model that is asked, wherever it is: a server that runs, an image, or a project, which is built for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelcrate.config import Config
from modelcrate.images.image import DEFAULT_VARIANT, Image
from modelcrate.inspect.golden_requests import GoldenRequest, read_artifacts
from modelcrate.inspect.serving import Endpoint, GoldenVerdict, choose_runnable, endpoint, run_golden, serve
from modelcrate.pipeline.session import Session
from modelcrate.pipeline.testing import load_tests
from modelcrate.transports import store
from modelcrate.transports.addresses import find
from modelcrate_layers.errors import SourceError, UserError


@contextmanager
def open_endpoint(target: str, session: Session, variant: str = "") -> Iterator[Endpoint]:
    """Yields the server of a target, which runs as long as the block.

    Args:
        target: A URL (http or https), the folder or file of a project, or the address of an image.
        session: Builds a project and finds an image; it is open.
        variant: The name of a variant; empty for the default, which of a project is the one that is built.

    Raises:
        UserError: It is not for this machine, or the session is offline and the target is a URL.
        RegistryError: A server or registry does not answer.
        MachineError: This machine can't start the image.
    """
    if not target:
        raise UserError("nothing is named that could be asked", hint="a URL, an image or a project, such as .")
    if target.startswith(("http://", "https://")):
        if session.config.offline:
            raise UserError("a request to a server is what --offline forbids", hint="without --offline it is sent")
        yield endpoint(target)
        return
    if (project := project_of(target, session.config)) is not None:
        request = session.read(project).for_variant(variant or DEFAULT_VARIANT)
        images = session.build(request).receipt.image.images
    else:
        images = find(target, session.connections).read().images
    with serve(choose_runnable(images, variant=variant), session.config, session.emit) as where:
        yield where


def project_of(target: str, config: Config) -> Path | None:
    """Returns the project that a text names, where it may name an image as well; None for an image.

    A path (`.`, `./sums`, `/srv/sums`, a .yaml file) is a project. A word that is both a folder here and an image of the local store is the image.
    """
    path = Path(target)
    if target.startswith((".", "/")) or target.endswith((".yaml", ".yml")):
        return path
    return path if path.is_dir() and store.find(target, config) is None else None


def run_tests(
    address: str, session: Session, project: Path | None = None, variant: str = ""
) -> tuple[GoldenVerdict, ...]:
    """Starts an image, and sends it its golden requests.

    Args:
        address: The address of the image, or a project, which is built.
        session: Finds the image, or builds it; it is open.
        project: Take the golden requests of this project instead of those beside the image.
        variant: The name of a variant; empty for the default, which of a project is the one that is built.

    Raises:
        SourceError: There are no golden requests.
        IntegrityError: The artifact beside the image is damaged.
        MachineError: This machine can't start the image.
    """
    if (own := project_of(address, session.config)) is not None:
        project = project or own
        request = session.read(own).for_variant(variant or DEFAULT_VARIANT)
        images = session.build(request).receipt.image.images
        return ask_golden(images, load_tests(session.read(project)), session, variant, str(project), "in the project")
    found = find(address, session.connections)
    images = found.read().images
    if project is not None:
        return ask_golden(images, load_tests(session.read(project)), session, variant, str(project), "in the project")
    beside = read_artifacts(found, choose_runnable(images, variant=variant))
    return ask_golden(images, beside, session, variant, address, "beside the image")


def ask_golden(
    images: Sequence[Image], tests: Sequence[GoldenRequest], session: Session, variant: str, where: str, beside: str
) -> tuple[GoldenVerdict, ...]:
    """Starts one of some images, and sends it golden requests.

    Args:
        images: The images.
        tests: The requests.
        session: It is open.
        variant: The name of a variant; empty for the default.
        where: The place at which the requests were looked for, for messages.
        beside: The same in words.

    Raises:
        SourceError: There are no golden requests.
        MachineError: This machine can't start the image.
    """
    image = choose_runnable(images, variant=variant)
    if not tests:
        raise SourceError(
            f"no golden requests are {beside}",
            where=where,
            hint="a project names them under tests:, and a build puts them beside its image",
        )
    with serve(image, session.config, session.emit) as server:
        return tuple(run_golden(server, tests))
