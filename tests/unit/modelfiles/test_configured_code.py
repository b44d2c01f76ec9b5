"""Code that configurations and graphs name. Nothing is ever loaded."""

from __future__ import annotations

import gzip
import io
import json

import pytest

from modelcrate.modelfiles import embedded_code
from modelcrate.modelfiles.facts import Verdict
from modelcrate.modelfiles.pickle import containers
from modelcrate.modelfiles.recognition import facts_at_hand, facts_of
from support.pickles import tarred, zipped
from support.waiting import processor_limit

LAMBDA = {
    "class_name": "Lambda",
    "module": "keras.layers",
    "config": {"function": {"class_name": "__lambda__", "config": {"code": "x"}}},
}
DENSE = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 1}}


def model(*layers: object) -> bytes:
    """A model of Keras' in JSON."""
    return json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": layers}}).encode()


def layer(name: str, **config: object) -> bytes:
    return zipped(
        {"config.json": model({"class_name": name, "module": "keras.layers", "config": config}), "metadata.json": b"{}"}
    )


def node(operator: bytes) -> bytes:
    """A node of a TensorFlow graph."""
    body = b"\x0a\x01n\x12" + bytes([len(operator)]) + operator
    return b"\x0a" + bytes([len(body)]) + body


def template(text: str) -> bytes:
    return json.dumps({"chat_template": text}).encode()


def schema(module: str, name: str, loader: str = "TypeNode") -> bytes:
    return zipped(
        {
            "schema.json": json.dumps(
                {"__class__": name, "__module__": module, "__loader__": loader, "content": {}}
            ).encode()
        }
    )


def exported(expression: str) -> bytes:
    """A program of torch.export, as PyTorch 2.9 and newer write it."""
    sizes = {"graph_module": {"graph": {"sym_int_values": {"s": {"as_expr": {"expr_str": expression}}}}}}
    return zipped({"m/models/model.json": json.dumps(sizes).encode(), "m/archive_format": b"pt2"})


ATTACK = "{{ cycler.__init__.__globals__.os }}"
HONEST = "{% for message in messages %}{{ message['content'] | trim }}{{ '<|__end__|>'[2:] if loop.last }}{% endfor %}".replace(
    "__", ""
)
KERAS_YAML = (
    b"backend: tensorflow\nclass_name: Sequential\nconfig:\n  layers:\n  - class_name: Dense\nkeras_version: 2.4.0\n"
)
UNSAFE = {
    "Keras below another key": ("m.keras", zipped({"config.json": json.dumps({"x": LAMBDA}).encode()})),
    "Keras in a list": ("m.keras", zipped({"config.json": json.dumps([LAMBDA]).encode()})),
    "Keras in UTF-16": ("m.keras", zipped({"config.json": model(LAMBDA).decode().encode("utf-16")})),
    "a key of Keras' that stands twice": ("m.json", model(LAMBDA).replace(b"{", b'{"class_name": "Model", ', 1)),
    "a SavedModel on another machine": ("m.keras", layer("TFSMLayer", filepath="//machine.example/share")),
    "the metadata of a SavedModel": ("keras_metadata.pb", b'\x22\x7e{"class_name": "Lambda", "config": {}}'),
    "the same with hidden letters": ("keras_metadata.pb", b'_tf_keras_layer"{"class_name": "\\u004cambda"}'),
    "a graph that writes a dataset": ("saved_model.pb", node(b"SaveDatasetV2")),
    "an operator whose length is spelled long": ("saved_model.pb", b"\x12\x89\x00WriteFile"),
    "a template that stands twice": (
        "tokenizer_config.json",
        b'{"chat_template": "{{ x }}", "chat_template": "%b"}' % ATTACK.encode(),
    ),
    "the first of two templates": (
        "tokenizer_config.json",
        b'{"chat_template": "%b", "chat_template": "{{ x }}"}' % ATTACK.encode(),
    ),
    "templates by their names": ("tokenizer_config.json", json.dumps({"chat_template": {"default": ATTACK}}).encode()),
    "a template beside no number": ("tokenizer_config.json", b'{"a": NaN, "chat_template": "%b"}' % ATTACK.encode()),
    "a template beside half a character": (
        "tokenizer_config.json",
        b'{"a": "\\ud800", "chat_template": "%b"}' % ATTACK.encode(),
    ),
    "a template beside a number of 5,000 digits": (
        "tokenizer_config.json",
        b'{"a": %b, "chat_template": "%b"}' % (b"9" * 5000, ATTACK.encode()),
    ),
    "a name in capital escapes": ("chat_template.jinja", rb"{{ ''['\x5F\x5Fclass\x5F\x5F'] }}"),
    "a name in the names of letters": ("chat_template.jinja", rb"{{ ''['\N{LOW LINE}\N{LOW LINE}class'] }}"),
    "a name of texts in a row": ("chat_template.jinja", b"{{ ''['_' '_cla' 'ss_' '_'] }}"),
    "a name on two lines": ("chat_template.jinja", b"{{ ''['_\\\n_class__'] }}"),
    "a repeated underscore": ("chat_template.jinja", b"{% set u = '_' * 2 %}{{ ''[u ~ 'class' ~ u] }}"),
    "kernels that older versions of Transformers run": (
        "config.json",
        b'{"model_type": "llama", "_attn_implementation_internal": "evil/kernels"}',
    ),
    "a target of Hydra's": ("config.yaml", b"model:\n  _target_: os.system\n  command: x\n"),
    "a target in JSON": ("config.json", b'{"a": [{"_target_": "subprocess.run"}]}'),
    "a target in an archive of NeMo's": ("m.nemo", tarred({"./model_config.yaml": b"a:\n  _target_: builtins.exec\n"})),
    "the same, packed": (
        "m.nemo",
        gzip.compress(tarred({"model_config.yaml": b"a: !!python/object/apply:os.system [x]"})),
    ),
    "a template in an archive": ("m.zip", zipped({"tokenizer_config.json": template(ATTACK)}, 8)),
    "a tag without a module": ("c.yaml", b"a: !!python/object/apply:eval [x]\n"),
    "a tag that names what another calls": (
        "c.yaml",
        b"!!python/object/new:list\nlistitems: x\nstate: {extend: !!python/name:exec }\n",
    ),
    "an expression that is code": ("m.pt2", exported("__import__('os').system('x')")),
    "an expression with attributes": ("m.pt2", exported("().real.numerator")),
    "the first of two members of one name": (
        "m.pt",
        zipped({"m/data.pkl": b"\x80\x02}.", "m/code/a.py": b"torch.save(x)", "m/code/b.py": b"torch.relu(x)"}).replace(
            b"m/code/b.py", b"m/code/a.py"
        ),
    ),
    "TorchScript for phones": (
        "m.ptl",
        zipped({"m/data.pkl": b"\x80\x02}.", "m/bytecode.pkl": b"\x80\x02X\x0f\0\0\0aten::from_file."}),
    ),
    "Keras in JSON": ("config.json", model(LAMBDA)),
    "Keras for the browser": (
        "model.json",
        json.dumps({"modelTopology": {"model_config": json.loads(model(LAMBDA))}}).encode(),
    ),
    "escaped letters": (
        "model.json",
        model(LAMBDA).replace(b"class_name", b"\\u0063lass_name").replace(b"Lambda", b"\\u004cambda"),
    ),
    "a Keras archive without its papers": ("m.zip", zipped({"config.json": model(LAMBDA)})),
    "a layer that is a pickle": ("m.keras", layer("TorchModuleWrapper", module="x")),
    "a vocabulary of the machine": ("m.keras", layer("StringLookup", vocabulary="/etc/passwd")),
    "a vocabulary of the network": ("m.keras", layer("TextVectorization", vocabulary="http://x.example/words")),
    "a graph that calls Python": ("saved_model.pb", bytes(3000) + node(b"EagerPyFunc")),
    "a graph that writes": ("frozen.pb", node(b"Const") + node(b"WriteFile")),
    "a template in a tokenizer's configuration": ("tokenizer_config.json", template("{{ ''.__class__.__mro__ }}")),
    "one of several": (
        "tokenizer_config.json",
        json.dumps({"chat_template": [{"name": "a", "template": "{{ x|attr('a') }}"}]}).encode(),
    ),
    "a template of its own": ("chat_template.jinja", b"{{ ''.__class__ }}"),
    "a joined name": ("tokenizer_config.json", template("{% set a = '__cla' + 'ss__' %}{{ ''[a] }}")),
    "a formatted name": ("tokenizer_config.json", template("{{ ''['%c%cclass%c%c'|format(95,95,95,95)] }}")),
    "a name of pieces": ("tokenizer_config.json", template("{{ ''[['_','_','class','_','_']|join] }}")),
    "a name in octal": ("tokenizer_config.json", template("{{ namespace['\\137\\137init\\137'] }}")),
    "TorchScript under the name of a configuration": (
        "m.json",
        zipped({"m/data.pkl": b"\x80\x02}.", "m/code/__torch__.py": b"torch.from_file('/etc/x', True, 9)"}),
    ),
    "a Lambda layer in YAML": ("model.yaml", KERAS_YAML + b"  - class_name: Lambda\n"),
    "a tag that calls": ("c.yaml", b"a: !!python/object/apply:os.system [x]\n"),
    "a tag in escapes": ("c.yml", b"a: !!pyth%6fn/object/apply:os.system [x]\n"),
    "a tag in full": ("c.yaml", b"- !<tag:yaml.org,2002:python/object/new:subprocess.Popen> [x]\n"),
    "a tag by a short name": (
        "c.yaml",
        b"%TAG !e! tag:yaml.org,2002:python/object/apply:\n---\n[!e!builtins.eval [x]]\n",
    ),
    "skops that calls the system": ("m.skops", schema("os", "system", "FunctionNode")),
}
WARNED = {
    "code beside a model": ("config.json", b'{"auto_map": {"AutoModel": "modeling.Mine"}}'),
    "code of another repository": (
        "config.json",
        b'{"vision_config": {"auto_map": {"AutoConfig": "other/model--configuration.Its"}}}',
    ),
    "kernels of another repository": ("config.json", b'{"attn_implementation": "other/kernels"}'),
    "trust that the model asks for": ("config.json", b'{"detector_config": {"trust_remote_code": true}}'),
    "a target of Hydra's that loads": ("config.yaml", b"a: {_target_: torch.load, f: weights.pt}\n"),
    "a helper as a target": ("config.yaml", b"a:\n  _target_: functools.reduce\n"),
    "a program of torch.export": ("m.pt2", exported("Max(1, FloorDiv(Symbol('s0', integer=True), Float('1.5')))")),
    "a graph that reads a dataset": ("saved_model.pb", node(b"TFRecordDatasetV2")),
    "a SavedModel as text": ("saved_model.pbtxt", b"saved_model_schema_version: 1\nmeta_graphs {\n  graph_def {}\n}\n"),
    "a SavedModel in chunks": ("saved_model.cpb", b"\x83\xaf" + bytes(60)),
    "TFLite that saves": ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(20) + b"\x08\0\0\0FlexSave\0"),
    "imports behind a byte order mark": ("a.pth", b"\xef\xbb\xbfimport finder\n"),
    "imports behind a path with spaces": ("a.pth", "/home/zoë/my models (new)\nimport finder\n".encode()),
    "a startup file of Python 3.15": ("a.start", b"# ours\nfinder.hooks:install\n"),
    "a layer of a SavedModel": ("m.keras", layer("TFSMLayer", filepath="x")),
    "a graph that reads files": ("saved_model.pb", node(b"ReadFile")),
    "skops with a bound method": ("m.skops", schema("sklearn.svm", "SVC", "MethodNode")),
    "a handler of TorchServe": ("m.mar", zipped({"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"x"})),
    "a handler that looks like a wheel": (
        "m.mar",
        zipped({"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"x", "a-1.dist-info/RECORD": b""}),
    ),
    "machine code": ("m.pt2", zipped({"m/data/aotinductor/model/x.so": b"x", "m/version": b"1"})),
    "Keras in YAML": ("model.yaml", KERAS_YAML),
    "a class of a package, by a tag": ("config.yml", b"!!python/object:studio.config.Config\na: 1\n"),
    "a member of an enumeration, by a tag": ("c.yaml", b"a: !!python/object/apply:studio.Color [1]\n"),
    "a line that Python runs": ("editable.pth", b"./src\nimport finder; finder.install()\n"),
    "a Core ML model": ("m.mlmodel", b"\x08\x04\x12\x00"),
    "a TensorRT engine": ("m.plan", b"ptrt" + bytes(40)),
    "an ExecuTorch program": ("m.pte", bytes(4) + b"ET12" + bytes(40)),
    "an object of R": ("m.rds", gzip.compress(b"X\n\0\0\0\3\0\4\3\0", mtime=0)),
    "a workspace of R": (".RData", gzip.compress(b"RDX3\nX\n\0\0\0\3", mtime=0)),
    "objects of R, as they are": ("objects", b"RDX3\nX\n\0\0\0\3"),
    "bytecode": ("m.pyc", b"\xa7\r\r\n" + bytes(12) + b"\xe3"),
    "entities": ("m.pmml", b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///x">]><PMML>&e;</PMML>'),
}
SILENT = {
    "a number that is none": ("config.json", b'{"class_name": NaN, "config": 1}'),
    "kernels by their names": (
        "config.json",
        b'{"_attn_implementation": "flash_attention_2", "trust_remote_code": false}',
    ),
    "targets of Hydra's": (
        "config.yaml",
        b"a:\n  _target_: torch.optim.AdamW\nb:\n  _target_: mine.models.Net\nc:\n  _target_: pathlib.Path\n",
    ),
    "texts in a template": (
        "chat_template.jinja",
        b"{{ x.split('_', 1)[0] + 'a' + 'b' ~ 'c' }}{{ y.replace('_', ' ') }}{{ '\\n' * 2 }}{{ '-' * 9 }}",
    ),
    "a text of Triton's": ("config.pbtxt", b'name: "m"\nplatform: "onnxruntime_onnx"\n'),
    "a path with spaces": ("a.pth", b"/home/me/my models, (new)\n"),
    "another file called so": ("a.start", b"#!/bin/sh\nexec a\n"),
    "a dataset in an archive": ("d.zip", zipped({"labels.json": b'[{"class_name": "dog", "box": [1, 2]}]'})),
    "Keras in JSON": ("config.json", model(DENSE)),
    "another configuration": ("config.json", b'{"class_name": "os.system", "model_type": "bert"}'),
    "no JSON": ("notes.json", b"class_name: Lambda"),
    "an honest template": ("tokenizer_config.json", template(HONEST)),
    "an honest template of its own": ("chat_template.jinja", HONEST.encode()),
    "a page": ("page.jinja", b"{% set row = cycler('odd', 'even') %}"),
    "a graph": ("saved_model.pb", node(b"MatMul") + node(b"SaveV2") + b"ReadFile"),
    "skops": ("m.skops", schema("sklearn.linear_model._base", "LinearRegression", "ObjectNode")),
    "a vocabulary in the archive": ("m.keras", layer("StringLookup", vocabulary="assets/words.txt")),
    "tags of plain values": (
        "c.yaml",
        b"a: !!python/object/apply:pathlib.PosixPath [x]\nb: !!python/tuple [1]\nc: !Ref d\ne: 100%\n",
    ),
    "the name of a function": ("mkdocs.yml", b"emoji: !!python/name:material.extensions.emoji.twemoji\n"),
    "a class in YAML": ("c.yaml", b"model:\n  class_name: Lambda\n"),
    "paths": ("editable.pth", b"# ours\n/home/me/src\n../lib\n"),
    "data of SPSS": ("survey.sav", b"$FL2@(#) SPSS DATA FILE" + bytes(80)),
    "variables of IDL": ("saved.sav", b"SR\0\4" + bytes(80)),
    "a wheel": ("a.whl", zipped({"a/b.so": b"x", "a-1.dist-info/RECORD": b""})),
}


@pytest.mark.parametrize(("verdict", "kind"), [(verdict, kind) for verdict, kinds in [(Verdict.UNSAFE, UNSAFE), (Verdict.UNKNOWN, WARNED), (Verdict.SAFE, SILENT)]
                                              for kind in kinds])  # fmt: skip
def test_code_that_a_configuration_names_has_a_verdict(verdict: Verdict, kind: str) -> None:
    name, data = {Verdict.UNSAFE: UNSAFE, Verdict.UNKNOWN: WARNED, Verdict.SAFE: SILENT}[verdict][kind]
    found = facts_of(io.BytesIO(data), name, len(data))
    assert found.verdict is verdict
    assert facts_at_hand(data, name) == found
    assert not any(each.unread for each in found.pickles)


@pytest.mark.parametrize("part", [b"python/!<", b"!", b"!a", b"!%41", b"%TAG !a! b\n", b"class_name: \nconfig: \n"])
def test_very_many_tags_are_read_in_a_short_time(part: bytes) -> None:
    with processor_limit(10):
        facts_at_hand(part * ((1 << 21) // len(part)), "c.yaml")


def test_a_configuration_that_is_too_deep_is_unread() -> None:
    """Another version of Python reads it."""
    data = b'{"chat_template": "x", "a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    (found,) = facts_at_hand(data, "tokenizer_config.json").pickles
    assert found.unread


def test_what_is_named_in_a_configuration_of_very_many_bytes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (embedded_code, containers):
        monkeypatch.setattr(module, "MAX_CONFIG", 4000)
    data = b'{"a": "' + b"x" * 5000 + b'", "chat_template": "x"}'
    for file, name in ((data, "a.json"), (zipped({"a.json": data}), "a.zip"), (zipped({"a.json": data}, 8), "a.zip")):
        assert facts_at_hand(file, name).verdict is Verdict.UNKNOWN
    assert facts_at_hand(data.replace(b"chat", b"that"), "a.json").verdict is Verdict.SAFE
