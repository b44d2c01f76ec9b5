"""`verify IMAGE --rebuild`: the image is made again of the lock and the sources beside it, and of nothing else of its project."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate.images.artifact import make_referrer
from modelcrate.images.image import Image
from modelcrate.images.sources import CHANGES, KIND, PROJECT_FILE
from modelcrate.pipeline.image_models import place_files
from modelcrate.pipeline.rebuild import MOST, _created
from modelcrate.pipeline.request import read_request
from modelcrate.transports.addresses import find
from modelcrate.transports.connections import Connections
from modelcrate.transports.oci import LayoutOutput
from modelcrate.transports.store import StoreOutput
from modelcrate_layers.content import Literal, MediaType
from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.kinds.model import folder as model_folder
from modelcrate_layers.tar import writer
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Entry, Tree, directory, file, symlink
from support import hub as hubs
from support import real_registry
from support.command import Inside
from support.hub import Hub
from support.index import PackageIndex, serve
from support.small_projects import SCRIPT, model_only, served, write_project
from support.sources import REPOSITORY
from support.validator import assert_valid_layout
from support.wheels import make_wheel

SECRET = "AKIA" + "Z7Q2" * 4


def edit(folder: Path, old: str, new: str) -> Path:
    path = folder / "modelcrate.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder


def plain(folder: Path, inside: Inside) -> Path:
    return served(folder)


def whole_folder_with_an_ignore_file(folder: Path, inside: Inside) -> Path:
    """The project file, the lock and the requirements go into the image, too."""
    edit(served(folder), "entry: {source: src, script: score.py}", "entry: {source: ., script: src/score.py}")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("not in the image\n")
    (folder / "kept").mkdir()
    (folder / ".dockerignore").write_text("notes\nrequirements.txt\n")
    return folder


def script_alone(folder: Path, inside: Inside) -> Path:
    return edit(served(folder), "entry: {source: src, script: score.py}", "entry: src/score.py")


def command(folder: Path, inside: Inside) -> Path:
    edit(
        served(folder), "entry: {source: src, script: score.py}", "command: [python, app.py]\nsource: app\nports: [80]"
    )
    (folder / "app").mkdir()
    (folder / "app" / "app.py").write_text("print(1)\n")
    return folder


def included_requirements_and_golden_requests(folder: Path, inside: Inside) -> Path:
    served(folder)
    (folder / "more").mkdir()
    (folder / "more" / "pinned.txt").write_text("tiny-lib<2\n")
    (folder / "requirements.txt").write_text("-r more/pinned.txt\ntiny-lib\n")
    (folder / "modelcrate.yaml").open("a").write("tests: [{request: asked, expect: null}, {request: '[1]'}]\n")
    (folder / "asked").mkdir()
    (folder / "asked" / "one.request.json").write_text("[1]")
    return edit(folder, "{request: asked, expect: null}", "{request: asked}")


def without_a_script(folder: Path, inside: Inside) -> Path:
    write_project(
        folder,
        """\
        name: alone
        python: "3.11"
        base: {from: scratch, interpreter: /usr/bin/python3.11}
        dependencies: {requirements: [numpy], wheelhouse: wheels}
        models: [{path: boosted.ubj, name: boosted, version: 1}]
        """,
    )
    shutil.copy(REPOSITORY / "fixtures" / "models" / "boosted.ubj", folder)
    for name, version in (("gunicorn", "23.0"), ("numpy", "2.0"), ("xgboost-cpu", "3.2.0")):
        make_wheel(folder / "wheels", name, version)
    return folder


def registered(folder: Path, inside: Inside) -> Path:
    model = folder.parent / "registered.bin"
    model.write_bytes(b"registered" * 999)
    inside("model", "register", "known", model, "-w", folder.parent / "workspace").succeeded()
    return edit(
        edit(served(folder), "{path: model.bin, name: served, version: 1}", "{registered: known}"),
        "name: served\n",
        f"name: served\nworkspace: {folder.parent / 'workspace'}\n",
    )


def several_platforms_and_a_folder_of_a_model(folder: Path, inside: Inside) -> Path:
    edit(served(folder), "name: served\n", "name: served\nplatforms: [linux/amd64, linux/arm64]\n")
    (folder / "weights" / "deep").mkdir(parents=True)
    (folder / "weights" / "deep" / "a.bin").write_bytes(b"a" * 5000)
    (folder / "weights" / "empty").mkdir()
    return edit(folder, "path: model.bin", "path: weights")


def models_that_share_files(folder: Path, inside: Inside) -> Path:
    """With each other, with the entry, and with a golden request."""
    more = (("src", "code"), ("model/m.bin", "inner"), ("model", "outer"), ("model", "same"))
    lines = "".join(f"  - {{path: {path}, name: {name}, version: 1}}\n" for path, name in more)
    edit(served(folder), "models:\n", f"models:\n{lines}")
    edit(folder, "entry:", "tests: [{request: model/t.json}]\nentry:")
    model = folder / "model"
    model.mkdir()
    (model / "m.bin").write_bytes(b"shared" * 500)
    (model / "t.json").write_text("[1]")
    return folder


KINDS = [
    models_that_share_files,
    plain,
    whole_folder_with_an_ignore_file,
    script_alone,
    command,
    included_requirements_and_golden_requests,
    without_a_script,
    registered,
    several_platforms_and_a_folder_of_a_model,
]


@pytest.mark.parametrize("kind", KINDS, ids=[each.__name__ for each in KINDS])
def test_an_image_is_what_its_sources_give(
    kind: Callable[[Path, Inside], Path], inside: Inside, tmp_path: Path
) -> None:
    project = kind(tmp_path / "project", inside)
    inside("lock", project).succeeded()
    layout = f"oci:{tmp_path / 'layout'}:1"
    inside("build", project, "--sources", "-o", layout).succeeded()
    for each in (project, tmp_path / "workspace"):
        shutil.rmtree(each, ignore_errors=True)
    inside("sources", layout, project).succeeded()
    if kind is not registered:
        inside("build", project, "--locked", "-o", f"oci:{tmp_path / 'again'}:1").succeeded()
        ours, theirs = (inside("digest", f"oci:{tmp_path / name}:1").succeeded().out for name in ("layout", "again"))
        assert ours == theirs
    shutil.rmtree(project)
    done = inside("verify", layout, "--rebuild", "--json").succeeded().json
    assert done["mismatches"] == []
    assert done["rebuilt"] == inside("digest", layout).succeeded().out.strip()
    assert_valid_layout(tmp_path / "layout")


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {"config.json": b"{}", "model.safetensors": hubs.safetensors(5000)}
    with hubs.serve(Hub({"team/small": {"c" * 40: files}}, {"team/small": {"main": "c" * 40}})) as running:
        yield running


def test_a_model_of_a_hub_is_the_images_own(
    hub: Hub, inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hub.environment.items():
        monkeypatch.setenv(name, value)
    project = edit(served(tmp_path / "project"), "{path: model.bin, name: served, version: 1}", "{hf: team/small}")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "hub:1").succeeded()
    shutil.rmtree(inside.home / "cache" / "hub")
    asked = len(hub.log)
    inside("verify", "hub:1", "--rebuild").succeeded()
    assert len(hub.log) == asked


def test_from_a_registry_by_the_library(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under another name of the project file, with a time of the environment, signed, and from the registry alone."""
    if reason := real_registry.missing():
        pytest.skip(reason)
    project = served(tmp_path / "project")
    (project / "modelcrate.yaml").rename(project / "prod.yaml")
    inside("lock", project / "prod.yaml").succeeded()
    inside("keygen", tmp_path / "key").succeeded()
    inside("keygen", tmp_path / "other").succeeded()
    with real_registry.running(tmp_path / "registry") as registry:
        reference = f"{registry.host}/team/served:1"
        with monkeypatch.context() as environment:
            environment.setenv("SOURCE_DATE_EPOCH", "1700000000")
            words = ("--sources", "--sign", tmp_path / "key.key")
            inside("build", project / "prod.yaml", "--push", reference, *words).succeeded()
        shutil.rmtree(project)
        done = modelcrate.rebuild(reference, keys=[tmp_path / "key.pub"])
        assert done.mismatches == ()
        inside("verify", reference, "--rebuild", "--key", tmp_path / "other.pub").failed(5)


def test_a_rebuild_that_trusts_a_key_takes_no_other_sources(inside: Inside, tmp_path: Path) -> None:
    """The image is signed, and whoever may push beside it has put sources there. With signed ones, these alone count."""
    inside("keygen", tmp_path / "key").succeeded()
    key, public = tmp_path / "key.key", tmp_path / "key.pub"
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "x:1").succeeded()
    inside("sign", "x:1", "--key", key).succeeded()
    inside("verify", "x:1", "--rebuild").succeeded()
    inside("verify", "x:1", "--rebuild", "--key", public).failed(5, "the sources beside it are not")
    inside("build", project, "--sources", "--sign", key, "-t", "y:1").succeeded()
    with Connections(Config(inside.home)) as connections:
        found = find("y:1", connections)
        image, beside = found.image(), found.attached()
        foreign = Literal(b"".join(writer.stream([LOCK, _text("m", PROJECT)])), MediaType.LAYER)
        made = make_referrer(image.manifest.descriptor, KIND, foreign, {PROJECT_FILE: "m"})
        StoreOutput("y:1").deliver(replace(image, attached=(*beside, made)), connections, lambda event: None)
    assert inside("verify", "y:1", "--rebuild", "--key", public, "--json").succeeded().json["mismatches"] == []


MALFORMED: dict[str, dict[str, str]] = {
    "no project file": {PROJECT_FILE: ""},
    "changes that are none": {PROJECT_FILE: "modelcrate.yaml", CHANGES: '{"base": 1}'},
    "changes that are no JSON": {PROJECT_FILE: "modelcrate.yaml", CHANGES: "{"},
    "a base of one key": {PROJECT_FILE: "modelcrate.yaml", CHANGES: '{"base": {"name": "x"}}'},
    "a list": {PROJECT_FILE: "modelcrate.yaml", CHANGES: "[]"},
    "a model without layers": {PROJECT_FILE: "modelcrate.yaml", CHANGES: '{"models": [{"goes": "a:1"}]}'},
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_damaged_sources_hide_no_others(kind: str, inside: Inside, tmp_path: Path) -> None:
    project = model_only(tmp_path / "project")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "x:1").succeeded()
    with Connections(Config(inside.home)) as connections:
        found = find("x:1", connections)
        image = found.image()
        blob = Literal(b"".join(writer.stream([LOCK])), MediaType.LAYER)
        made = make_referrer(image.manifest.descriptor, KIND, blob, MALFORMED[kind])
        StoreOutput("x:1").deliver(replace(image, attached=(made, *found.attached())), connections, lambda event: None)
        alone = LayoutOutput(tmp_path / "alone", "1")
        alone.deliver(replace(image, attached=(made,)), connections, lambda event: None)
    inside("verify", "x:1", "--rebuild").succeeded()
    inside("sources", "x:1", tmp_path / "out").succeeded()
    inside("verify", f"oci:{tmp_path / 'alone'}:1", "--rebuild").failed(5, "sources of an image that")


def test_sources_of_another_image_are_found_out(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "one:1").succeeded()
    (project / "src" / "score.py").write_text(SCRIPT.replace("return data", "return 0"))
    inside("build", project, "-t", "two:1").succeeded()
    with Connections(Config(inside.home)) as connections:
        one, two = (find(name, connections) for name in ("one:1", "two:1"))
        (sources,) = (each for each in one.attached() if each.kind == KIND)
        made = make_referrer(
            two.image().manifest.descriptor, KIND, sources.blobs[-1], {PROJECT_FILE: "modelcrate.yaml"}
        )
        image = replace(two.image(), attached=(made,))
        StoreOutput("two:1").deliver(image, connections, lambda event: None)
    done = inside("verify", "two:1", "--rebuild")
    assert done.code == 5
    assert "entry src/score.py" in done.out
    assert "/var/azureml-app/src/score.py" in done.out


@dataclass(frozen=True)
class Refused:
    """How a project is changed, the exit code of its build with sources, and words of the message."""

    change: Callable[[Path], Any]
    code: int
    words: str


REFUSED = {
    "no lock": Refused(lambda folder: (folder / "modelcrate.lock").unlink(), 7, "need a lock"),
    "a stale lock": Refused(lambda folder: (folder / "requirements.txt").write_text("tiny-lib>0\n"), 7, "need a lock"),
    "a secret beside the sources": Refused(
        lambda folder: (folder / ".dockerignore").write_text(f"# {SECRET}\n"), 3, ".dockerignore"
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_can_be_no_sources_is_told_before_anything_is_made(kind: str, inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    REFUSED[kind].change(project)
    inside("build", project, "--sources", "-t", "x:1").failed(REFUSED[kind].code, REFUSED[kind].words)
    assert inside("images", "--json").succeeded().json == []


def test_sources_go_into_no_folder_that_has_something(inside: Inside, tmp_path: Path) -> None:
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "x:1").succeeded()
    before = sorted(project.rglob("*"))
    inside("sources", "x:1", project).failed(2, "no empty folder")
    inside("sources", "x:1", project / "model.bin").failed(2, "no empty folder")
    assert sorted(project.rglob("*")) == before
    (tmp_path / "empty").mkdir()
    inside("sources", "x:1", tmp_path / "empty").succeeded()
    assert (tmp_path / "empty" / "model.bin").read_bytes() == (project / "model.bin").read_bytes()


def test_an_image_without_sources_is_told_how_to_get_them(inside: Inside, tmp_path: Path) -> None:
    inside("build", model_only(tmp_path / "project"), "-t", "x:1").succeeded()
    inside("verify", "x:1", "--rebuild").failed(3, "no sources beside the image", "--sources")


def _with_sources(inside: Inside, entries: list[Entry], name: str) -> None:
    """Puts sources of our own making beside the image `x:1`."""
    with Connections(Config(inside.home)) as connections:
        image = find("x:1", connections).image()
        assert isinstance(image, Image)
        blob = Literal(b"".join(writer.stream(entries)), MediaType.LAYER)
        made = make_referrer(image.manifest.descriptor, KIND, blob, {PROJECT_FILE: name})
        StoreOutput("x:1").deliver(replace(image, attached=(made,)), connections, lambda event: None)


def _text(path: str, text: str) -> Entry:
    return file(path.encode(), Bytes(text.encode()), 0o644)


PROJECT = "name: alone\nbase: scratch\nmodels: [{path: m.bin, name: alone, version: 1}]\n"
LOCK = _text("modelcrate.lock", '{"lock-version": 1, "asked": {}, "platforms": {}, "models": [], "codecs": []}')
HOSTILE: dict[str, tuple[list[Entry], str, str]] = {
    "a project file elsewhere": ([LOCK, _text("a", PROJECT)], "../a", "name no project file"),
    "no project file": ([LOCK, _text("a", PROJECT)], "modelcrate.yaml", "have no modelcrate.yaml"),
    "no lock": ([_text("modelcrate.yaml", PROJECT)], "modelcrate.yaml", "have no modelcrate.lock"),
    "a link that leads out": (
        [LOCK, symlink(b"link", b"../../.."), _text("modelcrate.yaml", PROJECT)],
        "modelcrate.yaml",
        "leads out of them",
    ),
    "a model in the place of the lock": (
        [LOCK, _text("modelcrate.yaml", PROJECT.replace("path: m.bin", "path: modelcrate.lock"))],
        "modelcrate.yaml",
        "at 'modelcrate.lock'",
    ),
    "a model below the project file": (
        [LOCK, _text("modelcrate.yaml", PROJECT.replace("path: m.bin", "path: modelcrate.yaml/x"))],
        "modelcrate.yaml",
        "at 'modelcrate.yaml/x'",
    ),
    "a name of two lines": ([LOCK, _text("a\nb", PROJECT)], "a\nb", "name no project file"),
    "a project file that is none": ([LOCK, _text("modelcrate.yaml", "name: [")], "modelcrate.yaml", "the sources"),
    "a lock of another project": (
        [LOCK, _text("modelcrate.yaml", PROJECT)],
        "modelcrate.yaml",
        "does not fit them",
    ),
    "a lock that is none": (
        [_text("modelcrate.lock", "{"), _text("modelcrate.yaml", PROJECT)],
        "modelcrate.yaml",
        "the sources",
    ),
    "a model that the image lacks": (
        [LOCK, _text("modelcrate.yaml", PROJECT.replace("name: alone, v", "name: other, v"))],
        "modelcrate.yaml",
        "name the model other:1",
    ),
    "a build of its own": (
        [LOCK, _text("modelcrate.yaml", PROJECT + "dependencies: {requirements: pyproject.toml, project: true}\n")],
        "modelcrate.yaml",
        "a build of their own",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_sources_are_refused(kind: str, inside: Inside, tmp_path: Path) -> None:
    inside("build", model_only(tmp_path / "project"), "-t", "x:1").succeeded()
    entries, name, words = HOSTILE[kind]
    _with_sources(inside, entries, name)
    inside("verify", "x:1", "--rebuild").failed(5, words)
    if kind not in ("a build of its own", "a lock that is none", "a lock of another project"):
        inside("sources", "x:1", tmp_path / "out").failed(5, words)
        assert not (tmp_path / "out").exists()


def test_sources_get_no_variables_of_whoever_reads_them(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that they name is asked for nothing, though the variable is set and the lock fits."""
    project = edit(served(tmp_path / "project"), ", wheelhouse: wheels", "")
    files = {path.name: path.read_bytes() for path in (project / "wheels").iterdir()}
    monkeypatch.setenv("MY_TOKEN", "simple")
    with serve(PackageIndex(files)) as index:
        line = f"--index-url {index.url.removesuffix('/simple')}/${{MY_TOKEN}}\n"
        (project / "requirements.txt").write_text(line + "tiny-lib\n")
        inside("lock", project).succeeded()
        inside("build", project, "--sources", "-t", "x:1").succeeded()
        assert index.log
        shutil.rmtree(inside.home / "cache")
        index.log.clear()
        inside("verify", "x:1", "--rebuild").failed(5, "MY_TOKEN", "somebody else")
        inside("bundle", "create", "x:1", "--with", "lock,wheels", "-o", tmp_path / "b.tar").failed(5, "MY_TOKEN")
        assert index.log == []


def test_a_model_with_a_link_that_leads_out_is_refused(inside: Inside, tmp_path: Path) -> None:
    """No build of ours makes such a layer; the image is another's. The sources themselves are clean."""
    project = model_only(tmp_path / "project")
    inside("build", project, "-t", "x:1").succeeded()
    (project / "model.bin").unlink()
    with Connections(Config(inside.home)) as connections:
        image = find("x:1", connections).image()
        assert isinstance(image, Image)
        (layer,) = (each for each in image.layers if each.role == "model")
        place = model_folder("alone", 1)
        entries = Tree.of([directory(place), directory(place + b"/m"), symlink(place + b"/m/out", b"/etc")]).entries
        forged = replace(layer, blob=Literal(b"".join(writer.stream(entries)), MediaType.LAYER))
        with pytest.raises(IntegrityError, match="leads out of them"):
            place_files(read_request(project, connections.config), replace(image, layers=(forged,)), tmp_path)


def test_of_several_sources_none_is_taken_unasked(inside: Inside, tmp_path: Path) -> None:
    """A rebuild tries the last of them, and says so where there are more."""
    inside("build", model_only(tmp_path / "project"), "-t", "x:1").succeeded()
    entries = [LOCK, _text("modelcrate.yaml", PROJECT)]
    texts = [[*entries, _text(f"more{number}", "x")] for number in range(MOST + 2)]
    with Connections(Config(inside.home)) as connections:
        image = find("x:1", connections).image()
        blobs = [Literal(b"".join(writer.stream(sorted(each))), MediaType.LAYER) for each in texts]
        made = tuple(
            make_referrer(image.manifest.descriptor, KIND, each, {PROJECT_FILE: "modelcrate.yaml"}) for each in blobs
        )
        StoreOutput("x:1").deliver(replace(image, attached=made), connections, lambda event: None)
    digest = str(made[3].manifest.descriptor.digest)
    inside("sources", "x:1", tmp_path / "out").failed(2, "several sources", str(made[-1].manifest.descriptor.digest))
    inside("sources", "x:1", tmp_path / "out", "--digest", "sha256:" + "0" * 64).failed(2, "none of the sources")
    assert not (tmp_path / "out").exists()
    inside("sources", "x:1", tmp_path / "out", "--digest", digest).succeeded()
    assert (tmp_path / "out" / "more3").exists()
    done = inside("verify", "x:1", "--rebuild")
    assert f"{MOST + 2} sources are beside" in done.err
    assert "17 sources beside one image" not in done.err


def test_a_folder_that_is_there_stays_and_nothing_beside_it_is_removed(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = served(tmp_path / "project")
    inside("lock", project).succeeded()
    inside("build", project, "--sources", "-t", "x:1").succeeded()
    notes = tmp_path / "modelcrate-scratch-notes"
    for each in (notes, tmp_path / "here", tmp_path / "linked"):
        each.mkdir()
    (notes / "important.txt").write_text("mine")
    (tmp_path / "link").symlink_to("linked")
    monkeypatch.chdir(tmp_path / "here")
    inside("sources", "x:1", ".").succeeded()
    inside("sources", "x:1", tmp_path / "link").succeeded()
    inside("sources", "x:1", tmp_path / "new").succeeded()
    names = {"model.bin", "modelcrate.lock", "modelcrate.yaml", "requirements.txt", "src", "wheels"}
    for each in ("here", "linked", "new"):
        assert {path.name for path in (tmp_path / each).iterdir()} == names
    assert (tmp_path / "link").is_symlink()
    assert (notes / "important.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        ("2020-01-01T00:00:00", datetime(2020, 1, 1, tzinfo=UTC)),
        ("2020-01-01T01:00:00+01:00", datetime(2020, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_foreign_creation_time_is_a_time_or_none(
    inside: Inside, tmp_path: Path, text: str, expected: datetime | None
) -> None:
    inside("build", model_only(tmp_path / "project"), "-t", "x:1").succeeded()
    with Connections(Config(inside.home)) as connections:
        image = find("x:1", connections).image()
        config = json.dumps({**image.settings, "created": text}).encode()
        assert _created(replace(image, config=replace(image.config, data=config))) == expected


def test_platforms_that_the_sources_lack_are_named(inside: Inside, tmp_path: Path) -> None:
    project = edit(
        model_only(tmp_path / "project"), "name: alone\n", "name: alone\nplatforms: [linux/amd64, linux/arm64]\n"
    )
    inside("build", project, "-t", "x:1").succeeded()
    lock = tmp_path / "other"
    shutil.copytree(project, lock)
    edit(lock, "platforms: [linux/amd64, linux/arm64]", "platforms: [linux/amd64]")
    inside("lock", lock).succeeded()
    entries = [_text(name, (lock / name).read_text()) for name in ("modelcrate.lock", "modelcrate.yaml")]
    with Connections(Config(inside.home)) as connections:
        index = find("x:1", connections).read()
        blob = Literal(b"".join(writer.stream(entries)), MediaType.LAYER)
        made = make_referrer(index.images[0].manifest.descriptor, KIND, blob, {PROJECT_FILE: "modelcrate.yaml"})
        StoreOutput("x:1").deliver(replace(index, attached=(made,)), connections, lambda event: None)
    done = inside("verify", "x:1", "--rebuild")
    assert done.code == 5
    assert "linux/arm64: the sources do not build this platform" in done.out
    assert "only its annotations" not in done.out
