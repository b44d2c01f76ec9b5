"""The contents of a project file, as frozen values. Nothing here reads a file, and nothing here imports a heavy package.

Every `Path` is relative to the folder of the project file, unless it is absolute; only what lies below a base and a wheelhouse may
be outside of that folder. `None` means that the file does not set it, and that a later step decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from modelcrate.project.contracts import DEFAULT
from modelcrate.project.serving import Serving
from modelcrate_layers.content import Platform
from modelcrate_layers.frozen import dataclass, field, replace

FILE_NAME = "modelcrate.yaml"
"""Where a project file is looked for."""

DEFAULT_PLATFORM = Platform("linux", "amd64")
"""The platform of a file that names none. It is a constant, and not this machine's, so that the same file gives the same image."""

DEFAULT_USER = "10001:0"
"""Not root, and group 0 with the owner's rights, so that any uid in group 0 works (OpenShift)."""

DEBIAN_PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
"""For what a Debian base can be made."""

Codec = Literal["auto", "fast", "small", "auto-gzip", "gzip", "stored", "zstd", "zstd:chunked", "estargz", "none"]
"""How layers are stored.

- `auto`: wheels as their own deflate streams, in gzip, and nothing is compressed for them; else zstd for what compresses and none for what
  doesn't.
- `fast`: wheels as under `auto`; all else none.
- `small`: zstd of level 9 for what compresses, wheels included, and none for what doesn't.
- `auto-gzip`: wheels as under `auto`; else gzip for what compresses, and stored.
- `stored`: gzip that packs nothing.
- `estargz`: wheels as under `auto`, with a table of their files, so that a runtime can fetch each when it is opened; else as `auto-gzip`.
- `zstd:chunked`: zstd, each file in frames of its own, with a table of them, so that a runtime can fetch what it lacks.
"""

Role = Literal["base", "dependencies", "models", "entry"]

Server = Literal["modelcrate", "azureml", "none"]
"""The server: the one that modelcrate brings, Microsoft's own (azureml-inference-server-http), or none, where a command starts one."""

OnConflict = Literal["refuse", "last"]
"""The rule for two files with one path and different bytes: an error, or the last package's file is used."""

ValidUntil = Literal["required", "ignored"]
"""Whether a mirror's signed index may be used after the date that it has itself."""

Gate = Literal["refuse", "warn", "allow"]
"""The effect of a finding: it ends the build, it is a notice, or it is not checked."""


@dataclass(frozen=True, slots=True)
class DebianBase:
    """Made by us from signed Debian packages."""

    release: str | None = None
    """The release's name (bookworm). None: the release whose Python the project requires."""
    mirror: str | None = None
    """The mirror's URL; None: from the environment, this machine or a built-in list."""
    packages: tuple[str, ...] = ()
    """Packages on top of what Python needs."""
    interpreter: PurePosixPath | None = None
    shell: bool = False
    """Whether it has a shell with its programs, and the environment pip: for RUN lines that are added to its Dockerfile."""
    valid_until: ValidUntil = "required"

    def __str__(self) -> str:
        return f"debian:{self.release}" if self.release else "debian"


@dataclass(frozen=True, slots=True)
class RegistryBase:
    """An image in a registry, by its reference as written."""

    reference: str
    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        return self.reference


@dataclass(frozen=True, slots=True)
class LayoutBase:
    """An OCI layout folder; without a tag it has to hold exactly one image."""

    path: Path
    tag: str | None = None
    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        slash = "/" if ":" in self.path.name else ""  # what follows the last colon is no tag then
        return f"oci:{self.path.as_posix()}:{self.tag}" if self.tag else f"oci:{self.path.as_posix()}{slash}"


@dataclass(frozen=True, slots=True)
class OciArchiveBase:
    """A tar of an OCI layout; without a tag it has to hold exactly one image."""

    path: Path
    tag: str | None = None
    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        slash = "/" if ":" in self.path.name else ""
        return (
            f"oci-archive:{self.path.as_posix()}:{self.tag}"
            if self.tag
            else f"oci-archive:{self.path.as_posix()}{slash}"
        )


@dataclass(frozen=True, slots=True)
class DockerArchiveBase:
    """What `docker save` writes; without the name of an image it has to hold exactly one."""

    path: Path
    image: str | None = None
    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        slash = "/" if ":" in str(self.path) else ""  # what follows a colon is no image then
        return f"docker-archive:{self.path.as_posix()}{slash}" + (f":{self.image}" if self.image else "")


@dataclass(frozen=True, slots=True)
class RootfsBase:
    """A tar of a root file system, plain or compressed."""

    path: Path
    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        return f"rootfs:{self.path.as_posix()}"


@dataclass(frozen=True, slots=True)
class ScratchBase:
    """Nothing below our layers."""

    interpreter: PurePosixPath | None = None

    def __str__(self) -> str:
        return "scratch"


Base = DebianBase | RegistryBase | LayoutBase | OciArchiveBase | DockerArchiveBase | RootfsBase | ScratchBase
"""The base below our layers; `interpreter` is the path of its Python, for a base that does not name it. `str` returns the file's text."""


@dataclass(frozen=True, slots=True)
class Conda:
    """Packages of conda, as specifications (`numpy=1.26`), and the channels that have them, first to last: names, URLs or folders."""

    packages: tuple[str, ...]
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The packages of the image: requirements to be resolved or a lock, and conda's.

    Attributes:
        requirements: The lines themselves, or any file that declares dependencies: requirements.txt, pyproject.toml,
            environment.yml, or a lock of uv, Poetry, PDM, Pipenv or pixi. Its kind follows from its name.
        pylock: A lock file of PEP 751; never beside requirements.
        wheelhouse: A folder of wheels that is searched instead of an index.
        extras: Extras of the file's project that are wanted.
        groups: Groups of dependencies that are wanted; of pixi, the environment.
        project: Whether the project's own package is built into a wheel, and installed.
        torch: Which builds of PyTorch are wanted, by uv's names (`cpu`, `cu126`, `auto`); None: those of the index.
        on_conflict: What becomes of a file that two packages own with different bytes.
        layers: The most layers of wheels, a wheel each but for the lightest, which share the last; None: by our rules.
    """

    requirements: Path | tuple[str, ...] = ()
    pylock: Path | None = None
    wheelhouse: Path | None = None
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    conda: Conda | None = None
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    torch: str | None = None
    project: bool = False
    on_conflict: OnConflict = "refuse"
    layers: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model file, or a folder whose tree is kept, under its registered name and version."""

    path: Path
    name: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model out of the project's workspace; without a version its latest, which the step `prepare` fills in."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model of a hub such as Hugging Face's.

    Attributes:
        repo: ORG/NAME.
        revision: A commit, a branch or a tag; None: `main`. A lock pins the commit.
        files: Shell patterns of the files that are taken; empty: one form of the weights, with all that belongs to it.
        name: Its registered name.
    """

    repo: str
    name: str
    revision: str | None = None
    files: tuple[str, ...] = ()
    version: int = 1

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


AnyModel = Model | RegisteredModel | HubModel
"""A model of a project, wherever it comes from."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The entry script, and the folder that goes into the image with it.

    With a source folder the script is relative to it; without one, the script goes alone.
    """

    script: Path
    source: Path | None = None

    @property
    def file(self) -> Path:
        """The script, relative to the project's folder."""
        return self.script if self.source is None else self.source / self.script


@dataclass(frozen=True, slots=True)
class Codecs:
    """How layers are stored: by default, and by role where the file says so."""

    default: Codec = "auto"
    base: Codec | None = None
    dependencies: Codec | None = None
    models: Codec | None = None
    entry: Codec | None = None

    def of(self, role: Role) -> Codec:
        """Returns the codec for layers of this role."""
        own: dict[Role, Codec | None] = {
            "base": self.base,
            "dependencies": self.dependencies,
            "models": self.models,
            "entry": self.entry,
        }
        return own[role] or self.default


@dataclass(frozen=True, slots=True)
class Gates:
    """What is looked for before a build. `allow` are modules, or `module:name`s, that pickles may name beyond the built-in lists.

    `unsafe_pickle` is about unknown names; what runs code or is not read to its end is refused under `warn`, too.
    """

    unsafe_pickle: Gate = "warn"
    secrets: Gate = "refuse"
    allow: tuple[str, ...] = ()
    model_keys: tuple[Path, ...] = ()
    """Public keys, one of which has to have made the OpenSSF signature of every model. Without keys, signatures are not asked for."""
    versions: Gate = "warn"
    """A model that names another version of its library than the image gets. Where loading is known to fail, `warn` refuses, too."""
    imports: Gate = "refuse"
    """A module that the entry script or a pickle imports, and that nothing in the image has."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program that the container starts, instead of a server with an entry script.

    Attributes:
        argv: The program and its arguments. Empty, which no project file says, where whoever starts the container names the program:
            the base's entry point stays.
        source: The folder that goes into the image with it.
        ports: The ports that it listens on.
        workdir: The folder in which it starts; None for that of the sources.
        health: The path that answers with 2xx once it is ready; empty for none.
        alias: Another path of the image that leads to the sources, by a link. No project file says it.
    """

    argv: tuple[str, ...]
    source: Path | None = None
    ports: tuple[int, ...] = ()
    workdir: PurePosixPath | None = None
    health: str = ""
    alias: PurePosixPath | None = None


DEFAULT_TOLERANCE = 1e-6
"""How far a number of an answer may be off: the last bits of floating-point results differ between processors."""


@dataclass(frozen=True, slots=True)
class GoldenTest:
    """A golden request and the answer that the image has to give.

    Attributes:
        request: JSON, a file of it, or a folder of pairs NAME.request.json and NAME.response.json.
        answer: JSON, or a file of it; None where only the status counts.
        tolerance: How far a number may be off: relative, and absolute near zero.
        path: The path of the request; empty for that of the first contract.
        status: The status of the answer; None for 200 to 299.
    """

    request: str
    answer: str | None = None
    tolerance: float = DEFAULT_TOLERANCE
    path: str = ""
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """Another image of a project: its name, and what may differ, as it is in this image. All else is the project's."""

    name: str
    platforms: tuple[Platform, ...]
    python: str | None
    base: Base
    dependencies: Dependencies
    env: Mapping[str, str] = field(hash=False)
    labels: Mapping[str, str] = field(hash=False)
    server: Server
    serving: Serving

    def of(self, project: Project) -> Project:
        """Returns the project that this image is made of."""
        differing = {name: getattr(self, name) for name in self.__match_args__ if name != "name"}
        return replace(project, variants=(), **differing)


@dataclass(frozen=True, slots=True)
class Project:
    """A whole project file."""

    name: str
    entry: Entry | None
    """None, where the model brings its own (`served_by_model`), or for models alone over scratch or an existing base: such an image
    starts what its base starts, if anything."""
    models: tuple[AnyModel, ...] = ()
    python: str | None = None
    """The Python version, two numbers; None: the base's, or the one that conda packages bring."""
    platforms: tuple[Platform, ...] = (DEFAULT_PLATFORM,)
    base: Base = DebianBase()
    dependencies: Dependencies = Dependencies()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    user: str = DEFAULT_USER
    codecs: Codecs = Codecs()
    created: datetime | None = None
    """The image's creation time in UTC; never touches a layer."""
    workspace: str | None = None
    """Where registered models are: a folder, or HOST/PREFIX of a registry."""
    gates: Gates = Gates()
    server: Server = "modelcrate"
    serving: Serving = Serving()
    """How the server works."""
    contracts: tuple[str, ...] = (DEFAULT,)
    """The platforms that the container serves, by name."""
    max_size: int | None = None
    """The most bytes that the image may have."""
    max_layer_growth: int | None = None
    """The most stored bytes by which a layer may be larger than in the image before."""
    tests: tuple[GoldenTest, ...] = ()
    command: Command | None = None
    bytecode: bool = False
    """Whether the image has bytecode, compiled by its own Python, so that it starts faster."""
    modelcar: bool = False
    """Whether the models are below /models, too, in layers that a modelcar has as they are."""
    variants: tuple[Variant, ...] = ()
    """Other images of the project, which are with it in one index."""

    @property
    def every(self) -> tuple[Project, ...]:
        """The project without its variants, and what each of them is made of."""
        return (replace(self, variants=()), *(each.of(self) for each in self.variants))

    @property
    def served_by_model(self) -> bool:
        """Whether there is no entry script, and one is wanted: over a Debian base, or where there are packages for it."""
        needs = self.dependencies
        packages = bool(needs.requirements) or needs.pylock is not None or needs.conda is not None
        return (
            self.entry is None
            and self.command is None
            and bool(self.models)
            and (isinstance(self.base, DebianBase) or packages)
        )


def model_name(path: Path) -> str:
    """Returns the name of a model whose file doesn't say: the file's, without its ending, and without what a name can't hold.

    Empty where nothing is left of it.
    """
    stem = re.sub(r"\.[A-Za-z][A-Za-z0-9]{0,11}$", "", path.name) or path.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip("._-")[:255]


def project_name(text: str) -> str:
    """Returns the name of a project that is called by this text elsewhere: in lower case, and without what a name can't hold.

    Empty where nothing is left of it.
    """
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-")


def is_json(text: str) -> bool:
    """Returns whether a text of a golden request is JSON, and not the path of a file; a file that is called `3` is `./3`."""
    return re.match(r'\s*([\[{"]|(-?[0-9][0-9.eE+-]*|true|false|null)\s*$)', text) is not None


def is_pylock(path: str) -> bool:
    """Returns whether a file is a lock by its name (PEP 751): pylock.toml or pylock.NAME.toml."""
    return re.fullmatch(r"(.*/)?pylock(\.[^/.]+)?\.toml", path) is not None
