"""The image builder `modelcrate` of Flyte: `ImageSpec(builder="modelcrate", ...)`. flytekit finds it by its entry point, `flytekit.plugins`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelcrate.plugins.building import RuntimeImage, build, exists, refuse
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import UserError

NAME = "modelcrate"

PRIORITY = 0
"""That of flytekit's own builder is 1: who installs modelcrate for something else keeps it."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "builder_config": "it names images with uv and micromamba, which are not used; leave it out",
        "builder_options": "modelcrate's builder has none; leave it out",
        "commands": "put what they make into base_image, or into a wheel that packages names",
        "cuda": "packages of PyPI bring CUDA along, or name a base_image that has it",
        "cudnn": "packages of PyPI bring cuDNN along, or name a base_image that has it",
        "pip_extra_args": "write options that a requirements file takes into one, and name it: requirements=FILE",
        "pip_secret_mounts": "packages are fetched by this machine, with the logins of ~/.netrc, uv and pip",
        "registry_config": "mirrors and certificates of registries stand in modelcrate's registries.yaml",
        "runtime_packages": "the packages of an image can't be changed while it runs; name them under packages",
    }
)
"""What an ImageSpec may have and such an image can't, and what to do instead."""

TAKEN = frozenset(
    [
        "name",
        "python_version",
        "builder",
        "source_root",
        "env",
        "registry",
        "packages",
        "conda_packages",
        "conda_channels",
        "requirements",
        "apt_packages",
        "base_image",
        "platform",
        "pip_index",
        "pip_extra_index_url",
        "entrypoint",
        "tag_format",
        "source_copy_mode",
        "copy",
        "python_exec",
    ]
)
"""What is read. A field in neither list is one of a newer flytekit, and is refused where it is set."""

LOCKS = ("uv.lock", "poetry.lock")


def build_spec(spec: Any) -> str:
    """Builds the image of an ImageSpec, and pushes it to its registry; without one it goes to the local store.

    Args:
        spec: The ImageSpec.

    Returns:
        The name of the image, as the ImageSpec has it.

    Raises:
        CrateError: The image can't be built or pushed; a field that needs a RUN line is refused.
    """
    import click

    given = {each.name: getattr(spec, each.name) for each in fields(spec)}
    given = {name: value for name, value in given.items() if value not in (None, [], {})}
    newer = dict.fromkeys(given.keys() - TAKEN, "this flytekit is newer than modelcrate's builder; leave it out")
    refuse("an ImageSpec", {**newer, **REFUSED}, given)
    with scratch_folder() as folder:
        image = RuntimeImage(
            spec.image_name(),
            spec.base_image or "",
            tuple(_requirements(spec)) if not _lock(spec) else (),
            _copy_sources(spec, folder),
            _program(spec),
            _keys(spec, folder),
            spec.python_exec or "",
        )
        receipt = build(image, folder, push=bool(spec.registry), tell=lambda text: click.secho(text, fg="blue"))
    click.secho(f"Built {spec.image_name()}: {receipt.image.digest}", fg="blue")
    return str(spec.image_name())


def is_missing(spec: Any) -> bool:
    """Returns whether the image of an ImageSpec has to be built.

    flytekit's own check asks a Docker daemon, and takes an image of which it can't find out anything for one that exists.

    Raises:
        CrateError: The registry can't be asked.
    """
    return bool(getattr(spec, "_is_force_push", False)) or not exists(spec.image_name(), pushed=bool(spec.registry))


def _program(spec: Any) -> tuple[str, ...]:
    """The entry point; an empty one takes that of the base away, so that Flyte's arguments are a program of their own."""
    return ("env",) if spec.entrypoint == [] and spec.base_image else tuple(spec.entrypoint or ())


def _keys(spec: Any, folder: Path) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "platforms": [each.strip() for each in str(spec.platform or "linux/amd64").split(",")],
        "env": {**(spec.env or {}), "_F_IMG_ID": spec.id, "FLYTE_SDK_RICH_TRACEBACKS": "0"},
    }
    if spec.python_version:
        keys["python"] = str(spec.python_version)
    if spec.apt_packages:
        keys["base"] = {"from": "debian", "shell": True, "packages": list(spec.apt_packages)}
    needs: dict[str, Any] = {}
    if lock := _lock(spec):
        needs["requirements"] = _copy_lock(spec, Path(lock), folder)
    if spec.pip_index:
        needs["index-url"] = spec.pip_index
    if spec.pip_extra_index_url:
        needs["extra-index-url"] = list(spec.pip_extra_index_url)
    if spec.conda_packages:
        needs["conda"] = {
            "packages": list(spec.conda_packages),
            "channels": [*(spec.conda_channels or []), "conda-forge"],
        }
    return {**keys, "dependencies": needs} if needs else keys


def _lock(spec: Any) -> str:
    """The lock that an ImageSpec names under requirements; empty where it names none."""
    return spec.requirements if spec.requirements and Path(spec.requirements).name in LOCKS else ""


def _copy_lock(spec: Any, lock: Path, folder: Path) -> str:
    if spec.packages:
        raise UserError(
            f"{lock.name} and packages at once",
            why="a lock says all that is installed",
            hint=f"add them to pyproject.toml, and lock again: {', '.join(spec.packages)}",
        )
    for name in (lock.name, "pyproject.toml"):
        if not (lock.parent / name).is_file():
            raise UserError(
                "is not there", where=str(lock.parent / name), hint="flytekit takes a lock with its pyproject.toml"
            )
        shutil.copyfile(lock.parent / name, folder / name)
    return lock.name


def _requirements(spec: Any) -> Iterator[str]:
    """Yields the lines of the requirements. flytekit itself is among them, as with flytekit's own builder."""
    import flytekit
    from packaging.requirements import InvalidRequirement, Requirement

    names, lines = set[str](), [*(spec.packages or [])]
    if spec.requirements:
        path = Path(spec.requirements).absolute()
        yield f"-r {path}"
        lines += path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        try:
            names.add(Requirement(line.partition(" #")[0].strip()).name.lower())
        except InvalidRequirement:
            continue  # an option, or what the reader of requirements refuses
    if "flytekit" not in names:
        version = str(getattr(flytekit, "__version__", ""))
        yield f"flytekit=={version}" if version and "dev" not in version else "flytekit"
    yield from spec.packages or ()


def _copy_sources(spec: Any, folder: Path) -> Path | None:
    """Copies the files that flytekit chooses, and those of `copy`, into a folder. Returns None where the image gets none."""
    from flytekit.constants import CopyFileDetection
    from flytekit.tools.ignore import DockerIgnore, GitIgnore, IgnoreGroup, StandardIgnore
    from flytekit.tools.script_mode import ls_files

    root = folder / "root"
    if spec.source_copy_mode not in (None, CopyFileDetection.NO_COPY):
        if not spec.source_root:
            raise UserError(
                "source_copy_mode without a source_root", hint="name the folder of the code: source_root=DIR"
            )
        top = Path(spec.source_root)
        ignore = IgnoreGroup(str(top), [GitIgnore, DockerIgnore, StandardIgnore])
        found, _ = ls_files(str(top), spec.source_copy_mode, deref_symlinks=False, ignore_group=ignore)
        for each in found:
            _copy(Path(each), root / Path(each).relative_to(top))
    for text in spec.copy or ():
        path = Path(text)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"copy names {text}, which leads out of this folder", hint="name it relative to the folder of the run"
            )
        _copy(path, root / path)
    return root if root.is_dir() else None


def _copy(path: Path, target: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
        return
    if not path.is_file():
        raise UserError(
            "is named for the image, and is not there", where=str(path), hint="copy=[...] names files and folders"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)


def __getattr__(name: str) -> Any:
    """Makes the builder's class when flytekit asks for it, and registers it: flytekit is imported by nothing else."""
    if name != "Builder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flytekit.image_spec.image_spec import ImageBuildEngine, ImageSpecBuilder

    class Builder(ImageSpecBuilder):
        """Builds an ImageSpec without Docker."""

        builder_type = NAME

        def should_build(self, image_spec: Any) -> bool:
            """Returns whether the image has to be built."""
            return is_missing(image_spec)

        def build_image(self, image_spec: Any) -> str:
            """Builds and pushes the image. Returns its name."""
            return build_spec(image_spec)

    ImageBuildEngine.register(NAME, Builder(), priority=PRIORITY)
    globals()[name] = Builder
    return Builder
