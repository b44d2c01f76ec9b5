"""`dockerfile:DIR`: a folder with a Dockerfile and everything that it needs, for users with a container engine.

| in the folder                          | what it is                                                                        |
|----------------------------------------|-----------------------------------------------------------------------------------|
| `Dockerfile`                           | ADDs base and packages, COPYs models and code, each in a line of its own          |
| `azureml-app/`                         | the code, `azureml-models/NAME/VERSION/`, `model_config_map.json`: Azure's tree   |
| `server/`                              | modelcrate's server                                                               |
| `base/`                                | the base as an OCI layout, and as plain tars for the Dockerfile                   |
| `dependencies/`                        | the installed packages, a tar a layer                                             |
| `wheels/`, `requirements.txt`          | the locked wheels, and the project's requirements                                 |
| `conda/`                               | the locked conda packages, as a channel                                           |
| `modelcrate.yaml`, `modelcrate.lock`   | the same as a project for `modelcrate build`                                      |
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from modelcrate.events import Emit, Notice, track_chunks
from modelcrate.export.dockerfile_project import BASE, CONDA, WHEELS, DockerfileProject, dockerfile_project
from modelcrate.export.dockerfile_text import APP, APP_ROOT, SERVER, SERVER_ROOT, DockerfileParts, dockerfile_text
from modelcrate.images import image as images
from modelcrate.images.image import VARIANT, Deliverable, Image, ImageLayer, without_annotation
from modelcrate.images.image_config import RunSpec
from modelcrate.images.unpack import unpack
from modelcrate.project.dockerfile import LISTING
from modelcrate.project.values import DebianBase, Project, RegistryBase, ScratchBase
from modelcrate.resolve.world import Resolved, fetch_packages, open_fetcher
from modelcrate.transports import oci
from modelcrate.transports.connections import Connections
from modelcrate.transports.output import Delivered
from modelcrate_layers.content import Digest, canonical_json, parse_object
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.store import Layout, as_machine_error
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar.reader import read_tar

if TYPE_CHECKING:
    from modelcrate.pipeline.prepare import Prepared

KIND = "dockerfile"
EXAMPLE = "DIR"


def parse(target: str) -> DockerfileOutput:
    """Returns the output for a target of the command line."""
    return DockerfileOutput(Path(target))


@dataclass(frozen=True, slots=True)
class DockerfileOutput:
    """A folder for a Dockerfile. It needs the prepared build, because an image does not have its packages, models and code."""

    path: Path
    source: Prepared | None = field(default=None, repr=False)

    kind = KIND

    @property
    def target(self) -> str:
        """The path of the folder."""
        return str(self.path)

    def prepared(self, source: Prepared) -> Self:
        """Returns the output for a prepared build."""
        return replace(self, source=source)

    def deliver(self, image: Deliverable, connections: Connections, emit: Emit) -> Delivered:
        """Writes the folder. See `Output.deliver`.

        Raises:
            UserError: There is no prepared build, the image is for several platforms, or the folder has other files.
        """
        if self.source is None:
            raise UserError(
                "a Dockerfile is made from a project, not from an image",
                hint="modelcrate build PROJECT -o dockerfile:DIR",
            )
        if not isinstance(image, Image):
            raise UserError(
                "a Dockerfile is for one image",
                hint="name one platform in the project; of a project with variants, one of them: --variant NAME, or --variant default",
            )
        _check_replaceable(self.path)
        if self.source.request.project.modelcar:
            emit(Notice("an image that an engine makes of the Dockerfile has no /models: `modelcrate build` makes it"))
        with _replacing(self.path) as folder:
            _fill(folder, self.source, image, connections, emit)
            size = _write_listing(folder)
        return Delivered(KIND, self.target, image.digest, size)


def _fill(folder: Path, source: Prepared, image: Image, connections: Connections, emit: Emit) -> None:
    """Writes everything into the folder, the Dockerfile last."""
    project, (resolved,) = source.request.project, source.world.platforms
    below = len(source.plans[0].base)  # a base that modelcrate built may have packages and models too
    own = image.layers[below:]
    base = [*image.layers[:below], *(layer for layer in own if layer.role == "base")]
    packages = [layer for layer in own if layer.role == "dependencies"]
    app = [layer for layer in own if layer.role in ("server", "model", "entry")]
    exported = not isinstance(project.base, RegistryBase | ScratchBase)
    digest = _write_base(folder, resolved, base, image, emit) if exported else None
    tars = [*(_write_tars(folder, BASE, base, emit) if exported else ())]
    tars += _write_tars(folder, "dependencies", packages, emit)
    fetch_packages(source.world, open_fetcher(source.world, connections))
    _write_wheels(folder, resolved, connections.config.cache)
    _write_conda(folder, resolved, connections.config.cache)
    _write_app(folder, app)
    local = dockerfile_project(project, source.request.folder, resolved, own, digest, folder)
    local.write(folder)
    _write_model_map(folder, local.project)
    _write_dockerfile(folder, project, local, resolved, tars, image)


def _digest_alone(image: Image) -> Digest:
    """Returns the digest of the image that the folder's project gives: it is not the variant of another one."""
    return Digest.of(canonical_json(without_annotation(parse_object(image.manifest.data), VARIANT)))


def _write_base(folder: Path, resolved: Resolved, layers: list[ImageLayer], image: Image, emit: Emit) -> Digest:
    """Writes the base as an image in an OCI layout, and returns its digest."""
    base = images.assemble(image.platform, resolved.below.config, layers, RunSpec())
    layout = Layout.create(folder / BASE)
    oci.write(layout, base, None, emit, "oci", BASE)
    (folder / BASE / ".lock").unlink(missing_ok=True)
    return base.digest


def _write_tars(folder: Path, under: str, layers: list[ImageLayer], emit: Emit) -> Iterator[str]:
    """Writes each layer as a plain tar, which every builder can ADD, and yields the paths. The names keep the order."""
    (folder / under).mkdir(exist_ok=True)
    for number, layer in enumerate(layers, 1):
        short = re.sub(r"[^a-z0-9.]+", "-", layer.name.lower()).strip("-.")[:40] or "layer"
        path = f"{under}/{number:02}-{short}.tar"
        with as_machine_error(folder / path), open(folder / path, "wb") as out:
            for chunk in track_chunks(codecs.decode(layer.blob.chunks()), f"write {path}", None, emit):
                out.write(chunk)
        if under == BASE:
            _check_whiteouts(folder / path, layer)
        yield path


def _check_whiteouts(path: Path, layer: ImageLayer) -> None:
    """Raises a UserError for a layer that deletes files: ADD ignores whiteouts, so those files would be in the image again."""
    with open(path, "rb") as tar:
        names = (member.name for member in read_tar(iter(lambda: tar.read(1 << 20), b"")))
        if any(name.rpartition(b"/")[2].startswith(b".wh.") for name in names):
            raise UserError(
                "the base deletes files of its own lower layers, which a Dockerfile's ADD can't",
                where=str(layer.descriptor.digest),
                hint="push the base to a registry, and name it there: base: HOST/NAME:TAG",
            )


def _write_wheels(folder: Path, resolved: Resolved, cache: Path) -> None:
    for pin in resolved.pins.wheels:
        (folder / WHEELS).mkdir(exist_ok=True)
        shutil.copyfile(pin.place(cache), folder / WHEELS / pin.filename)


def _write_conda(folder: Path, resolved: Resolved, cache: Path) -> None:
    """Writes the conda packages as a channel, so that the folder can be locked again."""
    if resolved.pins.conda:
        from modelcrate.resolve.conda import write_channel

        write_channel(folder / CONDA, resolved.pins.conda, cache)


def _write_app(folder: Path, layers: list[ImageLayer]) -> None:
    """Writes models, code and server from their layers: files on the disk may have changed since."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacked-") as root:
        unpack([layer.blob for layer in layers], Path(root))
        for path, name in ((APP_ROOT, APP), (SERVER_ROOT, SERVER)):
            inner = Path(root, path.lstrip("/"))
            if inner.is_dir():
                os.replace(inner, folder / name)
    (folder / APP).mkdir(exist_ok=True)


def _write_model_map(folder: Path, project: Project) -> None:
    """Writes Azure's list of the models, which users' scripts may read."""
    info = {f"{model.name}:{model.version}": {"name": model.name, "version": model.version} for model in project.models}
    value = {
        "accountContext": {},
        "models": {model.name: {"name": model.name} for model in project.models},
        "modelsInfo": info,
    }
    (folder / APP / "model_config_map.json").write_text(
        json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
    )


def _write_dockerfile(
    folder: Path, project: Project, local: DockerfileProject, resolved: Resolved, tars: Sequence[str], image: Image
) -> None:
    base, note = "scratch", ""
    if isinstance(project.base, RegistryBase):
        name = project.base.reference.partition("@")[0]
        base, note = f"{_without_tag(name)}@{resolved.below.digest}", f"pinned: {name}"
    no_code = {"azureml-models", "model_config_map.json"}
    code = sorted(
        f"{each.name}/" if each.is_dir() else each.name for each in (folder / APP).iterdir() if each.name not in no_code
    )
    models = [f"azureml-models/{model.name}/{model.version}" for model in local.project.models]
    shell = not isinstance(project.base, DebianBase | ScratchBase) or (
        isinstance(project.base, DebianBase) and project.base.shell
    )
    parts = DockerfileParts(
        project.name, str(_digest_alone(image)), base, note, tars, models, code, (folder / SERVER).is_dir(), shell
    )
    config: dict[str, Any] = image.settings.get("config") or {}
    (folder / "Dockerfile").write_text(dockerfile_text(parts, config), encoding="utf-8", newline="\n")
    (folder / ".dockerignore").write_text(
        f"{WHEELS}\n{CONDA}\n{BASE}/blobs\n{LISTING}\n", encoding="utf-8", newline="\n"
    )


def _without_tag(name: str) -> str:
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Makes a temporary folder that replaces `path` when its content is complete."""
    with as_machine_error(path):
        above = path.absolute().parent
        above.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=above, prefix=f".{path.name}-"))
        try:
            yield temporary
            temporary.chmod(0o755)
            if path.exists():
                shutil.rmtree(path)
            os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write_listing(folder: Path) -> int:
    """Writes the list of files with their sizes and times, and returns the sum of the sizes."""
    stamps = dict(_stamps(folder))
    listing = {"files": stamps, "dockerfile": (folder / "Dockerfile").read_text(encoding="utf-8")}
    (folder / LISTING).write_text(json.dumps(listing, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n")
    return sum(size for size, _ in stamps.values())


def _stamps(folder: Path) -> Iterator[tuple[str, list[int]]]:
    for above, _, names in os.walk(folder):
        for name in names:
            path = Path(above, name)
            status = path.lstat()
            if name != LISTING:
                yield path.relative_to(folder).as_posix(), [status.st_size, status.st_mtime_ns]


def _check_replaceable(path: Path) -> None:
    """Raises a UserError for a folder with files that modelcrate did not write, or that were edited since."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UserError(
            "is a file, and a folder is needed", where=str(path), hint="name a folder, or a name that is free"
        )
    if not any(path.iterdir()):
        return
    try:
        known = json.loads((path / LISTING).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        known = {}
    for name, stamp in sorted(_stamps(path)):
        if known.get(name) != stamp:
            raise UserError(
                f"has a file that would be overwritten: {name}",
                where=str(path),
                hint="move the folder away, or choose another",
            )
