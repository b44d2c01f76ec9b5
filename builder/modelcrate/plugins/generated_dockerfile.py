"""The Dockerfiles that ZenML and Kubeflow generate, read as what they mean. A line that takes an engine is refused."""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Mapping

from modelcrate.project.dockerfile import instructions, pairs
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

_INSTALL = compile_later(
    r"""(?:--mount=\S+ )?(?:uv )?pip install ((?:[^;&|`$<>()'"\\]|\\.|'[^']*'|"(?:[^"`$\\]|\\["\\])*")+)"""
)
_APT = compile_later(r"apt-get update && apt-get install -y --no-install-recommends ((?:\s*'?[a-z0-9][a-z0-9+.-]*'?)+)")
_RIGHTS = compile_later(r"chmod -R a\+rw \.|chown -R \S+ \.")

_FLAGS = frozenset(
    ("no-cache-dir", "no-cache", "default-timeout", "timeout", "retries", "quiet", "system", "break-system-packages")
)
"""Options of pip and uv that decide how they work, and not what they install."""

_LINES = frozenset(("index-url", "extra-index-url", "find-links", "trusted-host", "pre"))
"""Options that a requirements file takes, too."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What a generated Dockerfile means.

    Attributes:
        base: The image of FROM.
        folder: That of WORKDIR, into which the code is copied.
        requirements: The lines of a requirements file, in the order of the installations.
        files: The files of the context that hold requirements, and so are no code.
        packages: Debian packages.
        entrypoint: The program; empty where the Dockerfile names none.
        user: That of USER; empty without.
        notices: What is done otherwise than an engine would.
    """

    base: str
    folder: str = ""
    requirements: tuple[str, ...] = ()
    files: frozenset[str] = frozenset()
    packages: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    notices: tuple[str, ...] = ()


class _Reader:
    """Collects what the lines mean; it lives as long as one reading."""

    def __init__(self, context: Mapping[str, str]) -> None:
        self.context = context
        self.base = self.folder = self.user = ""
        self.lines: list[str] = []
        self.packages: list[str] = []
        self.notices: list[str] = []
        self.files: set[str] = set()
        self.env: dict[str, str] = {}
        self.entrypoint: tuple[str, ...] = ()

    def take(self, number: int, line: str) -> None:
        """Takes one instruction.

        Raises:
            UserError: It takes an engine.
        """
        word, _, rest = line.partition(" ")
        match word.upper():
            case "FROM" if not self.base and len(rest.split()) == 1 and "$" not in rest:
                self.base = rest
            case "WORKDIR" if "$" not in rest:
                self.folder = posixpath.normpath(
                    posixpath.join(self.folder, rest)
                )  # one that is not absolute is below the last one
            case "ENV":
                self.env |= pairs(rest, number)
            case "COPY" if rest == ". ." or self._is_named(rest.split()):
                pass  # the code, or a file of requirements, which the line with pip names
            case "RUN":
                self._run(number, rest)
            case "USER" if "$" not in rest:
                self.user = rest
            case "ENTRYPOINT":
                self.entrypoint = _program(rest)
            case _:
                raise _refused(number, line)

    def _is_named(self, words: list[str]) -> bool:
        """Whether a file of the context is copied to where it is looked for."""
        return len(words) == 2 and words[0] in self.context and words[1] in (".", words[0])

    def _run(self, number: int, rest: str) -> None:
        if found := _APT.fullmatch(rest):
            self.packages += _words(number, found[1])
        elif _RIGHTS.fullmatch(rest):
            return  # everybody may read the code, and the group, which is the container's, may write it
        elif found := _INSTALL.fullmatch(rest):
            self._install(number, rest, _words(number, found[1]))
        else:
            raise _refused(number, f"RUN {rest}")

    def _install(self, number: int, rest: str, words: list[str]) -> None:
        """Takes the arguments of pip."""
        waiting = list(words)
        while waiting:
            name, equals, value = waiting.pop(0).partition("=")
            option = name.removeprefix("--")
            if name == "-r":
                self._require(number, waiting.pop(0) if waiting else "", rest)
            elif not name.startswith("-"):
                if name != "uv":  # which installs the others
                    self.lines.append(f"{name}{equals}{value}")
            elif option in _LINES:
                value = value if equals or option == "pre" else waiting.pop(0) if waiting else ""
                self.lines.insert(0, f"--{option} {value}".strip())
            elif option == "no-deps":
                self.notices.append("--no-deps is not kept: what the packages need is installed, too")
            elif option not in _FLAGS:
                raise _refused(number, f"RUN {rest}", f"an option that is not understood: {name}")

    def _require(self, number: int, name: str, rest: str) -> None:
        if name not in self.context:
            raise _refused(number, f"RUN {rest}", f"the build context has no {name}")
        self.files.add(name)
        self.lines += self.context[name].splitlines()


def read(text: str, context: Mapping[str, str]) -> Generated:
    """Reads a generated Dockerfile.

    Args:
        text: The Dockerfile.
        context: The files of the build context that may hold requirements, by their names.

    Raises:
        UserError: A line takes an engine, or there is no FROM.
    """
    reader = _Reader(context)
    for number, line in instructions(text):
        reader.take(number, line)
    if not reader.base:
        raise UserError("the Dockerfile has no FROM", hint="begin it with FROM IMAGE")
    return Generated(
        reader.base,
        reader.folder,
        tuple(dict.fromkeys(line for line in reader.lines if line.strip() and not line.lstrip().startswith("#"))),
        frozenset(reader.files),
        tuple(reader.packages),
        reader.env,
        reader.entrypoint,
        reader.user,
        tuple(reader.notices),
    )


def _program(text: str) -> tuple[str, ...]:
    """The words of an ENTRYPOINT: a list in JSON, or a line for the shell."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return ("/bin/sh", "-c", text)
    if isinstance(words, list) and all(isinstance(each, str) for each in words):
        return tuple(words)
    return ("/bin/sh", "-c", text)


def _words(number: int, text: str) -> list[str]:
    """The words of a line as a shell splits them."""
    try:
        return shlex.split(text)
    except ValueError as fault:
        hint = "close the quotes; one line has all of an instruction, or ends with a backslash"
        raise UserError(f"can't be read: {fault}", where=f"Dockerfile:{number}", hint=hint) from None


def _refused(number: int, line: str, why: str = "no program runs while modelcrate makes an image") -> UserError:
    return UserError(
        f"needs a container engine: {line[:100]}",
        where=f"Dockerfile:{number}",
        why=why,
        hint="say it by requirements, environment, user and a parent image that has the rest",
    )
