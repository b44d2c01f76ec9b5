"""Model layers: large files alone, small ones together, by names and sizes only, and never too many."""

from __future__ import annotations

from modelcrate_layers.kinds.model import ALONE, CAR, MODELS, MOST, ROOT, TOGETHER, ModelLayer, folder, model_layers
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.tree import Entry, Kind, Tree, directory, file, symlink
from support.trees import Claimed

HOME = folder("m", 1)


def listing(**sizes: int) -> Listing:
    """Files by name (`__` stands for a slash) and size, with their folders."""
    files = [file(HOME + b"/top/" + name.replace("__", "/").encode(), Claimed(size)) for name, size in sizes.items()]
    return Listing(Tree.of([directory(HOME + b"/top"), *files], [HOME + b"/top"]).entries)


def files(layer: ModelLayer) -> list[str]:
    return [each.path.rpartition(b"/")[2].decode() for each in layer.files if each.kind is Kind.FILE]


def test_a_models_folder_is_where_azure_has_it() -> None:
    assert folder("sklearn-model", 3) == b"var/azureml-app/azureml-models/sklearn-model/3"
    assert MODELS.startswith(ROOT)


def test_small_files_share_a_layer_with_a_plain_name() -> None:
    (layer,) = model_layers("m", 1, listing(a=10, b=20))
    assert (layer.name, layer.role, layer.key()) == ("m:1", "model", None)
    assert files(layer) == ["a", "b"]


def test_large_files_are_alone_and_named() -> None:
    layers = model_layers("m", 1, listing(a=10, big=ALONE, c=20, huge=ALONE * 9))
    assert [files(layer) for layer in layers] == [["a", "c"], ["big"], ["huge"]]
    assert [layer.name for layer in layers] == ["m:1 top/a and 1 more", "m:1 top/big", "m:1 top/huge"]


def test_folders_of_large_files_only_make_no_layer_of_their_own() -> None:
    (layer,) = model_layers("m", 1, listing(deep__big=ALONE))
    assert files(layer) == ["big"]
    one, other = model_layers("m", 1, listing(deep__big=ALONE, deep__huge=ALONE))
    assert (files(one), files(other)) == (["big"], ["huge"])


def test_an_empty_folder_is_kept() -> None:
    entries = (directory(HOME + b"/top"), directory(HOME + b"/top/empty"), file(HOME + b"/top/x", Claimed(ALONE)))
    layers = model_layers("m", 1, Listing(entries))
    paths = {entry.path for layer in layers for entry in layer.tree().entries}
    assert HOME + b"/top/empty" in paths


def test_a_folder_without_files_is_a_layer() -> None:
    (layer,) = model_layers("m", 1, Listing((directory(HOME + b"/top"),)))
    assert [entry.path for entry in layer.files] == [HOME + b"/top"]


def test_small_files_go_on_in_a_next_layer_when_one_is_full() -> None:
    sizes = {f"f{at:03}": ALONE - 1 for at in range(20)}
    layers = model_layers("m", 1, listing(**sizes))
    assert all(sum(entry.size for entry in layer.files) <= TOGETHER for layer in layers)
    assert [name for layer in layers for name in files(layer)] == sorted(sizes)


def test_there_are_never_too_many_layers_and_nothing_is_lost() -> None:
    sizes = {f"f{at:03}": ALONE + at for at in range(MOST * 2)}
    layers = model_layers("m", 1, listing(**sizes))
    assert len(layers) == MOST
    assert sorted(name for layer in layers for name in files(layer)) == sorted(sizes)


def test_the_layers_do_not_depend_on_the_order_of_the_listing() -> None:
    found = listing(a=10, big=ALONE, deep__c=20)
    assert model_layers("m", 1, found) == model_layers("m", 1, Listing(found.entries[::-1]))


def test_a_changed_small_file_leaves_the_large_ones_as_they_are() -> None:
    before = model_layers("m", 1, listing(a=10, big=ALONE))
    after = model_layers("m", 1, listing(a=11, big=ALONE))
    assert before[1:] == after[1:]
    assert before[0] != after[0]


def test_a_layer_owns_the_applications_folder_and_nothing_above() -> None:
    (layer,) = model_layers("m", 1, listing(a=1))
    tree = layer.tree()
    assert tree.entries[0].path == ROOT
    assert tree.roots == (ROOT,)
    assert all(isinstance(entry, Entry) for entry in tree.entries)


def test_a_name_that_is_no_text_is_shown() -> None:
    entries = (file(HOME + b"/\x1b[31m\xff", Claimed(ALONE)), file(HOME + b"/z", Claimed(ALONE)))
    assert [layer.name for layer in model_layers("m", 1, Listing(entries))] == ["m:1 \\x1b[31m\\xff", "m:1 z"]


def placed(layer: ModelLayer) -> dict[str, str]:
    """Path to kind, of the files and links of a layer."""
    return {each.path.decode(): each.kind.name for each in layer.tree().entries if each.kind is not Kind.DIRECTORY}


def test_a_modelcar_has_what_a_folder_holds_and_a_file_below_models() -> None:
    (layer,) = model_layers("m", 1, listing(a=1, deep__b=2), CAR, azure=False)
    assert placed(layer) == {"models/a": "FILE", "models/deep/b": "FILE"}
    assert layer.tree().roots == (CAR,)
    (alone,) = model_layers("m", 1, Listing((file(HOME + b"/m.bin", Claimed(3)),)), CAR + b"/m", azure=False)
    assert placed(alone) == {"models/m/m.bin": "FILE"}


def test_a_layer_for_both_places_has_each_file_once_and_a_hard_link_to_it() -> None:
    inside = HOME + b"/top/"
    entries = (directory(HOME + b"/top"), file(inside + b"a", Claimed(1), 0o775), symlink(inside + b"b", b"a"))
    (layer,) = model_layers("m", 1, Listing(entries), CAR)
    here = inside.decode()
    assert placed(layer) == {"models/a": "FILE", "models/b": "SYMLINK", f"{here}a": "HARD_LINK", f"{here}b": "SYMLINK"}
    linked = {each.path: each for each in layer.tree().entries}[inside + b"a"]
    assert (linked.link, linked.mode, linked.size) == (b"models/a", 0o775, 0)
    assert layer.materials().size == 1


def test_layers_of_the_same_files_at_other_places_are_others() -> None:
    found = listing(a=1)
    alike = [
        model_layers("m", 1, found),
        model_layers("m", 1, found, CAR),
        model_layers("m", 1, found, CAR, azure=False),
        model_layers("m", 1, found, CAR + b"/m", azure=False),
    ]
    assert len({layer.fingerprint for (layer,) in alike}) == 4
