"""Layers of one build, made several at once: which begin, what ends them all, and what is sent before the image is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from modelcrate.config import Config
from modelcrate.events import Finished, ignore_event
from modelcrate.home.folder import open_store
from modelcrate.images.sinks import Discard, EarlyUpload, Sink
from modelcrate.pipeline.pack import Packer, PackTargets
from modelcrate.pipeline.plan import Plan, plan
from modelcrate_layers.content import CHUNK, Blob, Digest, Platform
from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds import Materials
from modelcrate_layers.tar.recipe import Layer, Measuring
from modelcrate_layers.tar.sources import Bytes
from modelcrate_layers.tar.tree import Tree, file
from modelcrate_layers.tar.writer import BLOCK
from support.waiting import HANG


@dataclass(frozen=True)
class Literal:
    """A layer with one file."""

    role: str
    data: bytes = b""

    @property
    def name(self) -> str:
        return f"{len(self.data)} bytes"

    def key(self) -> Digest:
        return Digest.of(self.data)

    def materials(self) -> Materials:
        return Materials(files=self.tree().entries)

    def tree(self) -> Tree:
        return Tree.of([file(b"a/b", Bytes(self.data))], [b"a"])

    def inputs(self) -> tuple[str, ...]:
        return ()


class Numbered:
    """An output that writes down what was begun."""

    def __init__(self) -> None:
        self.begun: list[Blob] = []
        self.any = threading.Event()

    def begin(self, blob: Blob) -> None:
        self.begun.append(blob)
        self.any.set()


@dataclass(frozen=True)
class When:
    """A sink that lets the first bytes pass when something has come, and counts what passes after them."""

    something: Callable[[], bool]
    passed: list[int] = field(default_factory=list)

    def take(self, measuring: Measuring) -> Layer:
        def gated() -> Iterator[bytes]:
            for chunk in measuring:
                if not self.passed:
                    assert self.something()
                self.passed.append(len(chunk))
                yield chunk

        for _ in gated():
            pass
        return measuring.layer


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    return Config(home=tmp_path / "home")


def packer(settings: Config, models: Sink | None = None, ahead: EarlyUpload | None = None) -> Packer:
    return Packer(
        settings, open_store(settings), lambda kind: None, ignore_event, PackTargets(models or Discard(), ahead=ahead)
    )


def planned(*kinds: Literal) -> list[Plan]:
    return [plan(Platform.parse("linux/amd64"), (), kinds, {"model": "none", "dependencies": "zstd"}, None)]


def test_a_layer_is_sent_while_another_is_made(settings: Config) -> None:
    output = Numbered()
    small, model = Literal("dependencies", b"x"), Literal("model", b"y" * CHUNK)
    one = packer(settings, When(lambda: output.any.wait(HANG)), output)
    ((first, _),) = one.pack(planned(small, model))
    assert [blob.descriptor for blob in output.begun] == [first.layer.descriptor]
    assert b"".join(output.begun[0].chunks()) == b"".join(open_store(settings).blob(first.layer.descriptor).chunks())


def test_nothing_is_sent_before_the_check_has_ended(settings: Config) -> None:
    output, made = Numbered(), threading.Event()

    def check() -> None:
        assert made.wait(HANG)
        assert not output.any.wait(0.2)

    one = packer(settings, ahead=output)
    one = replace(one, emit=lambda event: made.set() if isinstance(event, Finished) else None)
    one.pack(planned(Literal("dependencies", b"x")), check)
    assert len(output.begun) == 1


def test_what_a_check_refuses_stops_the_layers_that_are_made(settings: Config) -> None:
    refused = threading.Event()

    def check() -> None:
        refused.set()
        raise UserError("two packages own one file")

    output, sink = Numbered(), When(lambda: refused.wait(HANG))
    large = Literal("model", bytes(64 * CHUNK))
    with pytest.raises(UserError, match="two packages"):
        packer(settings, sink, output).pack(planned(Literal("dependencies", b"x"), large), check)
    assert sum(sink.passed) < len(large.data)
    assert output.begun == []


@dataclass(frozen=True)
class Order:
    """A sink that writes down how large the layers were, in the order in which they came."""

    sizes: list[int] = field(default_factory=list)

    def take(self, measuring: Measuring) -> Layer:
        self.sizes.append(measuring.tar_size or 0)
        return Discard().take(measuring)


def test_the_largest_layer_begins(settings: Config) -> None:
    order = Order()
    kinds = [Literal("model", bytes(size * BLOCK)) for size in (1, 3, 2)]
    one = replace(packer(settings, order), config=replace(settings, workers=1))
    (layers,) = one.pack(planned(*kinds))
    assert order.sizes == sorted(order.sizes, reverse=True)
    assert [layer.name for layer in layers] == [kind.name for kind in kinds], "the image keeps its own order"
