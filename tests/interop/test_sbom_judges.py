"""Bills of materials and model facts under other people's libraries: spdx-tools, cyclonedx-python-lib, safetensors, onnx."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.modelfiles.recognition import facts_of
from modelcrate.resolve.debian import PinnedDeb
from modelcrate.resolve.lock import Pins
from modelcrate.resolve.wheels import PinnedWheel
from modelcrate.security.sbom import cyclonedx, spdx
from modelcrate.security.sbom.inventory import Inventory, inventory
from support.pickles import EVIL
from support.trusted import judged, small_image

pytestmark = pytest.mark.interop

COPYRIGHT = b"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat and own-words\n"
FILES = {
    "var/lib/dpkg/status.d/thing": b"Package: thing\nVersion: 1:2.0-1+b1\nArchitecture: amd64\nSource: source (2.0)\nDescription: a thing\n more\n",
    "var/lib/dpkg/status.d/thing.md5sums": b"x  y\n",
    "var/lib/dpkg/status": b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: other\nStatus: install ok installed\nVersion: 3~rc1\n",
    "usr/share/doc/thing/copyright": COPYRIGHT,
    "opt/venv/lib/python3.11/site-packages/Some_Wheel-1.0.dist-info/METADATA": b"Name: Some_Wheel\nVersion: 1.0\nLicense: BSD\n\nLong",
    "opt/venv/lib/python3.11/site-packages/b-2.dist-info/METADATA": b"Name: b\nVersion: 2\nLicense-Expression: MIT OR Apache-2.0\n",
    "opt/venv/lib/python3.11/site-packages/c-2.dist-info/METADATA": b"Name: c\nVersion: 2+cpu\nLicense: Strange words, (really)!\n",
    "opt/venv/lib/python3.11/site-packages/setuptools/_vendor/d-2.dist-info/METADATA": b"Name: d\nVersion: 2\n",
    "var/azureml-app/azureml-models/m/1/model.pkl": EVIL,
    "var/azureml-app/azureml-models/m/1/README.md": b"---\nlicense: apache-2.0\n---\n# A model\n",
    "var/azureml-app/azureml-models/m/2/a b\xc3\xa9.txt".encode("latin-1").decode(): b"words",
    "var/azureml-app/src/score.py": b"def run(data): ...\n",
}  # fmt: skip


@pytest.fixture
def told(tmp_path: Path) -> Inventory:
    wheel = PinnedWheel("some-wheel", "1.0", "Some_Wheel-1.0-py3-none-any.whl", "ab" * 32, 10)
    deb = PinnedDeb(
        "thing", "1:2.0-1+b1", "amd64", "debian", "pool/main/t/thing/thing_2.0-1+b1_amd64.deb", "cd" * 32, 10
    )
    return inventory("demo", small_image(FILES), Config(tmp_path / "home"), Pins(None, (deb,), (wheel,)))


def test_the_inventory_is_what_the_layers_hold(told: Inventory) -> None:
    parts = [
        (each.part.kind, each.part.name, each.part.version, each.part.licence, each.sha256[:2]) for each in told.items
    ]
    assert parts == [
        ("deb", "other", "3~rc1", "", ""),
        ("deb", "thing", "1:2.0-1+b1", "LicenseRef-own-words AND MIT", "cd"),
        ("wheel", "b", "2", "MIT OR Apache-2.0", ""),
        ("wheel", "c", "2+cpu", "LicenseRef-Strange-words-really", ""),
        ("wheel", "some-wheel", "1.0", "BSD-3-Clause", "ab"),
    ]
    assert {each.path.rpartition("/")[2]: (each.model, each.verdict, each.licence) for each in told.files} == {
        "model.pkl": ("m:1", "unsafe", ""), "README.md": ("m:1", "", "Apache-2.0"), "a b\xe9.txt": ("m:2", "", ""), "score.py": ("", "", ""),
    }  # fmt: skip


def test_the_bytes_are_the_same_again(told: Inventory, tmp_path: Path) -> None:
    again = inventory("demo", small_image(FILES), Config(tmp_path / "another home"))
    assert (
        spdx.text(told) == spdx.text(inventory("demo", small_image(FILES), Config(tmp_path / "home"), None))
        or told != again
    )
    plain = inventory("demo", small_image(FILES), Config(tmp_path / "home"))
    assert (spdx.text(again), cyclonedx.text(again)) == (spdx.text(plain), cyclonedx.text(plain))


def test_the_time_is_source_date_epoch(tmp_path: Path) -> None:
    settings = Config(tmp_path / "home", {"SOURCE_DATE_EPOCH": "1700000000"})
    found = spdx.document(inventory("demo", small_image(), settings))
    assert found["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


def test_spdx_tools(told: Inventory, tmp_path: Path) -> None:
    (tmp_path / "sbom.spdx.json").write_bytes(spdx.text(told))
    script = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
for each in validate_full_spdx_document(parse_file(sys.argv[1]), 'SPDX-2.3'):
    print(each.validation_message)
"""
    assert judged("spdx_tools", script, str(tmp_path / "sbom.spdx.json")) == ""


def test_cyclonedx_strictly(told: Inventory, tmp_path: Path) -> None:
    (tmp_path / "sbom.json").write_bytes(cyclonedx.text(told))
    script = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))
"""
    assert judged("cyclonedx", script, str(tmp_path / "sbom.json")).strip() == "None"


def test_safetensors_facts_are_its_librarys(tmp_path: Path) -> None:
    script = """
import json, sys, numpy
from safetensors import safe_open
from safetensors.numpy import save_file
tensors = {'a': numpy.zeros((2, 3), 'f4'), 'b.c': numpy.ones((7,), 'i8'), 'd': numpy.zeros((), 'f2'), 'e': numpy.zeros((0, 4), 'u1')}
save_file(tensors, sys.argv[1], {'format': 'np'})
with safe_open(sys.argv[1], 'numpy') as found:
    told = {name: found.get_slice(name) for name in found.keys()}
    types = {}
    for each in told.values():
        types[each.get_dtype()] = types.get(each.get_dtype(), 0) + 1
    count = sum(int(numpy.prod(each.get_shape())) for each in told.values())
    print(json.dumps({'tensors': len(told), 'parameters': count, 'dtypes': types, 'metadata': found.metadata()}))
"""
    path = tmp_path / "m.safetensors"
    theirs = json.loads(judged("safetensors", script, str(path)))
    with open(path, "rb") as file:
        ours = facts_of(file, path.name, path.stat().st_size)
    assert (ours.fault, ours.facts) == ("", theirs)


def test_onnx_facts_are_its_librarys(tmp_path: Path) -> None:
    script = """
import json, sys, numpy, onnx
from onnx import TensorProto, helper, numpy_helper
x = helper.make_tensor_value_info('x', TensorProto.FLOAT, ['batch', 3])
y = helper.make_tensor_value_info('y', TensorProto.FLOAT, ['batch', 4])
weights = [numpy_helper.from_array(numpy.ones((3, 4), 'f4'), 'w'), numpy_helper.from_array(numpy.arange(4), 'i')]
graph = helper.make_graph([helper.make_node('MatMul', ['x', 'w'], ['y'])], 'g', [x], [y], weights)
model = helper.make_model(graph, producer_name='us', producer_version='1', opset_imports=[helper.make_opsetid('', 17), helper.make_opsetid('ai.onnx.ml', 3)])
onnx.checker.check_model(model)
onnx.save(model, sys.argv[1])
m = onnx.load(sys.argv[1])
name = lambda kind: TensorProto.DataType.Name(kind).lower()
port = lambda p: {'name': p.name, 'type': name(p.type.tensor_type.elem_type),
                  'shape': [d.dim_param or d.dim_value for d in p.type.tensor_type.shape.dim]}
types = {}
for each in m.graph.initializer:
    types[name(each.data_type)] = types.get(name(each.data_type), 0) + 1
print(json.dumps({'ir_version': m.ir_version, 'producer': m.producer_name + ' ' + m.producer_version,
    'opsets': {o.domain or 'ai.onnx': o.version for o in m.opset_import}, 'inputs': [port(p) for p in m.graph.input],
    'outputs': [port(p) for p in m.graph.output], 'tensors': len(m.graph.initializer),
    'parameters': sum(int(numpy.prod(t.dims)) for t in m.graph.initializer), 'dtypes': types, 'nodes': len(m.graph.node)}))
"""
    path = tmp_path / "m.onnx"
    theirs = json.loads(judged("onnx", script, str(path)))
    with open(path, "rb") as file:
        ours = facts_of(file, path.name, path.stat().st_size)
    assert (ours.fault, dict(ours.facts)) == ("", theirs)
