"""What is told of layers beside an image: read back as it was, of this image only, and passed over whatever is wrong with it."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import ignore_event
from modelcrate.images.artifact import Artifact
from modelcrate.images.image import Image, ImageLayer
from modelcrate.images.previous import Previous
from modelcrate.images.reading import Found
from modelcrate.maintenance.libraries import read_libraries
from modelcrate.pipeline.session import Session
from modelcrate.resolve.scan import VERSION, LayerScan, ScannedFile, scan
from modelcrate.security.sbom import contents_artifact, cyclonedx, layer_scan, spdx
from modelcrate.security.sbom.contents import LayerContents, ModelFile
from modelcrate.security.sbom.contents_artifact import LayerFacts
from modelcrate.security.sbom.installed import InstalledPackage
from modelcrate.security.sbom.inventory import inventory
from modelcrate.security.sbom.layer_contents import gather_contents, recall_scans, receive_scans
from modelcrate.security.sbom.layer_scan import KnownFacts, scan_layer
from modelcrate.security.signing import keys
from modelcrate.transports import parse
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Blob, Descriptor, Digest, Literal, MediaType, canonical_json
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.records import MARKER
from modelcrate_layers.tar import sources
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Layer
from support.pickles import EVIL
from support.rootfs import layer as layer_tar
from support.rootfs import member
from support.trusted import small_image
from support.validator import assert_valid_layout

SCAN = LayerScan((ScannedFile("usr/bin/python3", "link", "python3.11"),), ("etc/x",), 1024)
FORGED = LayerContents((InstalledPackage("wheel", "forged", "6"),))


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


@pytest.fixture
def signer(tmp_path: Path) -> keys.Signer:
    return keys.load_signer(str(keys.write_pair(tmp_path / "k", None)[0]), None)


def kept(image: Image, artifact: Artifact, tmp_path: Path, settings: Config) -> Found:
    """The image in a layout, with this beside it."""
    parse(f"oci:{tmp_path / 'out'}").deliver(replace(image, attached=(artifact,)), Connections(settings), ignore_event)
    return find(f"oci:{tmp_path / 'out'}", Connections(settings))


def of(image: Image) -> Digest:
    return image.layers[0].layer.diff_id


@pytest.mark.parametrize("more", [{"m:1": 0}, {"m:1": "7"}, {"m:1": True}, []])
def test_counts_that_are_none_are_refused(more: object) -> None:
    with pytest.raises(IntegrityError):
        LayerContents.parse({**LayerContents().json(), "unlisted": more})


def test_files_that_were_read_at_the_gates_are_read_again_only_where_they_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Config
) -> None:
    monkeypatch.setattr(layer_scan, "MANY", 2)
    (tmp_path / "model").mkdir()
    for number in range(5):
        (tmp_path / "model" / str(number)).write_bytes(b"text")
    (tmp_path / "model/9.pkl").write_bytes(b"\x80\x02]q\x00.")
    (tmp_path / "modelcrate.yaml").write_text("name: x\nbase: scratch\nmodels: [{path: model, name: m, version: 1}]\n")
    with Session(settings) as session:
        build = session.build(session.read(tmp_path))
    prepared, receipt = build.prepared, build.receipt
    (layer,) = receipt.image.images[0].layers
    plain = scan_layer(layer)
    opened, real = [], sources._open
    monkeypatch.setattr(sources, "_open", lambda path: opened.append(Path(path).name) or real(path))
    assert scan_layer(layer, KnownFacts(prepared.facts)) == plain
    assert sorted(opened) == ["0", "1", "9.pkl"]
    with Session(settings) as session:
        session.deliver(build, [parse(f"oci:{tmp_path / 'out'}")])
    assert_valid_layout(tmp_path / "out")


def test_of_very_many_files_those_are_listed_that_say_something(
    monkeypatch: pytest.MonkeyPatch, settings: Config
) -> None:
    monkeypatch.setattr(layer_scan, "MANY", 2)
    files = {f"var/azureml-app/azureml-models/m/1/{number}": b"text" for number in range(5)}
    files["var/azureml-app/azureml-models/m/1/9.pkl"] = EVIL
    image = small_image(files)
    found = scan_layer(image.layers[0])
    assert [each.path[-5:] for each in found.files] == ["m/1/0", "m/1/1", "9.pkl"]
    assert found.unlisted == {"m:1": 3}
    told = inventory("demo", image, settings)
    assert told.gaps == ()
    assert "3 more files of the model m:1" in spdx.document(told)["packages"][0]["comment"]
    assert any(
        "3 more files" in each["value"] for each in cyclonedx.document(told)["metadata"]["component"]["properties"]
    )


def test_contents_that_came_with_a_copy_of_the_home_are_read_anew(tmp_path: Path, settings: Config) -> None:
    """They stand in bills of materials that a key signs."""
    layers = small_image().layers
    right = gather_contents(layers, settings)
    (record,) = (path for path in settings.cache.glob("contents/*") if path.name != MARKER)
    assert gather_contents(layers, settings) == right
    copy = Config(tmp_path / "copy")
    shutil.copytree(settings.home, copy.home, copy_function=shutil.copy2)
    forged = canonical_json(FORGED.json())
    checksum, _, _ = record.read_bytes().partition(b"\n")
    for place, data in ((copy, checksum + b"\n" + forged), (copy, forged), (settings, checksum + b"\n" + forged)):
        (place.cache / "contents" / record.name).write_bytes(data)
        assert gather_contents(layers, place) == right


@pytest.mark.parametrize("signed", [False, True])
def test_it_is_read_back_as_it_was(tmp_path: Path, settings: Config, signer: keys.Signer, signed: bool) -> None:
    file = ModelFile(
        "a", 1, "0" * 64, "m:1", "onnx", {"inputs": [{"name": "x", "type": "f", "shape": ["n"]}]}, "", "MIT"
    )
    told = {
        of(small_image()): LayerContents(
            (InstalledPackage("deb", "a", "1", "all", "b", "MIT", "x"),), (file,), {"a": "MIT"}, {"m:1": 7}
        )
    }
    facts = LayerFacts(told, {of(small_image()): SCAN})
    made = contents_artifact.contents_artifact(small_image().manifest.descriptor, facts, signer if signed else None)
    found = kept(small_image(), made, tmp_path, settings)
    assert contents_artifact.read_contents(found, found.image(), signer.public if signed else None) == facts


def test_whoever_signs_believes_only_their_own_key(tmp_path: Path, settings: Config, signer: keys.Signer) -> None:
    image, known = small_image(), {of(small_image()): FORGED}
    (tmp_path / "other").mkdir()
    other = keys.load_signer(str(keys.write_pair(tmp_path / "other" / "k", None)[0]), None)
    for by, folder in ((None, "a"), (other, "b")):
        found = kept(
            image,
            contents_artifact.contents_artifact(image.manifest.descriptor, LayerFacts(known), by),
            tmp_path / folder,
            settings,
        )
        assert contents_artifact.read_contents(found, found.image(), signer.public) == LayerFacts()
        earlier = (Previous("there", found.image(), found=found),)
        assert gather_contents(image.layers, settings, earlier, signer.public) == {
            of(image): scan_layer(image.layers[0])
        }


def test_what_somebody_told_is_remembered_apart_from_what_was_read(
    tmp_path: Path, settings: Config, signer: keys.Signer
) -> None:
    image = small_image()
    found = kept(
        image,
        contents_artifact.contents_artifact(image.manifest.descriptor, LayerFacts({of(image): FORGED}), None),
        tmp_path,
        settings,
    )
    earlier = (Previous("there", found.image(), found=found),)
    assert gather_contents(image.layers, settings, earlier, fetch=False) == {of(image): FORGED}
    assert gather_contents(image.layers, settings, fetch=False) == {of(image): FORGED}, "remembered"
    read = {of(image): scan_layer(image.layers[0])}
    assert gather_contents(image.layers, settings, earlier, signer.public) == read, (
        "and of no weight where a key is to vouch"
    )
    assert gather_contents(image.layers, settings, earlier) == read, "what was read is better than what was told"


def test_what_is_about_another_image_or_another_layer_is_passed_over(tmp_path: Path, settings: Config) -> None:
    image, other = small_image(), small_image({"b": b"2"})
    for about, layer in ((image, of(other)), (other, of(image))):
        made = contents_artifact.contents_artifact(
            about.manifest.descriptor, LayerFacts({layer: FORGED}, {layer: SCAN}), None
        )
        found = kept(image, made, tmp_path / about.digest.hex, settings)
        assert contents_artifact.read_contents(found, found.image(), None) == LayerFacts()


@pytest.mark.parametrize("data", [EVIL, b"", b"{}", b"(\xb5/\xfd", b'{"layers":{"x":{}}}'])
def test_a_document_that_is_none_is_passed_over(tmp_path: Path, settings: Config, data: bytes) -> None:
    image, blob = small_image(), Literal(data, contents_artifact.KIND)
    made = contents_artifact.contents_artifact(image.manifest.descriptor, LayerFacts(), None)
    document = json.loads(made.manifest.data) | {"layers": [blob.descriptor.json()]}
    manifest = Literal(canonical_json(document), made.manifest.media_type)
    found = kept(image, replace(made, manifest=manifest, blobs=(made.blobs[0], blob)), tmp_path, settings)
    assert contents_artifact.read_contents(found, found.image(), None) == LayerFacts()


@pytest.mark.parametrize(
    "value",
    [
        {"layers": []},
        {"layers": {"sha256:0": {}}},
        {"layers": {f"sha256:{'0' * 64}": {"parts": [{"kind": 1}], "files": [], "copyrights": {}}}},
        {"layers": {f"sha256:{'0' * 64}": {"parts": [], "files": [{"path": "a"}], "copyrights": {}}}},
        {"layers": {f"sha256:{'0' * 64}": {"parts": [], "files": [], "copyrights": {"a": 1}}}},
        {"layers": {}, f"scans.{VERSION}": []},
        {"layers": {}, f"scans.{VERSION}": {f"sha256:{'0' * 64}": {}}},
    ],
)
def test_anything_malformed_is_an_integrity_error(value: object) -> None:
    with pytest.raises(IntegrityError):
        contents_artifact.parse(value)


@dataclass(frozen=True)
class Waiting:
    """The bytes of a layer, which wait a moment for a second reader: two that may read at once, do."""

    inner: Blob
    starts: list[None]
    second: threading.Event = field(default_factory=threading.Event)

    @property
    def descriptor(self) -> Descriptor:
        return self.inner.descriptor

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        self.starts.append(None)
        if len(self.starts) > 1:
            self.second.set()
        self.second.wait(0.3)
        return self.inner.chunks(start)


READERS: dict[str, Callable[[ImageLayer, Config], object]] = {
    "for bills": lambda layer, settings: gather_contents([layer], settings)[layer.layer.diff_id],
    "for its Python": lambda layer, settings: scan(layer, settings.cache),
    "for its libraries": lambda layer, settings: read_libraries(layer, settings.cache, ignore_event),
}


@pytest.mark.parametrize("reader", READERS)
def test_of_threads_that_want_one_layer_one_reads_it(reader: str, settings: Config) -> None:
    tar = layer_tar(member("usr/bin/python3.11", b"#!"))
    descriptor = replace(tar.descriptor, media_type=MediaType.LAYER)
    made = ImageLayer("base", "", Layer(descriptor, descriptor.digest, descriptor.size, NONE), tar)
    blob = Waiting(made.blob, [])
    layer = replace(made, blob=blob)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: READERS[reader](layer, settings), range(4)))
    assert len(blob.starts) == 1
    assert all(each == found[0] for each in found)


def test_scans_of_another_version_say_nothing() -> None:
    assert contents_artifact.parse({"layers": {}, f"scans.{VERSION + 1}": {f"sha256:{'0' * 64}": {}}}) == LayerFacts()


def test_a_received_scan_is_remembered_apart_and_of_no_weight_where_a_key_is_to_vouch(
    tmp_path: Path, settings: Config, signer: keys.Signer
) -> None:
    image = small_image()
    facts = LayerFacts({}, {of(image): SCAN})
    found = kept(image, contents_artifact.contents_artifact(image.manifest.descriptor, facts, None), tmp_path, settings)
    earlier = (Previous("there", found.image(), found=found),)
    assert receive_scans(image.layers, settings, earlier, signer.public) == {}
    assert receive_scans(image.layers, settings, earlier) == {of(image): SCAN}
    assert recall_scans(image.layers, settings) == {of(image): SCAN}
    assert recall_scans(image.layers, settings, signer.public) == {}, "it was not made here"
    made = scan(image.layers[0], settings.cache)
    assert recall_scans(image.layers, settings) == {of(image): made}, "what was read is better than what was told"


def test_a_signed_scan_is_believed_by_its_own_key(tmp_path: Path, settings: Config, signer: keys.Signer) -> None:
    image = small_image()
    facts = LayerFacts({}, {of(image): SCAN})
    found = kept(
        image, contents_artifact.contents_artifact(image.manifest.descriptor, facts, signer), tmp_path, settings
    )
    earlier = (Previous("there", found.image(), found=found),)
    assert receive_scans(image.layers, settings, earlier, signer.public) == {of(image): SCAN}
