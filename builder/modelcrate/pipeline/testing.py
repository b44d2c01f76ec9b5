"""The golden requests of a project: they hold its image to known answers before it is delivered, and travel beside it."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.images.image import Deliverable, Image, Index
from modelcrate.images.image_config import environment
from modelcrate.inspect.golden_requests import GoldenRequest, load, make_artifact
from modelcrate.pipeline.request import Request
from modelcrate_layers.errors import IntegrityError, UserError
from modelcrate_layers.frozen import replace


def load_tests(request: Request) -> tuple[GoldenRequest, ...]:
    """Returns the golden requests of a project.

    Raises:
        SourceError: A file of them does not exist.
        UserError: One is no JSON, or a folder has none.
    """
    return load(request.project.tests, request.folder)


def with_tests(made: Deliverable, tests: Sequence[GoldenRequest]) -> Deliverable:
    """Returns the same image with an artifact of its golden requests beside it; of an index, beside each image."""
    if isinstance(made, Index):
        return replace(made, images=tuple(_with_tests(each, tests) for each in made.images))
    return _with_tests(made, tests) if isinstance(made, Image) else made


def _with_tests(image: Image, tests: Sequence[GoldenRequest]) -> Image:
    return replace(image, attached=(*image.attached, make_artifact(image.manifest.descriptor, tests)))


def test_image(images: Sequence[Image], tests: Sequence[GoldenRequest], config: Config, emit: Emit) -> None:
    """Runs the image for this machine, and each of its variants, and sends it the golden requests.

    A variant that asks for NVIDIA's cards is passed over, and that is said, where the machine has none.

    Raises:
        UserError: There are none, or no image is for this machine.
        IntegrityError: An answer is another than it has to be. `also` has the others.
        MachineError: This machine can't run the image.
    """
    from modelcrate.containers.cuda import installed_driver
    from modelcrate.containers.host import host_platform
    from modelcrate.inspect.serving import choose_runnable

    if not tests:
        raise UserError(
            "the project has no golden requests to test", hint="tests: FOLDER, or a list of requests and answers"
        )
    _ask(choose_runnable(images), tests, config, emit)
    for name in [each for each in dict.fromkeys(each.variant for each in images[1:]) if each != images[0].variant]:
        mine = [each for each in images if each.variant == name and host_platform().matches(each.settings)]
        if not mine:
            emit(Notice(f"{name}: not tested, for it is for other machines"))
        elif environment(mine[0].settings).get("NVIDIA_VISIBLE_DEVICES") and not installed_driver():
            emit(Notice(f"{name}: not tested, for it wants NVIDIA's cards, and this machine has none"))
        else:
            _ask(choose_runnable(mine), tests, config, emit)


def _ask(image: Image, tests: Sequence[GoldenRequest], config: Config, emit: Emit) -> None:
    from modelcrate.inspect.serving import run_golden, serve

    with serve(image, config, emit) as where:
        verdicts = list(run_golden(where, tests))
    of = f" of the variant {image.variant}" if image.variant else ""
    faults = [
        IntegrityError(f"the golden request {each.name}{of} has another answer", why="\n".join(each.differences))
        for each in verdicts
        if each.differences
    ]
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first
    emit(Notice(f"{len(verdicts)} golden {'request' if len(verdicts) == 1 else 'requests'}{of}: as expected"))
