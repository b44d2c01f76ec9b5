"""An archive is written while its layers are measured: each file is read once, and the bytes are those of an archive that is streamed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from modelcrate import transports
from modelcrate.config import Config
from modelcrate.events import Advanced, Event, Started, ignore_event
from modelcrate.images.image import Deliverable, Image, ImageLayer, assemble
from modelcrate.images.image_config import RunSpec
from modelcrate.images.plain_layers import PlainBlob, plain_size
from modelcrate.images.sinks import PlacingOutput
from modelcrate.pipeline.request import AttestationOptions
from modelcrate.pipeline.session import Build, Session
from modelcrate.transports.archive_session import ArchiveSession
from modelcrate.transports.connections import Connections
from modelcrate.transports.docker_archive import DockerArchiveOutput
from modelcrate.transports.oci_archive import OciArchiveOutput
from modelcrate.transports.output import open_output
from modelcrate_layers.content import Descriptor, Digest, MediaType, Platform
from modelcrate_layers.errors import CrateError, IntegrityError, UserError
from modelcrate_layers.tar import codec as codecs
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.codec import NONE, Codec
from modelcrate_layers.tar.recipe import Layer, Recipe, RecipeBlob, measure
from modelcrate_layers.tar.sources import ZEROS, Bytes
from modelcrate_layers.tar.tree import Tree, file
from support.images import Memory, noise
from support.small_projects import served, wait_until_trusted, write_project
from support.validator import assert_valid_archive
from support.waiting import HANG
from support.wheels import make_wheel

MIB = 1 << 20
LARGE = 24 * MIB


@pytest.fixture(params=["docker-archive", "oci-archive"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home", {"HOME": str(tmp_path)})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = served(tmp_path / "project")
    (folder / "model.bin").write_bytes(noise(LARGE, 1))
    (folder / "src" / "tables.bin").write_bytes(noise(2 * MIB, 2))
    wait_until_trusted(folder)
    return folder


def output_of(kind: str, path: Path) -> DockerArchiveOutput | OciArchiveOutput:
    found = transports.parse(f"{kind}:{path}")
    assert isinstance(found, DockerArchiveOutput | OciArchiveOutput)
    return found


def streamed(output: DockerArchiveOutput | OciArchiveOutput, image: Deliverable) -> bytes:
    """The archive as it goes into a pipe: made from its beginning to its end, out of the finished image."""
    return b"".join(writer.stream(output.members(image, plain_size, ignore_event)[1]))


@dataclass
class Watched:
    """What a build has told: how many bytes passed under each label, and how often each was begun."""

    passed: dict[str, int] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        if isinstance(event, Started):
            self.begun.append(event.label)
        elif isinstance(event, Advanced):
            self.passed[event.label] = self.passed.get(event.label, 0) + event.count

    def written_at_the_end(self, image: Image) -> set[str]:
        """The names of the layers that were made once more for the archive."""
        ends = {label.removeprefix("write ") for label in self.begun if label.startswith("write ")}
        return {each.name for each in image.layers if {each.layer.diff_id.short, each.descriptor.digest.short} & ends}


def built(
    project: Path, output: DockerArchiveOutput | OciArchiveOutput, settings: Config, **more: object
) -> tuple[Build, Watched]:
    watched = Watched()
    with Session(settings, watched.emit) as session:
        request = replace(session.read(project), outputs=(output,), **more)  # type: ignore[arg-type]
        return session.build(request), watched


def judged(path: Path, output: DockerArchiveOutput | OciArchiveOutput, image: Deliverable) -> None:
    assert_valid_archive(path)
    if isinstance(output, DockerArchiveOutput):
        output = output.with_name(image.images[0].title)
    assert path.read_bytes() == streamed(output, image)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def io() -> tuple[int, int]:
    """What this process has read and written so far (proc_pid_io(5))."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["rchar"]), int(lines["wchar"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "image.tar"


def test_a_layer_is_written_while_it_is_measured(kind: str, project: Path, place: Path, settings: Config) -> None:
    output = output_of(kind, place)
    before = io()
    done, watched = built(project, output, settings)
    read, written = (now - then for now, then in zip(io(), before, strict=True))
    image = done.receipt.image.images[0]
    plain = {each.name for each in image.layers if kind == "docker-archive" or each.layer.codec == NONE}
    assert "served:1" in plain
    assert watched.written_at_the_end(image) == {each.name for each in image.layers} - plain
    for each in image.layers:
        assert watched.passed[f"{each.role}: {each.name}"] == each.layer.tar_size
        assert watched.begun.count(f"{each.role}: {each.name}") == 1
    judged(place, output, image)
    size = place.stat().st_size
    assert size <= written < size + 4 * MIB, "the archive, and what the store keeps of the entry script"
    assert read < 1.75 * LARGE, "once; the gates and the choice of a codec look at its beginning"


def test_layers_that_are_known_are_written_when_the_image_is_there(
    kind: str, project: Path, place: Path, settings: Config
) -> None:
    output = output_of(kind, place)
    built(project, output, settings)
    first = place.read_bytes()
    done, watched = built(project, output, settings)
    assert place.read_bytes() == first
    image = done.receipt.image.images[0]
    assert watched.written_at_the_end(image) == {each.name for each in image.layers}
    (project / "src" / "score.py").write_text(
        "def init():\n    global x\n    x = 1\n\n\ndef run(data):\n    return data\n"
    )
    done, watched = built(project, output, settings)
    image = done.receipt.image.images[0]
    made = {each.name: each.layer.codec for each in image.layers if each.origin == "built"}
    assert len(made) == 1
    assert watched.written_at_the_end(image) == {each.name for each in image.layers} - made.keys()
    judged(place, output, image)


def test_documents_beside_the_image_have_room(kind: str, project: Path, place: Path, settings: Config) -> None:
    """Golden requests are as long for one image as for another."""
    (project / "golden").mkdir()
    (project / "golden" / "one.request.json").write_text("[1]")
    (project / "golden" / "one.response.json").write_text("[1]")
    with open(project / "modelcrate.yaml", "a") as text:
        text.write("tests: golden\n")
    output = output_of(kind, place)
    done, watched = built(project, output, settings)
    image = done.receipt.image.images[0]
    assert image.attached
    assert "served:1" not in watched.written_at_the_end(image)
    judged(place, output, image)


def test_where_nobody_knows_the_documents_lengths_the_image_comes_first(
    kind: str, project: Path, place: Path, settings: Config
) -> None:
    output = output_of(kind, place)
    done, watched = built(project, output, settings, attestations=AttestationOptions(sbom=True))
    image = done.receipt.image.images[0]
    assert watched.written_at_the_end(image) == {each.name for each in image.layers}
    judged(place, output, image)


def test_layers_of_several_platforms_and_variants(tmp_path: Path, place: Path, settings: Config) -> None:
    folder = write_project(
        tmp_path / "several",
        """\
        name: several
        base: scratch
        platforms: [linux/amd64, linux/arm64]
        models: [{path: model.bin, name: m, version: 1}]
        """,
    )
    (folder / "model.bin").write_bytes(noise(2 * MIB))
    output = output_of("oci-archive", place)
    done, watched = built(folder, output, settings)
    image = done.receipt.image
    assert len(image.images) == 2
    assert not watched.written_at_the_end(image.images[0])
    judged(place, output, image)
    place.unlink()
    with pytest.raises(UserError, match="one platform"):
        built(folder, output_of("docker-archive", place), Config(tmp_path / "other", settings.environment))
    assert not list(place.parent.iterdir())
    assert not list(Config(tmp_path / "other").layer_cache.facts()), "it is refused before a layer is made"


def test_layers_are_written_at_the_same_time(kind: str, tmp_path: Path, place: Path, settings: Config) -> None:
    folder = write_project(
        tmp_path / "two",
        """\
        name: two
        base: scratch
        codec: none
        models: [{path: a.bin, name: a, version: 1}, {path: b.bin, name: b, version: 1}]
        """,
    )
    for name in ("a", "b"):
        (folder / f"{name}.bin").write_bytes(noise(3 * MIB))
    meeting = threading.Barrier(2)
    watched = Watched()

    def emit(event: Event) -> None:
        if isinstance(event, Advanced) and event.label.startswith("model") and event.label not in watched.passed:
            watched.emit(event)
            meeting.wait(HANG)  # neither goes on before the other has its first bytes
        else:
            watched.emit(event)

    output = output_of(kind, place)
    with Session(settings, emit) as session:
        done = session.build(replace(session.read(folder), outputs=(output,)))
    assert not watched.written_at_the_end(done.receipt.image.images[0])
    judged(place, output, done.receipt.image)


def test_packages_that_collide_leave_nothing(kind: str, project: Path, place: Path, settings: Config) -> None:
    for name in ("one", "other"):
        make_wheel(project / "wheels", name, "1.0", {"shared/__init__.py": f"name = '{name}'\n".encode()})
    (project / "requirements.txt").write_text("one\nother\n")
    with pytest.raises(UserError, match="both own"):
        built(project, output_of(kind, place), settings)
    assert not list(place.parent.iterdir())


# what was expected, and what came


def layer_of(data: bytes, codec: Codec = NONE) -> ImageLayer:
    recipe = Recipe(Tree.of([file(b"a", Bytes(data))]), codec)
    layer = measure(recipe)
    return ImageLayer("model", "m", layer, RecipeBlob(recipe, layer))


def image_of(*layers: ImageLayer) -> Image:
    return assemble(Platform("linux", "amd64"), {}, layers, RunSpec())


def stand_in(layer: ImageLayer) -> ImageLayer:
    """The layer with another digest, as long as its own."""
    digest = Digest.of(str(layer.layer.diff_id).encode())
    facts = replace(layer.layer, descriptor=replace(layer.layer.descriptor, digest=digest), diff_id=digest)
    return replace(layer, layer=facts, blob=PlainBlob((), facts.descriptor))


def opened(output: ArchiveSession | object) -> ArchiveSession:
    assert isinstance(output, ArchiveSession)
    assert isinstance(output, PlacingOutput)
    return output


@pytest.mark.parametrize("end", ["another image", "twice the same", "cut short", "never named"])
def test_an_image_that_is_another_is_written_all_the_same(kind: str, place: Path, settings: Config, end: str) -> None:
    one, two = layer_of(noise(70_000, 1)), layer_of(noise(70_000, 2))
    connections, output = Connections(settings), output_of(kind, place)
    with open_output(output, connections, ignore_event) as places:
        session = opened(places)
        expected = [stand_in(one), stand_in(two)]
        rooms = session.reserve(image_of(*expected))
        first, second = (rooms[each.layer.diff_id] for each in expected)
        for _ in first.take(one.blob.chunks()):
            pass
        first.name(one.layer.diff_id)
        chunks = list(two.blob.chunks())
        for _ in second.take([b"x" * 512] if end == "cut short" else chunks):
            pass
        if end != "never named":
            second.name(two.layer.diff_id)
        came = {
            "another image": image_of(two, one),
            "twice the same": image_of(one, replace(one, name="again")),
        }.get(end, image_of(one, two))
        session.deliver(came, connections, ignore_event)
    assert place.read_bytes() == streamed(output, came)
    assert_valid_archive(place)


def test_what_is_longer_than_its_room_does_not_touch_its_neighbour(place: Path, settings: Config) -> None:
    one, two = layer_of(noise(70_000, 1)), layer_of(noise(70_000, 2))
    connections, output = Connections(settings), output_of("oci-archive", place)
    with open_output(output, connections, ignore_event) as places:
        session = opened(places)
        rooms = session.reserve(image_of(one, two))
        for each in (two, one):
            longer = [*each.blob.chunks(), *([noise(4096)] if each is one else [])]
            for _ in rooms[each.layer.diff_id].take(longer):
                pass
            rooms[each.layer.diff_id].name(each.layer.diff_id)
        session.deliver(image_of(one, two), connections, ignore_event)
    assert place.read_bytes() == streamed(output, image_of(one, two))


# compressed layers of others, which say nowhere how long their tars are


def foreign(blob: Memory) -> ImageLayer:
    tar = b"".join(codecs.decode(iter([blob.data])))
    return ImageLayer("base", "", Layer(blob.descriptor, Digest.of(tar), -1, Codec("gzip")), blob, "reused")


def gzipped(data: bytes, codec: str = "gzip") -> bytes:
    tar = b"".join(writer.stream([file(b"a", Bytes(data))]))
    return b"".join(codecs.named(codec).encode([tar], len(tar)))


def lying(data: bytes, told: int) -> bytes:
    """Two members, of which the second tells this size, for both of them."""
    rest = bytes(told)
    tar = b"".join(writer.stream([file(b"a", Bytes(data)), file(b"b", Bytes(rest))]))
    cut = len(tar) - told
    return b"".join(part for half in (tar[:cut], tar[cut:]) for part in codecs.gzip().encode([half], len(half)))


ENDS: Mapping[str, tuple[bytes, int]] = {
    "tells the truth": (gzipped(noise(300_000)), 1),
    "has no end": (b"".join(codecs.zstd().encode(writer.stream([file(b"a", Bytes(noise(9000)))]), None)), 2),
    "tells too much to be true": (gzipped(b"") + gzipped(bytes(2 << 20)), 2),
    "is that of the last of two": (lying(noise(300_000), 310_000), 3),
}
"""The bytes of a layer, and how often they are read: once where the guess is right, once more to measure it, and twice more where it is wrong."""


@pytest.mark.parametrize("end", ENDS)
def test_a_layer_of_unknown_length_is_unpacked_once_where_its_end_tells_it(
    place: Path, settings: Config, end: str
) -> None:
    data, passes = ENDS[end]
    blob = Memory(data, MediaType.LAYER_GZIP)
    layer, own = foreign(blob), layer_of(noise(70_000, 3))
    connections, output = Connections(settings), output_of("docker-archive", place)
    made = image_of(layer, own)
    with open_output(output, connections, ignore_event) as places:
        session = opened(places)
        expected = stand_in(own)
        room = session.reserve(image_of(layer, expected))[expected.layer.diff_id]
        for _ in room.take(own.blob.chunks()):
            pass
        room.name(own.layer.diff_id)
        session.deliver(made, connections, ignore_event)
    assert blob.starts.count(0) == passes
    assert place.read_bytes() == streamed(output, made)


def test_a_layer_that_is_damaged_is_no_wrong_guess(place: Path, settings: Config) -> None:
    data = bytearray(gzipped(noise(300_000)))
    whole = foreign(Memory(bytes(data), MediaType.LAYER_GZIP))
    data[150_000] ^= 1
    damaged = Memory(bytes(data), MediaType.LAYER_GZIP)
    layer = replace(whole, blob=damaged)
    with pytest.raises(IntegrityError):
        output_of("docker-archive", place).deliver(image_of(layer), Connections(settings), ignore_event)
    assert not list(place.parent.iterdir())


def test_a_layer_whose_end_can_not_be_had_alone_is_measured(place: Path, settings: Config) -> None:
    class Whole(Memory):
        def chunks(self, start: int = 0) -> Iterator[bytes]:
            if start:
                raise CrateError("no ranges here")
            return super().chunks()

    blob = Whole(gzipped(noise(300_000)), MediaType.LAYER_GZIP)
    made = image_of(foreign(blob))
    output = output_of("docker-archive", place)
    output.deliver(made, Connections(settings), ignore_event)
    assert blob.starts == [0, 0]
    assert place.read_bytes() == streamed(output, made)


@dataclass(frozen=True)
class Hole:
    """A blob of zeros. Nobody hashes it here: it takes too long."""

    size: int

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(MediaType.LAYER, Digest.of(b"a hole"), self.size)

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        for _ in range(start // len(ZEROS), self.size // len(ZEROS)):
            yield ZEROS


@pytest.mark.parametrize("placed", [True, False])
def test_a_layer_of_more_than_8_gib(kind: str, place: Path, settings: Config, placed: bool) -> None:
    """Its header has records of its own before it, and is written when the digest is known; zeros stay a hole."""
    hole = Hole(9 << 30)
    digest = hole.descriptor.digest
    large = ImageLayer("model", "m", Layer(hole.descriptor, digest, hole.size, NONE), hole)
    after, connections, output = layer_of(noise(70_000)), Connections(settings), output_of(kind, place)
    made = image_of(large, after)
    with open_output(output, connections, ignore_event) as places:
        session = opened(places)
        if placed:
            room = session.reserve(image_of(stand_in(large), stand_in(after)))[stand_in(large).layer.diff_id]
            for _ in room.take(hole.chunks()):
                pass
            room.name(digest)
        session.deliver(made, connections, ignore_event)
    _, entries = output.members(made, plain_size, ignore_event)
    status = place.stat()
    assert status.st_size == writer.Tar(entries).size > hole.size
    assert status.st_blocks * 512 < MIB
    headers = [entry for entry in entries if entry.size == hole.size]
    with open(place, "rb") as archive:
        head = archive.read(1 << 15)
        assert b"".join(map(writer.header, headers)) in head
        archive.seek(hole.size)
        assert archive.read() == b"".join(writer.stream(entries, hole.size))
