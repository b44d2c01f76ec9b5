"""The packages of a bentofile: of its parts `python` and `conda`, and BentoML itself."""

from __future__ import annotations

from pathlib import Path

from modelcrate.importers.keys import Keys
from modelcrate.importers.project_parts import MAX_PATH, inside
from modelcrate.importers.requirement_lines import Needs, make_needs
from modelcrate.importers.secrecy import holds_secret
from modelcrate.net.urls import is_address
from modelcrate.project.conda import parse_conda, read_conda
from modelcrate.project.values import Conda, Dependencies
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import replace
from modelcrate_layers.named_file import read_source
from modelcrate_layers.patterns import compile_later

_NO_LOGIN = "a project file has no passwords: name the index in uv's or pip's own settings"
_SPEC = compile_later(r"([A-Za-z0-9._/-]+::)?[A-Za-z0-9_][A-Za-z0-9._-]*([ =<>!~\[].{0,200})?")
"""A package of conda, as a project file takes it."""


def take_needs(keys: Keys, python: Keys) -> tuple[Needs, str | None]:
    """Returns the packages with BentoML itself, and the Python that conda's part names.

    Args:
        keys: The keys of the bentofile.
        python: Those of its part `python`.
    """
    reading = keys.reading
    named, lines = python.text("requirements_txt"), python.texts("packages")
    file = inside(python, named) if named else None
    conda, of_conda, more = _conda(keys)
    needs = make_needs(reading, file, lines if file is None else (), ("bentoml", *more))
    if "bentoml" in needs.added:
        reading.notices.append(
            "the newest BentoML that fits is taken; name the version that the service was written for in the requirements"
        )
    python.take("requirements_txt", f"dependencies: {needs.dependencies.requirements}")
    if file is not None:
        python.leave("packages", "BentoML passes over it beside requirements_txt")
    python.take("packages", "dependencies")
    found = _indexes(python, replace(needs.dependencies, conda=conda))
    python.leave_all(
        {
            "lock_packages": "modelcrate lock pins the packages, and build --locked takes no others",
            "pack_git_packages": "an image takes wheels: pip wheel --no-deps -w wheels git+URL, and dependencies: {wheelhouse: wheels}",
            "trusted_host": "certificates are always checked; one's own are in SSL_CERT_FILE",
            "pip_args": "pip does not run; what it is told belongs into the requirements file",
            "wheels": "name their folder, and the packages by name: dependencies: {wheelhouse: FOLDER}",
        }
    )
    return replace(needs, dependencies=found), of_conda


def _indexes(python: Keys, needs: Dependencies) -> Dependencies:
    """Returns the dependencies with the places that packages come from."""
    index, more = python.text("index_url"), python.texts("extra_index_url")
    if python.flag("no_index"):
        python.leave("index_url", "no_index says that there is none")
        python.leave("extra_index_url", "no_index says that there is none")
        index, more = "", ()
    python.take("no_index", "a wheelhouse alone is searched without an index")
    good = [each for each in more if _is_index(each)]
    if index and _is_index(index):
        needs = replace(needs, index_url=index)
        python.take("index_url", "dependencies: index-url")
    python.leave("index_url", _NO_LOGIN)
    if good:
        for number, each in enumerate(more):
            if each not in good:
                python.reading.leave(f"{python.above}extra_index_url[{number}]", each, _NO_LOGIN)
        needs = replace(needs, extra_index_urls=tuple(good))
        python.take("extra_index_url", f"dependencies: extra-index-url: {len(good)}")
    python.leave("extra_index_url", _NO_LOGIN)
    links = python.texts("find_links")
    local = [each for each in links if "://" not in each and not each.startswith("-")]
    if len(links) == 1 and local and len(local[0]) <= MAX_PATH:
        needs = replace(needs, wheelhouse=Path(local[0]))
        python.take("find_links", "dependencies: wheelhouse")
    python.leave("find_links", "write it into the requirements file: --find-links PLACE")
    return needs


def _is_index(text: str) -> bool:
    """Returns whether a text is the address of an index, without a login and without a query, which may have a secret."""
    return is_address(text) and "@" not in text.split("/")[2] and "?" not in text and not holds_secret(text)


def _conda(keys: Keys) -> tuple[Conda | None, str | None, tuple[str, ...]]:
    """Returns the packages of conda, the Python that they name, and the lines of the pip section."""
    conda = keys.mapping("conda")
    if conda is None:
        return None, None, ()
    named = conda.text("environment_yml")
    channels, packages, pip = conda.texts("channels"), conda.value("dependencies"), conda.texts("pip")
    document = {"channels": list(channels), "dependencies": packages or []}
    if pip and isinstance(packages, list | None):
        document["dependencies"] = [*(packages or []), {"pip": list(pip)}]
    try:
        path = inside(conda, named) if named else None
        where = keys.reading.file.parent / path if path is not None else keys.reading.file
        found = parse_conda(read_source(where), str(where)) if path is not None else read_conda(document, str(where))
    except CrateError as fault:
        keys.reading.missing.append(fault.sentence)
        found = read_conda({"dependencies": []}, "")
    conda.take("environment_yml", "dependencies: conda")
    for key in ("channels", "dependencies", "pip"):
        if named:
            conda.leave(key, "BentoML passes over it beside environment_yml")
        conda.take(key, "dependencies")
    keys.reading.notices += [f"conda: {each}" for each in found.unread]
    good = tuple(each for each in found.packages if _SPEC.fullmatch(each))
    for each in found.packages:
        if each not in good:
            keys.reading.leave("conda.dependencies", each, "it is no package of conda")
    made = Conda(good, found.channels) if good else None
    return made, found.python, tuple(line for line in found.pip if not line.startswith("-"))
