"""Image configs of others are held to their types, and configs of ours keep what a base has."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.images.image_config import EPOCH, RunSpec, check_config, environment, make_config
from modelcrate_layers.content import Digest, Platform, canonical_json
from modelcrate_layers.errors import IntegrityError

WRONG: list[tuple[str, Any]] = [
    ("Env", "PATH=/bin"),
    ("Env", {"PATH": "/bin"}),
    ("Env", ["A=1", 5]),
    ("Cmd", "sh"),
    ("Cmd", [["sh"]]),
    ("Entrypoint", {"0": "sh"}),
    ("ExposedPorts", ["80/tcp"]),
    ("ExposedPorts", {"80/tcp": "yes"}),
    ("ExposedPorts", 80),
    ("Labels", ["a=b"]),
    ("Labels", {"a": 1}),
    ("Volumes", ["/data"]),
    ("Volumes", "/data"),
    ("User", 1000),
    ("WorkingDir", ["/"]),
    ("StopSignal", 15),
    ("Shell", "sh"),
    ("Healthcheck", "curl"),
    ("StopTimeout", True),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=json.dumps)
def test_a_wrong_type_is_one_refusal_that_names_it(name: str, value: Any) -> None:
    with pytest.raises(IntegrityError, match="wrong type") as caught:
        check_config({"config": {name: value}}, "the base")
    assert f"config.{name} has to be " in caught.value.why
    assert caught.value.where == "the base"


@pytest.mark.parametrize(
    ("name", "value"),
    [("config", []), ("history", {}), ("history", ["RUN"]), ("history", [{"created_by": 5}]), ("os", 1),
     ("architecture", ["amd64"]), ("rootfs", []), ("created", 0), ("os.features", "x")],
)  # fmt: skip
def test_members_beside_the_settings_are_held_to_their_types(name: str, value: Any) -> None:
    with pytest.raises(IntegrityError) as caught:
        check_config({name: value}, "the base")
    assert caught.value.why.startswith(f"{name} has to be ")


def test_all_wrong_members_are_named_at_once() -> None:
    with pytest.raises(IntegrityError) as caught:
        check_config({"os": 1, "config": dict(WRONG)}, "the base")
    assert len(caught.value.why.splitlines()) == 1 + len(dict(WRONG))


def test_null_is_absent_and_unknown_members_are_free() -> None:
    nothing = {name: None for name, _ in WRONG}
    base = {"history": None, "author": None, "x": 1, "config": {**nothing, "Domainname": [1]}}
    check_config(base, "")
    check_config({"config": None}, "")
    made = make_config(Platform("linux", "amd64"), base, [], [], RunSpec(), EPOCH)
    assert made["config"] == {"Domainname": [1]}
    assert made["x"] == 1
    assert "author" not in made


def test_the_environment_has_names() -> None:
    assert environment({"config": {"Env": ["A=1=2", "B", "=x", ""]}}) == {"A": "1=2", "B": ""}
    assert environment({}) == environment({"config": None}) == {}


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_history_of_the_base_is_kept_where_it_counts_its_layers(steps: int) -> None:
    history = [{"created_by": "a"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "b"}]
    ids = [Digest.of(bytes([n])) for n in range(steps + 1)]
    made = make_config(Platform("linux", "amd64"), {"history": history}, ids, ["ours"], RunSpec(), EPOCH)
    lines = [each["created_by"] for each in made["history"]]
    assert lines == (["a", "ENV", "b"] if steps == 2 else ["base"] * steps) + ["ours"]


_NAMES = st.sampled_from(
    [*dict(WRONG), "history", "os", "architecture", "created", "author", "variant", "OnBuild", "x"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.sampled_from(["A=1", "80/tcp"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "created_by", "80"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_OBJECTS = st.dictionaries(_NAMES, _VALUES, max_size=4)


@given(_OBJECTS, st.none() | _OBJECTS | _VALUES)
def test_whatever_passes_becomes_a_config_that_passes(base: dict[str, Any], settings: Any) -> None:
    base = {**base, "config": settings}
    try:
        check_config(base, "")
    except IntegrityError:
        return
    run = RunSpec(("run",), {"B": "2"}, (80,), "1:0", "/", {"l": "m"}, "SIGTERM")
    made = make_config(Platform("linux", "amd64"), base, [Digest.of(b"")], ["ours"], run, EPOCH)
    canonical_json(made)
    check_config(made, "")
    assert environment(made)["B"] == "2"
    assert None not in made["config"].values()
