"""The pickle gate over a corpus of attacks, over honest models, and over broken files. Nothing is ever loaded: a canary proves it."""

from __future__ import annotations

import array
import bz2
import collections
import datetime
import decimal
import gzip
import io
import lzma
import os
import pickle
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest
import zstandard

from modelcrate.modelfiles.beginnings import may_begin_pickles
from modelcrate.modelfiles.byte_reader import ByteReader
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import containers, interpreter, names
from modelcrate.modelfiles.pickle.containers import contents_of
from modelcrate.modelfiles.pickle.contents import Found
from modelcrate.modelfiles.pickle.findings import NamedObject
from modelcrate.modelfiles.pickle.policy import Judgement, judge
from modelcrate.modelfiles.recognition import facts_at_hand
from modelcrate.resolve.standard_library import NEWEST, OLDEST, standard_library
from support.pickles import (
    BEHIND,
    COMMAND,
    EVIL,
    MALICIOUS,
    calls,
    joblib_array,
    made,
    npy,
    safetensors_and_pickle,
    short,
    stack_global,
    tarred,
    zipped,
)
from support.waiting import processor_limit


def judged(data: bytes, name: str = "model.pkl", allow: tuple[str, ...] = ()) -> list[Judgement]:
    found = [judge(each, allow) for each in contents_of(io.BytesIO(data), name) if isinstance(each, Found)]
    return [each for each in found if each is not None]


def worst(data: bytes, name: str = "model.pkl", allow: tuple[str, ...] = ()) -> Verdict:
    return max((each.verdict for each in judged(data, name, allow)), key=lambda one: one.value, default=Verdict.SAFE)


@pytest.mark.parametrize("kind", MALICIOUS)
def test_every_attack_is_seen_and_none_is_run(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert worst(MALICIOUS[kind]) is Verdict.UNSAFE
    assert not os.listdir(tmp_path)


def stored_lz4(data: bytes) -> bytes:
    """A frame of lz4 whose one block is stored as it is."""
    return b"\x04\x22\x4d\x18\x60\x40\x82" + (len(data) | 1 << 31).to_bytes(4, "little") + data + bytes(4)


def test_what_joblib_packs_with_lz4_is_read_where_its_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pytest.importorskip("lz4.frame")
    plain = pickle.dumps({"a": list(range(99))})
    assert worst(frame.compress(plain), "model.joblib") is worst(stored_lz4(plain), "weights") is Verdict.SAFE
    assert worst(frame.compress(plain[:9]) + frame.compress(plain[9:]), "model.joblib") is Verdict.SAFE
    assert worst(frame.compress(bytes(1 << 23)) + frame.compress(EVIL)) is Verdict.UNKNOWN
    for name in ("model.joblib", "weights"):
        assert worst(frame.compress(EVIL), name) is worst(stored_lz4(EVIL), name) is Verdict.UNSAFE
        for damaged in (frame.compress(plain)[:-6], frame.compress(plain) + b"behind", b"\x04\x22\x4d\x18" + bytes(20)):
            assert worst(damaged, name) is Verdict.UNKNOWN
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    (found,) = judged(stored_lz4(EVIL), "weights")
    assert found.unread
    assert "pip install 'modelcrate[lz4]'" in found.because[0]


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
    data = made("my_company.models", "Churn")
    assert [(each.because, each.unlisted) for each in judged(data)] == [
        (("my_company.models.Churn",), ("my_company.models",))
    ]
    assert worst(data) is Verdict.UNKNOWN
    assert worst(data, allow=("my_company",)) is Verdict.SAFE
    assert worst(data, allow=("my_company.models:Churn",)) is Verdict.SAFE
    assert worst(data, allow=("my_company.models:Other", "my_comp")) is Verdict.UNKNOWN


def test_an_unknown_name_that_is_called_acts() -> None:
    """Whatever an unknown package has is run with arguments of the file's author."""
    data = calls("my_company.models", "Churn")
    assert worst(data) is Verdict.UNSAFE
    assert worst(data, allow=("my_company.models:Churn",)) is Verdict.SAFE
    handed_over = b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(cmy_company\nrun\nN)NtR."
    assert worst(handed_over) is Verdict.UNSAFE
    kept = b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n%b)}tR."
    assert worst(kept % b"ctorch\nTensor\n") is Verdict.SAFE  # a tensor with an attribute, and torch.nn.Buffer
    assert worst(kept % b"cmy_company\nTensor\n") is Verdict.UNKNOWN
    assert worst(kept % b"cos\nsystem\n") is Verdict.UNSAFE
    twice = b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nTensor\nq\0h\0)}tR."
    assert worst(twice) is Verdict.UNSAFE


def test_an_allowed_module_does_not_open_the_way_through_its_attributes() -> None:
    assert worst(stack_global("my_company", "os.system"), allow=("my_company",)) is Verdict.UNSAFE


@pytest.mark.parametrize(
    ("module", "name", "when_made", "when_called"),
    [
        ("sklearn.linear_model._base", "LinearRegression", "SAFE", "UNSAFE"),
        ("sklearn.tree._tree", "Tree", "SAFE", "SAFE"),
        ("sklearn.utils._testing", "TempMemmap", "UNSAFE", "UNSAFE"),
        ("sklearn.datasets._base", "Anything", "UNSAFE", "UNSAFE"),
        ("sklearn.utils", "some_function", "UNSAFE", "UNSAFE"),
        ("sklearn.linear_model", "Thread", "UNKNOWN", "UNSAFE"),
        ("sklearn.of_tomorrow", "Estimator", "UNKNOWN", "UNSAFE"),
        ("sklearn.callback._scoring_monitor", "ScoringMonitor", "UNSAFE", "UNSAFE"),
        ("xgboost.core", "Booster", "SAFE", "UNSAFE"),
        ("torch.nn.modules.linear", "Linear", "SAFE", "UNSAFE"),
        ("torch._utils", "_rebuild_tensor_v2", "SAFE", "SAFE"),
        ("torch._utils", "_rebuild_nested_tensor", "SAFE", "SAFE"),
        ("torch.nested._internal.nested_tensor", "NestedTensor", "SAFE", "UNSAFE"),
        ("torch", "load", "UNSAFE", "UNSAFE"),
        ("torch.jit", "ScriptModule", "UNSAFE", "UNSAFE"),
        ("torch.jit._pickle", "build_intlist", "SAFE", "SAFE"),
        ("torch._inductor.codecache", "PyCodeCache", "UNSAFE", "UNSAFE"),
        ("torch._dynamo.guards", "GuardBuilder", "UNSAFE", "UNSAFE"),
        ("scipy.stats._continuous_distns", "uniform_gen", "UNSAFE", "UNSAFE"),
        ("pandas.core.computation.expr", "Expr", "UNSAFE", "UNSAFE"),
        ("statsmodels.base.data", "PandasData", "SAFE", "UNSAFE"),
        ("statsmodels.base.data", "PatsyData", "UNSAFE", "UNSAFE"),
        ("statsmodels.regression.linear_model", "OLS", "SAFE", "UNSAFE"),
        ("statsmodels.distributions.discrete", "genpoisson_p_gen", "UNSAFE", "UNSAFE"),
        ("statsmodels.formula.api", "ols", "UNSAFE", "UNSAFE"),
        ("transformers.training_args", "TrainingArguments", "SAFE", "UNSAFE"),
        ("transformers.trainer_utils", "IntervalStrategy", "SAFE", "SAFE"),
        ("transformers.pipelines", "pipeline", "UNKNOWN", "UNSAFE"),
        ("numpy", "load", "UNSAFE", "UNSAFE"),
        ("numpy", "memmap", "UNSAFE", "UNSAFE"),
        ("joblib.externals.loky.process_executor", "Thread", "UNSAFE", "UNSAFE"),
        ("torch.multiprocessing", "Listener", "UNSAFE", "UNSAFE"),
        ("pandas.core.api", "ModuleType", "UNKNOWN", "UNSAFE"),
        ("numpy.core.multiarray", "_reconstruct", "SAFE", "SAFE"),
        ("joblib.numpy_pickle", "NDArrayWrapper", "UNSAFE", "UNSAFE"),
        ("xgboost.callback", "EarlyStopping", "SAFE", "UNSAFE"),
        ("torch.torch_version", "TorchVersion", "SAFE", "UNSAFE"),
        ("torch.ao.nn.quantized.dynamic.modules.linear", "Linear", "SAFE", "UNSAFE"),
        ("scipy.sparse.csr", "csr_matrix", "SAFE", "UNSAFE"),
        ("pandas.tseries.offsets", "MonthEnd", "SAFE", "UNSAFE"),
        ("pandas._libs.tslibs.offsets", "BusinessDay", "SAFE", "SAFE"),
        ("statsmodels.tsa.statespace._representation", "dStatespace", "UNKNOWN", "UNKNOWN"),
        ("pyarrow.lib", "_restore_array", "UNKNOWN", "UNKNOWN"),
        ("pyarrow.lib", "foreign_buffer", "UNKNOWN", "UNSAFE"),
        ("functools", "partial", "UNSAFE", "UNSAFE"),
        ("builtins", "getattr", "UNSAFE", "UNSAFE"),
        ("builtins", "set", "SAFE", "SAFE"),
        ("antigravity", "x", "UNSAFE", "UNSAFE"),
        ("_pyrepl.pager", "pipe_pager", "UNSAFE", "UNSAFE"),
        ("_interpreters", "run_string", "UNSAFE", "UNSAFE"),
        ("imp", "load_source", "UNSAFE", "UNSAFE"),
        ("compression.zstd", "ZstdFile", "UNSAFE", "UNSAFE"),
        ("psutil", "Popen", "UNSAFE", "UNSAFE"),
    ],
)
def test_the_list(module: str, name: str, when_made: str, when_called: str) -> None:
    assert worst(made(module, name)).name == when_made
    assert worst(calls(module, name)).name == when_called


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "hash"),
        ("numpy", "int8"),
        ("sklearn.metrics._classification", "f1_score"),
        ("sklearn.feature_selection._univariate_selection", "f_regression"),
        ("torch.nn.functional", "relu"),
    ],
)
def test_functions_that_models_keep_may_be_named(module: str, name: str) -> None:
    assert worst(b"\x80\x02}X\1\0\0\0fc%b\n%b\ns." % (module.encode(), name.encode())) is Verdict.SAFE


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def old_array(name: str, end: bytes = b"ub", new: bytes = b")\x81") -> bytes:
    """An array in a file of its own, as joblib wrote it before 0.10."""
    state = text("subclass") + b"cnumpy\nndarray\n" + text("filename") + text(name) + text("allow_mmap") + b"\x88"
    return b"\x80\x02]cjoblib.numpy_pickle\nNDArrayWrapper\n" + new + b"}(" + state + end + b"a."


def test_arrays_in_files_beside_a_pickle_of_old() -> None:
    honest = old_array("m.pkl_01.npy")
    assert worst(honest) is Verdict.SAFE
    for at in ("/etc/x.npy", "../x.npy", "a\\x.npy"):
        assert worst(old_array(at)) is Verdict.UNSAFE
    twice = b"ub0h\1}" + text("filename") + text("/x") + b"sb"
    assert worst(old_array("a.npy", twice, b")\x81q\1")) is Verdict.UNSAFE
    assert (
        worst(old_array("a.npy", new=b"c__builtin__\nobject\nN\x87c_\n_\n0ccopy_reg\n_reconstructor\n0R"))
        is Verdict.UNSAFE
    )
    for header in (b"ZF0x%-17x", b"ZF0x%-18x", b"ZF%-19X", b"ZF +0_%-15x"):
        assert worst(header % len(honest) + zlib.compress(honest), "m") is Verdict.SAFE
        assert worst(header % len(EVIL) + zlib.compress(EVIL), "weights") is Verdict.UNSAFE
    assert worst(b"ZF0x%-17x" % 9 + zlib.compress(honest) + b"behind", "m") is Verdict.UNKNOWN


GETATTR = b"c__builtin__\ngetattr\n"
PARTIAL = b"cfunctools\npartial\n"
CHECKS = b"csklearn.utils.validation\ncheck_array\n"
ZONE = b"czoneinfo\nZoneInfo\n"
UNPICKLE = GETATTR + b"(" + ZONE + text("_unpickle") + b"tR"
KEEPS = PARTIAL + CHECKS + b"\x85R(" + CHECKS + b")}Ntb"


@pytest.mark.parametrize("data", [
    UNPICKLE + b"(" + text("Europe/Paris") + b"\x88tR.",
    KEEPS + b".",
    KEEPS + b"K\1\x85R.",  # pandas 1.3 calls it
    UNPICKLE + b"0" + UNPICKLE + b".",
])  # fmt: skip
def test_attributes_and_functions_that_are_kept_count_as_what_they_are(data: bytes) -> None:
    assert worst(b"\x80\x02" + data) is Verdict.SAFE


@pytest.mark.parametrize("data", [
    GETATTR + b"(cnumpy\nndarray\n" + text("__class__") + b"tR.",
    GETATTR + b"(" + ZONE + b"NtR.",
    GETATTR + b".",
    UNPICKLE + GETATTR + b"0.",
    UNPICKLE + b"0(" + ZONE + text("_unpickle") + b"i__builtin__\ngetattr\n0" + GETATTR + b"(}" + text("a") + b"tR.",
    PARTIAL + b"cos\nsystem\n\x85R.",
    PARTIAL + b"csklearn.linear_model._base\nLinearRegression\n\x85R.",
    PARTIAL + GETATTR + b"\x85Rq\1(" + ZONE + text("_unpickle") + b"tR0h\1(" + ZONE + text("_unpickle") + b"tR.",
    PARTIAL + CHECKS + b"\x85R(csklearn.linear_model._base\nLinearRegression\n)}Ntb.",
    PARTIAL + CHECKS + b"\x85R(" + CHECKS + b")}" + text("a") + b"csklearn.linear_model._base\nLinearRegression\nsNtb.",
    PARTIAL + CHECKS + b"\x85RN\x85b.",
    PARTIAL + CHECKS + b"\x85R)b.",
    PARTIAL + b")R.",
    PARTIAL + b"}\x85R.",
    PARTIAL + CHECKS + b"\x85\x81.",
    PARTIAL + b"cnumpy\ndtype\n\x85R(" + text("O8") + b"\x89\x88tR(K\3" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb.",
    b"ccollections\ndefaultdict\n" + KEEPS + b"\x85R.",
])  # fmt: skip
def test_attributes_and_functions_that_are_kept_hide_nothing(data: bytes) -> None:
    assert worst(b"\x80\x02" + data) is Verdict.UNSAFE


def test_names_in_an_array_of_objects_are_no_others() -> None:
    """The inner pickle counts what it remembers from zero, where the outer one has an instance of a class of the project."""
    outer = b"\x80\x04\x8c\4mine\x94\x8c\4Mine\x94\x93\x94)\x81\x94"
    found = interpreter.interpret_plain(ByteReader(io.BytesIO(outer + b"h\x03\x8c\x05dtype\x93.")))
    assert [str(each) for each in found.names] == ["mine.Mine"]


def test_the_standard_library_is_that_of_every_python() -> None:
    for minor in range(OLDEST, NEWEST + 1):
        tops = {each.partition(".")[0] for each in standard_library(f"3.{minor}")} - {"__main__"}
        assert [each for each in sorted(tops) if each.isidentifier() and not names.is_standard_library(each)] == []


def test_the_list_has_no_name_of_a_module_that_runs_code() -> None:
    listed = [module for module, _ in names._listed() if module]
    assert len(listed) > 1000
    for part in (
        "torch._inductor",
        "torch._dynamo",
        "torch.jit",
        "torch.hub",
        "torch.package",
        "_pyrepl",
        "_interpreters",
        "scipy.stats",
    ):
        harmless = {
            "torch.jit._pickle",
            "torch._dynamo.decorators",
        }  # functions that return their argument; two numbers
        assert {module for module in listed if module.startswith(part)} <= harmless
    roots = {module.partition(".")[0] for module in listed}
    known = {module.partition(".")[0] for module in (*names._CALLED, *names._MADE)}
    assert {root for root in roots if names.is_standard_library(root)} <= known


def test_a_pickle_of_scikit_learn_may_name_torch() -> None:
    """Each name is on the list for itself: skorch's estimators have both."""
    both = b"(" + made("sklearn.svm._classes", "SVC")[:-1] + calls("torch._utils", "_rebuild_tensor_v2")[:-1] + b"t."
    (found,) = judged(both)
    assert (found.framework, found.verdict) == ("torch", Verdict.SAFE)


def test_a_cut_pickle_is_never_safe() -> None:
    data = pickle.dumps({"a": list(range(100)), "b": collections.OrderedDict(x=1)})
    assert [worst(data[:end]) for end in range(2, len(data))] == [Verdict.UNKNOWN] * (len(data) - 2)


def test_joblib_arrays_are_passed_over() -> None:
    data = joblib_array("u1", 20, b"\x00" * 20)
    (found,) = judged(data)
    assert found.verdict is Verdict.SAFE
    assert NamedObject("joblib.numpy_pickle", "NumpyArrayWrapper") in found.names


def objects(recalled: bytes) -> bytes:
    """An array of objects behind four texts that are remembered: `pickle.load` takes what the array recalls for one of them."""
    texts = b"".join(short(each) + b"\x940" for each in ("model", "scaler", "os", "age"))
    array = (
        short("numpy.core.multiarray")
        + b"\x94"
        + short("_reconstruct")
        + b"\x94\x93\x94"
        + short("numpy")
        + b"\x94"
        + short("ndarray")
    )
    array += (
        b"\x94\x93\x94K\0\x85\x94C\1b\x94\x87\x94R\x94(K\1K\1\x85"
        + recalled
        + short("O8")
        + b"\x89\x88\x87R(K\3"
        + short("|")
    )
    array += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb\x89]" + short("red") + b"atb."
    return b"\x80\x04" + texts + joblib_array("O8", 1, b"\x80\x04" + array)[2:]


def test_arrays_of_objects_in_a_dict_are_read_as_both_do_and_pass() -> None:
    assert worst(objects(b"h\3" + short("dtype") + b"\x93"), "model.joblib") is Verdict.SAFE
    for recalled in (b"h\3" + short("load") + b"\x93", b"h\2" + short("system") + b"\x93"):
        assert worst(objects(recalled), "model.joblib") is Verdict.UNSAFE
    hidden = (
        b"h\3"
        + short("dtype")
        + b"\x930h\2"
        + short("system")
        + b"\x93"
        + short("true")
        + b"\x85R0h\3"
        + short("dtype")
        + b"\x93"
    )
    assert worst(objects(hidden), "model.joblib") is Verdict.UNSAFE


def test_plain_arrays_of_numbers_have_no_pickle() -> None:
    assert judged(npy(bytes(8), descr="'<f8'"), "x.npy") == []
    assert judged(npy(bytes(8), descr="'<f8'") * 3, "x.npy") == []
    assert worst(npy(bytes(8), descr="'<f8'") + b"x", "x.npy") is Verdict.UNKNOWN


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


@pytest.mark.no_cover
def test_a_bomb_ends() -> None:
    bomb = zipped({"x": zipped({"y": b"\x80\x02" + b"]" * (50 << 20)}, zipfile.ZIP_DEFLATED)}, zipfile.ZIP_DEFLATED)
    (found,) = judged(bomb, "model.zip")
    assert "holds more than" in " ".join(found.because)


def test_what_is_too_many_is_never_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    many = b"".join(b"cmath\nf%d\n0" % number for number in range(10_001))
    assert "names more than 10000 things" in " ".join(judged(b"\x80\x04" + many + b"N.")[0].because)
    monkeypatch.setattr(interpreter, "MAX_MEMO", 1000)
    assert "remembers more than 1000 values" in " ".join(judged(b"\x80\x04" + b"]\x940" * 1001 + b"N.")[0].because)
    monkeypatch.setattr(containers, "MAX_MEMBERS", 100)
    (found,) = judged(zipped({f"{number}": b"x" for number in range(101)}), "model.zip")
    assert (found.verdict, "has more than 100 members" in " ".join(found.because)) == (Verdict.UNKNOWN, True)


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
        assert may_begin_pickles(data) == (tail != b"!")
        assert facts_at_hand(data, "m").pickles == ()


PLAIN = pickle.dumps({"a": 1})
ARRAY = joblib_array("u1", 3, b"abc")


@pytest.mark.parametrize("kind", BEHIND)
@pytest.mark.parametrize("name", ["model.pkl", "weights"])
def test_what_stands_behind_is_read(kind: str, name: str) -> None:
    assert worst(BEHIND[kind], name) in (Verdict.UNKNOWN, Verdict.UNSAFE)
    assert kind == "one behind padding" or worst(BEHIND[kind], name) is Verdict.UNSAFE


@pytest.mark.parametrize("name", ["model.pkl", "model.safetensors", "weights"])
def test_a_whole_file_of_another_format_that_is_a_pickle_too(name: str) -> None:
    data = safetensors_and_pickle(calls("os", "system"))
    assert facts_at_hand(data, name).verdict is Verdict.UNSAFE
    assert facts_at_hand(safetensors_and_pickle(b"N."), name).format == "safetensors"
    assert facts_at_hand(safetensors_and_pickle(b"\xff\xfe"), name).pickles == ()


def test_a_member_that_is_longer_than_its_archive_is_told() -> None:
    data = bytearray(zipped({"notes.txt": b"text " * 99 + zipped({"a.pkl": EVIL})}))
    at = data.rindex(b"PK\1\2")
    data[at + 23] = data[at + 27] = 0x40  # a gibibyte more, packed and unpacked
    assert any(each.unread for each in judged(bytes(data)))
    assert worst(bytes(data)) is not Verdict.SAFE


@pytest.mark.parametrize(
    "data",
    [b"L1_0L\n0(S'touch CANARY'\nios\nsystem.", b"(S'touch CANARY'\nios\nsystem\n", b"(S'touch CANARY'\nios\nsystemx"],
)
def test_a_last_line_without_its_end_names_something_to_python(data: bytes) -> None:
    """INST calls what such a line names before the machine comes to the end of the file."""
    assert worst(data, "weights") is Verdict.UNSAFE


def test_the_mark_of_an_end_alone_makes_no_zip() -> None:
    data = b"\xff" * 70_000 + b"PK\5\6" + b"\x17" * 60
    assert judged(data, "weights.bin") == []
    assert worst(zipped({"archive/data.pkl": PLAIN, "archive/data/0": data})) is Verdict.SAFE
    assert (
        judged(zipped({"notes.txt": b"text " * 99 + zipped({})}), "weights") == []
    )  # an empty zip has nothing to load


@pytest.mark.parametrize("rest", [b"x", b"\x80", b"\0\0x", b"PK\3\4", b"\x80\x04N"])
def test_bytes_that_belong_to_nothing_are_told_with_their_place(rest: bytes) -> None:
    for data in (PLAIN, ARRAY, pickle.dumps(1, 0) + pickle.dumps(2)):
        (*_, last) = judged(data + rest)
        assert last.unread
        assert f"byte {len(data)}" in " ".join(last.because)
        assert worst(data + b"\0\n") is Verdict.SAFE


@pytest.mark.parametrize(
    "spelling",
    [
        b"p+5\n",
        b"p1_0\n",
        b"p 7 \n",
        b"p" + b"0" * 40 + b"7\n",
        b"p5\0x\n",
        b"V" + b"a" * (1 << 21) + b"\n0",
        b"S'\\8'\n0",
    ],
)
def test_what_python_reads_is_followed(spelling: bytes) -> None:
    assert worst(b"N" + spelling + b"0" + calls("os", "system"), "weights") is Verdict.UNSAFE


FRAMED = b"\x80\x04\x95"


@pytest.mark.parametrize(
    "data",
    [
        FRAMED + (9).to_bytes(8, "little") + b"N.",
        FRAMED + (4).to_bytes(8, "little") + b"\x8c\x08abcdefgh.",
        FRAMED + (20).to_bytes(8, "little") + b"\x95" + (2).to_bytes(8, "little") + b"N." + b"N" * 9,
        b"\x80\x04\x95" + (len(ARRAY) - 2).to_bytes(8, "little") + ARRAY[2:],
    ],
)
def test_frames_that_readers_in_c_and_in_python_take_otherwise_are_tricks(data: bytes) -> None:
    assert worst(data) is Verdict.UNSAFE


WRAPPER = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n"
WRAPPED = {
    "by copyreg": joblib_array("u1", 3, b"abc", made=b"0ccopyreg\n_reconstructor\n(" + WRAPPER + b"cbuiltins\nobject\nNtR"),
    "by a call": joblib_array("u1", 3, b"abc", made=b")R"),
    "by keyed arguments": joblib_array("u1", 3, b"abc", made=b")}\x92"),
    "with its shape twice": joblib_array("u1", 3, b"abc", state=short("shape") + b"K\x09\x85"),
    "with an unknown key": joblib_array("u1", 3, b"abc", state=short("x") + b"N"),
    "with a key that is no text": joblib_array("u1", 3, b"abc", state=b"NN"),
    "with many keys": joblib_array("u1", 3, b"abc", state=b"".join(short(str(n)) + b"N" for n in range(300))),
    "filled twice": joblib_array("u1", 3, b"abc", made=b")\x81\x94", rest=b"h\x00}b."),
    "kept in a memo before it is filled": joblib_array("u1", 3, b"abc", made=b")\x81q\x05h\x050"),
    "never filled": b"\x80\x02" + WRAPPER + b")\x81.",
    "of a class that is handed over": b"\x80\x02" + WRAPPER + b"}" + short("x") + WRAPPER + b"s.",
    "of numbers whose type has the flag of objects": ARRAY.replace(b"K\x00tb", b"K\x01tb"),
    "of a type whose items are longer than they say": ARRAY.replace(b"NNNJ\xff\xff\xff\xff", b"NNNJ\x08\0\0\0"),
    "of a type that is set twice": ARRAY.replace(b"tb" + short("allow_mmap"), b"tb(K\x03" + short("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + short("allow_mmap")),
    "of an unknown type": joblib_array("i3", 3, b"abc" * 3),
}  # fmt: skip


@pytest.mark.parametrize("how", WRAPPED)
def test_a_wrapper_of_an_array_that_joblib_would_not_write_is_a_trick(how: str) -> None:
    assert worst(WRAPPED[how]) is Verdict.UNSAFE
    assert worst(ARRAY) is Verdict.SAFE


def test_an_array_that_was_mapped_from_a_file_is_written_as_others_are() -> None:
    ndarray, memmap = (short("numpy") + short(name) + b"\x93" for name in ("ndarray", "memmap"))
    assert worst(ARRAY.replace(ndarray, memmap)) is Verdict.SAFE


def test_a_name_that_is_changed_is_a_trick() -> None:
    assert worst(b"\x80\x02ccollections\nOrderedDict\n}" + short("x") + b"Nsb.") is Verdict.UNSAFE


def test_a_pickle_without_a_header_that_hides_a_name_is_no_text() -> None:
    assert worst(b"(cmy module\nx\n." + b"x", "weights") is Verdict.SAFE  # it ends there, for Python as well
    assert worst(b"ccollections\nOrderedDict\n0ccat dog\nx\n.", "weights") is Verdict.SAFE
    assert worst(calls("os", "system")[:-1] + b"0ccat dog\nx\n.", "weights") is Verdict.UNSAFE
    hidden = short("os") + b"c_codecs\nencode\n(" + short("flfgrz") + short("rot13") + b"tR\x93)R."
    assert worst(b"N" + hidden, "weights") is Verdict.UNSAFE


@pytest.mark.parametrize(
    "descr",
    ["'O'", "'object'", r"'|\x4f'", "'O8'", "'=O'", '"O"', "[('a', 'O')]", "[('a', [('b', '|O')])]", "None", "3"],
)
def test_every_spelling_of_objects_in_an_npy_file_is_a_pickle(descr: str) -> None:
    assert worst(npy(EVIL, descr=descr), "x.npy") is Verdict.UNSAFE


@pytest.mark.parametrize(
    "descr", ["'<f4'", "'|u1'", "'<U1'", "'<M8[ns]'", "[('a', '<f4'), ('b', '<i2', (2,))]", "'|V4'", "'<c8'"]
)
def test_arrays_of_numbers_have_the_length_that_their_header_says(descr: str) -> None:
    size = {"'<f4'": 4, "'|u1'": 1, "'<U1'": 4, "'<M8[ns]'": 8, "'|V4'": 4, "'<c8'": 8}.get(descr, 8)
    head = npy(b"", "(3,)", descr)
    assert judged(head + bytes(3 * size), "x.npy") == []
    assert worst(head + bytes(3 * size - 1), "x.npy") is Verdict.UNKNOWN


def test_old_pytorch_files_are_read_to_their_last_storage() -> None:
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x03NtQ"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\x00K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    parts = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    data = b"".join(parts) + b"\x80\x02" + tensor + pickle.dumps(["0"], 2)
    bytes_of_it = (3).to_bytes(8, "little") + bytes([1, 2, 3, 4] * 3)
    assert worst(data + bytes_of_it, "model.bin") is Verdict.SAFE
    assert worst(data + bytes_of_it[:-1], "model.bin") is Verdict.UNKNOWN
    assert worst(data + bytes_of_it + EVIL, "model.bin") is Verdict.UNSAFE


def test_zips_are_accounted_for() -> None:
    data = zipped({"a/data.pkl": PLAIN, "b": b"xyz"})
    assert worst(data) is Verdict.SAFE
    assert worst(data + b"x") is Verdict.UNKNOWN
    with_gap = bytearray(data)
    start = data.index(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    with_gap[end + 16 : end + 20] = (start + 9).to_bytes(4, "little")
    assert worst(bytes(with_gap[:start]) + b"in between"[:9] + bytes(with_gap[start:])) is Verdict.UNKNOWN
    assert worst(b"x" * 40 + data, "model.bin") is Verdict.SAFE
    for before in (EVIL, tarred({"x": EVIL}), gzip.compress(EVIL)):
        assert worst(before + data, "model.bin") is Verdict.UNSAFE


def test_both_of_two_members_with_one_name_are_read() -> None:
    for first, second in ((PLAIN, EVIL), (EVIL, PLAIN)):
        assert worst(tarred({"x.pkl": first, "./x.pkl": second}), "m.tar") is Verdict.UNSAFE
        assert worst(_joined(zipped({"x": first}), zipped({"x": second})), "m.zip") is Verdict.UNSAFE


def _joined(one: bytes, other: bytes) -> bytes:
    with (
        zipfile.ZipFile(held := io.BytesIO(one), "a") as archive,
        zipfile.ZipFile(io.BytesIO(other)) as more,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for info in more.infolist():
            archive.writestr(info.filename, more.read(info))
    return held.getvalue()


def test_a_tar_without_its_magic_is_a_tar() -> None:
    from support.mutations import _without_magic

    assert worst(_without_magic(tarred({"x": EVIL})), "model") is Verdict.UNSAFE
    assert worst(tarred({"x": PLAIN}) + EVIL, "model") is Verdict.UNKNOWN


def test_compressed_streams_are_read_as_their_readers_do() -> None:
    assert worst(gzip.compress(EVIL[:9]) + gzip.compress(EVIL[9:]), "m") is Verdict.UNSAFE
    assert worst(zlib.compress(EVIL[:9]) + zlib.compress(EVIL[9:]), "m") is Verdict.UNSAFE
    small = {"id": lzma.FILTER_LZMA1, "dict_size": 3 << 18}
    assert worst(lzma.compress(EVIL, lzma.FORMAT_ALONE, filters=[small]), "m") is Verdict.UNSAFE
    assert worst(zstandard.ZstdCompressor().compress(EVIL), "m") is Verdict.UNSAFE
    other = {"id": lzma.FILTER_LZMA1, "lc": 1, "lp": 2, "pb": 0, "dict_size": 1 << 16}
    assert worst(lzma.compress(EVIL, lzma.FORMAT_ALONE, filters=[other]), "m") is Verdict.UNSAFE
    assert worst(b"LZIP\x01" + bytes(30), "m") is Verdict.UNKNOWN
    assert worst(b"\x5a\x2a\x4d\x18\4\0\0\0note" + zstandard.ZstdCompressor().compress(EVIL), "m") is Verdict.UNSAFE
    for pack in (gzip.compress, bz2.compress, lzma.compress, zlib.compress):
        assert worst(pack(PLAIN), "m.joblib") is worst(pack(PLAIN), "m.sav") is Verdict.SAFE
        assert worst(pack(PLAIN) + b"behind", "m.joblib") is Verdict.UNKNOWN
        assert worst(pack(PLAIN)[:-3], "m.joblib") is Verdict.UNKNOWN
    data = EVIL
    for _ in range(8):
        data = gzip.compress(data)
    assert worst(data, "m.gz") is Verdict.UNKNOWN


@pytest.mark.parametrize("data", [b"7z\xbc\xaf\x27\x1c" + bytes(40), b"Rar!\x1a\x07\x01\0", b"LZIP\x01" + bytes(40)])
def test_archives_that_are_not_read_are_named(data: bytes) -> None:
    (found,) = judged(data, "model")
    assert found.unread
    assert "not read" in found.because[0]


def test_an_encrypted_member_is_named() -> None:
    data = bytearray(zipped({"weights": PLAIN}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    assert "it is encrypted, so it can't be read" in [why for each in judged(bytes(data)) for why in each.because]


def test_a_member_that_is_packed_otherwise_is_named() -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        (found,) = judged(zipped({"weights": EVIL}, method))
        assert found.unread
        assert f"packed by method {method}" in found.because[0]


def test_more_contents_of_a_row_than_are_read_are_told() -> None:
    data = b"N." * 10_001
    assert any("more than 10000 pickles" in why for each in judged(data) for why in each.because)
    assert all(each.unread for each in judged(data) if each.because)


@pytest.mark.parametrize("name", ["model.pth", "model.sav", "model.p"])
def test_a_name_that_other_programs_use_too_hides_no_pickle(name: str) -> None:
    for data in (EVIL, calls("os", "system"), calls("os", "system")[:-1], gzip.compress(EVIL)):
        assert worst(data, name) is Verdict.UNSAFE
    for data in (EVIL[:20], b"<html>Not Found</html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"):
        assert worst(data, name) is Verdict.UNKNOWN


def test_a_zip_at_the_end_of_a_tar_is_a_member_of_it() -> None:
    """As NeMo stores its models. Readers of zip that look for it elsewhere would see something else."""
    for inner, verdict in ((PLAIN, Verdict.SAFE), (EVIL, Verdict.UNSAFE)):
        assert (
            worst(tarred({"config.yaml": b"a: 1\n", "weights.ckpt": zipped({"a/data.pkl": inner})}), "m.nemo")
            is verdict
        )
    first, last = zipped({"a": b"x" * 99}), bytearray(zipped({"a": b"y" * 99}))
    data = tarred({"first": first, "last": bytes(last)})
    last[-6:-2] = data.index(b"PK\1\2").to_bytes(
        4, "little"
    )  # the list of members is that of the first, from the file's beginning
    assert worst(tarred({"first": first, "last": bytes(last)}), "m.tar") is Verdict.UNKNOWN
    hidden = bytearray(tarred({"last": zipped({"a": b"x"})}))
    end = hidden.rindex(b"PK\5\6")
    hidden[end + 22 : end + 44] = hidden[end : end + 22]  # an end in what fills the last block
    assert worst(bytes(hidden), "m.tar") is Verdict.UNKNOWN


@pytest.mark.parametrize("around", [list, tuple, dict], ids=["lists", "tuples", "dicts"])
def test_containers_that_share_their_parts_take_no_time(around: type) -> None:
    value: object = [1]
    for _ in range(20):  # a billion billion paths lead to the innermost; the pickle has two kilobytes
        value = dict.fromkeys("abcdefgh", value) if around is dict else around([value] * 8)
    with processor_limit(10, around.__name__):
        (found,) = judged(pickle.dumps(value))
    assert found.verdict is Verdict.SAFE
    assert {what for _, what in found.value.parts} == {around.__name__}


def test_containers_as_deep_as_a_file_allows_are_read() -> None:
    with processor_limit(10, "depth"):
        (found,) = judged(b"\x80\x04)" + b"\x85" * 100_000 + b".")
    assert (found.verdict, found.value.parts) == (Verdict.SAFE, (("0", "tuple"),))
