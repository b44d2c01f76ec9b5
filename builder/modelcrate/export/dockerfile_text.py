"""The text of a Dockerfile. Pure.

It has no RUN lines, so it can be built for any platform, and without a network unless its base is in a registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.patterns import compile_later

APP = "azureml-app"
APP_ROOT = "/var/azureml-app"
SERVER = "server"
SERVER_ROOT = "/opt/modelcrate/server"

_PATTERN = compile_later(r"[*?\[\\]")
"""Characters with which COPY means other files than one of this name."""

_HEAD = """\
# {name}: base, packages, models and code, each in layers of its own. Build it with
#   docker build --tag {name} .
#   buildah bud --isolation chroot --tag {name} .
#   modelcrate build .          from modelcrate.yaml; without edits, the digest is {digest}
"""


@dataclass(frozen=True, slots=True)
class DockerfileParts:
    """The contents of a Dockerfile, by paths in its folder: tars for the root, models, and the files and folders of the code."""

    name: str
    digest: str
    base: str
    """The argument of FROM."""
    note: str
    tars: Sequence[str]
    models: Sequence[str]
    code: Sequence[str]
    server: bool
    shell: bool = True
    """Whether the base has, or may have, a shell for RUN lines."""


def dockerfile_text(parts: DockerfileParts, config: Mapping[str, Any]) -> str:
    """Returns the text of the Dockerfile.

    Args:
        parts: The contents.
        config: The member `config` of the image's config. Its base may be a stranger's.

    Raises:
        UserError: A setting has a character that would begin another instruction.
    """
    lines = list(_lines(parts, config))
    for line in lines:
        if not line.isprintable() or line.endswith("\\"):
            what = " ".join(line.split()[:2])[:60]
            raise UserError(
                f"a Dockerfile has no way to write {what.partition('=')[0]!r} as it is",
                why="its value has a line break or another character that is not printable, or ends with a backslash",
                hint="change it in the project or in the base, or build an image: this output is only a text",
            )
    return _HEAD.format(name=parts.name, digest=parts.digest) + "".join(f"{line}\n" for line in lines)


def _lines(parts: DockerfileParts, config: Mapping[str, Any]) -> Iterator[str]:
    if parts.note:
        yield f"# {parts.note}"
    yield f"FROM {parts.base}"
    yield from (_copied("ADD", path, "/") for path in parts.tars)
    yield from (_copied("COPY", f"{APP}/{path}/", f"{APP_ROOT}/{path}/") for path in parts.models)
    if parts.server:
        yield _copied("COPY", f"{SERVER}/", f"{SERVER_ROOT}/")
    yield from (_copied("COPY", f"{APP}/{path}", f"{APP_ROOT}/{path}") for path in parts.code)
    yield from _variables(config)
    if parts.shell:
        yield "# add your RUN lines here: they run as root, in the image's environment"
    yield from _settings(config)


def _variables(config: Mapping[str, Any]) -> Iterator[str]:
    for line in config.get("Env") or []:
        name, _, value = str(line).partition("=")
        if re.search(r"[\s\"'$\\]", name):
            raise UserError(
                f"a Dockerfile has no way to write a variable that is called {name!r:.80}",
                hint="rename the variable: letters, digits and '_'",
            )
        yield f"ENV {name}={_quoted(value)}"


def _settings(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in (config.get("Labels") or {}).items():
        yield f"LABEL {_quoted(name)}={_quoted(value)}"
    for word, key in (("USER", "User"), ("WORKDIR", "WorkingDir"), ("STOPSIGNAL", "StopSignal")):
        if config.get(key):
            yield f"{word} {_escaped(config[key])}"
    yield from (f"EXPOSE {_escaped(port)}" for port in config.get("ExposedPorts") or {})
    for word, key in (("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd")):
        if config.get(key):
            yield f"{word} {json.dumps(list(config[key]))}"


def _copied(word: str, source: str, target: str) -> str:
    """Returns an ADD or COPY in the form with a JSON array, which allows spaces. Variables are filled in and patterns matched there, too."""
    if _PATTERN.search(source):
        raise UserError(
            f"a Dockerfile has no way to copy {source!r:.80}",
            why="its name has one of * ? [ and \\, which builders read as patterns, each in its own way",
            hint="rename it, or move it into a folder: the names of folders' contents are not written",
        )
    return f"{word} {json.dumps([_escaped(source), _escaped(target)])}"


def _escaped(text: str) -> str:
    """Returns a value without quotes, with the characters escaped that a Dockerfile would replace."""
    return re.sub(r"""[\\"'$]""", r"\\\g<0>", text)


def _quoted(text: str) -> str:
    """Returns a value in double quotes, with the characters escaped that a Dockerfile would replace."""
    escaped = re.sub(r'[\\"$]', r"\\\g<0>", text)
    return f'"{escaped}"'
