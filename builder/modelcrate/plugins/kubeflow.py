"""Kubeflow Pipelines: a component that builds an image in a pipeline, and the image of containerized components without Docker.

Without `from __future__ import annotations`: kfp reads the annotations of a component's function as types.
"""

import shutil
from pathlib import Path
from typing import Any

from modelcrate._version import __version__
from modelcrate.config import Config
from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.pipeline.receipt import Receipt
from modelcrate.plugins import generated_dockerfile
from modelcrate.plugins.building import RuntimeImage, build
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import SourceError, UserError

PYTHON = "python:3.13-slim"
"""The image in which the component runs by default."""

METADATA = "component_metadata"
"""The folder into which kfp writes the components' descriptions."""

_GENERATED = ("Dockerfile", ".dockerignore", METADATA, "__pycache__")
"""What is no code of a component."""


def build_component(
    *, base_image: str = PYTHON, requirement: str = f"modelcrate=={__version__}", **options: Any
) -> Any:
    """Returns a component that builds the image of a project and pushes it.

    Its inputs are `project` (an artifact: the folder of a project), `push` (HOST/REPOSITORY[:TAG]), `locked` and `test`; its outputs `digest`,
    `reference` (HOST/REPOSITORY@DIGEST) and `receipt` (an artifact, JSON).

    Args:
        base_image: The image in which it runs: one with Python and a shell.
        requirement: What pip installs there; empty where the image has modelcrate.
        **options: More options of `kfp.dsl.component`, such as pip_index_urls.

    Returns:
        The component, for pipelines of kfp.
    """
    from typing import NamedTuple

    from kfp import dsl
    from kfp.dsl import Artifact, Input, Output

    def modelcrate_build(
        project: Input[Artifact], push: str, receipt: Output[Artifact], locked: bool = False, test: bool = False
    ) -> NamedTuple("Outputs", [("digest", str), ("reference", str)]):  # type: ignore[valid-type]
        """Builds the image of a project without Docker, and pushes it."""
        import json
        from typing import NamedTuple

        import modelcrate

        class Outputs(NamedTuple):
            digest: str
            reference: str

        built = modelcrate.build(project.path, push=push, locked=locked, test=test)
        with open(receipt.path, "w") as file:
            json.dump(built.receipt.json(), file)
        return Outputs(str(built.digest), built.receipt.references[0])

    packages = [*([requirement] if requirement else []), *options.pop("packages_to_install", ())]
    return dsl.component(base_image=base_image, packages_to_install=packages, **options)(modelcrate_build)


def build_containerized(
    folder: str | Path,
    *,
    pattern: str = "**/*.py",
    push: bool = True,
    base: str = "",
    wheels: str | Path = "",
    settings: Config | None = None,
    emit: Emit = ignore_event,
) -> Receipt:
    """Does what `kfp component build` does, without Docker: the descriptions and the image of containerized components.

    Args:
        folder: The folder of the components.
        pattern: Which of its files have components.
        push: Whether the image is pushed to the components' target_image; else it goes to the local store.
        base: What lies below in place of the components' base_image: `debian`, which modelcrate makes, or a reference.
        wheels: A folder with wheels of packages that have none on the index. kfp needs kfp-server-api, which is one:
            `pip wheel --no-deps -w wheels kfp-server-api`.
        settings: The configuration; by default that of the process.
        emit: Gets the notices.

    Returns:
        The receipt.

    Raises:
        SourceError: There is no such folder.
        UserError: A line of the folder's own Dockerfile takes an engine, or the components do not agree on an image.
        CrateError: The image can't be built or pushed.
    """
    from kfp.cli.component import ComponentBuilder

    top = Path(folder).resolve()
    if not top.is_dir():
        raise SourceError("is no folder", where=str(folder), hint="name the folder of the components")
    try:
        builder = ComponentBuilder(context_directory=top, component_filepattern=pattern)
    except SystemExit:  # it has logged why
        raise UserError(
            "kfp can't build these components",
            where=str(folder),
            hint="its log says why; all of them have the same base_image and target_image",
        ) from None
    builder.write_component_files()
    builder.generate_kfp_config()
    builder.generate_requirements_txt()
    builder.maybe_generate_dockerignore()
    builder.maybe_generate_dockerfile()
    texts = {each.name: each.read_text() for each in top.iterdir() if each.is_file() and each.suffix == ".txt"}
    generated = generated_dockerfile.read((top / "Dockerfile").read_text(), texts)
    if generated.packages or generated.entrypoint or generated.user or generated.env:
        keys: dict[str, Any] = {"env": dict(generated.env), **({"user": generated.user} if generated.user else {})}
        keys |= (
            {"base": {"from": "debian", "shell": True, "packages": list(generated.packages)}}
            if generated.packages
            else {}
        )
    else:
        keys = {}
    with scratch_folder() as place:
        source = place / "components"
        shutil.copytree(top, source, symlinks=True, ignore=shutil.ignore_patterns(*_GENERATED))
        parent = generated.base if not base else "" if base == "debian" else base
        lines = (*([f"--find-links {Path(wheels).resolve()}"] if wheels else []), *generated.requirements)
        image = RuntimeImage(_target(top), parent, lines, source, generated.entrypoint, keys, alias=generated.folder)
        return build(image, place, push=push, settings=settings, tell=lambda text: emit(Notice(text)))


def _target(top: Path) -> str:
    """Returns the image that the components name."""
    from kfp import components

    found = [components.load_component_from_file(str(each)) for each in sorted((top / METADATA).glob("*.yaml"))]
    images = {each.component_spec.implementation.container.image for each in found}
    if len(images) != 1:
        raise UserError(
            f"the components name {len(images)} images: {', '.join(sorted(images))}",
            where=str(top / METADATA),
            hint=f"give all of them one target_image, and remove what is old from {METADATA}",
        )
    return str(images.pop())
