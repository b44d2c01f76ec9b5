"""The exact cause for which a layer is new, and the digest that is foreseen when none is."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate import api
from modelcrate.config import Config
from modelcrate.images.image import Image
from modelcrate.images.previous import Previous
from modelcrate.pipeline.cost import cached_bytes, cost
from modelcrate.pipeline.plan import KnownLayers, PlannedLayer, choose_codec, plan, settled_codec
from modelcrate.pipeline.prepare import Prepared
from modelcrate.pipeline.session import Session
from modelcrate_layers.content import Digest
from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.layer_cache import LayerCache, settled
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.codec import NONE, SPLICED
from modelcrate_layers.tar.recipe import Recipe, measure
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file
from support.small_projects import model_only, served
from support.wheels import make_wheel

AUTO = dict.fromkeys(("base", "dependencies", "server", "model", "entry"), "auto")


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(tmp_path / "home")


def built(project: Path, settings: Config) -> Image:
    return api.build(project, settings=settings).image.images[0]


def prepared(project: Path, settings: Config) -> Prepared:
    with Session(settings) as session:
        return session.prepare(session.read(project))


def again(each: PlannedLayer, previous: Previous, memo: Path | None, policy: str = "auto") -> PlannedLayer:
    """The layer as it is planned where an earlier image is all that is known."""
    kind = each.kind
    made = plan(
        previous.image.platform,
        (),
        [kind],
        {**AUTO, kind.role: policy},
        KnownLayers(LayerCache(memo), Layout(memo)) if memo else None,
        [previous],
    )
    return made.layers[0]


def test_every_cause_is_named(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    previous = Previous("there", built(project, settings))
    planned = prepared(project, settings).plans[0].layers
    wheels = next(each for each in planned if isinstance(each.kind, WheelsLayer))
    fresh = tmp_path / "fresh"
    known = again(wheels, previous, fresh)
    assert (known.known_from, known.why) == ("there", "same inputs as in there")
    assert known.taken is not None
    lost = replace(previous, missing=frozenset({known.taken.descriptor.digest}))
    assert again(wheels, lost, fresh).why == "there names it, and has lost its blob"
    stored = str(known.taken.layer.codec)
    other = "none" if stored != "none" else "zstd"
    assert again(wheels, previous, fresh, other).why == f"the setting: codec {other}, and there has {stored}"
    assert again(wheels, previous, None).why == "made again to see whether it is that of there"
    assert isinstance(wheels.kind, WheelsLayer)
    moved = replace(wheels, kind=replace(wheels.kind, python="3.12"))
    assert again(moved, previous, fresh).why == "python 3.11 -> 3.12, against there"
    stale = tuple(
        replace(
            each,
            key=None,
            layer=replace(each.layer, inputs=tuple(t.replace("rules 1.", "rules 0.") for t in each.layer.inputs)),
        )
        for each in previous.image.layers
    )
    ruled = Previous("there", replace(previous.image, layers=stale))
    assert again(wheels, ruled, fresh).why.startswith("rules 0.")


def test_a_new_wheel_is_named_with_both_versions(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    previous = Previous("there", built(project, settings))
    make_wheel(project / "wheels", "tiny-lib", "1.3")
    whys = {again(each, previous, tmp_path / "fresh").why for each in prepared(project, settings).plans[0].layers}
    assert "tiny-lib 1.0 -> 1.3, against there" in whys


def test_the_digest_is_foreseen_when_all_is_known_and_only_then(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    assert Session(settings).known_image(prepared(project, settings)) is None
    young = [each.kind.tree().entries for each in prepared(project, settings).plans[0].layers if each.key is None]
    while not all(map(settled, young)):  # files that are younger are not remembered
        time.sleep(0.02)
    image = built(project, settings)
    foreseen = Session(settings).known_image(prepared(project, settings))
    assert foreseen is not None
    assert foreseen.digest == image.digest
    (project / "model.bin").write_bytes(b"other")
    assert Session(settings).known_image(prepared(project, settings)) is None


def test_more_layers_than_engines_take_are_refused_before_any_is_made(tmp_path: Path, settings: Config) -> None:
    image = built(model_only(tmp_path / "p"), settings)
    (kind,) = (each.kind for each in prepared(tmp_path / "p", settings).plans[0].layers)
    below = image.layers[:1] * 126
    assert len(plan(image.platform, below, [kind], AUTO, None).layers) == 1
    with pytest.raises(UserError, match=r"would have 128 layers.* at most 127") as fault:
        plan(image.platform, below, [kind, kind], AUTO, None)
    assert "126 of the base, 2 of model" in str(fault.value)
    assert "COPY --from" in fault.value.hint


@pytest.mark.parametrize(
    ("policy", "data", "codec"),
    [
        ("auto", b"words " * 5000, "zstd"),
        ("auto", random.Random(1).randbytes(30_000), "none"),
        ("auto-gzip", b"words " * 5000, "gzip-2"),
        ("auto-gzip", random.Random(1).randbytes(30_000), "gzip-0@stored-1"),
        ("stored", b"words " * 5000, "gzip-0@stored-1"),
        ("small", b"words " * 5000, "zstd-9@"),
        ("small", random.Random(1).randbytes(30_000), "none"),
        ("fast", b"words " * 5000, "none"),
    ],
)
def test_the_bytes_decide_the_codec_and_the_reason_is_told(policy: str, data: bytes, codec: str) -> None:
    tree = Tree.of([file(b"a", Bytes(data))])
    chosen = choose_codec(policy, tree)
    assert str(chosen.codec).startswith(codec)
    assert ("samples of it shrink by " in chosen.why) is (policy in ("auto", "auto-gzip", "small"))
    layers = [measure(Recipe(tree, each)) for each in (chosen.codec, NONE)]
    assert layers[0].diff_id == layers[1].diff_id


@pytest.mark.parametrize(
    ("policy", "codec"),
    [
        ("auto", "gzip-0@spliced-1"),
        ("fast", "gzip-0@spliced-1"),
        ("auto-gzip", "gzip-0@spliced-1"),
        ("gzip", "gzip-2@"),
        ("none", "none"),
    ],
)
def test_wheels_are_stored_as_they_are_unless_the_setting_names_a_codec(policy: str, codec: str) -> None:
    settled = settled_codec(policy, deflated=True)
    assert settled is not None, "no look at the bytes is needed, so that a plan tells it before a wheel is fetched"
    assert str(settled.codec).startswith(codec)
    assert settled.why == (
        "as set" if policy in ("gzip", "none") else "its files are deflated in their packages, and go as they are"
    )


def test_a_setting_that_compresses_wheels_looks_at_them() -> None:
    assert settled_codec("small", deflated=True) is None


def test_a_layer_of_wheels_is_not_kept_and_is_known_while_its_wheels_are_there(
    tmp_path: Path, settings: Config
) -> None:
    project = served(tmp_path / "p")
    image = built(project, settings)
    wheels = [each for each in image.layers if each.layer.codec == SPLICED]
    assert wheels
    assert not any(Layout(settings.store).has(each.descriptor) for each in wheels)
    known = [each for each in prepared(project, settings).plans[0].layers if isinstance(each.kind, WheelsLayer)]
    assert [each.new for each in known] == [False] * len(wheels)
    again = built(project, settings)
    assert again.digest == image.digest
    for each in again.layers:
        assert Digest.of(b"".join(each.blob.chunks())) == each.descriptor.digest


def test_costs_are_told_as_far_as_they_are_known(tmp_path: Path, settings: Config) -> None:
    project = served(tmp_path / "p")
    before = {each.role: cost(each, frozenset()) for each in prepared(project, settings).plans[0].layers}
    assert before["model"].read == 7000
    assert (before["server"].fetch, before["server"].send) == (0, None)
    server, dependencies = before["server"], before["dependencies"]
    assert server.choice is not None
    assert (server.choice.codec.name, server.choice.why.startswith("samples of it shrink by ")) == ("zstd", True)
    assert (server.compress or 0) > 1000
    assert dependencies.choice is not None
    assert (str(dependencies.choice.codec), dependencies.compress) == ("gzip-0@spliced-1", 0), "no look at wheels"
    image = built(project, settings)
    there = cached_bytes([Previous("registry.example/team/p:1", image)], frozenset({"registry.example"}))
    assert there == {layer.descriptor.digest for layer in image.layers}
    known = [each for each in prepared(project, settings).plans[0].layers if each.known]
    assert known
    assert {cost(each, there).send for each in known} == {0}
    assert {cost(each, frozenset()).send for each in known} == {
        each.known.descriptor.size for each in known if each.known
    }
