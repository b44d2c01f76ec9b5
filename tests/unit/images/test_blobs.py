"""Blobs whose bytes are made when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.images.blobs import DeferredBlob
from modelcrate_layers.kinds.server import ServerLayer
from modelcrate_layers.store import Layout
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Recipe, measure


def test_a_layer_that_vanishes_after_it_was_found_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another process's prune may do it, between the look and the first read."""
    kind = ServerLayer((("opt/server.py", b"pass\n"),))
    recipe = Recipe(kind.tree(), NONE)
    store, fetched = Layout.create(tmp_path), list[object]()
    monkeypatch.setattr(Layout, "intact", lambda self, descriptor: True)
    blob = DeferredBlob(store, measure(recipe), kind, fetched.append)
    assert b"".join(blob.chunks()) == b"".join(recipe.chunks())
    assert fetched == [kind]
