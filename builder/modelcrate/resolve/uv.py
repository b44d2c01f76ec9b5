"""uv, the resolver: how it is started, what it may see of the environment, and its failures in our words.

It gets the target and nothing of this machine: no configuration file, no Python to download, no build from source.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelcrate.net.config import HttpConfig
from modelcrate.resolve.target import NoWheelError, Target
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, RegistryError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, field, replace
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.patterns import compile_later

if TYPE_CHECKING:
    import subprocess

    from modelcrate.resolve.stand_ins import StandInHouse

_PASSED = compile_later(
    r"HOME|PATH|TMPDIR|NETRC|SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT|(https?|all|no)_proxy"
    r"|UV_INDEX_\w+_(USERNAME|PASSWORD)"
    r"|UV_(CUDA_DRIVER_VERSION|AMD_GPU_ARCHITECTURE|HTTP_\w+|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|CONCURRENT_\w+)",
    re.IGNORECASE,
)
"""What uv may see of the environment: how to reach and to trust an index, and the graphics card for `torch: auto`."""

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Variables of other tools that name certificate authorities, for uv under its own name."""

_MAX_WHY = 12
"""Lines of uv's explanation that are shown."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where wheels come from. With nothing named, uv's default index; with only a wheelhouse, that folder and nothing else.

    Attributes:
        url: The index, or NAME=URL, where uv looks up credentials by name.
        extra: More indexes, searched before it.
        find_links: Folders, or URLs of pages with links to wheels.
        direct: URLs of single wheels, by the package's normalised name.
        torch: The builds of PyTorch that are wanted, by uv's name.
        known: More indexes for exact versions with hashes, which may come from anywhere.
        merged: All indexes count as one, as pip has it; else the first that has a package is the one for all its versions, so that
            a private package's name can't be offered elsewhere.
        source: What named the index, for messages.
    """

    url: str = field(default="", repr=False)
    extra: tuple[str, ...] = field(default=(), repr=False)
    wheelhouse: Path | None = None
    find_links: tuple[str, ...] = field(default=(), repr=False)
    no_index: bool = False
    direct: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    torch: str = ""
    prereleases: bool = False
    known: tuple[str, ...] = field(default=(), repr=False)
    merged: bool = False
    source: str = ""

    @property
    def stands_alone(self) -> bool:
        """Whether wheels come from the wheelhouse and from no index."""
        return self.wheelhouse is not None and not (self.url or self.extra)

    @property
    def is_one_folder(self) -> bool:
        """Whether wheels come from the wheelhouse and from nowhere else."""
        return self.stands_alone and not (self.find_links or self.direct or self.torch)


def for_exact_versions(index: Index) -> Index:
    """Returns an index for exact versions with hashes: any index may have them. A wheelhouse that stands alone still does."""
    if index.no_index or not index.known or index.stands_alone:
        return index
    return replace(index, extra=(*index.extra, *index.known), merged=True)


@dataclass(frozen=True, slots=True)
class UvLock:
    """A uv.lock, and the extras and groups of its project that are wanted."""

    path: Path
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Uv:
    """uv with a cache folder of its own and the environment that was passed in. `program` is that of the uv package, unless named."""

    cache: Path
    network: HttpConfig
    program: str = ""

    @property
    def choices(self) -> Path:
        """The folder of what was chosen from wheels on this machine."""
        return self.cache.with_name("choices")

    @contextmanager
    def meet_python(self) -> Iterator[None]:
        """Has uv look at the Python that it wants to talk to, while something else is done: that takes longer than to resolve.

        What it finds is in its cache from then on.
        """
        looking = None if not sys.executable or self._met_pythons() else self._look_at_python()
        if looking is None:
            yield
            return
        with looking:  # its end is waited for
            try:
                yield
            except BaseException:
                looking.kill()
                raise

    def _look_at_python(self) -> subprocess.Popen[bytes] | None:
        import subprocess  # where nothing has changed, no uv is started

        nothing = subprocess.DEVNULL
        with suppress(OSError, MachineError):  # where there is no uv, that is said when it has to resolve
            words = ["python", "find", "--no-project", "--no-config", "--cache-dir", str(self.cache.absolute())]
            command = [self._program(), *words, sys.executable]
            return subprocess.Popen(
                command, env=self.environment(Index()), stdin=nothing, stdout=nothing, stderr=nothing
            )
        return None

    def _met_pythons(self) -> list[Path]:
        return list(self.cache.glob("interpreter-*"))

    def compile(self, files: Sequence[Path], target: Target, index: Index, *options: str) -> str:
        """Returns the pylock.toml (PEP 751) of these files for the target.

        Args:
            files: Requirements files, and pyproject.toml files.
            target: The platform and Python to lock for.
            index: The index that the packages come from.
            *options: More options for uv.

        Raises:
            CrateError: By its class: the requirements' fault, the index's, or this machine's.
        """
        sources = [] if any(file.suffix == ".toml" for file in files) else ["--no-sources"]
        words = ["pip", "compile", *(str(file.absolute()) for file in files), *_fixed(target), *sources]
        folder = files[0].absolute().parent
        house = index.wheelhouse
        if house is not None and house.is_dir() and index.is_one_folder and sources:
            return self._choose([*words, *options], folder, target, index, house)
        try:
            return self._run([*words, *self.where(index), *options], folder, target, index)
        except UserError:
            if index.merged and index.extra:  # uv does not say then that one of them wants a login
                with suppress(UserError):
                    self._run([*words, *self.where(replace(index, merged=False)), *options], folder, target, index)
            raise

    def _choose(self, words: Sequence[str], folder: Path, target: Target, index: Index, house: Path) -> str:
        """Chooses from a wheelhouse alone, by stand-ins of its wheels, and keeps nothing in uv's cache. The answer is remembered."""
        from modelcrate.resolve.remembered_choice import RememberedChoice

        asked = [*words, *(["--prerelease", "allow"] if index.prereleases else [])]
        choice = RememberedChoice.of(self.choices, self._program(), asked, house)
        if (answer := choice.answer()) is not None:
            return answer
        from modelcrate.resolve.stand_ins import stand_in_house

        with scratch_folder() as scratch:
            stand_ins = stand_in_house(house, scratch / "wheels")
            where = self._with_cache(scratch / "cache").where(replace(index, wheelhouse=stand_ins.folder))
            answer = self._run([*words, *where], folder, target, index, stand_ins)
        choice.keep(answer)
        return answer

    def _with_cache(self, folder: Path) -> Uv:
        """Returns uv with an empty cache in this folder, but for what it knows of Python."""
        folder.mkdir()
        with suppress(OSError):  # Windows may not link
            for each in self._met_pythons():
                os.symlink(each.absolute(), folder / each.name)
        return replace(self, cache=folder)

    def export(self, lock: UvLock, target: Target) -> str:
        """Returns a uv.lock as a pylock.toml, with the extras and groups of `lock`. Nothing is resolved again."""
        if lock.path.name != "uv.lock":
            raise UserError(
                "uv's lock has to be called uv.lock",
                where=str(lock.path),
                hint="rename the file to uv.lock, beside its pyproject.toml",
            )
        words = ["export", "--frozen", "--format", "pylock.toml", "--no-header", "--no-emit-workspace", *_QUIET]
        words += ["--no-default-groups", "--preview-features", "frozen-lockfile"]
        words += [word for extra in lock.extras for word in ("--extra", extra)]
        words += [word for group in lock.groups for word in ("--group", group)]
        try:
            return self._run(words, lock.path.absolute().parent, target, Index())
        except MachineError as fault:
            raise UserError(
                "uv can't read its lock", where=str(lock.path), why=fault.why, hint="run: uv lock"
            ) from None

    def build(self, folder: Path, into: Path, index: Index, epoch: str) -> None:
        """Builds the wheel of a project into a folder. Its build backend comes from the index, and runs on this machine.

        Args:
            folder: The folder of the project.
            into: The folder that gets the wheel.
            index: The index of the build backend.
            epoch: The time that its files get, in seconds since 1970.

        Raises:
            UserError: The project can't be built.
        """
        import subprocess

        words = ["build", "--wheel", "--out-dir", str(into), *_QUIET, *self.where(replace(index, torch=""))[:4]]
        words += ["--offline"] if self.network.offline else []
        environment = {**self.environment(index), "SOURCE_DATE_EPOCH": epoch}
        try:
            done = subprocess.run(
                [self._program(), *words, str(folder)],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        except OSError as fault:
            raise _missing(str(fault.strerror)) from None
        if done.returncode:
            why = "\n".join(_explanation(done.stderr.decode("utf-8", "replace"))[-_MAX_WHY:])
            raise UserError("the project's own package can't be built", where=str(folder), why=why)

    def login(self, url: str, index: Index) -> str:
        """Returns the URL of a file with the user and password that an index of the same origin has in its own URL.

        A lock does not repeat them. All other credentials are found when the file is fetched.
        """
        from modelcrate.net.credentials import IndexCredentials

        known = IndexCredentials(self.network, (index.url, *index.extra, *index.find_links))
        login = known.find_of_project(url)
        return url if login is None or "@" in urlsplit(url).netloc else login.in_url(url)

    def _run(
        self, words: Sequence[str], folder: Path, target: Target, index: Index, house: StandInHouse | None = None
    ) -> str:
        """Returns what uv prints, with the real wheels in the place of stand-ins, in faults as well."""
        import subprocess

        command = [self._program(), *words]
        try:
            with house.hashed_meanwhile() if house is not None else nullcontext():
                done = subprocess.run(
                    command,
                    env=self.environment(index),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                )
        except OSError as fault:
            raise _missing(f"{command[0]}: {fault.strerror}") from None
        real = house.real if house is not None else str
        if done.returncode:
            raise explained(real(done.stderr.decode("utf-8", "replace")), target)
        return real(done.stdout.decode("utf-8", "replace"))

    def command(self, *words: str) -> list[str]:
        """Returns a command line of uv with its cache; offline, where the configuration says so."""
        options = ["--offline"] if self.network.offline else []
        return [self._program(), *words, *_QUIET, "--cache-dir", str(self.cache.absolute()), *options]

    def environment(self, index: Index) -> dict[str, str]:
        """Returns what uv may see of the environment."""
        from modelcrate.net.credentials import IndexCredentials

        given = self.network.environment
        if self.network.foreign and IndexCredentials(self.network).has_default():
            given = {**given, "NETRC": os.devnull}  # uv would send that login to whatever host a foreign project names
        return _environment(given, index)

    def where(self, index: Index) -> list[str]:
        """Returns the options that name the index, the cache and the login."""
        options = ["--cache-dir", str(self.cache.absolute())]
        if sys.executable:
            options += ["--python", sys.executable]  # uv wants some Python to talk to; which one decides nothing
        if self.network.offline:
            options.append("--offline")
        if index.prereleases:
            options += ["--prerelease", "allow"]
        if index.merged and index.extra:
            options += ["--index-strategy", "unsafe-best-match"]
        if index.torch:
            options += ["--torch-backend", index.torch]
        house = index.wheelhouse
        if house is not None and not house.is_dir():
            raise SourceError(
                "there is no such folder of wheels",
                where=str(house),
                hint="`wheelhouse:` is relative to the project file; make it with: pip download -d FOLDER -r requirements.txt",
            )
        folders = [
            *([str(house.absolute())] if house else []),
            *(each for each in index.find_links if "://" not in each),
        ]
        options += [word for folder in folders for word in ("--find-links", folder)]
        return [*options, "--no-index"] if index.stands_alone or index.no_index else options

    def _program(self) -> str:
        if self.program:
            return self.program
        try:
            import uv

            return os.fspath(uv.find_uv_bin())
        except (ImportError, FileNotFoundError) as fault:
            raise _missing(str(fault)) from None


def explained(text: str, target: Target) -> CrateError:
    """Returns uv's complaint as an error of ours. Its advice is about its own options, and of no use here."""
    lines = _explanation(text)
    if match := _REFUSED.search(" ".join(text.split())):
        return _refused(*filter(None, match.groups()))
    words, why = " ".join(lines), "\n".join(lines[:_MAX_WHY])
    if match := re.search(r"(?:Because|and|that) (\S+) was not found in the cache", words):
        return RegistryError(
            f"{match[1]} is not in the cache, and --offline forbids to ask the index for it",
            hint="lock once with the network, or name a wheelhouse",
        )
    if match := re.search(r"(\S+) was not found in the (?:package registry|provided package locations)", words):
        return UserError(
            f"there is no package {_name(match[1])} where wheels are looked for",
            why=why,
            hint=_other_name(match[1], words) or "is the name right, and the index or wheelhouse the one that has it?",
        )
    if match := re.search(r"(\S+) ha(?:s|ve) no (?:usable wheels|wheels with a matching)", words):
        other = _other_name(match[1], words)
        return (UserError if other else NoWheelError)(
            f"{_name(match[1])} has no wheel for {target}",
            why=f"looked for the wheel tags {target.sought()}\n{why}",
            hint=other
            or f"nothing is built from source: build it once (pip wheel --no-deps -w wheels {_buildable(match[1].strip('`'))!r}), and name the folder: "
            "dependencies: {requirements: FILE, wheelhouse: wheels, index-url: URL}",
        )
    if (fault := _wheel_fault(text, why)) is not None:
        return fault
    if "No solution found" in text:
        return UserError("the requirements can't be had together", why=why, hint=_way_out(words, target))
    if re.search(r"(?i)error sending request|failed to fetch|failed to download|request failed|timed out|dns", text):
        return RegistryError("the package index could not be used", why=why)
    if re.search(r"(?i)couldn.t parse|unexpected .* in|invalid .*requirement", text):
        return UserError("the requirements can't be read", why=why)
    return MachineError("uv could not lock the requirements", why=why)


def _way_out(words: str, target: Target) -> str:
    """Returns what to do where requirements can't be had together, by uv's reason."""
    if match := re.search(r"does not satisfy Python\S+ and (\S+) depends on (Python[^\s,]+)", words):
        return f"the image has Python {target.python}, and {match[1]} is for {match[2]}: choose another `python:`, or allow an older {_name(match[1])}"
    if match := re.search(r"(?:Because|and) (\S+) was yanked", words):
        return (
            f"its authors have withdrawn {match[1]}: allow another version, or write {match[1]} to have it nevertheless"
        )
    return "loosen one of them"


def _wheel_fault(text: str, why: str) -> CrateError | None:
    """Returns the fault of one wheel that is not there, or is damaged; None where the complaint is about none."""
    if match := re.search(r"Failed to download `(\S+) @ (\S+?)`.*\((404 Not Found|410 Gone)\)", " ".join(text.split())):
        address = re.sub(r"(?<=//)[^/@\s]+@", "", match[2])
        return UserError(
            f"there is no wheel of {match[1]} at its address",
            why=f"{address} was answered with {match[3]}",
            hint="is the address right? Some servers answer so to those who are not logged in",
        )
    if match := re.search(
        r"there are no versions of ([\w.-]+) and you require \1(?![\w.=<>!~-])", " ".join(why.split())
    ):
        return UserError(
            f"no file of {match[1]} is where wheels are looked for",
            why=why,
            hint="is the index or wheelhouse the right one? An index that shows a page to sign in has none either",
        )
    if match := re.search(
        r"(\S+) has (?:an )?((?:invalid|inconsistent) (?:package format|metadata))", " ".join(why.split())
    ):
        return IntegrityError(
            f"the file of {match[1]} is damaged",
            why=why,
            hint="fetch or build the wheel again, and put it in the place of this one; or allow another version",
        )
    if match := re.search(r"(?s)Failed to (?:download|read|unzip|parse)\S* `([^`]+)`.*\b(?:ZIP|zip|wheel)\b", text):
        return IntegrityError(
            f"the wheel {match[1]} is damaged",
            why=why,
            hint="fetch or build it again, and put it in the place of this one",
        )
    return None


def _refused(url: str, status: str, reason: str) -> RegistryError:
    return RegistryError(
        f"the package index answered {status} {reason}",
        where=re.sub(r"(?<=//)[^/@\s]+@", "", url),
        why="it wants a user and a password, and those that were found are missing or wrong"
        + ("; or it says so of packages that it does not have" if status == "403" else ""),
        hint="credentials are looked for in ~/.netrc, in UV_INDEX_NAME_USERNAME and _PASSWORD, in the URLs of UV_INDEX, PIP_INDEX_URL, "
        "pip.conf and uv.toml, and in the keyring (UV_KEYRING_PROVIDER=subprocess)",
    )


def _explanation(text: str) -> list[str]:
    """Returns the lines that explain: no drawing, no progress, no hints, no passwords."""
    kept: list[str] = []
    hinting = False
    for line in text.splitlines():
        line = re.sub(r"^[\s×╰─▶├│]*(?:error: |cause: )?", "", line).rstrip()
        hinting = bool(line) and (hinting or line.startswith(("hint:", "help:")))
        if (
            line
            and not hinting
            and not line.startswith(("warning:", "Using ", "Updating ", "Resolved ", "No solution found"))
        ):
            kept.append(re.sub(r"(?<=//)[^/@\s]+@", "", line))
    return kept


def _name(text: str) -> str:
    """Returns the package that a part of a complaint is about: `all versions of docopt` and `numpy>=99` are about docopt and numpy."""
    return re.split(r"[=<>!~]", text.strip("`"))[0]


def _other_name(text: str, words: str) -> str:
    """Returns what to do where a complaint is about a name of something else: a module, a package that is dead; empty for others.

    `words` is the whole complaint.
    """
    from modelcrate.resolve.import_names import LIVE, meant_by

    name = _name(text)
    if re.search(rf"{re.escape(name)}===?(?:0\.0\.0\b|\S*(?:ubuntu|debian))", words):
        return (
            f"{name} is a package of the system that `pip freeze` has listed, and no index has it: leave the line out"
        )
    if normalise_name(name) in ("python", "python3"):
        return "`python:` in the project file chooses the Python: leave the line out"
    if live := LIVE.get(normalise_name(name)):
        return f"the package that is alive is {live}: write {live} in its place"
    if meant := meant_by(normalise_name(name)):
        return f"the module {name} is of the package {meant}: write {meant} in its place"
    if name in sys.stdlib_module_names:
        return f"the module {name} is Python's own: leave the line out"
    return ""


def _buildable(text: str) -> str:
    """Returns a package with its version, where a complaint names one; of a range of versions that have no wheel the name alone."""
    return text if "==" in text else _name(text)


_REFUSED = compile_later(
    r"index URL \((\S+)\) could not be queried [^(]*\((4\d\d) ([\w ]+)\)"
    r"|An index \((\S+)\) returned an? (40[13]) ([\w ]+) error"
)
"""How uv says that an index wants a login: its URL, the status and the reason."""

_QUIET = ("--no-config", "--no-python-downloads", "--no-progress", "--color", "never")


def _fixed(target: Target) -> list[str]:
    return [
        *("--format", "pylock.toml", "--no-header", "--only-binary", ":all:"),
        *("--python-version", target.python, "--python-platform", target.uv_platform),
        *_QUIET,
    ]


def _environment(given: Mapping[str, str], index: Index) -> dict[str, str]:
    """Returns uv's environment. Indexes are named here and not in the command, which everybody on the machine can list."""
    passed = {name: value for name, value in given.items() if _PASSED.fullmatch(name)}
    links = [each for each in index.find_links if "://" in each]
    named = {"UV_DEFAULT_INDEX": index.url, "UV_INDEX": " ".join(index.extra), "UV_FIND_LINKS": ",".join(links)}
    passed |= {name: value for name, value in named.items() if value}
    if bundle := next((given[name] for name in _CA_VARIABLES if given.get(name)), ""):
        passed.setdefault("SSL_CERT_DIR" if Path(bundle).is_dir() else "SSL_CERT_FILE", bundle)
    passed.setdefault("UV_SYSTEM_CERTS", "1")
    if given.get("PIP_KEYRING_PROVIDER") in ("subprocess", "import", "auto"):
        passed.setdefault("UV_KEYRING_PROVIDER", "subprocess")
    return passed


def _missing(why: str) -> MachineError:
    return MachineError("uv can't be started", why=why, hint="it comes with modelcrate: install its dependencies again")
