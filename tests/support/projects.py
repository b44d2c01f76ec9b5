"""Projects for property tests, and YAML as an editor's JSON schema check sees it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import yaml
from hypothesis import strategies as st

from modelcrate.project import values
from modelcrate.project.grammar import CONTRACTS
from modelcrate_layers.content import Platform

_words = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_part = st.text(
    st.characters(exclude_categories=["Cs", "C", "Z"], exclude_characters="/"), min_size=1, max_size=8
).filter(lambda part: part not in {".", ".."})
_inside = st.lists(_part, min_size=1, max_size=3).map(lambda parts: Path(*parts))
_anywhere = st.one_of(_inside, _inside.map(lambda path: Path("/") / path), _inside.map(lambda path: Path("..") / path))
_scripts = st.builds(lambda folder, stem: folder / f"{stem}.py", _inside, _words)
_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)
_urls = _words.map(lambda word: f"https://{word}.example/simple/")
_interpreters = st.none() | _words.map(lambda word: PurePosixPath("/usr/bin") / word)
_codecs = st.sampled_from(["auto", "fast", "small", "auto-gzip", "gzip", "stored", "zstd", "none"])
_packages = st.lists(st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,8}", fullmatch=True), max_size=3).map(tuple)
_requirements = st.lists(
    st.sampled_from(["numpy", "scikit-learn==1.9.1", 'pandas>=2; python_version < "3.12"', "1"]), min_size=1, max_size=3
).map(tuple)
_names = st.from_regex(r"[a-z0-9]{1,9}([._-]{1,2}[a-z0-9]{1,5}){0,2}", fullmatch=True)
_model_names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
_labels = st.text(st.characters(exclude_categories=["Cs", "C", "Z"]), min_size=1, max_size=12)
_not_debian = st.one_of(
    st.builds(
        values.RegistryBase,
        st.sampled_from(["python:3.11", "registry.example:5000/a/b@sha256:" + "0" * 64]),
        _interpreters,
    ),
    st.builds(values.LayoutBase, _anywhere, _tags, _interpreters),
    st.builds(values.LayoutBase, _anywhere, st.none(), _interpreters),
    st.builds(values.OciArchiveBase, _anywhere, st.none() | _tags, _interpreters),
    st.builds(
        values.DockerArchiveBase, _anywhere, st.sampled_from([None, "x", "docker.io/library/x:1"]), _interpreters
    ),
    st.builds(values.RootfsBase, _anywhere, _interpreters),
    st.builds(values.ScratchBase, _interpreters),
)
_debian = st.builds(
    values.DebianBase,
    st.sampled_from([None, "bookworm", "trixie"]),
    st.none() | _urls,
    _packages,
    _interpreters,
    st.booleans(),
)
_conda = st.builds(
    values.Conda,
    st.lists(st.sampled_from(["numpy=1.26", "pkg >=1,<2", "conda-forge::x[build='*_0']"]), min_size=1, max_size=2).map(
        tuple
    ),
    st.lists(st.sampled_from(["conda-forge", "./channel", "https://mirror.example/x"]), max_size=2).map(tuple),
)
_dependencies = st.builds(
    values.Dependencies,
    st.just(()) | _requirements | _inside,
    st.none(),
    st.none() | _anywhere,
    st.none() | _urls,
    st.lists(_urls, max_size=2).map(tuple),
    st.none() | _conda,
) | st.builds(values.Dependencies, st.just(()), _inside | st.just(Path("pylock.toml")), st.none() | _anywhere)
_models = st.lists(
    st.builds(values.Model, _inside, _model_names, st.integers(1, 999_999_999))
    | st.builds(values.RegisteredModel, _model_names, st.none() | st.integers(1, 999_999_999))
    | st.builds(
        values.HubModel,
        st.sampled_from(["gpt2", "acme/tiny-bert", "acme/Model.v1_2"]),
        _model_names,
        st.none() | st.sampled_from(["main", "refs/pr/1", "0" * 40, "1e5"]),
        st.lists(st.sampled_from(["*.json", "onnx/", "a b*"]), max_size=2).map(tuple),
        st.integers(1, 999_999_999),
    ),
    max_size=3,
    unique_by=lambda model: (model.name, model.version),
).map(tuple)
_entries = st.builds(values.Entry, _scripts, st.none() | _inside | st.just(Path()))


def projects() -> st.SearchStrategy[values.Project]:
    """Any project that a file can say."""
    return st.one_of(
        _projects(_debian, st.sampled_from([(p,) for p in values.DEBIAN_PLATFORMS] + [values.DEBIAN_PLATFORMS])),
        _projects(_not_debian, st.sampled_from([(Platform("linux", "arm", "v7"),), (values.DEFAULT_PLATFORM,)])),
    )


def _projects(bases: st.SearchStrategy[Any], platforms: st.SearchStrategy[Any]) -> st.SearchStrategy[values.Project]:
    return st.builds(
        values.Project,
        name=_names,
        entry=_entries,
        models=_models,
        python=st.none() | st.sampled_from(["3.9", "3.10", "3.14"]),
        platforms=platforms,
        base=bases,
        dependencies=_dependencies,
        env=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), _texts, max_size=4),
        labels=st.dictionaries(_labels, _texts, max_size=4),
        user=st.sampled_from(["10001:0", "0", "app:users", "4294967294:1"]),
        gates=st.builds(
            values.Gates,
            st.sampled_from(["refuse", "warn", "allow"]),
            st.sampled_from(["refuse", "warn", "allow"]),
            st.lists(st.sampled_from(["my_package", "a.b.c", "a.b:Name"]), max_size=2, unique=True).map(tuple),
            st.lists(st.just(Path("keys/model.pub")), max_size=1).map(tuple),
        ),
        codecs=st.builds(values.Codecs, _codecs, *[st.none() | _codecs] * 4),
        contracts=st.lists(st.sampled_from(CONTRACTS), min_size=1, max_size=3, unique=True).map(tuple),
        max_size=st.none() | st.integers(1, 10**12),
        workspace=st.sampled_from(["workspace", "registry.example:5000/team/ws"]),
        created=st.none()
        | st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)).map(
            lambda moment: moment.replace(microsecond=0)
        ),
    )


class CoreLoader(yaml.SafeLoader):
    """YAML as editors read it: 1.2's core schema, so JSON's types and nothing else."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    CoreLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


def as_editors_read(text: str) -> Any:
    """The document as plain JSON values."""
    return _with_text_keys(yaml.load(text, Loader=CoreLoader))


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return value
