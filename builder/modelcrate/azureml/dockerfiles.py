"""The part of a base's Dockerfile that can be had without running anything: FROM, ENV and LABEL."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from modelcrate_layers.errors import UserError

_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class BaseDockerfile:
    """The image below, and what is set on top of it."""

    image: str
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


def parse_base(text: str) -> BaseDockerfile:
    """A UserError names the first instruction that would have to be run."""
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
                    f"can't be had without an engine: {line[:80]}",
                    where=f"the base's Dockerfile:{number}",
                    hint="build this base once with an engine, and name the image: Environment.from_docker_image",
                )
    if not image:
        raise UserError("the base's Dockerfile has no FROM")
    return BaseDockerfile(image, env, labels)


def instructions(text: str) -> Iterator[tuple[int, str]]:
    """The instructions with the numbers of their lines; comments are left out, continued lines are one."""
    held, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#") or not (stripped or held):
            continue
        began = began or number
        if stripped.endswith("\\"):
            held += stripped[:-1].rstrip() + " "
            continue
        if held + stripped:
            yield began, (held + stripped).strip()
        held, began = "", 0
    if held:
        yield began, held.strip()


def pairs(rest: str, number: int) -> dict[str, str]:
    """`A=1 B="two words"`, or the old form `A one value`."""
    try:
        words = shlex.split(rest)
    except ValueError as fault:
        raise UserError(f"can't be read: {fault}", where=f"Dockerfile:{number}") from None
    if words and all("=" in word for word in words):
        return dict(word.partition("=")[::2] for word in words)
    name, _, value = rest.strip().partition(" ")
    return {name: value.strip()}
