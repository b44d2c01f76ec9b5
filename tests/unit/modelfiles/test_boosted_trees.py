"""XGBoost's and LightGBM's files, as those libraries wrote them (fixtures/models), whole and broken; versions in pickles."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from modelcrate.modelfiles.facts import ModelFacts
from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate.modelfiles.recognition import facts_of

MODELS = Path(__file__).parents[3] / "fixtures" / "models"


def read(data: bytes, name: str = "model.bin") -> ModelFacts:
    return facts_of(io.BytesIO(data), name, len(data))


def fixture(name: str) -> bytes:
    return (MODELS / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("boosted.json", {"encoding": "json", "version": "3.2.0", "features": 10, "objective": "reg:squarederror"}),
        ("boosted.ubj", {"encoding": "ubj", "version": "3.2.0", "features": 10, "objective": "reg:squarederror"}),
        ("boosted.deprecated", {"encoding": "binary", "version": "2.1", "features": 10}),
    ],
)
def test_xgboost_says_its_version_features_and_objective(name: str, facts: dict[str, object]) -> None:
    assert read(fixture(name)) == ModelFacts("xgboost", facts)


@pytest.mark.parametrize("name", ["boosted.json", "boosted.ubj"])
def test_an_xgboost_file_without_its_last_byte_is_cut_short(name: str) -> None:
    for cut in (1, 5, 40, len(fixture(name)) // 2):
        found = read(fixture(name)[:-cut])
        assert found.format == "xgboost"
        assert "is cut short" in found.fault


def test_xgboost_files_that_lie_are_told() -> None:
    assert "is cut short" in read(fixture("boosted.deprecated")[:20]).fault
    assert "can't be" in read(fixture("boosted.deprecated")[:24] + b"\xff" * 200).fault
    tail = fixture("boosted.ubj")
    assert "is cut short" in read(tail[:-1] + b"i\x01}").fault, "four numbers"
    assert (
        "is cut short"
        in read(tail.replace(b"version[#L\0\0\0\0\0\0\0\3", b"version[#L\xff\xff\xff\xff\xff\xff\xff\xff")).fault
    )
    assert "is cut short" in read(b'{"learner"' + b"[" * 100_000).fault


def test_lightgbm_says_its_format_features_and_trees() -> None:
    told = {"version": "v4", "features": 10, "classes": 1, "objective": "regression", "trees": 3}
    assert read(fixture("leaves.txt")) == ModelFacts("lightgbm", told)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (fixture("leaves.txt")[:200], "its header has no end"),
        (fixture("leaves.txt")[:1500], "is cut short: its 3 trees have"),
        (b"tree\nversion=v9x\n\n", "has a version that is none: 'v9x'"),
        (b"tree\nversion=v4\ntree_sizes=1 two\n\n", "has something else where numbers should be"),
        (b"tree\nversion=v4\ntree_sizes=" + b"9" * 400 + b"\n\n", "has something else where numbers should be"),
        pytest.param(
            b"tree\nversion=v4\n" + b"a=1\n" * (5 << 20), "has a header of more than", marks=pytest.mark.no_cover
        ),
    ],
)
def test_a_lightgbm_file_that_is_broken_says_how(data: bytes, fault: str) -> None:
    assert fault in read(data).fault


def test_a_pickle_tells_the_version_that_made_it_and_where() -> None:
    found = read(fixture("pipeline.joblib"), "pipeline.joblib")
    assert found.versions == (StatedVersion("scikit-learn", "1.9.1", "byte 1189 of the pickle"),)
    assert found.facts["versions"] == {"scikit-learn": "1.9.1"}
    assert [each.features for each in found.pickles] == [10]


@pytest.mark.parametrize("protocol", range(6))
def test_versions_are_seen_in_every_protocol_and_in_large_states(protocol: int) -> None:
    state = {f"part_{at}_": at for at in range(40)} | {"_sklearn_version": "1.5.2", "n_features_in_": 3}
    found = read(pickle.dumps([state, {"n_features_in_": 3}], protocol), "m.pkl")
    assert [(each.package, each.version) for each in found.versions] == [("scikit-learn", "1.5.2")]
    assert [each.features for each in found.pickles] == [3]


def test_features_that_disagree_are_not_told_and_odd_versions_are_no_versions() -> None:
    found = read(pickle.dumps([{"n_features_in_": 3}, {"n_features_in_": 4}, {"_sklearn_version": 15}]), "m.pkl")
    assert found.versions == ()
    assert [each.features for each in found.pickles] == [0]
