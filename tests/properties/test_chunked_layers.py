"""Laws of layers with a table: whatever tree they are made of, table, tar-split and tar say the same, and any rest of them is a slice."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe, RecipeBlob, measure
from modelcrate_layers.tar.tree import Tree
from modelcrate_layers.tar.writer import Tar
from support.chunked import assert_valid_chunked
from support.trees import trees


def is_text(raw: bytes) -> bool:
    return raw.decode(errors="replace").encode() == raw


@given(trees(), st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_tree_has_a_table_or_is_refused(tree: Tree, data: st.DataObject) -> None:
    if not all(is_text(each.path) and is_text(each.link) for each in tree.entries):
        with pytest.raises(SourceError, match="no UTF-8"):
            Recipe.of(tree, codec.zstd_chunked())
        return
    recipe = Recipe.of(tree, codec.zstd_chunked())
    layer = measure(recipe)
    stored = b"".join(RecipeBlob(recipe, layer).chunks())
    assert list(assert_valid_chunked(stored, layer.descriptor.annotations)) == [
        each.path.decode() + "/" * (each.kind.name == "DIRECTORY") for each in tree.entries
    ]
    step = data.draw(st.integers(1, len(stored)))
    assert b"".join(codec.decode(stored[at : at + step] for at in range(0, len(stored), step))) == b"".join(
        Tar(tree.entries)
    )
    assert b"".join(recipe.chunks(step)) == stored[step:]
