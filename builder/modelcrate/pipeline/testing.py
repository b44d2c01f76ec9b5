"""The golden requests of a project: they hold its image to known answers before it is delivered, and travel beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.images.image import Deliverable, Image, Index
from modelcrate.inspect.golden_requests import GoldenRequest, load, make_artifact
from modelcrate.pipeline.request import Request
from modelcrate_layers.errors import IntegrityError, UserError


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
    """Runs the image for this machine, and sends it the golden requests.

    Raises:
        UserError: There are none, or no image is for this machine.
        IntegrityError: An answer is another than it has to be. `also` has the others.
        MachineError: This machine can't run the image.
    """
    from modelcrate.inspect.serving import choose_runnable, run_golden, serve

    if not tests:
        raise UserError(
            "the project has no golden requests to test", hint="tests: FOLDER, or a list of requests and answers"
        )
    with serve(choose_runnable(images), config, emit) as where:
        verdicts = list(run_golden(where, tests))
    faults = [
        IntegrityError(f"the golden request {each.name} has another answer", why="\n".join(each.differences))
        for each in verdicts
        if each.differences
    ]
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first
    emit(Notice(f"{len(verdicts)} golden {'request' if len(verdicts) == 1 else 'requests'}: as expected"))
