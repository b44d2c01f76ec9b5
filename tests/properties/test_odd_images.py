"""Whatever stands in the documents of an image: every verb that reads it does its work or says in words why not, and ends with its code.

Cases are drawn by seed: one place of the config, the manifest, the index or index.json has a value that nobody expects.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelcrate_layers.content import Literal, MediaType
from support.bases import small
from support.command import Inside
from support.odd_json import draw

SEEDS, CASES = 6, 25

LAYER = small()
NOTES = {
    "role": "model", "name": "m", "tar-size": "10240", "codec": "none", "inputs": '["a"]', "key": "sha256:" + "1" * 64,
}  # fmt: skip
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "variant": "v1",
    "created": "2020-01-01T00:00:00Z",
    "config": {
        "User": "root",
        "ExposedPorts": {"80/tcp": {}},
        "Env": ["PATH=/usr/bin"],
        "Entrypoint": ["/bin/x"],
        "Cmd": ["y"],
        "WorkingDir": "/w",
        "Labels": {"a": "b", "io.modelcrate.contracts": "azureml"},
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1000},
    },
    "rootfs": {"type": "layers", "diff_ids": [str(LAYER.descriptor.digest)]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x", "empty_layer": False}],
}
NAMES = ("config", "manifest", "index", "index.json")


def written(folder: Path, changed: str, change: Callable[[Any], Any]) -> None:
    """A layout of one image in an index, of which one document is another."""
    held: list[Literal] = [LAYER]

    def blob(name: str, value: Any, kind: str) -> dict[str, Any]:
        data = json.dumps(change(value) if name == changed else value).encode()
        held.append(Literal(data, kind))
        return held[-1].descriptor.json()

    config = blob("config", CONFIG, MediaType.CONFIG)
    notes = {f"io.modelcrate.layer.{name}": value for name, value in NOTES.items()}
    layers = [{**LAYER.descriptor.json(), "annotations": notes}]
    head = {"schemaVersion": 2, "annotations": {"org.opencontainers.image.title": "t"}}
    manifest = blob(
        "manifest", {**head, "mediaType": MediaType.MANIFEST, "config": config, "layers": layers}, MediaType.MANIFEST
    )
    listed = {
        **manifest,
        "platform": {"os": "linux", "architecture": "amd64", "variant": "v1"},
        "annotations": {"a": "b"},
    }
    index = blob("index", {**head, "mediaType": MediaType.INDEX, "manifests": [listed]}, MediaType.INDEX)
    named = {**index, "annotations": {"org.opencontainers.image.ref.name": "1"}}
    top = {"schemaVersion": 2, "manifests": [named]}
    for each in held:
        path = folder / "blobs/sha256" / each.descriptor.digest.hex
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(each.data)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_bytes(json.dumps(change(top) if changed == "index.json" else top).encode())


def read(inside: Inside, words: tuple[str, ...], case: str) -> int:
    """Runs a verb, and returns its code after a look at all that it said."""
    done = inside(*words)
    told = f"{case}: {' '.join(words)}\n{done.err[-500:]}"
    assert done.code in (0, 2, 3, 5), told
    assert "Traceback" not in done.err, told
    assert len(done.err) < 3000, told
    shown = done.out + done.err
    assert all(each.isprintable() or each in "\n\t" for each in shown), told
    if done.code == 0 and "--json" in words:
        json.loads(done.out)
    return done.code


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Inside:
    return Inside.of(tmp_path / "home", monkeypatch, capfd)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_verb_reads_an_image_or_says_why_not(seed: int, inside: Inside, tmp_path: Path) -> None:
    chance = random.Random(seed)
    good, odd, out = tmp_path / "good", tmp_path / "odd", tmp_path / "out"
    written(good, "", lambda value: value)
    assert read(inside, ("verify", f"oci:{good}:1"), "as it should be") == 0
    codes = set()
    for number in range(CASES):
        changed, told = chance.choice(NAMES), []

        def change(value: Any, told: list[str] = told) -> Any:
            value, what = draw(value, chance)
            told.append(what)
            return value

        shutil.rmtree(odd, ignore_errors=True)
        written(odd, changed, change)
        address = f"oci:{odd}:1"
        for words in (
            ("inspect", address), ("inspect", address, "--json"), ("digest", address), ("explain", address), ("sbom", address),
            ("verify", address), ("diff", f"oci:{good}:1", address), ("copy", address, f"docker-archive:{out}.tar"),
            ("copy", address, f"oci:{out}:1"), ("copy", address, "store:odd"), ("images", "--json"), ("cache", "check"),
        ):  # fmt: skip
            codes.add(read(inside, words, f"case {seed}.{number}, {changed} {told}"))
            shutil.rmtree(out, ignore_errors=True)
            Path(f"{out}.tar").unlink(missing_ok=True)
    assert {0, 5} <= codes


def test_a_hint_to_run_an_image_has_nothing_of_it_but_a_number(inside: Inside, tmp_path: Path) -> None:
    """Whoever copies that line into a shell would run what stands in it."""

    def expose(value: Any) -> Any:
        return {
            **value,
            "config": {**value["config"], "ExposedPorts": {"80;touch owned": {}, "²/tcp": {}, "8080/tcp": {}}},
        }

    written(tmp_path / "odd", "config", expose)
    copied = inside("copy", f"oci:{tmp_path / 'odd'}:1", "store:odd").succeeded()
    assert "run it: modelcrate run -p 8080:8080 odd" in copied.out
    assert "touch" not in copied.out
