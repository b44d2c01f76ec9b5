"""Files in the bytes of pickles, methods that are kept, and arrays that are made anew: what says all about itself passes, and nothing else does."""

from __future__ import annotations

import gzip
import pickle
import zipfile
import zlib
from base64 import b64encode

import pytest

from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import containers, interpreter
from modelcrate.modelfiles.recognition import facts_at_hand
from support.pickles import EVIL, STORAGE, TENSOR, calls, joblib_array, loaded, made, short, tarred, torch_old, zipped

ACTS = calls("os", "system")[:-1]
LOADER = b"ctorch.storage\n_load_from_bytes\n"
BAD = torch_old(ACTS)


def verdict(data: bytes, name: str = "model.pkl", allow: tuple[str, ...] = ()) -> Verdict:
    return facts_at_hand(data, name, allow).verdict


def literal(file: bytes) -> bytes:
    return b"B" + len(file).to_bytes(4, "little") + file


def text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def because(data: bytes) -> str:
    return " ".join(why for each in facts_at_hand(data, "model.pkl").pickles for why in each.because)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_a_tensor_outside_of_pytorchs_format_is_as_safe_as_the_file_in_its_bytes(protocol: int, pack: type) -> None:
    assert verdict(pack(loaded(TENSOR, protocol))) is Verdict.SAFE
    assert (
        verdict(pack(loaded(zipped({"archive/data.pkl": b"N."}) + b"", protocol))) is Verdict.UNSAFE
    )  # it is too short
    assert (
        verdict(pack(loaded(zipped({"archive/data.pkl": b"N.", "archive/data/0": bytes(64)}), protocol)))
        is Verdict.SAFE
    )
    assert verdict(pack(loaded(BAD, protocol))) is Verdict.UNSAFE
    mine = torch_old(made("mine", "Mine")[2:-1])
    assert verdict(pack(loaded(mine, protocol))) is Verdict.UNKNOWN


def test_what_runs_is_named_by_the_file_in_the_bytes() -> None:
    for protocol in (2, 4):
        outer, inner = facts_at_hand(loaded(BAD, protocol), "m.pkl").pickles
        assert (outer.verdict, inner.verdict, inner.because) == (Verdict.SAFE, Verdict.UNSAFE, ("os.system (called)",))


def test_what_is_loaded_out_of_the_bytes_of_one_pickle_is_one_finding() -> None:
    first = b"\x80\x02(" + b"".join(LOADER + literal(TENSOR) + b"\x85R" for _ in range(20)) + b"t."
    outer, inner = facts_at_hand(first, "model.pkl").pickles
    assert (outer.inner, inner.inner) == ("", "bytes")
    assert "torch.storage._load_from_bytes" in map(str, outer.names)
    assert list(map(str, inner.names)) == ["torch.FloatStorage"]


def test_a_fault_in_such_a_file_names_its_place() -> None:
    data = loaded(TENSOR[:-1])
    assert f"in its bytes from {data.index(TENSOR[:-1])} on" in because(data)
    assert facts_at_hand(data, "m.pkl").pickles[-1].unread
    deep = TENSOR
    for _ in range(8):
        deep = torch_old(loaded(deep, 2)[2:-1])
    assert "is wrapped more than" in because(loaded(deep))
    assert facts_at_hand(loaded(deep), "m.pkl").pickles[-1].unread


def test_a_limit_ends_the_files_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "MAX_FILES", 3)
    data = b"\x80\x02(" + b"".join(LOADER + literal(TENSOR) + b"\x85R" for _ in range(9)) + b"t."
    assert facts_at_hand(data, "m.pkl").pickles[0].unread


FRAMED = {"torch": b"", "framed": b"\x95" + (900).to_bytes(8, "little")}


@pytest.mark.parametrize("data", [
    LOADER + literal(BAD) + b"\x85R",
    LOADER + b"C\xf0" + BAD[:240] + b"\x85R0" + ACTS,
    LOADER + b"\x8e" + len(BAD).to_bytes(8, "little") + BAD + b"\x85R",
    b"(" + LOADER + literal(BAD) + b"o",
    b"(" + literal(BAD) + b"itorch.storage\n_load_from_bytes\n",
    literal(BAD) + b"q\x010" + LOADER + b"h\x01\x85R",
    LOADER + literal(zipped({"archive/data.pkl": EVIL, "archive/data/0": bytes(64)})) + b"\x85R",
    LOADER + literal(gzip.compress(BAD)) + b"\x85R",
    LOADER + literal(b"N." + zipped({"archive/data.pkl": EVIL, "archive/data/0": bytes(64)})) + b"\x85R",
    LOADER + literal(torch_old(STORAGE) + BAD) + b"\x85R",
    LOADER + literal(EVIL) + b"\x85R",  # too short to be a file of PyTorch's: such bytes are not looked at
    LOADER + b"\x96" + len(TENSOR).to_bytes(8, "little") + TENSOR + b"\x85R",  # it may be made longer
    LOADER + b"cbuiltins\nbytes\n]\x85R\x85R",
    LOADER + b"c_codecs\nencode\n" + text("x" * 300) + text("rot13") + b"\x86R\x85R",
    LOADER + b"c_codecs\nencode\n" + text("x" * 300) + b"\x85R\x85R",
    LOADER + b"c_codecs\nencode\n" + literal(TENSOR) + text("latin1") + b"\x86R\x85R",
    LOADER + text("x" * 300) + b"\x85R",
    LOADER + literal(TENSOR) + literal(TENSOR) + b"\x86R",
    LOADER + b")R",
    LOADER + literal(TENSOR) + b"\x85\x81",
    LOADER,
    LOADER + b"0N",
    LOADER + literal(TENSOR) + b"\x85R0" + LOADER,
    LOADER + b"q\x01" + literal(TENSOR) + b"\x85R0h\x01",
    b"}" + text("f") + LOADER + b"s",
    b"cfunctools\npartial\n" + LOADER + b"\x85Rq\x01" + literal(TENSOR) + b"\x85R",
    b"cfunctools\npartial\n" + LOADER + b"\x85R(" + LOADER + b")}Ntb",
    b"ccollections\ndefaultdict\n" + LOADER + b"\x85R",
    b"ctorch._tensor\n_rebuild_from_type_v2\n(" + LOADER + b"ctorch\nTensor\n" + literal(TENSOR) + b"\x85}tR",
    b"cbuiltins\ngetattr\nctorch.storage\n_load_from_bytes\n" + text("__globals__") + b"\x86R",
    b"ctorch.storage\n_load_from_bytes.__globals__\n",
    LOADER + b"}" + text("a") + b"Nsb",
    b"ctorch\nload\n" + literal(TENSOR) + b"\x85R",
    b"cpickle\nloads\n" + literal(TENSOR) + b"\x85R",
])  # fmt: skip
def test_bytes_that_are_loaded_hide_nothing(data: bytes) -> None:
    for whole in (b"\x80\x02" + data + b".", data + b".", data):
        for name in ("model.pkl", "weights"):
            assert verdict(whole, name) is Verdict.UNSAFE


def test_bytes_that_joblib_takes_for_an_array_are_read_as_python_does() -> None:
    hidden = b"0" + LOADER + literal(BAD) + b"\x85R0N"
    data = joblib_array("u1", len(hidden) if len(hidden) < 256 else 255, hidden[:255], padding=b"N" + b"0N" * 39)
    assert verdict(data) is Verdict.UNSAFE


NET = b"cmine\nNet\n)\x81"
KEY = "__cuda_dependent_attributes__"


def test_what_a_net_of_skorchs_loads_out_of_its_state_is_read() -> None:
    attributes = b"\x80\x04}" + short("module_") + loaded(TENSOR)[2:-1] + b"s."
    bad = b"\x80\x04}" + short("module_") + loaded(BAD)[2:-1] + b"s."
    state = b"}(" + text("lr") + b"K\x01" + text(KEY) + b"%b" + b"ub"
    assert verdict(b"\x80\x04" + NET + state % literal(attributes) + b".", allow=("mine",)) is Verdict.SAFE
    assert verdict(b"\x80\x04" + NET + state % literal(attributes) + b".") is Verdict.UNKNOWN
    hidden = (
        state % literal(bad),
        state % b"cbuiltins\nbytes\n)R",
        state % (literal(attributes) + text(KEY) + literal(bad)),
        state % (literal(attributes) + b"K\x01N"),
        state % b"C\x01a",
    )
    for each in hidden:
        assert verdict(b"\x80\x04" + NET + each + b".", allow=("mine",)) is Verdict.UNSAFE


def test_a_net_of_skorchs_whose_state_hides_a_key_does_not_pass() -> None:
    state = b"}(" + text("lr") + b"K\x01%bub"
    items = text(KEY) + literal(b"\x80\x04}" + short("module_") + loaded(BAD)[2:-1] + b"s.")
    hidden = (
        state % (b"cnumpy\nstr_\n" + text(KEY) + b"\x85R" + items[len(text(KEY)) :]),
        state % (b"".join(text(f"a{each}") + b"N" for each in range(300)) + items),
        b"ccollections\nOrderedDict\n)R(" + items + b"ub",
    )
    net = b"\x80\x04cskorch.classifier\nNeuralNetClassifier\n)\x81"
    for each in hidden:
        assert verdict(net + each + b".", allow=("skorch",)) is Verdict.UNSAFE
    assert verdict(net + state % b"" + b".", allow=("skorch",)) is Verdict.SAFE


def keras(file: bytes, state: bytes = b"K\0N\x87b") -> bytes:
    held = b"c_io\nBytesIO\n)\x81" + literal(file) + state
    return (
        b"\x80\x04cbuiltins\ngetattr\nckeras.src.models.sequential\nSequential\n"
        + text("_unpickle_model")
        + b"\x86R"
        + held
        + b"\x85R."
    )


def test_a_pickled_model_of_keras_is_as_safe_as_the_archive_in_its_bytes() -> None:
    config = '{"class_name": "Sequential", "module": "keras", "config": {"layers": [{"class_name": "%s", "module": "keras.layers", "config": {%s}}]}}'
    good = zipped(
        {"metadata.json": b'{"keras_version": "3.0"}', "config.json": (config % ("Dense", '"units": 2')).encode()}
    )
    code = '"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAA"}}'
    bad = zipped({"metadata.json": b'{"keras_version": "3.0"}', "config.json": (config % ("Lambda", code)).encode()})
    assert verdict(keras(good)) is Verdict.SAFE
    assert verdict(keras(bad)) is Verdict.UNSAFE
    assert verdict(keras(zipped({"x": EVIL, "y": bytes(200)}))) is Verdict.UNSAFE
    again = b"K\0N\x87b" + literal(bad) + b"K\0N\x87b"
    assert verdict(keras(good, again)) is Verdict.UNSAFE
    assert verdict(keras(good).replace(b"Sequential\n", b"Other\n")) is Verdict.UNSAFE
    older = b"\x80\x04ckeras.src.saving.pickle_utils\ndeserialize_model_from_bytecode\n%b\x85R."
    assert verdict(older % literal(good)) is Verdict.SAFE
    assert verdict(older % literal(bad)) is Verdict.UNSAFE
    for other in (tarred({"saved_model.pb": b"PyFunc"}), bytes(300), b"x" + good):  # Keras up to 2.10 took a tar
        assert facts_at_hand(older % literal(other), "m.pkl").pickles[-1].unread


def test_a_zip_in_the_bytes_of_a_pickle_is_read_and_is_no_damage() -> None:
    for inner, expected in ((b"N.", Verdict.SAFE), (EVIL, Verdict.UNSAFE)):
        saved = zipped({"archive/data.pkl": inner, "archive/data/0": bytes(300)})
        assert verdict(b"\x80\x04}" + short("weights") + literal(saved) + b"s.") is expected
        assert verdict(b"\x80\x04c_io\nBytesIO\n)\x81" + literal(saved) + b"K\0N\x87b.") is expected
    saved = zipped({"archive/data.pkl": b"N.", "archive/data/0": bytes(300)})
    assert verdict(b"\x80\x04" + literal(saved) + b"0" + ACTS + b".") is Verdict.UNSAFE
    assert verdict(literal(saved) + b"0" + ACTS) is Verdict.UNSAFE
    assert verdict(b"\x80\x04" + literal(saved)) is Verdict.UNKNOWN


def test_a_program_in_an_archive_within_another_is_told() -> None:
    script = {"m/data.pkl": b"N.", "m/constants.pkl": b"N.", "m/code/__torch__.py": b"def forward(self): pass"}
    worse = {**script, "m/code/__torch__.py": b"torch.save(x, '/x')"}
    for members, expected in ((script, Verdict.UNKNOWN), (worse, Verdict.UNSAFE)):
        for data in (loaded(zipped(members)), zipped({"model.pt": zipped(members)}), gzip.compress(zipped(members))):
            assert verdict(data) is expected
    packed = zipped({"model.pt": zipped(worse)}, zipfile.ZIP_DEFLATED)
    assert verdict(packed) is Verdict.UNSAFE


GETATTR = b"cbuiltins\ngetattr\n"
MODEL = b"cstatsmodels.tsa.exponential_smoothing.ets\nETSModel\n)\x81"
MINE = b"cmine\nMine\n)\x81"


@pytest.mark.parametrize(
    "function",
    [
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"ccopyreg\n_reconstructor\n",
        b"cnumpy.core.multiarray\n_reconstruct\n",
    ],
)
def test_arguments_of_what_makes_objects_are_not_put_together(function: bytes) -> None:
    given = b"csklearn.linear_model._base\nLinearRegression\na"
    assert verdict(b"\x80\x02" + function + b"cbuiltins\ntuple\n]" + given + b"\x85RR.") is Verdict.UNSAFE


def attribute(owner: bytes, name: str) -> bytes:
    return GETATTR + owner + text(name) + b"\x86R"


def test_a_method_that_a_model_keeps_of_itself_passes() -> None:
    own = b"\x80\x02" + MODEL[:-2] + b")\x81q\x01}" + text("loglike") + attribute(b"h\x01", "loglike") + b"sb."
    assert verdict(own) is Verdict.SAFE
    assert (
        verdict(
            b"\x80\x02]"
            + MODEL
            + b"}"
            + text("y")
            + b"K\x01sb"
            + b"q\x01a"
            + b"0"
            + b"}"
            + text("f")
            + attribute(b"h\x01", "loglike")
            + b"s."
        )
        is Verdict.SAFE
    )
    kept = b"\x80\x02}" + text("f") + attribute(MINE, "predict") + b"s."
    assert verdict(kept) is Verdict.UNKNOWN
    assert verdict(kept, allow=("mine",)) is Verdict.SAFE
    assert verdict(kept, allow=("mine:Mine",)) is Verdict.UNKNOWN
    words = b"\x80\x02}" + text("f") + attribute(b"cre\n_compile\n" + text(r"\w+") + b"K \x86R", "findall") + b"s."
    assert verdict(words) is Verdict.SAFE


@pytest.mark.parametrize("data", [
    attribute(MINE, "__class__"),
    attribute(MINE, "__globals__"),
    attribute(MINE, "__init__"),
    attribute(MINE, "a.b"),
    attribute(MINE, ""),
    attribute(attribute(MINE, "run"), "__globals__"),
    attribute(attribute(MINE, "run"), "func_globals"),
    attribute(attribute(MINE, "run"), "gi_frame"),
    attribute(attribute(attribute(MINE, "run"), "gi_frame"), "f_builtins"),
    attribute(attribute(MODEL, "loglike"), "__func__"),
    attribute(MODEL, "predict"),  # a property of a known class may run with a state of the author's
    attribute(MODEL, "_smoothing_func"),
    attribute(b"csklearn.linear_model._base\nLinearRegression\n)\x81", "predict"),
    attribute(b"cpandas.core.frame\nDataFrame\n)\x81", "eval"),
    attribute(b"cmine\nmodule\n", "os"),
    attribute(b"cmine\nMine\n", "predict"),
    attribute(b"csklearn.linear_model._base\nLinearRegression\n", "__init__"),
    attribute(text("x"), "format"),
    attribute(b"N", "__class__"),
    attribute(b"}", "get"),
    attribute(b"]", "__class__"),
    attribute(b"(K\x01K\x02t", "__class__"),
    attribute(b"ccollections\nOrderedDict\n)R", "update"),
    attribute(b"cre\n_compile\n" + text("a") + b"K\x20\x86R", "scanner"),
    attribute(b"copyreg\n", "x")[:10] + b"ccopyreg\n_reconstructor\n(" + MINE[:-2] + b"cbuiltins\nobject\nNtR" + text("run") + b"\x86R",
    attribute(MINE + b"}}" + text("__class__") + b"cmine\nOther\ns\x86b", "run"),
    attribute(MINE + b"}b}b", "run"),
    attribute(MINE, "run") + b")R",
    attribute(MINE, "run") + text("x") + b"\x85R",
    attribute(MINE, "run") + b")\x81",
    attribute(MINE, "run") + b"}" + text("a") + b"Nsb",
    attribute(MODEL, "loglike") + b")R",
    b"ccollections\ndefaultdict\n" + attribute(MODEL, "loglike") + b"\x85R",
    b"cfunctools\npartial\n" + attribute(MODEL, "loglike") + b"\x85R",
    b"cstatsmodels.tsa.exponential_smoothing.ets\nETSModel.loglike\n",
    GETATTR + MODEL + text("loglike") + b"N\x87R",
    GETATTR + MODEL + text("loglike") + b"\x86R0" + GETATTR,
    b"cbuiltins\ngetattr\n\x85",
    MINE + b")R",  # an instance that is called
    MODEL + text("x") + b"\x85R",
    b"(" + MINE + b"o",
    b"cfunctools\npartial\ncmine\nrun\n\x85R)R",
    b"ccollections\ndeque\n]cfunctools\npartial\ncmine\nrun\n\x85Ra\x85R",
])  # fmt: skip
def test_attributes_lead_nowhere(data: bytes) -> None:
    for whole in (b"\x80\x02" + data + b".", data):
        assert verdict(whole) is Verdict.UNSAFE


def test_a_function_of_a_projects_own_may_be_kept_with_arguments() -> None:
    kept = b"\x80\x02cfunctools\npartial\n%b\x85R(%b)}Ntb."
    assert verdict(kept % ((b"cmine\nrun\n",) * 2)) is Verdict.UNKNOWN
    for other in (b"cos\nsystem\n", b"cdill\nloads\n", b"cnumpy\nload\n", b"csklearn.of_tomorrow\nEstimator\n"):
        assert verdict(kept % (other, other)) is Verdict.UNSAFE
    checks = b"csklearn.utils.validation\ncheck_array\n"
    asked = (
        b"\x80\x02cfunctools\npartial\n" + checks + b"\x85R(" + checks + b")}" + text("estimator") + b"cmine\nrun\nsNtb"
    )
    assert verdict(asked + b".") is Verdict.UNKNOWN
    assert verdict(asked + b"K\1\x85R.") is Verdict.UNSAFE


DILL = b"cdill._dill\n_create_array\n"
JAX = b"cjax._src.array\n_reconstruct_array\n"
AGAIN = b"cnumpy.core.multiarray\n_reconstruct\n"
DTYPE = (
    b"cnumpy\ndtype\n" + text("f8") + b"K\0K\x01\x87R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
)
EMPTY = b"(cnumpy\nndarray\nK\0\x85C\x01bt"
STATE = b"(K\x01K\x01\x85" + DTYPE + b"\x89C\x08\0\0\0\0\0\0\0\0t"


@pytest.mark.parametrize("function", [DILL, JAX])
def test_an_array_that_is_made_anew_is_one_by_numpys_own_function_alone(function: bytes) -> None:
    assert verdict(b"\x80\x02" + function + b"(" + AGAIN + EMPTY + STATE + b"NtR.") is Verdict.SAFE
    objects = (
        b"cnumpy\ndtype\n(" + text("O8") + b"\x89\x88t(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t"
    )
    for arguments in (
        b"cos\nsystem\n(" + text("x") + b"tN",
        objects,  # numpy would take bytes for addresses
        AGAIN + b"(cos\nsystem\nt" + STATE,
        b"cmine\nrun\n(" + text("x") + b"t" + STATE,
        b"N" + EMPTY + STATE,
    ):
        assert verdict(b"\x80\x02" + function + b"(" + arguments + b"NtR.") is Verdict.UNSAFE
    assert verdict(b"\x80\x02" + function + b"(" + AGAIN + EMPTY + b"tR.") is Verdict.UNSAFE
    assert verdict(b"\x80\x02" + function + b".") is Verdict.UNSAFE


def agent(attributes: str, method: int = zipfile.ZIP_STORED) -> bytes:
    return zipped({"data": attributes.encode(), "_stable_baselines3_version": b"2.3.2"}, method)


def test_what_an_agent_of_stable_baselines_has_pickled_is_read() -> None:
    plain, evil = (b64encode(each).decode() for each in (pickle.dumps([1]), EVIL))
    attribute_of = '{"gamma": 0.99, "lr_schedule": {":type:": "x", "%s": "%s"}}'
    assert verdict(agent(attribute_of % (":serialized:", plain)), "agent.zip") is Verdict.SAFE
    assert verdict(agent('{"a": {":serialized:": 3}, "b": [1]}'), "agent.zip") is Verdict.SAFE
    mine = b64encode(made("mine", "Policy")).decode()
    assert verdict(agent(attribute_of % (":serialized:", mine)), "agent.zip") is Verdict.UNKNOWN
    assert verdict(agent(attribute_of % (":serialized:", mine)), "agent.zip", ("mine",)) is Verdict.SAFE
    for attributes in (
        attribute_of % (":serialized:", evil),
        attribute_of % (r":seri\u0061lized:", evil),
        " \n" + attribute_of % (":serialized:", f"{evil[:9]}*\\n{evil[9:]}"),  # what is no base64 is passed over
        f'{{"x": {{":serialized:": "{evil}", ":serialized:": "{plain}"}}}}',
        f'{{"x": {{":serialized:": "{evil}"}}, "x": {{":serialized:": "{plain}"}}}}',
        attribute_of % (":serialized:", b64encode(loaded(BAD)).decode()),
    ):
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            for name in ("agent.zip", "agent", "agent.pth"):
                assert verdict(agent(attributes, method), name) is Verdict.UNSAFE
    (judged,) = [
        each for each in facts_at_hand(agent(attribute_of % (":serialized:", evil)), "a.zip").pickles if each.because
    ]
    assert judged.inner == "data, lr_schedule"
    for broken in (attribute_of % (":serialized:", "a"), '{":serialized:": ' + "[" * 100_000):
        assert any(each.unread for each in facts_at_hand(agent(broken), "a.zip").pickles)
    assert verdict(zipped({"data": b"not JSON"}), "a.zip") is Verdict.SAFE


def test_an_agent_with_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_CONFIG", 20)
    assert facts_at_hand(agent('{"x": "' + "a" * 40 + '"}'), "a.zip").pickles[0].unread
