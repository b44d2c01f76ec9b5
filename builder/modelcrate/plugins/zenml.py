"""The image builder `modelcrate` of ZenML: `zenml image-builder flavor register modelcrate.plugins.zenml.Flavor`."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from modelcrate.plugins import generated_dockerfile
from modelcrate.plugins.building import WRITABLE, RuntimeImage, Tell, build, refuse
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.plugins.generated_dockerfile import Generated

NAME = "modelcrate"

OWN_BASE = "debian"
"""The word for a base that modelcrate makes, in place of the image on Docker Hub that ZenML takes by default."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "build_args": "a Dockerfile without RUN lines has no use for them; say values under environment",
        "target": "there is one stage",
        "secrets": "packages are fetched by this machine, with the logins of ~/.netrc, uv and pip",
    }
)
"""Options of a Docker build that an image without RUN lines can't have."""

USELESS = frozenset(("pull", "rm", "forcerm", "shm_size", "quiet", "no_cache", "squash", "network_mode", "timeout"))
"""Options that say how an engine works, and change no image."""


def build_image(name: str, context: Any, options: Any, *, push: bool, base: str = "", tell: Tell) -> str:
    """Builds the image of ZenML's build context.

    Args:
        name: The name of the image.
        context: ZenML's BuildContext: the Dockerfile, requirements and code.
        options: ZenML's DockerBuildOptions, or None.
        push: Whether the image goes to its registry; else it goes to the local store.
        base: The base in place of ZenML's default image: `debian`, or a reference; empty for that of FROM.
        tell: Gets notices.

    Returns:
        HOST/REPOSITORY@DIGEST of a pushed image, else its name.

    Raises:
        CrateError: The image can't be built; a line or an option that takes an engine is refused.
    """
    given = {key: value for key, value in (options.model_dump() if options else {}).items() if value}
    keys = _options(given)
    extra, files = context.get_extra_files(), context.get_files()
    if "Dockerfile" not in extra:
        raise UserError("the build context has no Dockerfile", hint="leave `dockerfile` out of the DockerSettings")
    generated = generated_dockerfile.read(extra["Dockerfile"], extra)
    parent, own = _base(generated.base, base)
    for text in generated.notices:
        tell(text)
    with scratch_folder() as folder:
        image = RuntimeImage(
            name,
            parent,
            _with_zenml(generated.requirements, own),
            _copy(
                files, {key: text for key, text in extra.items() if key not in {"Dockerfile", *generated.files}}, folder
            ),
            generated.entrypoint,
            {
                **keys,
                **_keys(generated),
                **({} if parent else {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}),
            },
            alias=generated.folder or "/app",
        )
        receipt = build(image, folder, push=push, tell=tell)
    return next(iter(receipt.references), name)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keys of a project file for the options of a build."""
    keys: dict[str, Any] = {}
    unknown = dict.fromkeys(
        given.keys() - USELESS - {"labels", "platform", *REFUSED, "cache_from"},
        "modelcrate does not know it; leave it out",
    )
    refuse(
        "build_options",
        {**unknown, **REFUSED, "cache_from": "layers in the target's repository are reused anyway"},
        given,
    )
    if given.get("labels"):
        keys["labels"] = {str(key): str(value) for key, value in given["labels"].items()}
    if given.get("platform"):
        keys["platforms"] = [each.strip() for each in str(given["platform"]).split(",")]
    return keys


def _keys(generated: Generated) -> dict[str, Any]:
    env = {**generated.env}
    if env.get("ZENML_CONFIG_PATH", "").startswith(f"{generated.folder}/"):
        env["ZENML_CONFIG_PATH"] = f"{WRITABLE}/.zenconfig"
    keys: dict[str, Any] = {"env": env}
    if generated.packages:
        keys["base"] = {"from": "debian", "shell": True, "packages": list(generated.packages)}
    if generated.user:
        keys["user"] = _user(generated)
    return keys


def _user(generated: Generated) -> str:
    if not re.fullmatch(r"\d+(:\d+)?", generated.user):
        raise UserError(
            f"the user {generated.user} has no number",
            why="whether the image knows that name is not looked up, and Kubernetes wants a number for runAsNonRoot",
            hint='write DockerSettings(user="10001:0"); the code is for the group 0',
        )
    return generated.user


def _base(parent: str, wanted: str) -> tuple[str, bool]:
    """Returns the reference of the base, empty for our own, and whether it is another than the parent image that has ZenML."""
    from zenml.utils.pipeline_docker_image_builder import DEFAULT_DOCKER_PARENT_IMAGE

    if parent != DEFAULT_DOCKER_PARENT_IMAGE or not wanted:
        return parent, False
    return ("" if wanted == OWN_BASE else wanted), True


def _with_zenml(lines: tuple[str, ...], own: bool) -> tuple[str, ...]:
    """Returns the requirements with ZenML itself: the packages of an image do not see those of the base's Python."""
    import zenml
    from packaging.requirements import InvalidRequirement, Requirement

    names = set[str]()
    for line in lines:
        try:
            names.add(Requirement(line.partition(" #")[0].strip()).name.lower())
        except InvalidRequirement:
            continue
    return lines if "zenml" in names or not (lines or own) else (*lines, f"zenml=={zenml.__version__}")


def _copy(files: Mapping[str, str], extra: Mapping[str, str], folder: Path) -> Path:
    """Copies the code of a context into a folder; one without code is there, too, for ZenML loads it there."""
    top = folder / "app"
    top.mkdir()
    for name, path in files.items():
        target = _inside(top, name)
        if Path(path).is_dir() and not Path(path).is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    for name, text in extra.items():
        target = _inside(top, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return top


def _inside(top: Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(
            f"the build context has {name!r}, which leads out of it", hint="name files by paths inside of it"
        )
    return top / path


def __getattr__(name: str) -> Any:
    """Makes the classes when ZenML asks for the flavor: ZenML is imported by nothing else."""
    if name not in ("Flavor", "Builder", "BuilderConfig"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from zenml.image_builders import BaseImageBuilder, BaseImageBuilderFlavor
    from zenml.image_builders.base_image_builder import BaseImageBuilderConfig
    from zenml.logger import get_logger

    class BuilderConfig(BaseImageBuilderConfig):
        """The settings of the image builder.

        Attributes:
            base: The base in place of ZenML's default image on Docker Hub: `debian`, or a reference; empty for that image.
        """

        base: str = OWN_BASE

    class Builder(BaseImageBuilder):
        """Builds ZenML's images without Docker."""

        @property
        def is_building_locally(self) -> bool:
            """Whether an engine on this machine has the images; there is none."""
            return False

        def build(
            self, image_name: str, build_context: Any, docker_build_options: Any = None, container_registry: Any = None
        ) -> str:
            """Builds an image and pushes it, if there is a registry. Returns its reference by digest, else its name."""
            if container_registry and not container_registry.is_valid_image_name_for_registry(image_name):
                raise UserError(
                    f"{image_name} is not in the registry {container_registry.config.uri}",
                    hint="change target_repository",
                )
            told = get_logger(__name__).info
            push = bool(container_registry)
            return build_image(
                image_name, build_context, docker_build_options, push=push, base=self.config.base, tell=told
            )

    class Flavor(BaseImageBuilderFlavor):
        """The flavor `modelcrate` of image builders."""

        @property
        def name(self) -> str:
            """The name of the flavor."""
            return NAME

        @property
        def config_class(self) -> Any:
            """The class of its settings."""
            return BuilderConfig

        @property
        def implementation_class(self) -> Any:
            """The class of the builder."""
            return Builder

    for each in (BuilderConfig, Builder, Flavor):
        each.__qualname__ = each.__name__  # ZenML writes down where a class is found
        globals()[each.__name__] = each
    return globals()[name]
