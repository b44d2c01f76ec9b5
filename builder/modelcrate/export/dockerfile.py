"""`dockerfile:DIR`: the folder of a Dockerfile, for people with an engine: everything beside it, nothing to be fetched or run.

| in the folder                          | what it is                                                                        |
|----------------------------------------|-----------------------------------------------------------------------------------|
| `Dockerfile`                           | ADDs base and packages, COPYs models and code, each apart                         |
| `azureml-app/`                         | the code, `azureml-models/NAME/VERSION/`, `model_config_map.json`: Azure's tree   |
| `server/`                              | modelcrate's server                                                               |
| `base/`                                | the base as an OCI layout, and as plain tars for the Dockerfile                   |
| `dependencies/`                        | the installed packages, a tar a layer                                             |
| `wheels/`, `requirements.txt`          | the locked wheels, and what was asked for                                         |
| `conda/`                               | the locked conda packages, as a channel                                           |
| `modelcrate.yaml`, `modelcrate.lock`   | the same as a project, which `modelcrate build` takes, edited or not              |
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from modelcrate.containers.unpack import unpack
from modelcrate.events import Emit, track_chunks
from modelcrate.export.dockerfile_project import BASE, CONDA, WHEELS, DockerfileProject, dockerfile_project
from modelcrate.export.dockerfile_text import APP, APP_ROOT, SERVER, SERVER_ROOT, DockerfileParts, dockerfile_text
from modelcrate.images import image as images
from modelcrate.images.image import Deliverable, Image, ImageLayer
from modelcrate.images.image_config import RunSpec
from modelcrate.project.dockerfile import LISTING
from modelcrate.project.values import DebianBase, Project, RegistryBase, ScratchBase
from modelcrate.resolve.world import Resolved, fetch_packages
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.store import Layout, as_machine_error
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import read_tar

if TYPE_CHECKING:
    from modelcrate.pipeline.prepare import Prepared

KIND = "dockerfile"
EXAMPLE = "DIR"


def parse(target: str) -> DockerfileOutput:
    return DockerfileOutput(Path(target))


@dataclass(frozen=True, slots=True)
class DockerfileOutput:
    """It takes more than an image: where its packages, models and code came from."""

    path: Path
    source: Prepared | None = field(default=None, repr=False)

    kind = KIND

    @property
    def target(self) -> str:
        return str(self.path)

    def prepared(self, source: Prepared) -> Self:
        """The output for what was prepared."""
        return replace(self, source=source)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        if self.source is None:
            raise UserError(
                "a Dockerfile is made from a project, not from an image",
                hint="modelcrate build PROJECT -o dockerfile:DIR",
            )
        if not isinstance(image, Image):
            raise UserError("a Dockerfile is for one platform", hint="name one platform in the project")
        _check_replaceable(self.path)
        with _placed(self.path) as folder:
            _fill(folder, self.source, image, emit)
            size = _list(folder)
        return Delivered(KIND, self.target, image.digest, size)


def _fill(folder: Path, source: Prepared, image: Image, emit: Emit) -> None:
    """Everything into the folder, the Dockerfile last."""
    project, (resolved,) = source.request.project, source.world.platforms
    below = len(source.plans[0].base)  # a base of ours may have packages and models of its own
    made = image.layers[below:]
    base = [*image.layers[:below], *(layer for layer in made if layer.role == "base")]
    packages = [layer for layer in made if layer.role == "dependencies"]
    ours = [layer for layer in made if layer.role in ("server", "model", "entry")]
    exported = not isinstance(project.base, RegistryBase | ScratchBase)
    digest = _base(folder, resolved, base, image, emit) if exported else None
    tars = [*(_tars(folder, BASE, base, emit) if exported else ())]
    tars += _tars(folder, "dependencies", packages, emit)
    fetch_packages(source.world)
    _wheels(folder, source, resolved)
    _conda(folder, source, resolved)
    _app(folder, ours)
    again = dockerfile_project(project, source.request.folder, resolved, made, digest, folder)
    again.write(folder)
    _map(folder, again.project)
    _dockerfile(folder, project, again, resolved, tars, image)


def _base(folder: Path, resolved: Resolved, layers: list[ImageLayer], image: Image, emit: Emit) -> Digest:
    """The base as an image of its own, in an OCI layout."""
    base = images.assemble(image.platform, resolved.below.config, layers, RunSpec())
    layout = Layout.create(folder / BASE)
    oci.write(layout, base, None, emit, "oci", BASE)
    (folder / BASE / ".lock").unlink(missing_ok=True)
    return base.digest


def _tars(folder: Path, under: str, layers: list[ImageLayer], emit: Emit) -> Iterator[str]:
    """Each layer as a plain tar, which every builder can ADD; the names tell their order."""
    (folder / under).mkdir(exist_ok=True)
    for number, layer in enumerate(layers, 1):
        short = re.sub(r"[^a-z0-9.]+", "-", layer.name.lower()).strip("-.")[:40] or "layer"
        path = f"{under}/{number:02}-{short}.tar"
        with as_machine_error(folder / path), open(folder / path, "wb") as out:
            for chunk in track_chunks(codecs.decode(layer.blob.chunks()), f"write {path}", None, emit):
                out.write(chunk)
        if under == BASE:
            _refuse_whiteouts(folder / path, layer)
        yield path


def _refuse_whiteouts(path: Path, layer: ImageLayer) -> None:
    """ADD knows no whiteouts: what an upper layer of a base deletes would be there again."""
    with open(path, "rb") as tar:
        names = (member.name for member in read_tar(iter(lambda: tar.read(1 << 20), b"")))
        if any(name.rpartition(b"/")[2].startswith(b".wh.") for name in names):
            raise UserError(
                "the base deletes files of its own lower layers, which a Dockerfile's ADD can't",
                where=str(layer.descriptor.digest),
                hint="push the base to a registry, and name it there: base: HOST/NAME:TAG",
            )


def _wheels(folder: Path, source: Prepared, resolved: Resolved) -> None:
    for pin in resolved.pins.wheels:
        (folder / WHEELS).mkdir(exist_ok=True)
        shutil.copyfile(pin.place(source.world.supplier.sources.cache), folder / WHEELS / pin.filename)


def _conda(folder: Path, source: Prepared, resolved: Resolved) -> None:
    """The conda packages as a channel, so that the folder can be locked again."""
    if resolved.pins.conda:
        from modelcrate.resolve.conda import write_channel

        write_channel(folder / CONDA, resolved.pins.conda, source.world.supplier.sources.cache)


def _app(folder: Path, layers: list[ImageLayer]) -> None:
    """Models, code and server out of their layers: what the image has, not what the disk has by now."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacked-") as root:
        unpack([layer.blob for layer in layers], Path(root))
        for path, name in ((APP_ROOT, APP), (SERVER_ROOT, SERVER)):
            inner = Path(root, path.lstrip("/"))
            if inner.is_dir():
                os.replace(inner, folder / name)
    (folder / APP).mkdir(exist_ok=True)


def _map(folder: Path, project: Project) -> None:
    """The original's list of the models, for people and scripts that look into it."""
    info = {f"{model.name}:{model.version}": {"name": model.name, "version": model.version} for model in project.models}
    value = {
        "accountContext": {},
        "models": {model.name: {"name": model.name} for model in project.models},
        "modelsInfo": info,
    }
    (folder / APP / "model_config_map.json").write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def _dockerfile(
    folder: Path, project: Project, again: DockerfileProject, resolved: Resolved, tars: Sequence[str], image: Image
) -> None:
    base, note = "scratch", ""
    if isinstance(project.base, RegistryBase):
        name = project.base.reference.partition("@")[0]
        base, note = f"{_without_tag(name)}@{resolved.below.digest}", f"pinned: {name}"
    beside = {"azureml-models", "model_config_map.json"}
    code = sorted(
        f"{each.name}/" if each.is_dir() else each.name for each in (folder / APP).iterdir() if each.name not in beside
    )
    models = [f"azureml-models/{model.name}/{model.version}" for model in again.project.models]
    shell = not isinstance(project.base, DebianBase | ScratchBase) or (
        isinstance(project.base, DebianBase) and project.base.shell
    )
    parts = DockerfileParts(
        project.name, str(image.digest), base, note, tars, models, code, (folder / SERVER).is_dir(), shell
    )
    config: dict[str, Any] = image.settings.get("config") or {}
    (folder / "Dockerfile").write_text(dockerfile_text(parts, config), encoding="utf-8")
    (folder / ".dockerignore").write_text(f"{WHEELS}\n{CONDA}\n{BASE}/blobs\n{LISTING}\n", encoding="utf-8")


def _without_tag(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


@contextmanager
def _placed(path: Path) -> Iterator[Path]:
    """A folder beside, that takes the place of `path` when all is well."""
    with as_machine_error(path):
        above = path.absolute().parent
        above.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=above, prefix=f".{path.name}-"))
        try:
            yield made
            made.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            os.replace(made, path)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _list(folder: Path) -> int:
    """Note what was written, and give the sum of its bytes."""
    stamps = dict(_stamps(folder))
    listing = {"files": stamps, "dockerfile": (folder / "Dockerfile").read_text(encoding="utf-8")}
    (folder / LISTING).write_text(json.dumps(listing, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return sum(size for size, _ in stamps.values())


def _stamps(folder: Path) -> Iterator[tuple[str, list[int]]]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            status = path.lstat()
            if name != LISTING:
                yield path.relative_to(folder).as_posix(), [status.st_size, status.st_mtime_ns]


def _check_replaceable(path: Path) -> None:
    """A folder with something in it that isn't ours, or that was edited since, is not overwritten."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError("is a file, and a folder is needed", where=str(path))
    if not any(path.iterdir()):
        return
    try:
        known = json.loads((path / LISTING).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    for name, stamp in sorted(_stamps(path)):
        if known.get(name) != stamp:
            raise UserError(
                f"has a file that would be lost: {name}",
                where=str(path),
                hint="move the folder away, or choose another",
            )
