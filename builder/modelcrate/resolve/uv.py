"""uv, the resolver: how it is started, and what it may see of the environment.

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
from modelcrate.resolve.index import Index
from modelcrate.resolve.target import Target
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import MachineError, SourceError, UserError
from modelcrate_layers.frozen import dataclass, replace
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
            from modelcrate.resolve.uv_faults import MAX_WHY, explanation

            why = "\n".join(explanation(done.stderr.decode("utf-8", "replace"))[-MAX_WHY:])
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
            from modelcrate.resolve.uv_faults import explained

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
