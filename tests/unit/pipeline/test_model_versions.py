"""Versions that go together, and those that don't: one table, both sides of every rule."""

from __future__ import annotations

import pytest

from modelcrate.modelfiles.pickle.findings import StatedVersion
from modelcrate.pipeline.model_versions import RULES, family, judge, lacking, mismatches
from modelcrate_layers.errors import UserError


def found(package: str, model: str, name: str, image: str) -> list[UserError]:
    said = [StatedVersion(package, model, "m.pkl: byte 7 of the pickle")]
    return [fault for fault, _ in mismatches(said, {name: image})]


@pytest.mark.parametrize(
    ("package", "model", "name", "image"),
    [
        ("scikit-learn", "1.9.1", "scikit-learn", "1.9.0"),
        ("scikit-learn", "1.9.dev0", "scikit-learn", "1.9.2"),
        ("xgboost", "3.2.0", "xgboost", "3.2.0"),
        ("xgboost", "2.1", "xgboost-cpu", "3.0.5"),
        ("lightgbm", "4.0.0", "lightgbm", "4.7.0"),
        ("onnxruntime", "1.17.0", "onnxruntime-gpu", "1.17.0"),
        ("transformers", "4.57.1", "transformers", "5.0.0"),
        ("mlflow", "3.17.2", "mlflow-skinny", "3.18.0"),
        ("scikit-learn", "1.9.1", "numpy", "1.0"),
        ("scikit-learn", "not a version", "scikit-learn", "1.9.1"),
        ("strange", "9", "strange", "1"),
    ],
)
def test_what_goes_together(package: str, model: str, name: str, image: str) -> None:
    assert found(package, model, name, image) == []


@pytest.mark.parametrize(
    ("package", "model", "name", "image"),
    [
        ("scikit-learn", "1.9.1", "scikit-learn", "1.5.2"),
        ("scikit-learn", "1.5.2", "scikit-learn", "1.9.1"),
        ("xgboost", "3.2.0", "xgboost-cpu", "3.1.3"),
        ("lightgbm", "4.0.0", "lightgbm", "3.3.5"),
        ("onnxruntime", "1.32.0", "onnxruntime", "1.31.1"),
        ("transformers", "4.57.1", "transformers", "4.56.0"),
        ("mlflow", "3.17.2", "mlflow", "2.22.0"),
    ],
)
def test_what_does_not(package: str, model: str, name: str, image: str) -> None:
    (fault,) = found(package, model, name, image)
    assert fault.what == f"the model needs {package} {model}, and the image gets {name} {image}"
    assert fault.where == "m.pkl: byte 7 of the pickle"
    assert RULES[package].why in fault.why
    assert f"name {name}=={model}" in fault.hint
    assert f"gates: {{versions: {'allow' if RULES[package].fails else 'warn'}}}" in fault.hint


def test_every_rule_is_tested_on_both_sides() -> None:
    marks = [test.pytestmark[0].args[1] for test in (test_what_goes_together, test_what_does_not)]  # type: ignore[attr-defined]
    for rows in marks:
        assert RULES.keys() <= {row[0] for row in rows}


def test_what_the_script_can_not_do_without() -> None:
    (fault,) = lacking(("scikit-learn", "joblib"), {"joblib": "1.6.0"})
    assert fault.what == "the model needs scikit-learn, and the image doesn't get it"
    assert list(lacking(("xgboost-cpu",), {"xgboost": "3.2.0"})) == []
    assert family("xgboost-cpu") == "xgboost"


def test_a_fault_is_refused_told_or_passed_over() -> None:
    both = [*found("scikit-learn", "1.9.1", "scikit-learn", "1.5.2"), *found("xgboost", "3.2.0", "xgboost", "3.1.0")]
    with pytest.raises(UserError) as caught:
        judge("refuse", both)
    assert caught.value.faults == 2
    assert [line.partition(": the model")[0] for line in judge("warn", both)] == ["m.pkl: byte 7 of the pickle"] * 2
    assert judge("allow", both, both) == ()


def test_what_is_known_to_fail_is_refused_though_others_are_only_told() -> None:
    doubtful, certain = found("scikit-learn", "1.9.1", "scikit-learn", "1.5.2"), list(lacking(("mlflow",), {}))
    with pytest.raises(UserError, match="the model needs mlflow") as caught:
        judge("warn", doubtful, certain)
    assert caught.value.faults == 1


def test_it_is_said_where_the_index_has_no_wheel_of_the_models_version() -> None:
    said = [StatedVersion("scikit-learn", "1.2.2", "m.pkl")]
    ((fault, fails),) = mismatches(said, {"scikit-learn": "1.9.1"}, lambda line: f" (of {line} none)")
    assert not fails
    assert "scikit-learn==1.2.2 in the dependencies (of scikit-learn==1.2.2 none) and lock again" in fault.hint
