"""Linked conda packages: where files go, how prefixes are replaced, and what strangers may not do."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelcrate_layers.errors import CrateError, IntegrityError, SourceError, UserError
from modelcrate_layers.kinds import conda as kind
from modelcrate_layers.kinds.conda import CondaLayer, conda_layers
from modelcrate_layers.packages import conda as conda_package
from modelcrate_layers.packages import conda_link, conflicts
from modelcrate_layers.packages.conda_link import in_binary
from modelcrate_layers.packages.pinned import CondaPackage
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Recipe as LayerRecipe
from modelcrate_layers.tar.recipe import measure
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Entry, Kind
from support import conda
from support.conda import PLACEHOLDER, Content, Recipe, greeting, keep_conda, native

SITE = b"opt/modelcrate/lib/python3.11/site-packages"


def tree(folder: Path, *recipes: Recipe, python: str = "3.11") -> dict[bytes, Entry]:
    layer = CondaLayer(tuple(keep_conda(folder, each) for each in recipes), python)
    return {entry.path: entry for entry in layer.tree().entries}


def text(entry: Entry) -> bytes:
    assert entry.source is not None
    data = read(entry.source)
    assert len(data) == entry.size
    return data


def test_the_policy_of_the_key_is_that_of_the_files() -> None:
    assert kind.POLICY == conda_link.POLICY


def test_a_key_follows_from_hashes_python_and_prefix(tmp_path: Path) -> None:
    one, other = keep_conda(tmp_path, greeting()), keep_conda(tmp_path, native())
    key = CondaLayer((one, other), "3.11").key()
    assert key == CondaLayer((other, one), "3.11").key()
    others = {CondaLayer((one,), "3.11").key(), CondaLayer((one, other), "3.12").key()}
    assert key not in others | {CondaLayer((one, other), "3.11", "/opt/elsewhere").key()}


def test_a_package_without_a_platform_goes_where_python_looks(tmp_path: Path) -> None:
    found = tree(tmp_path, greeting())
    assert SITE + b"/greeting/__init__.py" in found
    assert text(found[SITE + b"/greeting/data.txt"]) == b"/opt/modelcrate/share and /opt/modelcrate/etc\n"
    assert not [path for path in found if b"__pycache__" in path]
    script, launcher = found[b"opt/modelcrate/bin/greet-script"], found[b"opt/modelcrate/bin/greet"]
    assert (script.mode, launcher.mode) == (0o775, 0o775)
    assert text(script).startswith(b"#!/opt/modelcrate/bin/python\n")
    assert text(launcher).startswith(b"#!/opt/modelcrate/bin/python\nimport sys\n\nfrom greeting import main\n")
    assert b'"fn": "greeting-1.0-0.conda"' in text(found[b"opt/modelcrate/conda-meta/greeting-1.0-0.json"])


def test_it_needs_a_python(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is for Python, and the environment has none"):
        tree(tmp_path, greeting(), python="")


@pytest.mark.parametrize("ending", [".conda", ".tar.bz2"])
@pytest.mark.parametrize("old", [False, True])
def test_prefixes_are_replaced_in_texts_and_binaries(tmp_path: Path, ending: str, old: bool) -> None:
    recipe = native(ending=ending, old=old)
    found = tree(tmp_path, recipe, python="")
    binary = text(found[b"opt/modelcrate/lib/libnative.so.1.0"])
    original = recipe.files["lib/libnative.so.1.0"].data
    gone = 2 * (len(PLACEHOLDER) - len("/opt/modelcrate"))
    assert len(binary) == len(original)
    assert binary.startswith(b"\x7fELF\x02\0/opt/modelcrate/lib:/opt/modelcrate/lib64" + bytes(gone + 1) + b"rest\0")
    assert binary.endswith(b"/opt/modelcrate/share" + bytes(gone // 2 + 1) + b"end")
    assert (
        text(found[b"opt/modelcrate/lib/pkgconfig/native.pc"])
        == b"prefix=/opt/modelcrate\nlibdir=/opt/modelcrate/lib\n"
    )
    link = found[b"opt/modelcrate/lib/libnative.so"]
    assert (link.kind, link.link) == (Kind.SYMLINK, b"libnative.so.1.0")
    assert text(found[b"opt/modelcrate/bin/native"]) == text(found[b"opt/modelcrate/bin/native-too"])
    assert found[b"opt/modelcrate/share/native/plain.txt"].mode == 0o664


def test_both_formats_give_the_same_files(tmp_path: Path) -> None:
    """But for the note of what was installed, which names the file."""
    trees = [
        {
            path: each
            for path, each in tree(tmp_path / ending, native(ending=ending)).items()
            if b"conda-meta/" not in path
        }
        for ending in (".conda", ".tar.bz2")
    ]
    assert trees[0].keys() == trees[1].keys()
    assert all(
        (one.kind, one.mode, one.link) == (other.kind, other.mode, other.link)
        and (one.source is None or text(one) == text(other))
        for one, other in zip(trees[0].values(), trees[1].values(), strict=True)
    )


def test_a_string_in_a_binary_may_end_with_the_file_and_others_stay() -> None:
    assert in_binary(b"a/old/x\0b/old", b"/old", b"/n") == b"a/n/x\0\0\0b/n\0\0"
    assert in_binary(b"nothing", b"/old", b"/n") == b"nothing"


def test_the_bytes_are_those_of_this_policy(tmp_path: Path) -> None:
    """Who moves this digest raises POLICY; the packages are of the old format, whose bytes no library's version changes."""
    found = (keep_conda(tmp_path, greeting(ending=".tar.bz2")), keep_conda(tmp_path, native(ending=".tar.bz2")))
    layer = measure(LayerRecipe(CondaLayer(found, "3.11").tree(), codec.NONE))
    assert conda_link.POLICY == 1
    assert str(layer.diff_id) == "sha256:f6982ac2dc53282c61f2030170d12c192128a841eed2d215c24de1d4b2920b90"


def test_the_layer_is_the_same_from_another_cache(tmp_path: Path) -> None:
    layers = []
    for place in ("one", "other"):
        found = (keep_conda(tmp_path / place, greeting()), keep_conda(tmp_path / place, native()))
        layers.append(measure(LayerRecipe(CondaLayer(found, "3.11").tree(), codec.NONE)))
    assert layers[0].diff_id == layers[1].diff_id


def test_what_conda_would_run_is_told(tmp_path: Path) -> None:
    more = {**native().files, "etc/conda/activate.d/env.sh": Content(b"export A=1\n")}
    layer = CondaLayer((keep_conda(tmp_path, native(files=more)),), "3.11")
    assert [each.partition(", which")[0] for each in layer.notices()] == [
        "not run: native: bin/.native-post-link.sh",
        "not run: native: etc/conda/activate.d/env.sh",
    ]


def test_two_packages_may_bring_the_same_file_but_not_another_under_its_name(tmp_path: Path) -> None:
    same = {"share/native/plain.txt": Content(b"no prefix in here\n")}
    other = {"share/native/plain.txt": Content(b"something else\n")}
    packages = [keep_conda(tmp_path, native()), keep_conda(tmp_path, Recipe("again", files=same))]
    conflicts.check(CondaLayer(tuple(packages), "").installed())
    with pytest.raises(UserError, match=r"again 1.0 0 and other 1.0 0 both own /opt/modelcrate/share/native/plain"):
        conflicts.check(CondaLayer((*packages, keep_conda(tmp_path, Recipe("other", files=other))), "").installed())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"../outside": Content(b"x")}, "leads outside"),
        ({"share/../../../etc/passwd": Content(b"x")}, "leads outside"),
        ({"/etc/passwd": Content(b"x")}, "leads outside"),
        ({"lib/short": Content(b"\0/p\0", prefix="binary", placeholder="/p")}, "no room for the prefix"),
        ({"bin/gone": Content(hard="bin/nowhere")}, "not there|isn't there"),
        ({"share/.wh.passwd": Content(b"")}, "whiteout|would delete"),
    ],
)
def test_hostile_packages_are_refused(tmp_path: Path, files: dict[str, Content], words: str) -> None:
    with pytest.raises(CrateError, match=words):
        tree(tmp_path, Recipe("hostile", files=files, ending=".tar.bz2", old="bin/gone" in files))


def test_a_file_that_is_listed_and_missing_is_named(tmp_path: Path) -> None:
    told = {"paths.json": b'{"paths": [{"_path": "share/gone"}]}'}
    with pytest.raises(IntegrityError, match="share/gone is listed, and not there"):
        tree(tmp_path, Recipe("lacking", info=told), python="")


def test_other_bytes_than_those_pinned_are_refused(tmp_path: Path) -> None:
    package = keep_conda(tmp_path, native())
    package.path.write_bytes(package.path.read_bytes() + b"more")
    with pytest.raises(IntegrityError, match="not what was pinned") as fault:
        CondaLayer((package,), "").tree()
    assert fault.value.where == str(package.path)


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"not a zip at all", b"BZh9nonsense"])
def test_what_is_no_package_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises((IntegrityError, SourceError)):
        CondaLayer((_again(tmp_path, native(), data),), "").tree()


def test_a_package_that_says_it_is_another_is_refused(tmp_path: Path) -> None:
    recipe = native()
    path = conda.write_package(tmp_path, recipe)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    there = path.rename(tmp_path / "native-9.9-h1_0.conda")
    with pytest.raises(IntegrityError, match=r"is no conda package|says that it is"):
        CondaLayer((CondaPackage("native", "9.9", "h1_0", there.name, digest, 1, there),), "").tree()


def test_who_asks_for_the_same_package_at_the_same_time_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tar that is put in the place of another would be a file that changes while somebody packs it."""
    package, unpacked, real = keep_conda(tmp_path, native()), [], conda_package._packed
    monkeypatch.setattr(conda_package, "_packed", lambda *words: unpacked.append(words) or real(*words))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: conda_package.read_package(package).members.keys(), range(8)))
    assert sorted(part for _, part in unpacked) == ["info", "pkg"]
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("filename", ["native-2.1-h1_0.zip", "../native-2.1-h1_0.conda", "other-2.1-h1_0.conda"])
def test_a_pin_has_the_files_own_name(tmp_path: Path, filename: str) -> None:
    with pytest.raises(IntegrityError, match="not the name of a conda package"):
        CondaPackage("native", "2.1", "h1_0", filename, "0" * 64, 1, tmp_path)


def _again(folder: Path, recipe: Recipe, data: bytes) -> CondaPackage:
    """A package of these bytes, pinned as they are."""
    digest = hashlib.sha256(data).hexdigest()
    place = kind.in_cache(folder, digest, recipe.filename)
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    return CondaPackage(recipe.name, recipe.version, recipe.build, recipe.filename, digest, len(data), place)


def test_old_lists_may_name_a_path_alone_and_folders_may_be_empty(tmp_path: Path) -> None:
    """The placeholder is conda-build's first one then."""
    files = {"etc/home.conf": Content(b"home=/opt/anaconda1anaconda2anaconda3\n"), "var/empty/": Content()}
    told = {"has_prefix": b"etc/home.conf\n", "files": b"etc/home.conf\nvar/empty\n"}
    found = tree(tmp_path, Recipe("ancient", files=files, old=True, ending=".tar.bz2", info=told), python="")
    assert text(found[b"opt/modelcrate/etc/home.conf"]) == b"home=/opt/modelcrate\n"
    assert found[b"opt/modelcrate/var/empty"].kind is Kind.DIRECTORY


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("paths.json", b"{", "info/paths.json"),
        ("paths.json", b'{"paths": 1}', "no list of paths"),
        ("paths.json", b'{"paths": [1]}', "no list of paths"),
        ("paths.json", b'{"paths": [{"_path": 1}]}', "a path that is no text"),
        ("link.json", b'{"noarch": {"entry_points": ["a b"]}}', "an entry point that is none"),
        ("index.json", b"[]", "info/index.json"),
        ("index.json", b'{"name": "other", "version": "1.0", "build": "0"}', "says that it is other 1.0 0"),
    ],
)
def test_a_package_that_speaks_nonsense_of_itself_is_refused(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    package = keep_conda(tmp_path, Recipe("odd", files={"share/a": Content(b"a")}, info={name: data}))
    with pytest.raises(IntegrityError, match=words) as fault:
        CondaLayer((package,), "").tree()
    assert fault.value.where == str(package.path)


@pytest.mark.parametrize(
    ("module", "limit"), [(conda_package, "MAX_DATA"), (conda_package, "MAX_TEXT"), (conda_link, "MAX_RELOCATED")]
)
def test_nothing_is_believed_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, limit: str
) -> None:
    monkeypatch.setattr(module, limit, 20)
    with pytest.raises(IntegrityError, match="more than 20 bytes"):
        tree(tmp_path, native(), python="")


def test_a_package_that_is_gone_is_named(tmp_path: Path) -> None:
    package = keep_conda(tmp_path, native())
    package.path.unlink()
    with pytest.raises(SourceError) as fault:
        CondaLayer((package,), "").tree()
    assert fault.value.where == str(package.path)


def test_a_layer_is_named_after_its_heaviest_package(tmp_path: Path) -> None:
    one, other = keep_conda(tmp_path, greeting()), keep_conda(tmp_path, native())
    layer = CondaLayer((one, other), "3.11")
    assert layer.name == "greeting 1.0 + 1 conda packages"
    assert CondaLayer((other,), "3.11").name == "native 2.1 of conda"
    assert layer.materials().packages == (one, other)
    assert [each.wanted for each in conda_layers([one, other], "3.11")] == [(one, other)]


def test_packages_that_are_too_large_are_cut_between_their_files(tmp_path: Path) -> None:
    wanted = [keep_conda(tmp_path, greeting()), keep_conda(tmp_path, native())]
    whole = CondaLayer(tuple(wanted), "3.11")
    parts = conda_layers(wanted, "3.11", largest=sum(each.size for each in wanted) // 2)
    assert [each.name for each in parts] == [f"{whole.name} part {n} of 3" for n in (1, 2, 3)]
    held = [entry for each in parts for entry in each.tree().entries if entry.kind is not Kind.DIRECTORY]
    assert sorted(held) == [entry for entry in whole.tree().entries if entry.kind is not Kind.DIRECTORY], (
        "each file once"
    )
    assert len({each.key() for each in (whole, *parts)}) == 4
