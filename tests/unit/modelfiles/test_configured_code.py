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
from support.pickles import calls, tarred, zipped
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


def mlmodel(loader: str, code: str = "null") -> bytes:
    return f"flavors:\n  python_function:\n    loader_module: {loader}\n    code: {code}\n".encode()


def sentences(module: str) -> bytes:
    return json.dumps([{"idx": 0, "name": "0", "path": "", "type": module}]).encode()


def tgz(files: dict[str, bytes]) -> bytes:
    return gzip.compress(tarred(files))


def packed(value: object) -> bytes:
    """A small value in MessagePack, with long bytes."""
    if isinstance(value, dict):
        return bytes([0x80 + len(value)]) + b"".join(packed(k) + packed(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([0x90 + len(value)]) + b"".join(map(packed, value))
    if isinstance(value, str):
        return bytes([0xA0 + len(value)]) + value.encode()
    assert isinstance(value, bytes)
    return b"\xc6" + len(value).to_bytes(4, "big") + value


def thinc(state: bytes) -> bytes:
    """A model of spaCy's around one of PyTorch's."""
    shim = packed({"config": {}, "weights": bytes(40), "state": state})
    return packed({"nodes": [], "attrs": [], "params": [bytes(range(256))], "shims": [shim]})


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def exported_by_yolo(names: str) -> bytes:
    """An ONNX model with the notes that YOLO writes."""
    notes = {"stride": "32", "names": names}
    metadata = b"".join(field(14, field(1, k.encode()) + field(2, v.encode())) for k, v in notes.items())
    return b"\x08\x08" + field(8, b"\x10\x11") + metadata


YOLO = b"nc: 80\nactivation: %b\nbackbone:\n  [[-1, 1, %b, [64, 6]], [-1, 1, nn.Upsample, [None, 2, nearest]]]\nhead: [[-1, 1, Detect, [nc]]]\n"
RUNS = b"\"__import__('os').system('x')\""
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
    "a target that asks the network": ("config.yaml", b"_target_: urllib3.request\nurl: http://169.254.169.254/\n"),
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
    "a layer under its long name": (
        "m.json",
        json.dumps({"class_name": "keras.layers.Lambda", "config": {"function": ["eA==", None, None]}}).encode(),
    ),
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
    "a tag of HyperPyYAML's": ("hyperparams.yaml", b"flow: !apply:os.system [x]\n"),
    "a class of latent diffusion's": ("v1.yaml", b"model:\n  target: subprocess.Popen\n  params: {args: x}\n"),
    "the same, merged": ("v1.yaml", b"a: &a {target: os.system}\nb:\n  <<: *a\n  params: {command: x}\n"),
    "a pipeline of pyannote's": ("config.yaml", b"pipeline:\n  name: subprocess.Popen\n  params: {args: x}\n"),
    "a target in YAML's escapes": ("config.yaml", b'"\\x5ftarget_": os.system\n'),
    "a target in a value that holds itself": ("config.yaml", b"a: &a [*a, {_target_: os.system}]\n"),
    "an instance of GluonTS'": ("predictor.json", b'{"__kind__": "instance", "class": "os.system", "args": ["x"]}'),
    "an object of LlamaIndex'": ("settings.json", b'{"object_constructor": "subprocess.Popen", "object_kwargs": {}}'),
    "a layer that YOLO evaluates": ("yolov5.yaml", YOLO % (b"nn.SiLU()", RUNS)),
    "an activation that YOLO evaluates": ("yolov5.yaml", YOLO % (RUNS, b"Conv")),
    "names that YOLO evaluates": ("metadata.yaml", b"stride: 32\ntask: detect\nnames: %b\n" % RUNS),
    "names of ONNX that YOLO evaluates": ("m.onnx", exported_by_yolo("__import__('os').system('x')")),
    "a pickle in a model of spaCy's": ("tagger/model", thinc(calls("os", "system"))),
    "a pickle in a model of Thinc's": ("anything", thinc(zipped({"m/data.pkl": calls("os", "system")}))),
    "a zip behind a model of Thinc's": (
        "anything",
        thinc(zipped({"m/data.pkl": b"\x80\x02}."})) + zipped({"m/data.pkl": calls("os", "system")}),
    ),
    "a program of Paddle's that writes": ("m.pdmodel", field(1, field(3, b"save_combine"))),
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
    "a loader of MLflow's": ("MLmodel", mlmodel("mine.loader")),
    "the same, hidden": ("m/MLmodel", mlmodel("mine").replace(b"loader_module", b'"\\x6coader_module"')),
    "a module of Keras' for MLflow": ("data/keras_module.txt", b"mine"),
    "the same in MLmodel": ("MLmodel", b"flavors:\n  tensorflow:\n    keras_module: mine.keras\n"),
    "a module of pickle's for MLflow": ("data/pickle_module_info.txt", b"mine.loader\n"),
    "a class that MLflow calls": ("MLmodel", b"flavors:\n  xgboost:\n    model_class: mine.Model\n"),
    "a model that MLflow fetches": ("MLmodel", b"flavors:\n  transformers:\n    source_model_name: mine/model\n"),
    "a target of Hydra's that is put together": ("config.yaml", b"a: os\nb:\n  _target_: ${a}.system\n"),
    "a target of Hydra's that compiles": ("config.yaml", b"_target_: torch.utils.cpp_extension._jit_compile\n"),
    "a target of Hydra's that writes": ("config.yaml", b"_target_: numpy.save\nfile: x.npy\narr: [1]\n"),
    "a target of Hydra's that calls what it is told": (
        "config.yaml",
        b"_target_: hydra.utils.instantiate\nconfig: {}\n",
    ),
    "a class of MLServer's": ("model-settings.json", b'{"name": "m", "implementation": "mine.Runtime"}'),
    "a module of BentoML's": ("model.yaml", b"name: m\nmodule: mine.loader\nsignatures: {}\n"),
    "a library of ONNX Runtime's": (
        "genai_config.json",
        b'{"model": {"decoder": {"session_options": {"custom_ops_library": "./libops.so"}}}}',
    ),
    "a script of SageMaker's in a zip": ("m.zip", zipped({"code/inference.py": b"torch.load(1)", "m.bin": b"x"})),
    "a script that DJL runs": ("m/serving.properties", b"engine=Python\noption.entryPoint = mine.py\n"),
    "trust of DJL's": ("serving.properties", b"option.model_id=a/b\noption.trust_remote_code=TRUE\r\n"),
    "a layer of OpenVINO's in a library": (
        "m.xml",
        b'<?xml version="1.0"?>\n<net name="m" version="11"><layers><layer id="0" type="X" version="extension"/></layers></net>',
    ),
    "code beside a model of MLflow's": ("MLmodel", mlmodel("mlflow.sklearn", "code")),
    "a module of Sentence Transformers": ("modules.json", sentences("custom_st.Transformer")),
    "a route of Sentence Transformers": ("1_Asym/config.json", b'{"types": {"q": "mine.Net"}, "structure": {"q": []}}'),
    "an activation of its own": ("2_Dense/config.json", b'{"in_features": 1, "activation_function": "mine.Run"}'),
    "a pipeline of its own": ("config.json", b'{"custom_pipelines": {"pair": {"impl": "pair.Pipeline"}}}'),
    "a library of PEFT's": (
        "adapter_config.json",
        b'{"auto_mapping": {"base_model_class": "X", "parent_library": "mine"}}',
    ),
    "a core of PEFT's": ("adapter_config.json", b'{"auto_mapping": null, "megatron_core": "mine.core"}'),
    "a pipeline of Diffusers' own code": ("model_index.json", b'{"_class_name": ["pipeline", "Mine"]}'),
    "a part of a pipeline": ("model_index.json", b'{"_class_name": "X", "unet": ["my_unet", "UNet"]}'),
    "code of SageMaker's": ("model.tar.gz", tgz({"code/inference.py": b"x", "m.bin": b"x"})),
    "a handler of TorchServe in a tar": ("m.tgz", tgz({"MAR-INF/MANIFEST.json": b"{}", "handler.py": b"x"})),
    "machine code in a tar": ("env.tar.gz", tgz({"lib/a.so": b"x"})),
    "a library": ("ops", b"\x7fELF" + bytes(80)),
    "a library of Windows": ("ops.bin", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0" + bytes(40)),
    "a llamafile": ("m.llamafile", b"MZqFpD='\n" + bytes(80)),
    "a program of Paddle's that calls": ("m.pdmodel", field(1, field(3, b"py_func"))),
    "a layer of Caffe's in Python": ("deploy.prototxt", b"layer { type: 'Python' python_param { module: 'x' } }"),
    "a model of Triton's in Python": ("config.pbtxt", b'name: "m"\nbackend: "python"\n'),
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
    "a transform of torchaudio's": ("config.yaml", b"a:\n  _target_: torchaudio.transforms.MelSpectrogram\n"),
    "a model of MLflow's": ("MLmodel", mlmodel("mlflow.sklearn")),
    "a model of MLflow's with XGBoost": (
        "MLmodel",
        b"flavors:\n  xgboost:\n    model_class: xgboost.sklearn.XGBClassifier\n",
    ),
    "a model of MLflow's with Transformers": (
        "MLmodel",
        b"flavors:\n  transformers:\n    model_binary: model\n    source_model_name: bert-base\n",
    ),
    "a class of MLServer's": ("model-settings.json", b'{"implementation": "mlserver_sklearn.SKLearnModel"}'),
    "a module of BentoML's": ("model.yaml", b"module: bentoml.sklearn\nsignatures: {}\n"),
    "settings of ONNX Runtime": ("genai_config.json", b'{"model": {"decoder": {"session_options": {}}}}'),
    "settings of DJL": (
        "serving.properties",
        b"engine=Python\noption.entryPoint=djl_python.huggingface\noption.trust_remote_code=false\n",
    ),
    "layers of OpenVINO": (
        "m.xml",
        b'<?xml version="1.0"?>\n<net name="m" version="11"><layers><layer id="0" type="X" version="opset8"><data a="1"/></layer></layers></net>',
    ),
    "modules of MLflow's": ("m/data/keras_module.txt", b"keras"),
    "a module of pickle's": ("data/pickle_module_info.txt", b"mlflow.pytorch.pickle_module"),
    "modules of Sentence Transformers": ("modules.json", sentences("sentence_transformers.models.Pooling")),
    "activations": (
        "config.json",
        b'{"activation_function": "torch.nn.modules.activation.Tanh", "b": {"activation_fn": "gelu"}}',
    ),
    "an adapter": (
        "adapter_config.json",
        b'{"auto_mapping": {"base_model_class": "X", "parent_library": "transformers.models.bert"}, "megatron_core": "megatron.core"}',
    ),
    "a pipeline of Diffusers": (
        "model_index.json",
        b'{"_class_name": "X", "a": ["diffusers", "UNet"], "b": ["stable_diffusion", "S"], "c": [null, null], "d": [1, 2]}',
    ),
    "settings of SpeechBrain's": (
        "hyperparams.yaml",
        b"a: !new:speechbrain.nnet.linear.Linear {n: !ref <x>}\nb: !name:torch.nn.GELU\n",
    ),
    "settings of latent diffusion": (
        "v1.yaml",
        b"target: ldm.models.Latent\nparams: {a: {target: torch.nn.Identity, params: {}}}\n",
    ),
    "a pipeline of pyannote": ("config.yaml", b"pipeline:\n  name: pyannote.audio.pipelines.X\n  params: {a: 1}\n"),
    "a model of YOLO": ("yolov5.yaml", YOLO % (b"nn.LeakyReLU(0.1)", b"Conv")),
    "a dataset of YOLO's": ("data.yaml", b"stride: 32\nnames: {0: 'a (small) dog', 1: cat}\n"),
    "names of an exported YOLO": ("m.onnx", exported_by_yolo("{0: 'a (small) dog', 1: 'cat'}")),
    "a model of spaCy's": ("tagger/model", thinc(zipped({"m/data.pkl": b"\x80\x02}."}))),
    "an archive of a model": ("model.tar.gz", tgz({"m.bin": b"x", "setup.py": b"x"})),
    "a text": ("notes.txt", b"MZ is how programs of Windows begin, by the name of Mark Zbikowski. " * 2),
    "a program of Paddle's": ("m.pdmodel", field(1, field(3, b"matmul"))),
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


def test_yaml_that_is_made_to_take_long_is_read_in_a_short_time() -> None:
    """Each line has the one above ten times, and there are keys of two pairs."""
    lines = [
        b"params: pipeline",
        b"a0: &a0 {target: x}",
        *(b"a%d: &a%d [%b]" % (n, n, b",".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 30)),
    ]
    with processor_limit(5):
        facts_at_hand(b"\n".join(lines), "c.yaml")
        facts_at_hand(b"params: pipeline\na: " + b"[" * 100_000, "c.yaml")


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
