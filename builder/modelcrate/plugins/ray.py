"""Images for Ray's runtime environments, keyed by their base and requirements: `image_uri` in the place of `pip`, `uv`, `conda`, `working_dir`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelcrate.api import as_session
from modelcrate.config import Config
from modelcrate.events import Emit, Notice, ignore_event
from modelcrate.images.reference import Reference
from modelcrate.net.errors import NotFound
from modelcrate.plugins.building import RuntimeImage, build, refuse
from modelcrate.project.conda import parse_conda
from modelcrate.transports.addresses import find
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.content import Digest, canonical_json
from modelcrate_layers.errors import SourceError, UserError

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "container": "it is Ray's former image_uri; leave it out",
        "image_uri": "it is what this function makes; name the image below as base",
        "java_jars": "name a base that has Java and the jars",
        "py_executable": "the image has the Python of its packages",
        "worker_process_setup_hook": "Ray does not take it beside image_uri; call it in the task",
        "_nsight": "Ray does not take it beside image_uri",
        "_rocprof_sys": "Ray does not take it beside image_uri",
        "pip_check": "the packages are resolved together, and always fit",
        "pip_version": "pip does not run",
        "pip_install_options": "write options that a requirements file takes into one, and name it: pip=FILE",
        "uv_check": "the packages are resolved together, and always fit",
        "uv_version": "modelcrate has its own",
        "uv_pip_install_options": "write options that a requirements file takes into one, and name it: pip=FILE",
        "excludes": "write them into .modelcrateignore in working_dir",
    }
)
"""What Ray's workers can't have in such an image, and what to do instead."""

TAKEN = frozenset(("pip", "uv", "conda", "working_dir", "py_modules", "env_vars", "config"))


def as_image(
    env: Mapping[str, Any],
    repository: str,
    *,
    base: str = "",
    fresh: bool = False,
    settings: Config | None = None,
    emit: Emit = ignore_event,
) -> dict[str, Any]:
    """Returns a runtime environment whose packages and code are an image, which is built if the registry does not have it.

    The tag is the digest of the base, the Python, the version of Ray and the requirements, so every job with the same ones shares an image. One with code
    is built each time, for which an unchanged one takes a moment.

    Args:
        env: Ray's runtime environment: a mapping, or `ray.runtime_env.RuntimeEnv`.
        repository: HOST/REPOSITORY of the images.
        base: The reference of the image below, by default Debian, made by modelcrate, with the Python of this process.
        fresh: Whether an image that exists is built anew.
        settings: The configuration; by default that of the process.
        emit: Gets the notices.

    Returns:
        The environment with `image_uri`, and with `env_vars` and `config` as they were.

    Raises:
        UserError: A field can't be had beside an image.
        CrateError: The image can't be built or pushed.
    """
    import ray

    given = {name: value for name, value in env.items() if value not in (None, [], {}, "") and name not in _OF_RAY}
    newer = dict.fromkeys(given.keys() - TAKEN, "this Ray is newer than modelcrate's plug-in; leave it out")
    refuse("a runtime environment with an image", {**newer, **REFUSED}, given)
    named = Reference.parse(repository)
    if named.tag or named.digest:
        raise UserError(f"{repository} names one image", hint="name HOST/REPOSITORY; the tag is the key of the image")
    conda = _conda(given.get("conda"))
    lines = [*_lines("pip", given.get("pip")), *_lines("uv", given.get("uv")), *conda.pop("pip", [])]
    lines += [] if any(_names_ray(line) for line in lines) else [f"ray=={ray.__version__}"]
    keys: dict[str, Any] = (
        {} if base or conda.get("python") else {"python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    )
    keys |= {"python": conda["python"]} if conda.get("python") else {}
    keys |= {"dependencies": {"conda": conda["conda"]}} if conda.get("conda") else {}
    with scratch_folder() as folder:
        source = _copy_code(given, folder)
        read = [_content(line) for line in lines]
        key = Digest.of(canonical_json([_below(base, settings), keys, read])).hex[:24]
        name = str(named.tagged(key))
        if source is None and not fresh and (known := _known(name, settings)):
            return _with_image(given, str(named.at(known)))
        image = RuntimeImage(name, base, lines, source, (), keys)
        receipt = build(image, folder, push=True, settings=settings, tell=lambda text: emit(Notice(text)))
    return _with_image(given, receipt.references[0])


_OF_RAY = frozenset(("_ray_release", "_ray_commit", "_inject_current_ray"))
"""What Ray adds itself."""


def _with_image(given: Mapping[str, Any], reference: str) -> dict[str, Any]:
    return {"image_uri": reference, **{name: given[name] for name in ("env_vars", "config") if name in given}}


def _lines(field: str, value: Any) -> list[str]:
    """The requirements of `pip` or `uv`: a list, a file, or a mapping with them under packages."""
    if value is None:
        return []
    if isinstance(value, str):
        return [f"-r {Path(value).absolute()}"]
    if isinstance(value, Mapping):
        refuse(
            f"the {field} of an image",
            REFUSED,
            {name: each for name, each in value.items() if each not in (None, False, [], "")},
        )
        return _lines(field, value.get("packages"))
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return list(value)
    raise UserError(f"{field} is {value!r:.80}", hint="a list of requirements, or the path of a file with them")


def _conda(value: Any) -> dict[str, Any]:
    """The packages of a conda environment: that of a file, or a mapping as in one."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        spec = parse_conda(canonical_json(dict(value)), "the runtime environment's conda")
    elif isinstance(value, str) and value.endswith((".yml", ".yaml")):
        path = Path(value)
        if not path.is_file():
            raise SourceError("is not there", where=value, hint="name the file of a conda environment")
        spec = parse_conda(path.read_bytes(), value)
    else:
        raise UserError(
            f"conda is {value!r:.80}",
            why="an environment of that name is on the nodes, and not in an image",
            hint="name its file: conda env export --from-history > environment.yml",
        )
    found: dict[str, Any] = {"pip": list(spec.pip), "python": spec.python}
    if spec.packages:
        found["conda"] = {"packages": list(spec.packages), "channels": list(spec.channels) or ["conda-forge"]}
    return found


def _names_ray(line: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    if line.startswith("-r "):
        path = Path(line[3:])
        return path.is_file() and any(
            _names_ray(each) for each in path.read_text().splitlines() if not each.startswith("-")
        )
    try:
        return Requirement(line.partition(" #")[0].strip()).name.lower() == "ray"
    except InvalidRequirement:
        return False


def _content(line: str) -> str:
    """What a line says: of a file, its text."""
    path = Path(line[3:]) if line.startswith("-r ") else None
    return path.read_text() if path is not None and path.is_file() else line


def _copy_code(given: Mapping[str, Any], folder: Path) -> Path | None:
    """Copies working_dir and py_modules into a folder, which is in PYTHONPATH. Returns None where there are none."""
    top = folder / "code"
    for text in (*([given["working_dir"]] if "working_dir" in given else []), *given.get("py_modules", ())):
        path = Path(str(text))
        if "://" in str(text) or not path.is_dir():
            raise UserError(f"{text} is no folder of this machine", hint="name a folder, which goes into the image")
        target = top if text == given.get("working_dir") else top / path.resolve().name
        shutil.copytree(path, target, symlinks=True, dirs_exist_ok=True)
    return top if top.is_dir() else None


def _below(base: str, settings: Config | None) -> str:
    """What lies below, as far as the key knows it: an image by its digest."""
    if not base:
        return "debian"
    with as_session(settings, lambda _: None) as session:
        return str(find(Reference.parse(base), session.connections).descriptor.digest)


def _known(name: str, settings: Config | None) -> Digest | None:
    """The digest of an image in its registry; None where it has none."""
    with as_session(settings, lambda _: None) as session:
        try:
            return find(f"registry:{name}", session.connections).descriptor.digest
        except NotFound:
            return None
