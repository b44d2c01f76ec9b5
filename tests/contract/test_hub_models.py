"""`models: [{hf: ORG/NAME}]`: from a hub, or from the local cache of its tools; pinned by commit and hashes, and to the token's host alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.command import Crate, in_this_process
from support.hub import TOKEN, Hub, git_blob, lfs, safetensors, serve
from support.pickles import calls
from support.small_projects import write_project
from support.validator import assert_valid_layout

REPO, FIRST, SECOND = "acme/tiny-bert", "a" * 40, "b" * 40
LARGE = safetensors(17 << 20, 1)


def files(seed: int = 0, large: bool = False) -> dict[str, bytes]:
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "README.md": b"# tiny\n",
        "config.json": b'{"architectures": ["BertForSequenceClassification"], "transformers_version": "5.0.0", "model_type": "bert"}',
        "tokenizer.json": b'{"version": "1.0", "seed": %d}' % seed,
        "model.safetensors": LARGE if large else safetensors(4096, seed),
        "pytorch_model.bin": b"not read, for it is left out",
        "tf_model.h5": b"h5",
        "onnx/model.onnx": b"onnx",
        "1_Pooling/config.json": b"{}",
    }


TAKEN = ["1_Pooling/config.json", "README.md", "config.json", "model.safetensors", "tokenizer.json"]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    with in_this_process(monkeypatch, capfd):
        yield


@pytest.fixture
def hub() -> Iterator[Hub]:
    repos = {REPO: {FIRST: files(), SECOND: files(1)}, "acme/large": {FIRST: files(large=True)}}
    refs = {REPO: {"main": FIRST}, "acme/large": {"main": FIRST}}
    with serve(Hub(repos, refs)) as running:
        yield running


def project(folder: Path, more: str = "", repo: str = REPO) -> Path:
    return write_project(folder, f"name: hubbed\nbase: scratch\nmodels: [{{hf: {repo}{more}}}]\n")


def cached(home: Path, repo: str, commit: str, found: dict[str, bytes], branch: str = "main") -> Path:
    """The cache of the hub's own tools, as they write it (huggingface_hub, "Understand caching")."""
    top = home / f"models--{repo.replace('/', '--')}"
    (top / "blobs").mkdir(parents=True)
    (top / "refs").mkdir()
    (top / "refs" / branch).write_text(commit)
    for path, data in found.items():
        name = hashlib.sha256(data).hexdigest() if lfs(path, data) else git_blob(data)
        (top / "blobs" / name).write_bytes(data)
        link = top / "snapshots" / commit / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../" * (path.count("/") + 2) + f"blobs/{name}")
    return top


def pin(place: Path) -> dict[str, Any]:
    model: dict[str, Any] = json.loads((place / "modelcrate.lock").read_bytes())["models"][0]
    return model


def built(crate: Crate, place: Path, *words: str) -> str:
    layout = place.parent / f"{place.name}-layout"
    shutil.rmtree(layout, ignore_errors=True)
    digest: str = crate("build", place, "-o", f"oci:{layout}:1", "--json", *words).succeeded().json["digest"]
    assert_valid_layout(layout)
    return digest


def test_a_model_of_a_hub_is_pinned_by_commit_and_hashes(tmp_path: Path, hub: Hub) -> None:
    place = project(tmp_path / "project", ", revision: main")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    said = crate("lock", place).succeeded().err
    assert "left out" in said
    for name in ("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", ".gitattributes"):
        assert name in said
    locked = pin(place)
    assert locked["hub"]["revision"] == FIRST
    assert locked["layers"] == []
    assert sorted(locked["hub"]["files"]) == TAKEN
    for path, each in locked["hub"]["files"].items():
        data = hub.repos[REPO][FIRST][path]
        assert each == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    hub.refs[REPO]["main"] = SECOND
    first = built(crate, place, "--locked")
    other = Crate.at(tmp_path / "other", **hub.environment)
    assert built(other, place, "--locked") == first, "the commit of the lock counts, not what the branch is now"
    assert not [line for line in hub.log if SECOND in line]
    (place / "modelcrate.lock").unlink()
    assert built(other, place) != first


def test_a_locked_model_is_built_without_the_hub(tmp_path: Path, hub: Hub) -> None:
    place = project(tmp_path / "project")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    crate("lock", place).succeeded()
    first = built(crate, place, "--locked")
    asked = len(hub.log) + len(hub.stored)
    assert built(crate, place, "--locked", "--offline") == first
    assert len(hub.log) + len(hub.stored) == asked


@pytest.mark.parametrize("change", ["another file", "one more", "one less", "a file in its place"])
def test_links_of_the_home_that_were_changed_are_made_again(tmp_path: Path, hub: Hub, change: str) -> None:
    place, crate = project(tmp_path / "project"), Crate.at(tmp_path / "home", **hub.environment)
    first = built(crate, place)
    (link,) = crate.home.rglob("views/*/*/tokenizer.json")
    if change == "one more":
        (link.parent / "tokenizer.py").symlink_to(link.resolve())
    else:
        target = link.with_name("config.json").resolve()
        link.unlink()
    if change == "another file":
        link.symlink_to(target)
    elif change == "a file in its place":
        link.write_bytes(files()["tokenizer.json"].replace(b"1.0", b"6.6"))
    assert built(crate, place) == first


def test_the_local_cache_gives_the_same_image_as_the_hub(tmp_path: Path, hub: Hub) -> None:
    first = built(Crate.at(tmp_path / "home", **hub.environment), project(tmp_path / "project"))
    for name, value in (("HF_HUB_CACHE", "cache"), ("HF_HOME", "other")):
        folder = tmp_path / value / ("hub" if name == "HF_HOME" else "")
        cached(folder, REPO, FIRST, {path: hub.repos[REPO][FIRST][path] for path in (*TAKEN, "pytorch_model.bin")})
        for more in ("", f", revision: '{FIRST}'"):
            place = project(tmp_path / "local", more)
            crate = Crate.at(tmp_path / f"home-{value}", **{name: str(tmp_path / value), "HF_HUB_OFFLINE": "1"})
            assert built(crate, place) == first
    before = len(hub.stored)
    listed = Crate.at(tmp_path / "listed", HF_HUB_CACHE=str(tmp_path / "cache"), **hub.environment)
    assert built(listed, project(tmp_path / "both")) == first
    assert len(hub.stored) == before, "the hub lists the files, and the cache has them"


def test_the_list_that_newer_tools_keep_shows_what_is_lacking(tmp_path: Path, hub: Hub) -> None:
    """`trees/COMMIT.json` of huggingface_hub 2."""
    found = {path: hub.repos[REPO][FIRST][path] for path in TAKEN}
    top = cached(tmp_path / "cache", REPO, FIRST, found)
    told = {
        path: {
            "size": len(data),
            "blob_id": git_blob(data),
            **({"lfs_sha256": lfs(path, data)["lfs"]["sha256"]} if lfs(path, data) else {}),
        }
        for path, data in hub.repos[REPO][FIRST].items()
    }
    (top / "trees").mkdir()
    (top / "trees" / f"{FIRST}.json").write_text(json.dumps({"format_version": 1, "files": told}))
    place = project(tmp_path / "project", f", revision: '{FIRST}'")
    closed = Crate.at(tmp_path / "home", HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
    first = built(closed, place)
    assert "may not be all" not in closed("lock", place).succeeded().err
    assert built(Crate.at(tmp_path / "other", **hub.environment), place) == first
    (top / "snapshots" / FIRST / "model.safetensors").unlink()
    (place / "modelcrate.lock").unlink()
    Crate.at(tmp_path / "third", HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")("build", place).failed(
        4, "model.safetensors is not here"
    )


def test_a_hub_that_can_not_be_reached_is_said(tmp_path: Path, hub: Hub) -> None:
    cached(tmp_path / "cache", REPO, FIRST, {path: hub.repos[REPO][FIRST][path] for path in TAKEN})
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(tmp_path / "cache")}
    said = Crate.at(tmp_path / "home", **nowhere)("lock", project(tmp_path / "project")).succeeded().err
    assert "the local cache's files" in said
    Crate.at(tmp_path / "none", HF_HUB_OFFLINE="1")("lock", project(tmp_path / "project")).failed(
        4, REPO, "hf download acme/tiny-bert"
    )


def test_large_weights_stay_on_the_hub_until_a_build(tmp_path: Path, hub: Hub) -> None:
    place = project(tmp_path / "project", repo="acme/large")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    crate("lock", place).succeeded()
    shown = crate("plan", place, "--json").succeeded().json["platforms"][0]["layers"]
    assert hub.sent < 1 << 20
    assert sum(each.get("size", 0) + each.get("size_estimate", 0) for each in shown) > len(LARGE)
    assert sum(each["bytes"]["fetch"] for each in shown) == len(LARGE)
    locked = pin(place)["hub"]["files"]["model.safetensors"]
    assert locked == {"sha256": hashlib.sha256(LARGE).hexdigest(), "size": len(LARGE)}
    crate("plan", place, "--max-size", "10MB").failed(8, "may have 10.0 MB")
    first = built(crate, place, "--locked")
    assert hub.sent > len(LARGE)
    assert built(Crate.at(tmp_path / "other", **hub.environment), place) == first


def test_a_hub_that_sends_no_parts_sends_the_whole(tmp_path: Path, hub: Hub) -> None:
    hub.ranges = False
    place = project(tmp_path / "project", repo="acme/large")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    crate("lock", place).succeeded()
    assert pin(place)["hub"]["files"]["model.safetensors"]["size"] == len(LARGE)
    built(crate, place, "--locked")


@pytest.mark.parametrize("by_file", [False, True])
def test_the_token_goes_to_the_hub_alone_and_is_never_shown(tmp_path: Path, hub: Hub, by_file: bool) -> None:
    hub.token = TOKEN
    place, home = project(tmp_path / "project"), tmp_path / "home"
    environment = dict(hub.environment)
    if by_file:
        del environment["HF_TOKEN"]
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text(f"{TOKEN}\n")
        environment["HF_HOME"] = str(tmp_path / "hf")
    layout = tmp_path / "layout"
    done = Crate.at(home, **environment)(
        "build", place, "-o", f"oci:{layout}:1", "--progress", "json", "-v"
    ).succeeded()
    assert {authorization for *_, authorization in hub.stored} == {""}
    assert TOKEN not in done.out + done.err
    for path in (*home.rglob("*"), *layout.rglob("*")):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    without = {name: value for name, value in environment.items() if name == "HF_ENDPOINT"}
    Crate.at(tmp_path / "stranger", **without)("build", place).failed(4, "401", "HF_TOKEN")
    wrong = Crate.at(tmp_path / "wrong", **{**without, "HF_TOKEN": "hf_other"})("build", place).failed(4, "401")
    assert "hf_other" not in wrong.err


def test_other_bytes_than_the_hub_lists_are_refused(tmp_path: Path, hub: Hub) -> None:
    for path in ("model.safetensors", "config.json"):
        hub.lies = {path}
        place = project(tmp_path / "project")
        Crate.at(tmp_path / path, **hub.environment)("build", place).failed(5, path, "wrong digest")


def test_a_damaged_file_of_the_local_cache_is_not_taken(tmp_path: Path, hub: Hub) -> None:
    first = built(Crate.at(tmp_path / "home", **hub.environment), project(tmp_path / "project"))
    top = cached(tmp_path / "cache", REPO, FIRST, {path: hub.repos[REPO][FIRST][path] for path in TAKEN})
    weights = (top / "snapshots" / FIRST / "model.safetensors").resolve()
    weights.write_bytes(bytes(weights.stat().st_size))
    crate = Crate.at(tmp_path / "again", HF_HUB_CACHE=str(tmp_path / "cache"), **hub.environment)
    assert built(crate, project(tmp_path / "again-project")) == first
    closed = Crate.at(tmp_path / "closed", HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
    closed("build", project(tmp_path / "closed-project")).failed(5, "does not have the hash")


def test_files_are_chosen_by_patterns(tmp_path: Path, hub: Hub) -> None:
    place = project(tmp_path / "project", ", files: ['token*.json', '1_Pooling/']")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    said = crate("lock", place).succeeded().err
    assert sorted(pin(place)["hub"]["files"]) == [
        "1_Pooling/config.json",
        "tokenizer.json",
    ]
    assert "left out" not in said
    project(place, ", files: ['*.gguf']")
    crate("lock", place).failed(2, "no file '*.gguf'", "model.safetensors")


def test_another_revision_or_pattern_is_another_lock(tmp_path: Path, hub: Hub) -> None:
    place = project(tmp_path / "project")
    crate = Crate.at(tmp_path / "home", **hub.environment)
    crate("lock", place).succeeded()
    for more in (f", revision: '{SECOND}'", ", files: ['*.json']"):
        project(place, more)
        crate("build", place, "--locked").failed(7, "tiny-bert")


def test_the_gates_read_what_comes_from_a_hub(tmp_path: Path, hub: Hub) -> None:
    hub.repos[REPO]["c" * 40] = {"config.json": b"{}", "pytorch_model.bin": calls("os", "system")}
    place = project(tmp_path / "project", f", revision: '{'c' * 40}'")
    for verb in ("build", "lock"):
        Crate.at(tmp_path / "home", **hub.environment)(verb, place).failed(
            3, "tiny-bert/pytorch_model.bin", "os.system"
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"sha": "main"},
        {"siblings": [{"rfilename": "../evil", "size": 1, "blobId": "0" * 40}]},
        {"siblings": [{"rfilename": "/etc/x", "size": 1, "blobId": "0" * 40}]},
        {"siblings": [{"rfilename": "a", "size": -1, "blobId": "0" * 40}]},
        {"siblings": [{"rfilename": "a", "size": 1}]},
        {"siblings": [{"rfilename": "a", "size": 1, "lfs": {"sha256": "x"}}]},
        {"siblings": ["a"]},
        {"siblings": {}},
    ],
)
def test_a_hub_that_lies_about_its_files_is_refused(
    tmp_path: Path, hub: Hub, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Hub.listing
    monkeypatch.setattr(Hub, "listing", lambda self, *words: {**(honest(self, *words) or {}), **wrong})
    Crate.at(tmp_path / "home", **hub.environment)("lock", project(tmp_path / "project")).failed(5)


@pytest.mark.parametrize("page", [b"<!doctype html><title>Sign in</title>", b"[]", b" "])
def test_what_is_no_hub_is_said(tmp_path: Path, hub: Hub, page: bytes) -> None:
    hub.page = page
    Crate.at(tmp_path / "home", **hub.environment)("lock", project(tmp_path / "project")).failed(
        4, "no description of a model", "HF_ENDPOINT"
    )


def test_what_the_hub_does_not_have_is_said(tmp_path: Path, hub: Hub) -> None:
    crate = Crate.at(tmp_path / "home", **hub.environment)
    crate("lock", project(tmp_path / "project", repo="acme/nothing")).failed(4, "404", "acme/nothing", "HF_TOKEN")
    crate("lock", project(tmp_path / "project", ", revision: no-such")).failed(4, "404", "no-such")
