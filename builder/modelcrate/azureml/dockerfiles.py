"""Reads the Dockerfile of a base, as far as it needs no container engine: FROM, ENV and LABEL."""

from __future__ import annotations

from collections.abc import Mapping

from modelcrate.project.dockerfile import instructions, pairs
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import dataclass, field
from modelcrate_layers.patterns import compile_later

_VARIABLE = compile_later(r"\$\{?[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class BaseDockerfile:
    """The image of FROM, and the variables and labels that are set."""

    image: str
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_base(text: str) -> BaseDockerfile:
    """Returns what a Dockerfile sets.

    Raises:
        UserError: An instruction needs a container engine, or there is no FROM.
    """
    image, env, labels = "", {}, {}
    for number, line in instructions(text):
        word, _, rest = line.partition(" ")
        match word.upper():
            case "FROM" if not image and len(rest.split()) == 1 and not _VARIABLE.search(rest):
                image = rest.strip()
            case "ENV" if image and not _VARIABLE.search(rest):
                env.update(pairs(rest, number))
            case "LABEL" if image and not _VARIABLE.search(rest):
                labels.update(pairs(rest, number))
            case _:
                raise UserError(
                    f"needs a container engine: {line[:80]}",
                    where=f"the base's Dockerfile:{number}",
                    hint="build this base once with an engine, and name the image: Environment.from_docker_image",
                )
    if not image:
        raise UserError("the base's Dockerfile has no FROM", hint="begin it with FROM IMAGE")
    return BaseDockerfile(image, env, labels)
