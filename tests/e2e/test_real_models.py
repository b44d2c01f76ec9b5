"""Models that other people made and published in packages: packaged, run without an engine, asked over HTTP, and held to what the same
library says when it is called directly. Debian's libonnx-testdata brings the answers along."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support import published
from support.crates import Crates
from support.demo import PROJECT
from support.shared_command import Modelcrate
from support.sources import REPOSITORY
from support.tensors import Tensor, alike, read_tensor
from support.tools import need
from support.validator import assert_valid_layout

pytestmark = [pytest.mark.network, pytest.mark.slow]

SCRIPTS = REPOSITORY / "fixtures" / "entry_scripts"
ONNXRUNTIME, NUMPY = "onnxruntime==1.32.0", "numpy==2.4.6"
RUNTIME = f"dependencies: [{ONNXRUNTIME}, {NUMPY}]\n"
"""One set for all images of ONNX models, so that they share their layers."""

TESTDATA = Path("/usr/share/libonnx-testdata/data")
EVERY = 10

DIFFERENT = {
    "test_bernoulli": "draws lots",
    "test_training_dropout_mask": "draws lots",
    "test_dft_axis": "has zeros, for which ONNX Runtime gives what float32 leaves of a difference",
}
"""Models that answer, and not as recorded."""

REFUSED = {
    "test_sequence_map_add_2_sequences": "something else than tensors",
    "test_BatchNorm2d_eval": "NotImplemented",
    "test_Linear": "NotImplemented",
    "test_operator_basic": "NotImplemented",
    "test_strnorm_model_monday_insensintive_upper_twodim": "Fail",
}
"""Models that this ONNX Runtime can't do: sets of operators before version 7, and a locale that no slim image has."""

WORDS = ["the cat sat on the mat", "good fun", "tensor"]
SENTENCES = ["predict the weather", "go to hell, you scum", "the cat sat on the mat"]


@pytest.fixture(scope="module")
def crates(tmp_path_factory: pytest.TempPathFactory, modelcrate: Modelcrate) -> Iterator[Crates]:
    """In the end, every image that was made is looked at."""
    need("nsenter", root=True)
    made = Crates(tmp_path_factory.mktemp("real"), modelcrate)
    yield made
    if made.layout.exists():
        assert assert_valid_layout(made.layout).images


def models(names: Sequence[str]) -> str:
    return "models:\n" + "".join(f"  - {{path: models/{path}, name: {Path(path).stem}}}\n" for path in names)


LOADED_DIRECTLY = "import glob, joblib, json; (path,) = glob.glob('/var/azureml-app/azureml-models/*/1/*')"


def test_diabetes(crates: Crates) -> None:
    """scikit-learn, out of a folder with nothing but the model."""
    model = (PROJECT / "model" / "sklearn_regression_model.pkl").read_bytes()
    address = crates.build(crates.project("diabetes", {"sklearn_regression_model.pkl": model}))
    assert "scikit_learn_model.py serves it as ScikitLearn, with scikit-learn==1.9.1, joblib" in crates.said("diabetes")
    rows = [list(range(1, 11)), list(range(10, 0, -1))]
    with crates.running(address) as server:
        answer = server.ask({"data": rows})
        row = server.described()["ServiceInput"]["properties"]["data"]["items"]
        direct = server.direct(f"{LOADED_DIRECTLY}; print(json.dumps(joblib.load(path).predict({rows}).tolist()))")
    assert answer == {"predict": direct}
    assert answer == {"predict": pytest.approx([6783.288837469616, 4073.0497773702928], 1e-9)}
    assert (row["minItems"], row["maxItems"]) == (10, 10)


def test_profanity_check(crates: Crates) -> None:
    """Two joblib files, which are two models."""
    found = published.files("alt-profanity-check==1.9.1", ".joblib")
    assert sorted(found) == ["model.joblib", "vectorizer.joblib"]
    files = {f"models/{name}": data for name, data in found.items()}
    files["score.py"] = (SCRIPTS / "profanity.py").read_bytes()
    text = f"dependencies: [alt-profanity-check==1.9.1]\n{models(sorted(found))}entry: score.py\n"
    address = crates.build(crates.project("profanity", files, text))
    code = (
        "import json, sys; from profanity_check import predict, predict_prob; words = sys.argv[1:]; "
        "print(json.dumps([predict(words).tolist(), predict_prob(words).tolist()]))"
    )
    with crates.running(address) as server:
        answer = server.ask({"texts": SENTENCES})
        assert [answer["predict"], answer["probability"]] == server.direct(code, *SENTENCES)
    assert answer["predict"] == [0, 1, 0]


def test_iris(crates: Crates) -> None:
    """The logistic regression in onnxruntime's wheel, out of a folder with nothing but the model."""
    model = published.files(ONNXRUNTIME, "logreg_iris.onnx")
    address = crates.build(crates.project("iris", model))
    said = crates.said("iris")
    assert "onnx_model.py serves it as Onnx, with onnxruntime>=1.15.0, numpy" in said
    assert "names no ONNX Runtime; its IR version 3, ai.onnx.ml 1 need 1.15.0 or newer" in said
    rows = [[5.1, 0.2], [4.9, 3.0], [0.4, 2.1]]
    code = (
        "import json, numpy, onnxruntime; from onnxruntime.datasets import get_example; "
        "session = onnxruntime.InferenceSession(get_example('logreg_iris.onnx'), providers=['CPUExecutionProvider']); "
        f"label, odds = session.run(None, {{'float_input': numpy.array({rows}, 'float32')}}); "
        "print(json.dumps([label.tolist(), odds]))"
    )
    with crates.running(address) as server:
        answer = server.ask({"inputs": {"float_input": rows}})
        described = server.described()
        label, odds = server.direct(code)
    assert answer["outputs"] == {"label": label, "probabilities": odds}
    rows_taken = described["ServiceInput"]["properties"]["inputs"]["properties"]["float_input"]
    assert rows_taken["minItems"] == 3
    assert rows_taken["items"]["items"] == {"type": "number", "format": "float"}
    assert list(described["ServiceOutput"]["properties"]["outputs"]["properties"]) == ["label", "probabilities"]


ASKED_DIRECTLY = """
import base64, glob, json, numpy, onnxruntime, os, sys
found = {}
for name, shapes in json.loads(sys.argv[1]).items():
    (path,) = glob.glob(f"/var/azureml-app/azureml-models/{name}/1/*.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = []
    for kind, shape in shapes:
        numbers = numpy.arange(int(numpy.prod(shape)), dtype="int64") * 7919 % 1000
        inputs.append((numpy.array(16000) if kind == "int64" else numbers / 1000).astype(kind).reshape(shape))
    feed = dict(zip([each.name for each in session.get_inputs()], inputs))
    found[name] = [base64.b64encode(each.tobytes()).decode() for each in session.run(None, feed)]
print(json.dumps(found))
"""
"""The same numbers as `tensor` makes, through ONNX Runtime alone."""


def tensor(kind: str, shape: Sequence[int]) -> Tensor:
    size = 1
    for side in shape:
        size *= side
    if kind == "int64":
        return Tensor(kind, tuple(shape), (16000,) * size)
    numbers = struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *(at * 7919 % 1000 / 1000 for at in range(size))))
    return Tensor(kind, tuple(shape), numbers)


def same_as_directly(crates: Crates, address: str, shapes: dict[str, list[tuple[str, list[int]]]]) -> dict[str, Any]:
    """Ask every model, and hold its answer to that of the library, byte for byte."""
    with crates.running(address) as server:
        answers = {
            name: server.ask({"model": name, "inputs": [tensor(*each).json() for each in wanted]})
            for name, wanted in shapes.items()
        }
        direct = server.direct(ASKED_DIRECTLY, json.dumps(shapes))
    assert [answer for answer in answers.values() if "refused" in answer] == []
    given = {name: [each["data"] for each in answer["outputs"]] for name, answer in answers.items()}
    assert given == direct
    return answers


def test_rapidocr(crates: Crates) -> None:
    """Three models as one image: detection, direction, recognition."""
    found = published.files("rapidocr-onnxruntime==1.4.4", ".onnx")
    assert len(found) == 3
    files = {f"models/{name}": data for name, data in found.items()}
    files["score.py"] = (SCRIPTS / "onnx_models.py").read_bytes()
    address = crates.build(crates.project("rapidocr", files, f"{RUNTIME}{models(sorted(found))}entry: score.py\n"))
    sides = {"det": [1, 3, 64, 64], "rec": [1, 3, 48, 96], "mobile": [1, 3, 48, 192]}
    shapes = {
        Path(name).stem: [("float32", side)] for name in found for part, side in sides.items() if f"_{part}_" in name
    }
    answers = same_as_directly(crates, address, shapes)
    assert {tuple(answer["outputs"][0]["shape"]) for answer in answers.values()} == {
        (1, 1, 64, 64),
        (1, 12, 6625),
        (1, 2),
    }


TORCHSCRIPT = "gates: {imports: warn}\n"
"""The names in a TorchScript file are classes that it brings as code. The gate can't say that they are safe; torch is not in the image, where nothing loads the file."""


def test_silero_vad(crates: Crates) -> None:
    """All variants of one model in one image: the six for ONNX Runtime answer, TorchScript and safetensors lie beside them."""
    found = published.files("silero-vad==6.2.3", ".onnx", ".jit", ".safetensors")
    assert Counter(Path(name).suffix for name in found) == {".onnx": 6, ".jit": 1, ".safetensors": 1}
    files = {f"models/{name}": data for name, data in found.items()}
    files["score.py"] = (SCRIPTS / "onnx_models.py").read_bytes()
    listed = "models:\n" + "".join(
        f"  - {{path: models/{name}, name: {Path(name).stem if name.endswith('.onnx') else name.replace('.', '-')}}}\n"
        for name in sorted(found)
    )
    address = crates.build(crates.project("silero", files, f"{RUNTIME}{listed}entry: score.py\n{TORCHSCRIPT}"))
    audio, state, rate = ("float32", [1, 576]), ("float32", [2, 1, 128]), ("int64", [])
    cell = ("float32", [1, 1, 128])
    shapes: dict[str, list[tuple[str, list[int]]]] = {
        "silero_vad": [audio, state, rate],
        "silero_vad_16k_op15": [audio, state, rate],
        "silero_vad_op18_ifless": [audio, rate, state],
        "silero_vad_half": [audio, state],
        "silero_vad_openvino_16k": [audio, state],
        "silero_vad_16k_sequence": [("float32", [3, 576]), cell, cell],
    }
    answers = same_as_directly(crates, address, shapes)
    assert len(answers) == 6


def test_wordllama(crates: Crates) -> None:
    """16 MB of safetensors, with the tokenizer beside them."""
    package = "wordllama==0.4.0.post1"
    found = published.files(package, "l2_supercat_256.safetensors", "l2_supercat_tokenizer_config.json")
    assert len(found["l2_supercat_256.safetensors"]) == 16_384_096
    files = {f"wordllama/{name}": data for name, data in found.items()}
    files["score.py"] = (SCRIPTS / "word_vectors.py").read_bytes()
    address = crates.build(
        crates.project("words", files, f"dependencies: [{package}, {NUMPY}]\nmodels: [wordllama]\nentry: score.py\n")
    )
    code = (
        "import json, pathlib, sys, wordllama; here = pathlib.Path(wordllama.__file__).parent; "
        "model = wordllama.WordLlama.load(cache_dir=here, disable_download=True); "
        "print(json.dumps(model.embed(sys.argv[1:]).tolist()))"
    )
    with crates.running(address) as server:
        answer, direct = server.ask({"texts": WORDS}), server.direct(code, *WORDS)
    for ours, theirs in zip(answer["vectors"], direct, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


def test_a_hundred_models_of_onnx_give_the_recorded_answers(crates: Crates) -> None:
    """Every tenth of Debian's libonnx-testdata, sorted by name. Those that don't answer are all named, with the reason."""
    if not TESTDATA.is_dir():
        pytest.skip("libonnx-testdata is missing (Debian's package of that name)")
    folders = sorted(path.parent for path in TESTDATA.glob("*/*/model.onnx"))[::EVERY]
    assert len(folders) == 108
    files = {f"models/{folder.name}.onnx": (folder / "model.onnx").read_bytes() for folder in folders}
    files["score.py"] = (SCRIPTS / "onnx_models.py").read_bytes()
    listed = models([f"{folder.name}.onnx" for folder in folders])
    address = crates.build(crates.project("onnx-testdata", files, f"{RUNTIME}{listed}entry: score.py\n"))
    equal, refused, different = set[str](), dict[str, str](), set[str]()
    with crates.running(address) as server:
        for folder in folders:
            recorded = folder / "test_data_set_0"
            given, wanted = (list(tensors(recorded, part)) for part in ("input", "output"))
            if any(each.type == "unknown" for each in (*given, *wanted)):
                refused[folder.name] = "a type without numbers"
                continue
            answer = server.ask({"model": folder.name, "inputs": [each.json() for each in given]})
            if "refused" in answer:
                refused[folder.name] = answer["refused"]
                continue
            outputs = [Tensor.of(each) for each in answer["outputs"]]
            same = len(outputs) == len(wanted) and all(map(alike, wanted, outputs))
            (equal if same else different).add(folder.name)
    assert len(equal) == 100
    assert different == DIFFERENT.keys()
    assert refused.keys() == REFUSED.keys()
    assert [name for name, why in REFUSED.items() if why not in refused[name]] == []


def tensors(folder: Path, part: str) -> Iterator[Tensor]:
    """The recorded inputs or outputs, in order."""
    for number in range(len(list(folder.glob(f"{part}_*.pb")))):
        yield read_tensor((folder / f"{part}_{number}.pb").read_bytes())
