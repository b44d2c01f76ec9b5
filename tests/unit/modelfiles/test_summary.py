"""What changed inside model files, told from one pass over the layers that differ."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path

import pytest

from modelcrate import api
from modelcrate.config import Config
from modelcrate.inspect.diff import Difference, diff
from modelcrate.modelfiles.summary import summarise
from modelcrate_layers.content import Descriptor
from modelcrate_layers.errors import IntegrityError
from support.command import Crate
from support.model_files import gguf, onnx, safetensors, tensor
from support.small_projects import write_project
from support.validator import assert_valid_layout

ONE, TWO = struct.pack("<6f", *range(6)), b"\1\2"
BEFORE = safetensors(
    {"__metadata__": {"format": "pt"}, "a": tensor(0, 24, [2, 3]), "b": tensor(24, 26, [1], "BF16")}, ONE + TWO
)
AFTER = safetensors(
    {"a": tensor(0, 24, [3, 2]), "b": tensor(24, 26, [1], "BF16"), "c": tensor(26, 27, [1], "U8")}, ONE + b"\1\3" + b"x"
)


def built(tmp_path: Path, name: str, data: bytes, settings: Config) -> tuple[Path, api.Built]:
    folder = tmp_path / hashlib.sha256(data).hexdigest()[:8]
    write_project(folder, f"name: m\nbase: scratch\nmodels:\n  - {{path: {name}, name: m, version: 1}}\n")
    (folder / name).write_bytes(data)
    return folder, api.build(folder, settings=settings)


def compared(tmp_path: Path, name: str, before: bytes, after: bytes) -> Difference:
    settings = Config(tmp_path / "home")
    images = [built(tmp_path, name, data, settings)[1].image.images[0] for data in (before, after)]
    return diff(*images)


def short(data: bytes) -> str:
    return f"sha256 {hashlib.sha256(data).hexdigest()[:12]}..."


def test_tensors_added_reshaped_and_with_other_bytes_are_told(tmp_path: Path) -> None:
    found = compared(tmp_path, "w.safetensors", BEFORE, AFTER)
    assert [(each.name, each.before, each.after) for each in found.tensors] == [
        ("metadata format", "pt", ""),
        ("tensor a", f"F32 [2, 3] {short(ONE)}", f"F32 [3, 2] {short(ONE)}"),
        ("tensor b", f"BF16 [1] {short(TWO)}", f"BF16 [1] {short(bytes([1, 3]))}"),
        ("tensor c", "", f"U8 [1] {short(b'x')}"),
    ]
    assert [each.path.rpartition("/")[2] for each in found.files] == ["w.safetensors"]


def test_equal_models_say_nothing(tmp_path: Path) -> None:
    assert compared(tmp_path, "w.safetensors", BEFORE, BEFORE).tensors == ()


@pytest.mark.parametrize(
    ("name", "before", "after", "told"),
    [
        ("m.gguf", gguf(), gguf().replace(b"tiny", b"huge"), ("metadata general.name", "tiny", "huge")),
        ("m.onnx", onnx(), onnx().replace(b"trainer", b"Trainer"), ("producer", "trainer 1.2", "Trainer 1.2")),
        ("m.pkl", pickle.dumps([1]), pickle.dumps([1]) + pickle.dumps([2]), ("pickles", "1", "2")),
    ],
)
def test_other_formats_tell_what_their_readers_find(
    tmp_path: Path, name: str, before: bytes, after: bytes, told: tuple[str, str, str]
) -> None:
    found = compared(tmp_path, name, before, after)
    assert told in [(each.name, each.before, each.after) for each in found.tensors]


def test_a_file_is_told_alike_in_pieces_of_any_size() -> None:
    whole = summarise("w.safetensors", len(BEFORE), [BEFORE])
    assert whole["tensor b"] == f"BF16 [1] {short(TWO)}"
    for step in (1, 7, 30):
        pieces = [BEFORE[at : at + step] for at in range(0, len(BEFORE), step)]
        assert summarise("w.safetensors", len(BEFORE), pieces) == whole


@pytest.mark.parametrize("data", [b"", b"no model", struct.pack("<Q", 1 << 60), BEFORE[:40]])
def test_what_is_no_model_says_nothing(data: bytes) -> None:
    assert summarise("w.safetensors", len(data), [data]) == {}
    assert summarise("w.gguf", len(data), [data]) == {}


class Damaged:
    """A layer that turns out to be damaged while it is read."""

    def __init__(self, descriptor: Descriptor, data: bytes) -> None:
        self.descriptor, self.data = descriptor, data

    def chunks(self, start: int = 0) -> object:
        yield self.data[:700]
        raise IntegrityError("is damaged")


def test_damage_of_the_layer_is_not_taken_for_the_files(tmp_path: Path) -> None:
    from dataclasses import replace

    settings = Config(tmp_path / "home")
    before, after = (built(tmp_path, "w.safetensors", data, settings)[1].image.images[0] for data in (BEFORE, AFTER))
    (layer,) = after.layers
    damaged = Damaged(layer.descriptor, b"".join(layer.blob.chunks()))
    with pytest.raises(IntegrityError, match="is damaged"):
        diff(before, replace(after, layers=(replace(layer, blob=damaged),)))


def test_the_command_prints_them(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    crate, settings, names = Crate.at(tmp_path / "other"), Config(tmp_path / "home"), []
    for place, data in ((tmp_path / "before", BEFORE), (tmp_path / "after", AFTER)):
        built(tmp_path, "w.safetensors", data, settings)[1].save(f"oci:{place}:1")
        assert_valid_layout(place)
        names.append(f"oci:{place}:1")
    said = crate("diff", *names).succeeded().out
    assert "tensors" in said
    assert "tensor c" in said
    assert [each["name"] for each in crate("diff", *names, "--json").succeeded().json["tensors"]][-1] == "tensor c"
