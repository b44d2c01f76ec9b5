"""Hashes that are taken while bytes pass: the right ones, of whole files only, and nobody reads a file once more for them."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.pipeline.hash_tee import LARGE, HashTee
from modelcrate.pipeline.request import AttestationOptions
from modelcrate.pipeline.session import Session
from modelcrate.security.sbom.layer_scan import KnownFacts, scan_layer
from modelcrate.transports import parse
from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar.sources import FileRange
from modelcrate_layers.tar.tree import Entry, Kind, file
from modelcrate_layers.tar.writer import Tar
from support.images import noise
from support.validator import assert_valid_layout


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    path = tmp_path / "model/weights.bin"
    path.write_bytes(noise(LARGE + 5))
    return path


def entry(path: Path) -> Entry:
    return file(b"a", FileRange.of_file(str(path)))


def test_the_tar_is_the_same_and_the_file_is_hashed_along(large: Path) -> None:
    small = large.with_name("small")
    small.write_bytes(b"x")
    tar = Tar((entry(large), entry(small)._replace(path=b"b"), Entry(b"c", Kind.DIRECTORY, 0o775)))
    hashes = HashTee()
    heard = hashes.over(tar)
    assert heard.size == tar.size
    assert b"".join(heard) == b"".join(tar)
    assert hashes.found == {FileRange.of_file(str(large)): hashlib.sha256(large.read_bytes()).hexdigest()}


def test_a_pass_that_ends_early_tells_nothing_and_leaves_no_thread(large: Path) -> None:
    hashes, before = HashTee(), threading.active_count()
    chunks = iter(hashes.over(Tar((entry(large),))))
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert hashes.found == {}
    assert threading.active_count() == before


def test_a_file_that_changes_meanwhile_has_no_hash(large: Path) -> None:
    hashes, tar = HashTee(), Tar((entry(large),))
    large.write_bytes(noise(LARGE + 6))
    with pytest.raises(SourceError, match="changed"):
        list(hashes.over(tar))
    assert hashes.found == {}


def test_a_model_is_read_once_for_its_layer_and_its_bill(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "modelcrate.yaml").write_text(
        "name: x\nbase: scratch\ncodec: none\nmodels: [{path: model, name: m, version: 1}]\n"
    )
    settings = Config(tmp_path / "home")
    read: list[str] = []
    real = FileRange._pieces
    monkeypatch.setattr(FileRange, "_pieces", lambda one: read.append(one.path) or real(one))
    with Session(settings) as session:
        request = session.read(tmp_path)
        output, sbom = parse(f"oci:{tmp_path / 'out'}"), AttestationOptions(sbom=True)
        build = session.build(replace(request, outputs=(output,), attestations=sbom))
    assert read == [str(large)], "once: hashed for the bill while it went into the output"
    (layer,) = build.receipt.image.images[0].layers
    assert scan_layer(layer, KnownFacts(build.prepared.facts, build.hashes.found)) == scan_layer(layer)
    assert_valid_layout(tmp_path / "out")
