"""The pickle gate over a corpus of attacks, over honest models, and over broken files. Nothing is ever loaded: a canary proves it."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from modelcrate.modelfiles.pickle.containers import is_no_bare_pickle, pickles_in
from modelcrate.modelfiles.pickle.findings import NamedObject
from modelcrate.modelfiles.pickle.policy import Judgement, Verdict, judge
from modelcrate.modelfiles.recognition import facts_at_hand
from support.pickles import COMMAND, EVIL, MALICIOUS, calls, joblib_array, npy, stack_global, zipped
from support.waiting import processor_limit


def judged(data: bytes, name: str = "model.pkl", allow: tuple[str, ...] = ()) -> list[Judgement]:
    found = [judge(each, allow) for each in pickles_in(io.BytesIO(data), name)]
    return [each for each in found if each is not None]


def worst(data: bytes, name: str = "model.pkl", allow: tuple[str, ...] = ()) -> Verdict:
    return max((each.verdict for each in judged(data, name, allow)), key=lambda one: one.value, default=Verdict.SAFE)


@pytest.mark.parametrize("kind", MALICIOUS)
def test_every_attack_is_seen_and_none_is_run(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert worst(MALICIOUS[kind]) is Verdict.UNSAFE
    assert not os.listdir(tmp_path)


def test_what_joblib_packs_with_lz4_is_never_safe() -> None:
    block = len(EVIL) | 1 << 31  # stored as it is
    packed = b"\x04\x22\x4d\x18\x60\x40\x82" + block.to_bytes(4, "little") + EVIL + bytes(4)
    assert worst(packed, "model.joblib") is Verdict.UNKNOWN
    assert worst(packed, "weights") is Verdict.UNKNOWN


def test_the_corpus_would_run_if_it_were_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(EVIL)
    assert (tmp_path / COMMAND.split()[1].decode()).exists()
    assert len(MALICIOUS) >= 60


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_safe(protocol: int) -> None:
    value = {
        "a": [1, 2.5, None, True, b"x", "y" * 5000, 1 << 90], "b": {1, 2}, "c": frozenset((3,)), "d": (1, 2, 3, 4),
        "e": collections.OrderedDict(a=1), "f": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "g": decimal.Decimal(1),
        "h": bytearray(b"q"), "i": complex(1, 2), "j": collections.deque([1]), "k": array.array("d", [1.0]), "l": range(3),
    }  # fmt: skip
    (found,) = judged(pickle.dumps(value, protocol))
    assert found.verdict is Verdict.SAFE, found.because
    assert found.because == ()


def test_an_unknown_class_is_unknown_until_the_project_allows_it() -> None:
    data = calls("my_company.models", "Churn")
    assert [each.because for each in judged(data)] == [("my_company.models.Churn",)]
    assert worst(data) is Verdict.UNKNOWN
    assert worst(data, allow=("my_company",)) is Verdict.SAFE
    assert worst(data, allow=("my_company.models:Churn",)) is Verdict.SAFE
    assert worst(data, allow=("my_company.models:Other", "my_comp")) is Verdict.UNKNOWN


def test_an_allowed_module_does_not_open_the_way_through_its_attributes() -> None:
    assert worst(stack_global("my_company", "os.system"), allow=("my_company",)) is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("module", "name", "verdict"),
    [
        ("sklearn.linear_model._base", "LinearRegression", Verdict.SAFE),
        ("sklearn.tree._tree", "Tree", Verdict.SAFE),
        ("sklearn.utils._testing", "TempMemmap", Verdict.UNSAFE),
        ("sklearn.datasets._base", "Anything", Verdict.UNSAFE),
        ("sklearn.utils", "some_function", Verdict.UNKNOWN),
        ("xgboost.core", "Booster", Verdict.SAFE),
        ("torch.nn.modules.linear", "Linear", Verdict.SAFE),
        ("torch._utils", "_rebuild_tensor_v2", Verdict.SAFE),
        ("torch", "load", Verdict.UNSAFE),
        ("numpy", "load", Verdict.UNSAFE),
        ("numpy.core.multiarray", "_reconstruct", Verdict.SAFE),
        ("builtins", "getattr", Verdict.UNSAFE),
        ("builtins", "set", Verdict.SAFE),
        ("antigravity", "x", Verdict.UNSAFE),
    ],
)
def test_the_lists(module: str, name: str, verdict: Verdict) -> None:
    assert worst(calls(module, name)) is verdict


def test_a_pickle_of_scikit_learn_may_not_name_torch() -> None:
    both = b"(" + calls("sklearn.svm._classes", "SVC")[:-1] + calls("torch._utils", "_rebuild_tensor_v2")[:-1] + b"t."
    (found,) = judged(both)
    assert found.framework == "torch"
    assert found.because == ("sklearn.svm._classes.SVC",)


def test_a_cut_pickle_is_never_safe() -> None:
    data = pickle.dumps({"a": list(range(100)), "b": collections.OrderedDict(x=1)})
    assert [worst(data[:end]) for end in range(2, len(data))] == [Verdict.UNKNOWN] * (len(data) - 2)


def test_joblib_arrays_are_passed_over() -> None:
    data = joblib_array("u1", 20, b"\x00" * 20)
    (found,) = judged(data)
    assert found.verdict is Verdict.SAFE
    assert NamedObject("joblib.numpy_pickle", "NumpyArrayWrapper") in found.names


def test_plain_arrays_of_numbers_have_no_pickle() -> None:
    assert judged(npy(b"\0" * 8).replace(b"|O", b"f8"), "x.npy") == []


def test_what_only_looks_like_a_pickle_is_left_alone() -> None:
    for text in (
        b"cat\ndog\nmouse\n",
        b"import os\nos.system('x')\n",
        b"(this is text).",
        b"not a model.",
        b"{}",
        b"I1\n.",
    ):
        assert judged(text, "vocabulary.txt") == []
    assert worst(calls("os", "system"), "vocabulary.txt") is Verdict.UNSAFE


def test_a_bomb_ends() -> None:
    bomb = zipped({"x": zipped({"y": b"\x80\x02" + b"]" * (50 << 20)}, zipfile.ZIP_DEFLATED)}, zipfile.ZIP_DEFLATED)
    (found,) = judged(bomb, "model.zip")
    assert "holds more than" in " ".join(found.because)


def test_nesting_ends() -> None:
    data = EVIL
    for _ in range(12):
        data = zipped({"x": data})
    assert worst(data) is Verdict.UNKNOWN
    assert "wrapped" in " ".join(judged(data)[0].because)


def test_python_2_names_are_todays() -> None:
    (found,) = judged(calls("copy_reg", "_reconstructor"))
    assert found.verdict is Verdict.SAFE
    assert found.names == (NamedObject("copyreg", "_reconstructor"),)


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n" + b"a" * (1 << 22), b"!"])
def test_a_long_line_that_begins_as_a_pickle_is_read_once(tail: bytes) -> None:
    """An expression that goes back for every byte of it takes hours; read once, it takes a fraction of a second of processor time."""
    data = b"c" + b"a" * (1 << 22) + tail
    with processor_limit(20):
        assert is_no_bare_pickle(data) == (tail == b"!")
        assert facts_at_hand(data, "m").pickles == ()
