"""uv, the resolver: how it is started, what it may see of the environment, and its failures in our words.

It is given the target and nothing of this machine: no configuration file, no Python to download, no build from source.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.net.download import DownloadConfig
from modelcrate.resolve.target import Target
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, RegistryError, SourceError, UserError
from modelcrate_layers.frozen import dataclass

_PASSED = re.compile(
    r"HOME|PATH|TMPDIR|NETRC|SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT|(https?|all|no)_proxy"
    r"|UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_\w+_(USERNAME|PASSWORD))"
    r"|UV_(HTTP_\w+|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|CONCURRENT_\w+)",
    re.IGNORECASE,
)
"""What uv may see of the environment: how to reach and to trust an index, and nothing that changes what is resolved."""

_INDEX = re.compile(r"UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL)")
_MAX_WHY = 12
"""Lines of uv's explanation that are shown."""


@dataclass(frozen=True, slots=True)
class Index:
    """Where wheels come from. With nothing said, uv's default index; with only a wheelhouse, that folder and nothing else."""

    url: str = ""
    extra: tuple[str, ...] = ()
    wheelhouse: Path | None = None


@dataclass(frozen=True, slots=True)
class Uv:
    """uv with a cache folder of its own and the environment that was passed in. `program` is the uv package's, unless named."""

    cache: Path
    network: DownloadConfig
    program: str = ""

    def compile(self, files: Sequence[Path], target: Target, index: Index, *options: str) -> str:
        """The pylock.toml (PEP 751) of these requirements files for the target; all failures are ours by class and by words."""
        command = [self._program(), "pip", "compile", *(str(file.absolute()) for file in files)]
        command += [*_fixed(target), *self._where(index), *options]
        try:
            done = subprocess.run(
                command,
                env=_environment(self.network.environment, index),
                cwd=files[0].absolute().parent,
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        except OSError as fault:
            raise _missing(f"{command[0]}: {fault.strerror}") from None
        if done.returncode:
            raise explained(done.stderr.decode("utf-8", "replace"), target)
        return done.stdout.decode("utf-8", "replace")

    def login(self, url: str, index: Index) -> str:
        """The URL of a file, with user and password where an index of the same origin has them; a lock doesn't repeat them."""
        origin, _, rest = url.partition("://")
        host = rest.partition("/")[0]
        known = _environment(self.network.environment, index)
        for value in (word for name in known if _INDEX.fullmatch(name) for word in known[name].split()):
            match = re.fullmatch(r"(?:[\w.-]+=)?(https?)://([^/@]+)@([^/@]+)(?:/.*)?", value)
            if match and (match[1], match[3]) == (origin, host):
                return f"{origin}://{match[2]}@{rest}"
        return url

    def _where(self, index: Index) -> list[str]:
        options = ["--cache-dir", str(self.cache.absolute())]
        if sys.executable:
            options += ["--python", sys.executable]  # uv wants some Python to talk to; which one decides nothing
        if self.network.offline:
            options.append("--offline")
        if index.wheelhouse is None:
            return options
        if not index.wheelhouse.is_dir():
            raise SourceError("there is no such folder of wheels", where=str(index.wheelhouse))
        options += ["--find-links", str(index.wheelhouse.absolute())]
        return options if index.url or index.extra else [*options, "--no-index"]

    def _program(self) -> str:
        if self.program:
            return self.program
        try:
            import uv

            return os.fspath(uv.find_uv_bin())
        except (ImportError, FileNotFoundError) as fault:
            raise _missing(str(fault)) from None


def explained(text: str, target: Target) -> CrateError:
    """uv's complaint as an error of ours. Its advice is about its own options, and of no use here."""
    lines = _explanation(text)
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
            hint="is the name right, and the index or wheelhouse the one that has it?",
        )
    if match := re.search(r"(\S+) ha(?:s|ve) no (?:usable wheels|wheels with a matching)", words):
        return UserError(
            f"{_name(match[1])} has no wheel for {target}",
            why=f"looked for the wheel tags {target.sought()}\n{why}",
            hint="nothing is built from source: build the wheel, and name the folder it is in as wheelhouse",
        )
    if match := re.search(r"(?s)Failed to (?:download|read|unzip|parse)\S* `([^`]+)`.*\b(?:ZIP|zip|wheel)\b", text):
        return IntegrityError(
            f"the wheel {match[1]} is damaged",
            why=why,
            hint="fetch or build it again, and put it in the place of this one",
        )
    if "No solution found" in text:
        return UserError("the requirements can't be had together", why=why, hint="loosen one of them")
    if re.search(r"(?i)error sending request|failed to fetch|failed to download|request failed|timed out|dns", text):
        return RegistryError("the package index could not be used", why=why)
    if re.search(r"(?i)couldn.t parse|unexpected .* in|invalid .*requirement", text):
        return UserError("the requirements can't be read", why=why)
    return MachineError("uv could not lock the requirements", why=why)


def _explanation(text: str) -> list[str]:
    """The lines that explain: no drawing, no progress, no hints, no passwords."""
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
    """`all versions of docopt` and `numpy>=99` are about docopt and numpy."""
    return re.split(r"[=<>!~]", text.strip("`"))[0]


def _fixed(target: Target) -> list[str]:
    return [
        *("--format", "pylock.toml", "--no-header", "--only-binary", ":all:"),
        *("--python-version", target.python, "--python-platform", target.uv_platform),
        *("--no-config", "--no-python-downloads", "--no-sources", "--no-progress", "--color", "never"),
    ]


def _environment(given: Mapping[str, str], index: Index) -> dict[str, str]:
    """Indexes are named here and not in the command, which everybody on the machine can list."""
    passed = {name: value for name, value in given.items() if _PASSED.fullmatch(name)}
    if index.url or index.extra or index.wheelhouse is not None:
        passed = {name: value for name, value in passed.items() if not _INDEX.fullmatch(name)}
    if index.url:
        passed["UV_DEFAULT_INDEX"] = index.url
    if index.extra:
        passed["UV_INDEX"] = " ".join(index.extra)
    return passed


def _missing(why: str) -> MachineError:
    return MachineError("uv can't be started", why=why, hint="it comes with modelcrate: install its dependencies again")
