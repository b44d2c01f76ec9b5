"""Kitfile, Modelfile and MLmodel: what serves their models."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from pathlib import Path

import pytest

from modelcrate.importers.imported import write_imported
from modelcrate.importers.modelfile_lines import parse_modelfile
from modelcrate.importers.ollama_store import find_stored
from modelcrate.project.values import DebianBase, GoldenTest, HubModel, Model, ScratchBase
from modelcrate.resolve.hub.listing import HubFile
from modelcrate.resolve.hub.selection import select_files
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from support.configurations import read, write


def settings(script: str) -> dict[str, object]:
    """The parameters of llama.cpp's server that a script sets to plain values."""
    found = {}
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Assign):
            with suppress(ValueError):  # not a plain value
                found[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    return found


def test_a_kit_of_a_gguf_file_is_served_by_llama_cpp(tmp_path: Path) -> None:
    found = read(write(tmp_path, "kit"))
    project = found.project
    assert project.name == "sums"
    assert project.models == (Model(Path("model/tiny.gguf"), "tiny"), Model(Path("model/lora.gguf"), "lora"))
    assert project.base == DebianBase(packages=("libgomp1",))
    assert (project.command and project.command.argv, project.command and project.command.source) == (
        ("python3", "serve.py"),
        Path("serve"),
    )
    assert 'models / "tiny/1" / "tiny.gguf"' in found.files["serve/serve.py"]
    assert project.labels["org.opencontainers.image.authors"] == "A, B"
    assert "model/lora.gguf is not there, which model.parts[0].path names" in found.missing


def test_a_kit_with_a_script(tmp_path: Path) -> None:
    text = "manifestVersion: 1.0.0\nmodel: {path: m.bin, version: 3}\ncode: [{path: src}, {path: other}]\n"
    file = write(tmp_path, "kit", Kitfile=text)
    for name, source in (
        ("src/score.py", "def init(): ...\ndef run(data): ...\n"),
        ("m.bin", "x"),
        ("requirements.txt", "idna\n"),
    ):
        (file.parent / name).parent.mkdir(exist_ok=True)
        (file.parent / name).write_text(source)
    found = read(file)
    assert found.project.entry is not None
    assert found.project.entry.file == Path("src/score.py")
    assert found.project.models == (Model(Path("m.bin"), "m", 3),)
    assert found.project.dependencies.requirements == Path("requirements.txt")
    assert [each for each in found.taken if each.startswith("code")] == ["code[0].path: entry: src/score.py"]
    assert "code[1].path: other; it is not there" in found.not_taken


def test_a_kit_of_code_alone_has_the_models_that_the_script_loads(tmp_path: Path) -> None:
    file = write(tmp_path, "kit", Kitfile="manifestVersion: 1.0.0\ncode: [{path: score.py}]\n")
    script = (
        "import os\ndef init():\n open(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'w.bin'))\ndef run(data): ...\n"
    )
    (file.parent / "score.py").write_text(script)
    (file.parent / "w.bin").write_text("x")
    found = read(file)
    assert found.project.entry is not None
    assert Model(Path("w.bin"), "w") in found.project.models


def test_a_kit_whose_model_nobody_serves_is_the_model_alone(tmp_path: Path) -> None:
    file = write(tmp_path, "kit", Kitfile="model: {path: m.xyz}\npackage: {name: a}\n")
    (file.parent / "m.xyz").write_text("x")
    found = read(file)
    assert isinstance(found.project.base, ScratchBase)
    assert any(each.startswith("the image has the model alone, and starts nothing") for each in found.notices)


def test_a_kit_in_the_folder_of_a_model_is_a_project_above_it(tmp_path: Path) -> None:
    file = write(
        tmp_path, "kit", Kitfile="package: {name: a}\nmodel: {path: model.safetensors}\ncode: [{path: config.json}]\n"
    )
    for name in ("model.safetensors", "config.json"):
        (file.parent / name).write_text("{}")
    found = read(file)
    assert (found.folder, found.project.models) == (tmp_path, (Model(Path("kit"), "a"),))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("manifestVersion: 1.0.0\ncode: [{path: app.py}]\n", "has neither a model nor an entry script"),
        ("schemaVersion: v1\nkind: ModelKit\nspec: {model: {path: .}}\n", "has neither a model nor an entry script"),
        ("manifestVersion: 1.0.0\nmodel: {path: .}\n", "the folder of the Kitfile itself"),
        ("manifestVersion: 1.0.0\nmodel: {path: /srv/m.gguf}\n", "is not in the folder of the file"),
    ],
)
def test_kits_of_which_no_image_follows(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(write(tmp_path, "kit", Kitfile=text))


def test_parts_in_the_folder_of_the_model_go_with_it(tmp_path: Path) -> None:
    text = "manifestVersion: 1.0.0\nmodel: {path: ./model, parts: [{path: ./model/a, type: weights}, {path: other}]}\n"
    file = write(tmp_path, "kit", Kitfile=text)
    (file.parent / "other").write_text("x")
    assert [each.path for each in read(file).project.models if isinstance(each, Model)] == [
        Path("model"),
        Path("other"),
    ]


def test_a_kit_of_another_kit(tmp_path: Path) -> None:
    text = "manifestVersion: 1.0.0\nmodel: {path: reg.example/acme/base:v1, parts: [{path: model/tiny.gguf}]}\n"
    found = read(write(tmp_path, "kit", Kitfile=text))
    assert "kit unpack reg.example/acme/base:v1" in "\n".join(found.missing)


def test_a_modelfile_becomes_llama_cpps_server_with_its_parameters(tmp_path: Path) -> None:
    found = read(write(tmp_path, "ollama", **{"lora.gguf": "x"}))
    assert found.project.models == (Model(Path("tiny.gguf"), "tiny"), Model(Path("lora.gguf"), "adapter-lora"))
    script = found.files["serve/serve.py"]
    wanted = {
        "params.sampling.temp": 0.25,
        "params.n_ctx": 128,
        "params.antiprompt": ["<|end|>", "B"],
        "params.port": 8080,
    }
    assert wanted.items() <= settings(script).items()
    assert 'SYSTEM = "You are \\"kind\\".\\nAnd short."' in script
    left = [each.partition(": ")[0] for each in found.not_taken]
    assert left == ["TEMPLATE", "LICENSE", "DRAFT", "RENDERER", "PARSER", "REQUIRES", "PARAMETER low_vram"]


@pytest.mark.parametrize(
    ("value", "model"),
    [
        (
            "hf.co/acme/Tiny-GGUF",
            HubModel("acme/Tiny-GGUF", "Tiny-GGUF", None, ("*[!jJ][-._/][qQ]4_[kK]_[mM][-.]*gguf",)),
        ),
        (
            "https://huggingface.co/acme/Tiny-GGUF:IQ3_M",
            HubModel("acme/Tiny-GGUF", "Tiny-GGUF", None, ("*[!jJ][-._/][iI][qQ]3_[mM][-.]*gguf",)),
        ),
        (
            f"/home/me/.cache/huggingface/hub/models--acme--Tiny-GGUF/snapshots/{'ab' * 20}/q/tiny.gguf",
            HubModel("acme/Tiny-GGUF", "Tiny-GGUF", "ab" * 20, ("q/tiny.gguf",)),
        ),
        ("./later.gguf", Model(Path("later.gguf"), "later")),
        ("tiny.gguf", Model(Path("tiny.gguf"), "tiny")),
        ("../up/elsewhere.gguf", Model(Path("elsewhere.gguf"), "elsewhere")),
        (r"C:\Users\me\elsewhere.gguf", Model(Path("elsewhere.gguf"), "elsewhere")),
        ("/home/me/.ollama/models/blobs/sha256-ab", Model(Path("model.gguf"), "model")),
    ],
)
def test_where_the_model_of_a_modelfile_comes_from(tmp_path: Path, value: str, model: object) -> None:
    found = read(write(tmp_path, "ollama", Modelfile=f"FROM {value}\n"))
    assert found.project.models == (model,)
    assert any("later.gguf is not there" in each for each in found.missing) is ("later" in value)
    away = "elsewhere" in value or "blobs" in value
    assert any(f"copy {value} here as" in each for each in found.missing) is away


def test_a_folder_of_safetensors_is_served_with_transformers(tmp_path: Path) -> None:
    file = write(tmp_path, "ollama", Modelfile="FROM ./folder\nPARAMETER temperature 1\nSYSTEM x\n")
    (file.parent / "folder").mkdir()
    for name in ("config.json", "model.safetensors"):
        (file.parent / "folder" / name).write_text("{}")
    found = read(file)
    assert (found.project.command, found.project.models) == (None, (Model(Path("folder"), "folder"),))
    assert [each.partition(";")[0] for each in found.not_taken] == ["SYSTEM: x", "PARAMETER temperature"]


def put_into_ollama(store: Path, place: str, layers: dict[str, bytes]) -> None:
    """A store of Ollama's with one model: its manifest, and a blob for each layer."""
    named = [
        {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": str(Digest.of(data)), "size": len(data)}
        for kind, data in layers.items()
    ]
    (store / "blobs").mkdir(parents=True)
    for each, data in zip(named, layers.values(), strict=True):
        (store / "blobs" / str(each["digest"]).replace(":", "-")).write_bytes(data)
    manifest = store / "manifests" / place
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": named}))


@pytest.mark.parametrize(
    ("named", "place", "name"),
    [
        ("llama3.2", "registry.ollama.ai/library/llama3.2/latest", "llama3.2.gguf"),
        ("llama3.2:1b", "registry.ollama.ai/library/llama3.2/1b", "llama3.2-1b.gguf"),
        ("me/mario:v1", "registry.ollama.ai/me/mario/v1", "mario-v1.gguf"),
        ("registry.example/me/mario", "registry.example/me/mario/latest", "mario.gguf"),
    ],
)
def test_a_model_of_ollamas_library_is_taken_from_its_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, place: str, name: str
) -> None:
    layers = {
        "model": b"GGUFweights",
        "params": b'{"stop": ["<end>"], "temperature": 0.1}',
        "system": b"You are kind.",
        "messages": b'[{"role": "user", "content": "Hello"}]',
        "template": b"{{ .Prompt }}",
    }
    put_into_ollama(tmp_path / "store", place, layers)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    file = write(tmp_path, "ollama", Modelfile=f"FROM {named}\nPARAMETER temperature 0.9\n")
    found = read(file)
    assert found.project.models == (Model(Path(name), name.removesuffix(".gguf")),)
    script = found.files["serve/serve.py"]
    assert all(each in script for each in ("<end>", "0.9", "You are kind.", "Hello"))
    assert "0.1" not in script, "what the Modelfile says itself counts"
    assert any(each.startswith("TEMPLATE") for each in found.not_taken)
    for _ in range(2):
        write_imported(found, force=True)
        assert (file.parent / name).read_bytes() == b"GGUFweights"
    (file.parent / name).unlink()
    (file.parent / name).write_bytes(b"another")
    with pytest.raises(UserError, match="exists already"):
        write_imported(read(file))


@pytest.mark.parametrize("model", [b"no weights", b"GGUFcut"])
def test_a_model_that_is_not_whole_in_ollamas_store_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: bytes
) -> None:
    place = "registry.ollama.ai/library/llama3.2/latest"
    put_into_ollama(tmp_path / "store", place, {"model": model})
    (blob,) = (tmp_path / "store" / "blobs").iterdir()
    blob.write_bytes(model.removesuffix(b"cut"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    with pytest.raises(UserError, match="is a name in Ollama's library") as raised:
        read(write(tmp_path, "ollama", Modelfile="FROM llama3.2\n"))
    assert "ollama pull llama3.2" in raised.value.hint


@pytest.mark.parametrize("name", ["../../up", "a/../b", "a/b/c/d", "..", "a:..", ".hidden"])
def test_no_name_leads_out_of_ollamas_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path))
    assert find_stored(name, 1) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM llama3.2\nSYSTEM x\nTEMPLATE y\n", "llama3.2 is a name in Ollama's library, and not a file"),
        ("SYSTEM x\n", "names no model"),
        ("FROM ./tiny.gguf\nPARAMETER num_ctx many\n", "num_ctx is no whole number"),
        ("FROM ./notes.txt\n", "is no GGUF file"),
        ("FROM ./weights.bin\n", "weights.bin is a GGUF file by another name"),
        ('FROM ./tiny.gguf\nSYSTEM """never', "a quote is not closed"),
        ("FROM ./tiny.gguf\nRUN make\n", "not an instruction: 'RUN'"),
        ("FROM ./tiny.gguf\nMESSAGE robot x\n", "no role: 'robot'"),
    ],
)
def test_modelfiles_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        read(write(tmp_path, "ollama", Modelfile=text, notes__txt="x", weights__bin="GGUF"))
    assert ("not taken over: TEMPLATE: y" in str(raised.value)) is ("TEMPLATE" in text)


@pytest.mark.parametrize(
    "line",
    [
        "FROM https://user:hunter2@host.example/m.gguf",
        "FROM https://user:hunter2@huggingface.co/acme/Tiny-GGUF",
        "FROM hf.co/acme/Tiny-GGUF/tree/hunter2@x",
        "FROM user:hunter2@host/model",
        "FROM user:hunter2@host/m.gguf",
        "FROM hunter2@host",
        "FROM s3://bucket/hunter2.gguf",
        "FROM ./tiny.gguf\nADAPTER ftp://user:hunter2@host.example/lora.gguf",
        "FROM ./tiny.gguf\nPARAMETER num_ctx hunter2",
        "BOGUS token=hunter2",
        "token=hunter2",
    ],
)
def test_addresses_and_wrong_lines_are_refused_without_their_secrets(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError) as raised:
        read(write(tmp_path, "ollama", Modelfile=f"{line}\n"))
    assert raised.value.hint
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("tag", "taken"),
    [
        ("", ["t-Q4_K_M.gguf"]),
        (":latest", ["t-Q4_K_M.gguf"]),
        (":iq3_m", ["t-IQ3_M.gguf"]),
        (":t-IQ3_M.gguf", ["t-IQ3_M.gguf"]),
        (":F16", ["f16/t.f16-00001-of-00002.gguf", "f16/t.f16-00002-of-00002.gguf"]),
        (":Q4_0", ["t.q4_0.gguf"]),
    ],
)
def test_the_tag_of_a_hubs_model_chooses_its_files(tmp_path: Path, tag: str, taken: list[str]) -> None:
    (model,) = read(write(tmp_path, "ollama", Modelfile=f"FROM hf.co/acme/Tiny{tag}\n")).project.models
    assert isinstance(model, HubModel)
    shards = [f"f16/t.f16-0000{each}-of-00002.gguf" for each in (1, 2)]
    names = [
        "t-IQ3_M.gguf",
        "t-Q4_K_M.gguf",
        "t-BF16.gguf",
        "mmproj-F16.gguf",
        *shards,
        "t.q4_0.gguf",
        "t-Q4_0_4_4.gguf",
    ]
    files = [HubFile(each, 1, "0" * 40, None) for each in names]
    assert [each.path for each in select_files(files, model.files, model.repo)[0]] == taken


@pytest.mark.parametrize("value", [".", "./", "./."])
def test_the_folder_of_the_modelfile_is_a_model_of_a_project_above_it(tmp_path: Path, value: str) -> None:
    file = write(tmp_path, "ollama", Modelfile=f"FROM {value}\n")
    (file.parent / "tiny.gguf").unlink()
    with pytest.raises(UserError, match="neither a GGUF file nor safetensors"):
        read(file)
    for name in ("config.json", "model.safetensors"):
        (file.parent / name).write_text("{}")
    found = read(file)
    assert (found.folder, found.project.models) == (tmp_path, (Model(Path("ollama"), "ollama"),))
    assert write_imported(found)[0] == tmp_path / "modelcrate.yaml"


def test_the_folder_of_the_modelfile_with_gguf_files(tmp_path: Path) -> None:
    file = write(tmp_path, "ollama", **{"Modelfile": "FROM .\n", "mmproj-F16.gguf": "x"})
    assert read(file).project.models == (Model(Path("tiny.gguf"), "tiny"),)
    (file.parent / "b.gguf").write_text("GGUF")
    with pytest.raises(UserError, match="the folder has 2 GGUF files"):
        read(file)


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("./lora", False),
        ("lora/", False),
        (".", False),
        ("later", False),
        ("lora/adapter_model.safetensors", False),
        ("./gguf", True),
        ("gguf/a.gguf", True),
        ("later.gguf", True),
        ("../a/lora.gguf", True),
        ("/me/.ollama/models/blobs/sha256-ab", True),
    ],
)
def test_an_adapter_is_gguf_by_what_is_there(tmp_path: Path, value: str, taken: bool) -> None:
    files = {"lora/adapter_model.safetensors": "x", "gguf/a.gguf": "GGUF"}
    file = write(tmp_path, "ollama", Modelfile=f"FROM ./tiny.gguf\nADAPTER {value}\n")
    for name, text in files.items():
        (file.parent / name).parent.mkdir()
        (file.parent / name).write_text(text)
    found = read(file)
    assert len(found.project.models) == 1 + taken
    assert any(each.startswith("ADAPTER: ") for each in found.not_taken) is not taken


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("top_p .5", 0.5),
        ("top_p 5.", 5.0),
        ("top_p 1e+0", 1.0),
        ("top_p -1E-2", -0.01),
        ("top_k +40", 40),
        ("seed 4294967295", 4294967295),
        ("num_ctx 2147483647", 2147483647),
    ],
)
def test_numbers_are_read_as_go_reads_them(tmp_path: Path, text: str, value: float) -> None:
    found = settings(
        read(write(tmp_path, "ollama", Modelfile=f"FROM ./tiny.gguf\nPARAMETER {text}\n")).files["serve/serve.py"]
    )
    assert value in [each for each in found.values() if type(each) is type(value)]


@pytest.mark.parametrize(
    "text",
    [
        "top_p 1e999",
        "top_p inf",
        "top_p nan",
        "top_p 1e39",
        "top_p .",
        "num_ctx 999999999999",
        "seed 4294967296",
        "top_k 1.5",
    ],
)
def test_numbers_that_the_server_cannot_take_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=f"{text.partition(' ')[0]} is no (whole )?number"):
        read(write(tmp_path, "ollama", Modelfile=f"FROM ./tiny.gguf\nPARAMETER {text}\n"))


def test_the_server_takes_no_projector(tmp_path: Path) -> None:
    script = read(write(tmp_path, "ollama", Modelfile="FROM hf.co/acme/Tiny\n")).files["serve/serve.py"]
    line = next(each for each in script.splitlines() if each.startswith("params.model.path"))
    for name in ("mmproj-F16.gguf", "tiny.gguf"):
        (tmp_path / "m").mkdir(exist_ok=True)
        (tmp_path / "m" / name).write_text("x")
    assert eval(line.partition(" = ")[2], {"models": tmp_path / "m"}) == str(tmp_path / "m" / "tiny.gguf")


def test_the_address_of_one_file_of_a_hub_is_that_file(tmp_path: Path) -> None:
    address = "https://huggingface.co/acme/Tiny-GGUF/resolve/v1/q/tiny%5Ba%5D.gguf?download=true"
    found = read(write(tmp_path, "ollama", Modelfile=f"FROM {address}\n"))
    assert found.project.models == (HubModel("acme/Tiny-GGUF", "Tiny-GGUF", "v1", ("q/tiny[[]a].gguf",)),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("FROM a", "a"),
        ("from  a b ", "a b"),
        ('FROM "a b"', "a b"),
        ('FROM """a\nb"""', "a\nb"),
        ('FROM """a "b" c\n"d"\n"""', 'a "b" c\n"d"\n'),
        ("\ufeff# c\r\nFROM a\r\n", "a"),
        ('FROM """"""', ""),
        ('FROM "a\nb"', "a\nb"),
    ],
)
def test_the_grammar_of_modelfiles(text: str, value: str) -> None:
    (one,) = parse_modelfile(text.encode(), "Modelfile")
    assert (one.word, one.value) == ("from", value)


def test_many_open_lines_are_read_at_once() -> None:
    with pytest.raises(UserError, match="a quote is not closed"):
        parse_modelfile(b'SYSTEM """' + b'a"\n' * 100_000, "Modelfile")


def test_an_mlflow_model_is_served_without_a_script(tmp_path: Path) -> None:
    found = read(write(tmp_path, "mlflow"))
    assert found.folder == tmp_path
    project = found.project
    assert (project.name, project.python, project.entry) == ("mlflow", "3.11", None)
    assert project.models == (Model(Path("mlflow"), "mlflow"),)
    assert project.tests == (GoldenTest("mlflow/serving_input_example.json"),)
    assert any(
        each.startswith("flavors.sklearn: ") and "python_function serves the model" in each for each in found.not_taken
    )


def test_packages_of_conda_that_a_model_needs_are_named(tmp_path: Path) -> None:
    conda = "dependencies: [python=3.11, pip, libgomp, {pip: [mlflow]}]\n"
    found = read(write(tmp_path, "mlflow", conda__yaml=conda))
    assert [each for each in found.not_taken if each.startswith("conda.yaml")] == [
        "conda.yaml: libgomp; a package of conda: dependencies: {conda: [...]}, or its name on an index"
    ]


def test_a_model_without_requirements_has_those_of_conda(tmp_path: Path) -> None:
    file = write(tmp_path, "mlflow", conda__yaml="dependencies: [python=3.11, {pip: [mlflow, torch]}]\n")
    (file.parent / "requirements.txt").unlink()
    found = read(file)
    assert found.project.dependencies.requirements == Path("mlflow/conda.yaml")
    assert [each for each in found.notices if "packages are those of" in each] == [
        "the packages are those of mlflow/conda.yaml, for there is no requirements.txt"
    ]


def test_an_mlflow_model_of_another_flavour_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no flavour that can be served without an entry script: spark"):
        read(write(tmp_path, "mlflow", MLmodel="flavors: {spark: {a: 1}}\n"))
