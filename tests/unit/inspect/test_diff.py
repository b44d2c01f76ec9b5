"""explain, diff and verify over images that were built in a moment and without a network."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate import api
from modelcrate.config import Config
from modelcrate.images.image import Image
from modelcrate.inspect.diff import diff
from modelcrate.inspect.explain import explain
from modelcrate.inspect.verify_bytes import verify_bytes
from modelcrate.inspect.verify_rebuild import list_mismatches
from modelcrate.transports import oci
from modelcrate_layers.content import Blob, Descriptor
from modelcrate_layers.kinds.model import ALONE
from support.command import Crate
from support.forged import forge
from support.small_projects import model_only, served


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


def build(folder: Path, settings: Config) -> Image:
    return api.build(folder, settings=settings).image.images[0]


class Untouchable:
    """A layer's bytes that nobody may ask for."""

    def __init__(self, blob: Blob) -> None:
        self.descriptor: Descriptor = blob.descriptor

    def chunks(self, start: int = 0) -> object:
        raise AssertionError("a layer that both images have was read")


def guarded(image: Image, *, but: str) -> Image:
    """The image, of which only the layers of one role can be read."""
    return replace(
        image,
        layers=tuple(each if each.role == but else replace(each, blob=Untouchable(each.blob)) for each in image.layers),
    )


def test_an_image_is_the_same_as_itself(tmp_path: Path, settings: Config) -> None:
    image = guarded(build(model_only(tmp_path / "p"), settings), but="")
    found = diff(image, image)
    assert (found.same, found.config, found.files, found.packages) == (True, (), (), ())


def test_a_changed_script_is_told_at_every_level_and_only_its_layer_is_read(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    before = build(project, settings)
    (project / "src" / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return 1\n")
    (project / "src" / "more.py").write_text("x = 1\n")
    with open(project / "modelcrate.yaml", "a") as file:
        file.write("env: {COLOUR: red}\n")
    after = build(project, settings)
    found = diff(guarded(before, but="entry"), guarded(after, but="entry"))
    assert [(each.name, each.before, each.after) for each in found.config] == [("Env COLOUR", "", "red")]
    assert [(each.path.rpartition("/")[2], each.state) for each in found.files] == [
        ("more.py", "added"),
        ("score.py", "changed"),
    ]
    assert "sha256" in found.files[1].how
    assert {line.state for line in found.layers if line.role != "entry"} == {"same"}
    (entry,) = (line for line in explain(before, after) if line.role == "entry")
    assert entry.state == "changed"
    assert "score.py changed" in entry.cause
    assert "more.py" in entry.cause


def test_another_version_of_a_wheel_is_named_as_such(tmp_path: Path, settings: Config) -> None:
    from support.wheels import make_wheel

    project = served(tmp_path / "p", requires="tiny-lib")
    before = build(project, settings)
    make_wheel(project / "wheels", "tiny-lib", "1.2")
    after = build(project, settings)
    found = diff(before, after)
    assert found.packages == ("tiny-lib 1.0 -> 1.2",)
    assert {line.cause for line in found.layers if line.state == "changed"} == {"tiny-lib 1.0 -> 1.2"}


def test_a_changed_shard_is_told_by_its_own_name(tmp_path: Path, settings: Config) -> None:
    """Large files of a model have layers of their own, and their names differ in a word only."""
    (tmp_path / "shards").mkdir()
    (tmp_path / "modelcrate.yaml").write_text("name: x\nbase: scratch\nmodels: [{path: shards, name: m, version: 1}]\n")
    for number in range(3):
        with (tmp_path / f"shards/{number}.bin").open("wb") as file:
            file.truncate(ALONE)
    before = build(tmp_path, settings)
    with (tmp_path / "shards/2.bin").open("r+b") as file:
        file.write(b"x")
    lines = explain(before, build(tmp_path, settings))
    assert {line.name.partition(" ")[2]: (line.state, line.cause) for line in lines} == {
        "shards/0.bin": ("same", ""),
        "shards/1.bin": ("same", ""),
        "shards/2.bin": ("changed", "other packing rules, or inputs that its annotations do not list"),
    }


def test_a_changed_model_is_told_by_its_name(tmp_path: Path, settings: Config) -> None:
    before = build(model_only(tmp_path / "p"), settings)
    found = diff(before, build(model_only(tmp_path / "q", b"heavier" * 1000), settings))
    assert found.models == ("alone:1: changed, alone/1/model.bin changed",)


def test_a_right_image_verifies_and_every_wrong_byte_is_listed(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    api.build(project, settings=settings).save(f"oci:{tmp_path}/oci:1")
    found = oci.find(tmp_path / "oci", "1")
    checked = verify_bytes(found)
    image = found.image()
    assert checked.mismatches == ()
    assert (checked.documents, checked.blobs) == (1, 1 + len(image.layers))
    for layer in image.layers[-2:]:
        path = tmp_path / "oci" / "blobs" / "sha256" / layer.descriptor.digest.hex
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    wrong = verify_bytes(found).mismatches
    assert len(wrong) == 2
    assert all(str(layer.descriptor.digest) in line for layer, line in zip(image.layers[-2:], wrong, strict=True))


def test_a_diff_id_that_lies_is_found(tmp_path: Path, settings: Config) -> None:
    from modelcrate.transports import oci
    from modelcrate_layers.content import Literal
    from modelcrate_layers.store import Layout

    image = build(model_only(tmp_path / "p"), settings)
    right = str(image.layers[0].layer.diff_id)
    config = Literal(image.config.data.replace(right.encode(), b"sha256:" + b"0" * 64), image.config.media_type)
    manifest = image.manifest.data.replace(str(image.id).encode(), str(config.descriptor.digest).encode())
    lying = Image(image.platform, config, Literal(manifest, image.manifest.media_type), image.layers)
    oci.write(Layout.create(tmp_path / "oci"), lying, "1", lambda event: None, "oci", "")
    (told,) = verify_bytes(oci.find(tmp_path / "oci", "1")).mismatches
    assert right in told
    assert "0" * 64 in told


def test_a_key_that_lies_is_named_with_the_first_entry_that_differs(tmp_path: Path, settings: Config) -> None:
    image = build(served(tmp_path / "p"), settings)
    forged = forge(
        image, "tiny-lib" if any("tiny-lib" in each.name for each in image.layers) else "gunicorn", one_file()
    )
    assert list(list_mismatches(image, image)) == []
    (told,) = list_mismatches(forged, image)
    assert "its key is wrong: the same inputs give other bytes" in told
    assert "the first entry that differs is /evil.py: removed" in told


def one_file() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("evil.py"))
    return out.getvalue()


def test_the_verbs_speak_and_end_as_documented(tmp_path: Path) -> None:
    project = served(tmp_path / "p")
    crate = Crate.at(tmp_path / "home")
    crate("lock", project).succeeded()
    crate("build", project).succeeded()
    assert "is what" in crate("verify", project).succeeded().out
    assert crate("verify", "served", "--json").succeeded().json["mismatches"] == []
    with open(project / "src" / "score.py", "a") as script:
        script.write("# more\n")
    plan = crate("plan", project, "--json").succeeded().json
    assert plan["digest"] is None
    why = {
        layer["role"]: (layer["state"], layer["known_from"], layer["why"]) for layer in plan["platforms"][0]["layers"]
    }
    assert why["entry"] == ("new", None, "src/score.py changed, against served")
    assert why["dependencies"][:2] == ("known", "memo")
    told = crate("verify", project)
    assert told.code == 5
    assert "src/score.py changed; the first entry that differs is /var/azureml-app/src/score.py: size" in told.out
    built = crate("build", project, "-o", "store:served:2", "--json").succeeded().json
    assert crate("plan", project, "--json").succeeded().json["digest"] == built["digest"]
    assert "src/score.py changed" in crate("explain", "served", "served:2").succeeded().out
    compared = crate("diff", "served", "served:2", "--json").succeeded().json
    assert [each["path"] for each in compared["files"]] == ["var/azureml-app/src/score.py"]
