"""Locking, locating and fetching wheels, against an index on loopback and with the real uv."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.resolve import wheels
from modelcrate.resolve.locked import LockedPackage, LockedPackages
from modelcrate.resolve.uv import UvLock
from modelcrate.resolve.wheels import (
    Index,
    PinnedWheel,
    Requirements,
    Target,
    Uv,
    cached,
    fetch_wheels,
    locate,
    lock_wheels,
    with_sizes,
)
from modelcrate_layers.errors import (
    CrateError,
    IntegrityError,
    LockedError,
    MachineError,
    RegistryError,
    SourceError,
    UserError,
)
from modelcrate_layers.kinds.wheels import wheel_layers
from modelcrate_layers.packages.wheel import Wheel
from support.index import PackageIndex, serve
from support.small_projects import wait_until_trusted
from support.wheels import filename, make_wheel, sdist_bytes, wheel_bytes

TARGET = Target("3.11", "amd64", (2, 36))
NATIVE = ("cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64")
OTHERS = (
    "cp311-cp311-manylinux_2_28_aarch64",
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp311-cp311-musllinux_1_2_x86_64",
    "cp311-cp311-win_amd64",
)


def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any", **more: object) -> dict[str, bytes]:
    return {filename(name, version, tag): wheel_bytes(name, version, tag=tag, **more)}


def some_files() -> dict[str, bytes]:
    files = {**wheel("app", requires=["native>=1", 'windows-only; sys_platform == "win32"']), **wheel("tool", "2.0")}
    for tag in (*NATIVE, *OTHERS):
        files |= wheel("native", "1.5", tag)
    files |= wheel("alien", "1.0", "cp311-cp311-win_amd64")
    files |= wheel("picky", "1.0", requires=["tool<2"])
    files["source-only-3.0.tar.gz"] = sdist_bytes("source-only", "3.0")
    return files | {"source_only-3.0.tar.gz": files.pop("source-only-3.0.tar.gz")}


@pytest.fixture(scope="module")
def served() -> Iterator[PackageIndex]:
    with serve(PackageIndex(some_files())) as index:
        yield index


@pytest.fixture
def uv(tmp_path: Path) -> Uv:
    return Uv(tmp_path / "uv-cache", HttpConfig({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}))


def names(pinned: tuple[PinnedWheel, ...]) -> list[str]:
    return [each.filename for each in pinned]


def lock(served: PackageIndex, uv: Uv, *lines: str, target: Target = TARGET) -> tuple[PinnedWheel, ...]:
    return lock_wheels(Requirements(lines), target, Index(served.url), uv)


def offline(uv: Uv) -> Uv:
    return replace(uv, network=replace(uv.network, offline=True))


def test_the_best_wheel_for_the_target_is_pinned_with_its_dependencies(served: PackageIndex, uv: Uv) -> None:
    found = lock(served, uv, "app")
    assert names(found) == ["app-1.0-py3-none-any.whl", f"native-1.5-{NATIVE[0]}.whl"]
    assert found[1] == PinnedWheel(
        "native",
        "1.5",
        f"native-1.5-{NATIVE[0]}.whl",
        hashlib.sha256(served.files[f"native-1.5-{NATIVE[0]}.whl"]).hexdigest(),
        len(served.files[f"native-1.5-{NATIVE[0]}.whl"]),
    )


@pytest.mark.parametrize(
    ("target", "tag"),
    [
        (Target("3.11", "arm64", (2, 36)), OTHERS[0]),
        (Target("3.12", "amd64", (2, 41)), OTHERS[1]),
        (Target("3.11", "amd64", (2, 17)), NATIVE[1]),
    ],
)
def test_the_target_decides_and_not_this_machine(served: PackageIndex, uv: Uv, target: Target, tag: str) -> None:
    assert names(lock(served, uv, "native", target=target)) == [f"native-1.5-{tag}.whl"]


@pytest.mark.parametrize(("max_age", "version"), [(600, "1.0"), (0, "2.0")])
def test_an_index_whose_answers_are_fresh_is_not_asked_again(uv: Uv, max_age: int, version: str) -> None:
    """By its own cache headers (RFC 9111): what is fresh needs no request, and what is not is asked for."""
    with serve(PackageIndex(wheel("told"), metadata=True, max_age=max_age)) as index:
        assert [each.version for each in lock(index, uv, "told")] == ["1.0"]
        index.files |= wheel("told", "2.0")
        index.log.clear()
        assert [each.version for each in lock(index, uv, "told")] == [version]
        assert bool(index.log) is (max_age == 0)


def test_markers_are_the_targets(served: PackageIndex, uv: Uv) -> None:
    lines = ('tool; platform_machine == "aarch64"', 'app; python_version < "3.12"')
    assert names(lock(served, uv, *lines, target=Target("3.12", "arm64"))) == ["tool-2.0-py3-none-any.whl"]


def test_a_project_with_no_requirements_has_no_wheels(uv: Uv) -> None:
    assert lock_wheels(Requirements(), TARGET, Index(), uv) == ()


@pytest.mark.parametrize("kind", [{"json": False}, {"json": True}])
def test_fetched_wheels_are_verified_files_in_the_cache(tmp_path: Path, uv: Uv, kind: dict[str, bool]) -> None:
    with serve(PackageIndex(some_files(), **kind)) as index, Downloader(uv.network) as fetcher:
        found = lock_wheels(Requirements(("app",)), TARGET, Index(index.url), uv)
        wheels = fetch_wheels(found, tmp_path, fetcher)
        assert [Path(each.path).read_bytes() for each in wheels] == [index.files[each.filename] for each in wheels]
        assert [Path(each.path).relative_to(tmp_path).parts for each in wheels] == [
            ("wheels", each.sha256, each.filename) for each in found
        ]
        asked = len(index.downloads())
        assert fetch_wheels(found, tmp_path, fetcher) == wheels
        assert len(index.downloads()) == asked
        assert [cached(each, tmp_path) for each in found] == list(wheels)
    assert len(wheel_layers(wheels, "3.11")) == 1


def test_a_wheel_that_is_not_what_was_locked_is_refused(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    found = lock(served, uv, "tool")
    with Downloader(uv.network) as fetcher, pytest.raises(IntegrityError, match=r"tool 2\.0"):
        fetch_wheels([replace(found[0], sha256="0" * 64)], tmp_path, fetcher)
    assert not list(tmp_path.glob("wheels/*/*.whl"))


def test_a_lock_names_no_host_and_is_located_again(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    bare = tuple(replace(each, urls=()) for each in lock(served, uv, "app"))
    with serve(PackageIndex(some_files())) as other:
        found = locate(bare, TARGET, Index(other.url), uv, tmp_path)
        assert all(url.startswith(other.url.removesuffix("/simple")) for each in found for url in each.urls)
        with Downloader(uv.network) as fetcher:
            fetch_wheels(found, tmp_path, fetcher)
        other.log.clear()
        assert locate(bare, TARGET, Index(other.url), uv, tmp_path) == bare
        assert other.log == []


def test_a_lock_may_hold_another_wheel_than_the_best(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    file = f"native-1.5-{NATIVE[1]}.whl"
    older = PinnedWheel("native", "1.5", file, hashlib.sha256(served.files[file]).hexdigest())
    assert locate([older], TARGET, Index(served.url), uv, tmp_path)[0].urls


def test_a_wheelhouse_serves_a_lock_without_an_index(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    bare = tuple(replace(each, urls=()) for each in lock(served, uv, "app"))
    house = tmp_path / "wheel house"
    house.mkdir()
    for each in bare:
        (house / each.filename).write_bytes(served.files[each.filename])
    with Downloader(replace(uv.network, offline=True)) as fetcher:
        found = locate(bare, TARGET, Index(wheelhouse=house), replace(uv, program="/nowhere/uv"), tmp_path)
        assert len(fetch_wheels(found, tmp_path, fetcher)) == 2


def test_an_index_that_has_another_file_under_the_name_is_found_out(
    tmp_path: Path, served: PackageIndex, uv: Uv
) -> None:
    bare = replace(lock(served, uv, "tool")[0], urls=(), sha256="0" * 64)
    with pytest.raises(LockedError, match="is not what was locked"):
        locate([bare], TARGET, Index(served.url), uv, tmp_path)


def test_offline_all_locked_wheels_that_lack_are_named_and_nobody_is_asked(tmp_path: Path, uv: Uv) -> None:
    pins = [PinnedWheel(name, "1.0", filename(name, "1.0"), "0" * 64) for name in ("one", "two")]
    with pytest.raises(RegistryError, match="2 wheels are in no cache") as caught:
        locate(pins, TARGET, Index(), replace(offline(uv), program="/nowhere/uv"), tmp_path)
    assert "one-1.0" in caught.value.why
    assert "two-1.0" in caught.value.why


def test_a_locked_wheel_that_nobody_has_is_named(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    gone = PinnedWheel("tool", "1.5", "tool-1.5-py3-none-any.whl", "0" * 64)
    with pytest.raises(LockedError) as caught:
        locate([gone], TARGET, Index(served.url), uv, tmp_path)
    assert "tool==1.5" in str(caught.value)
    other = PinnedWheel("tool", "2.0", "tool-2.0-1-py3-none-any.whl", "0" * 64)
    with pytest.raises(LockedError, match=r"tool-2\.0-1-py3-none-any\.whl can't be had any more"):
        locate([other], TARGET, Index(served.url), uv, tmp_path)


def test_a_wheelhouse_is_enough_and_opens_no_socket(tmp_path: Path, uv: Uv) -> None:
    house = tmp_path / "house"
    house.mkdir()
    for name, data in some_files().items():
        (house / name).write_bytes(data)
    found = lock_wheels(Requirements(("app",)), TARGET, Index(wheelhouse=house), offline(uv))
    assert names(found) == ["app-1.0-py3-none-any.whl", f"native-1.5-{NATIVE[0]}.whl"]
    assert [each.size for each in found] == [(house / each.filename).stat().st_size for each in found]
    with Downloader(offline(uv).network) as fetcher:
        assert len(fetch_wheels(found, tmp_path, fetcher)) == 2


def test_a_wheelhouse_that_is_not_there_is_named(tmp_path: Path, uv: Uv) -> None:
    with pytest.raises(SourceError, match="no such folder of wheels"):
        lock_wheels(Requirements(("app",)), TARGET, Index(wheelhouse=tmp_path / "house"), uv)


def test_what_a_wheelhouse_lacks_is_named(tmp_path: Path, uv: Uv) -> None:
    with pytest.raises(UserError, match="there is no package app"):
        lock_wheels(Requirements(("app",)), TARGET, Index(wheelhouse=tmp_path), offline(uv))


@pytest.mark.parametrize(
    ("name", "change", "fault", "words"),
    [
        (
            "toy",
            lambda data: data.replace(b".dist-info/RECORD", b".dist-info/RECARD"),
            IntegrityError,
            "has no toy-1.0",
        ),
        ("toy", lambda data: wheel_bytes("other"), IntegrityError, r"should be toy, and has other-1\.0\.dist-info"),
        ("toy", lambda data: data[:-5], IntegrityError, "can't be installed|is damaged"),
    ],
)
def test_a_wheel_of_a_wheelhouse_that_can_not_be_installed_is_named(
    tmp_path: Path, uv: Uv, name: str, change: Callable[[bytes], bytes], fault: type[CrateError], words: str
) -> None:
    """uv says that an index could not be used, or that there is no such package."""
    (tmp_path / filename(name, "1.0")).write_bytes(change(wheel_bytes(name)))
    with pytest.raises(fault, match=words) as caught:
        lock_wheels(Requirements((name,)), TARGET, Index(wheelhouse=tmp_path), offline(uv))
    assert filename(name, "1.0") in str(caught.value)


def test_a_good_wheel_of_a_wheelhouse_is_looked_at_once_while_it_stays_as_it_is(
    tmp_path: Path, uv: Uv, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, looked = tmp_path / "house", list[str]()
    file = Path(make_wheel(house, "toy", "1.0").path)
    wait_until_trusted(house)
    read = wheels.read_wheel

    def counted(each: Wheel) -> object:
        looked.append(each.name)
        return read(each)

    monkeypatch.setattr(wheels, "read_wheel", counted)
    for _ in range(3):
        pinned = lock_wheels(Requirements(("toy",)), TARGET, Index(wheelhouse=house), offline(uv))
        wheels.check_local_wheels(pinned, tmp_path / "cache")
    assert looked == ["toy"]
    file.write_bytes(file.read_bytes().replace(b".dist-info/RECORD", b".dist-info/RECARD"))
    with pytest.raises(IntegrityError, match=r"has no toy-1\.0"):
        lock_wheels(Requirements(("toy",)), TARGET, Index(wheelhouse=house), offline(uv))


def test_offline_the_cache_is_enough_and_what_it_lacks_is_named(served: PackageIndex, uv: Uv) -> None:
    before = lock(served, uv, "app")
    served.log.clear()
    assert lock(served, offline(uv), "app") == before
    with pytest.raises(RegistryError, match="tool is not in the cache, and --offline forbids"):
        lock(served, offline(uv), "tool")
    assert served.log == []


@pytest.mark.parametrize(
    ("lines", "error", "words"),
    [
        (["no-such-thing"], UserError, ["no package no-such-thing"]),
        (["tool==9"], UserError, ["can't be had together", "tool==9"]),
        (["tool>=2", "picky"], UserError, ["can't be had together", "tool<2"]),
        (["source-only"], UserError, ["source-only has no wheel", "cp311-cp311-manylinux_2_36_x86_64", "py3-none-any"]),
        (["alien"], UserError, ["alien has no wheel", "linux/amd64", "cp311-cp311-manylinux_2_36_x86_64"]),
        (["tool @ https://example.invalid/tool.whl"], UserError, ["not a package of an index", "not a wheel"]),
        (["./tool"], UserError, ["not a package of an index"]),
        (["-r other.txt", "not ! valid"], UserError, ["2 faults"]),
    ],
)
def test_what_can_not_be_locked_is_said_in_our_words(
    served: PackageIndex, uv: Uv, lines: list[str], error: type[CrateError], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        lock(served, uv, *lines)
    for word in words:
        assert word in str(caught.value)
    assert "hint:" not in str(caught.value)
    assert "--no-build" not in str(caught.value)


def test_an_index_that_is_down_is_the_registrys_fault(uv: Uv) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{taken.getsockname()[1]}/simple"
        down = replace(uv, network=replace(uv.network, environment={**uv.network.environment, "UV_HTTP_RETRIES": "0"}))
        with pytest.raises(RegistryError, match="index could not be used") as caught:
            lock_wheels(Requirements(("app",)), TARGET, Index(url), down)
    assert "secret" not in str(caught.value)


def test_an_index_with_a_login_is_used_and_the_login_never_shown(tmp_path: Path, uv: Uv) -> None:
    with serve(PackageIndex(some_files(), login="user:s3cret")) as index, Downloader(uv.network) as fetcher:
        named = Index(index.url.replace("//", "//user:s3cret@"))
        found = lock_wheels(Requirements(("tool",)), TARGET, named, uv)
        assert len(fetch_wheels(found, tmp_path, fetcher)) == 1
        assert "s3cret" not in repr(found)
        with pytest.raises(CrateError) as caught:
            lock_wheels(Requirements(("no-such-thing",)), TARGET, named, uv)
        assert "s3cret" not in str(caught.value)
        with pytest.raises(CrateError):
            lock_wheels(Requirements(("tool",)), TARGET, Index(index.url), replace(uv, cache=tmp_path / "other"))


def test_an_extra_index_adds_packages(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    with serve(PackageIndex(wheel("private", requires=["tool"]))) as extra:
        found = lock_wheels(Requirements(("private",)), TARGET, Index(served.url, (extra.url,)), uv)
    assert names(found) == ["private-1.0-py3-none-any.whl", "tool-2.0-py3-none-any.whl"]


def test_an_index_without_hashes_is_locked_by_what_it_sent(uv: Uv) -> None:
    with serve(PackageIndex(some_files(), hash="")) as index:
        found = lock_wheels(Requirements(("tool",)), TARGET, Index(index.url), uv)
        assert found[0].sha256 == hashlib.sha256(index.files[found[0].filename]).hexdigest()


@pytest.mark.parametrize("algorithm", ["md5", "sha512"])
@pytest.mark.parametrize("json", [False, True])
def test_an_index_with_older_hashes_is_locked_by_what_it_sent_and_once(
    tmp_path: Path, uv: Uv, algorithm: str, json: bool
) -> None:
    with (
        serve(PackageIndex(some_files(), hash=algorithm, json=json, metadata=True)) as index,
        Downloader(uv.network) as fetcher,
    ):
        found = lock(index, uv, "app")
        assert [each.sha256 for each in found] == [hashlib.sha256(index.files[n]).hexdigest() for n in names(found)]
        fetched = index.fetched()
        assert lock(index, uv, "app") == found
        assert len(fetch_wheels(found, tmp_path, fetcher)) == len(found)
        assert index.fetched() == fetched == names(found)
        bare = [replace(each, urls=()) for each in found]
        again = locate(bare, TARGET, Index(index.url), replace(uv, cache=tmp_path / "other" / "uv"), tmp_path / "other")
        assert len(fetch_wheels(again, tmp_path / "other", fetcher)) == len(found)


def test_a_file_of_an_index_is_held_to_its_older_hash(uv: Uv) -> None:
    with serve(PackageIndex(some_files(), hash="md5", metadata=True)) as index:
        told = index.page("tool")
        index.page = lambda project: told  # type: ignore[method-assign]
        index.files["tool-2.0-py3-none-any.whl"] = index.files["tool-2.0-py3-none-any.whl"][:-1] + b"!"
        with pytest.raises(IntegrityError, match="md5"):
            lock(index, uv, "tool")


def test_a_file_of_an_index_that_is_no_wheel_is_damaged(uv: Uv) -> None:
    with (
        serve(PackageIndex({"tool-2.0-py3-none-any.whl": b"no wheel"})) as index,
        pytest.raises(IntegrityError, match=r"the file of tool==2\.0 is damaged"),
    ):
        lock(index, uv, "tool")


def test_requirements_with_hashes_hold_for_an_index_with_older_ones(tmp_path: Path, uv: Uv) -> None:
    with serve(PackageIndex(some_files(), hash="md5", metadata=True)) as index:
        good = hashlib.sha256(index.files["tool-2.0-py3-none-any.whl"]).hexdigest()
        for sha256, taken in ((good, True), ("0" * 64, False)):
            file = tmp_path / "requirements.txt"
            file.write_text(f"tool==2.0 --hash=sha256:{sha256}\n")
            with nullcontext() if taken else pytest.raises(IntegrityError, match="hash that the requirements demand"):
                found = lock_wheels(Requirements(files=(file,)), TARGET, Index(index.url), uv)
                assert found[0].sha256 == good


def test_uv_that_is_missing_is_this_machines_fault(served: PackageIndex, uv: Uv) -> None:
    with pytest.raises(MachineError, match="uv can't be started"):
        lock(served, replace(uv, program="/nowhere/uv"), "app")


def test_the_environment_of_the_caller_decides_nothing(served: PackageIndex, uv: Uv) -> None:
    more = {
        "UV_RESOLUTION": "lowest",
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "UV_OFFLINE": "1",
        "UV_INDEX_URL": "http://[bad",
    }
    other = replace(uv, network=HttpConfig({**uv.network.environment, **more}))
    assert names(lock(served, other, "tool")) == ["tool-2.0-py3-none-any.whl"]


class TestFiles:
    """Requirements files, constraints, hashes, and pylock.toml."""

    def test_includes_and_constraints_hold(self, tmp_path: Path, uv: Uv) -> None:
        files = {**some_files(), **wheel("tool", "1.5")}
        (tmp_path / "more").mkdir()
        (tmp_path / "requirements.txt").write_text("# what we need\n-r more/tools.txt\napp  # comment\n")
        (tmp_path / "more" / "tools.txt").write_text("tool\n-c limits.txt\n")
        (tmp_path / "more" / "limits.txt").write_text("tool<2\n")
        with serve(PackageIndex(files)) as index:
            wanted = Requirements(("picky",), (tmp_path / "requirements.txt",))
            found = lock_wheels(wanted, TARGET, Index(index.url), uv)
        assert [f"{each.name} {each.version}" for each in found] == ["app 1.0", "native 1.5", "picky 1.0", "tool 1.5"]

    def test_hashes_choose_among_wheels_and_are_enforced(self, tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
        good = hashlib.sha256(served.files["tool-2.0-py3-none-any.whl"]).hexdigest()
        file = tmp_path / "requirements.txt"
        file.write_text(f"tool==2.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{good}\n")
        assert lock_wheels(Requirements((), (file,)), TARGET, Index(served.url), uv)[0].sha256 == good
        file.write_text(f"tool==2.0 --hash=sha256:{'0' * 64}\n")
        with pytest.raises(IntegrityError, match=r"no wheel of tool 2\.0 has a hash"):
            lock_wheels(Requirements((), (file,)), TARGET, Index(served.url), uv)

    def test_a_line_may_bring_its_hash(self, served: PackageIndex, uv: Uv) -> None:
        good = hashlib.sha256(served.files["tool-2.0-py3-none-any.whl"]).hexdigest()
        assert len(lock(served, uv, f"tool==2.0 --hash=sha256:{good}")) == 1
        with pytest.raises(IntegrityError, match="no wheel of tool"):
            lock(served, uv, f"tool==2.0 --hash=sha256:{'0' * 64}")

    def test_a_hash_chooses_another_wheel_than_the_best(self, served: PackageIndex, uv: Uv) -> None:
        file = f"native-1.5-{NATIVE[1]}.whl"
        wanted = hashlib.sha256(served.files[file]).hexdigest()
        assert names(lock(served, uv, f"native==1.5 --hash=sha256:{wanted}")) == [file]

    def test_a_pylock_is_taken_as_it_is_without_an_index(self, tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
        path = tmp_path / "pylock.toml"
        path.write_text(pylock(served, [*NATIVE, *OTHERS]))
        nothing = replace(uv, program="/nowhere/uv")
        for target, tag in ((TARGET, NATIVE[0]), (Target("3.11", "arm64"), OTHERS[0])):
            found = lock_wheels(Requirements(pylock=path), target, Index(), nothing)
            assert names(found) == [f"native-1.5-{tag}.whl"]
        assert found[0].size == len(served.files[found[0].filename])

    def test_a_pylock_is_added_to_and_not_changed(self, tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
        path = tmp_path / "pylock.toml"
        path.write_text(pylock(served, NATIVE[1:]))
        found = lock_wheels(Requirements(("app", "native"), pylock=path), TARGET, Index(served.url), uv)
        assert names(found) == ["app-1.0-py3-none-any.whl", f"native-1.5-{NATIVE[1]}.whl"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("not toml [", ["not a pylock.toml"]),
            ("lock-version = '9.0'\ncreated-by = 'x'\npackages = []\n", ["not a pylock.toml"]),
            ("lock-version = '1.0'\n", ["not a pylock.toml"]),
            (
                "lock-version = '1.0'\ncreated-by = 'x'\nrequires-python = '>=3.13'\npackages = []\n",
                ["gives no wheels", "3.13"],
            ),
            (
                "lock-version = '1.0'\ncreated-by = 'x'\nenvironments = ['sys_platform == \"win32\"']\npackages = []\n",
                ["gives no wheels", "environments"],
            ),
        ],
    )
    def test_a_pylock_that_is_of_no_use_says_why(self, tmp_path: Path, uv: Uv, text: str, words: list[str]) -> None:
        path = tmp_path / "pylock.toml"
        path.write_text(text)
        with pytest.raises(UserError) as caught:
            lock_wheels(Requirements(pylock=path), TARGET, Index(), uv)
        assert all(word in str(caught.value) for word in [*words, str(path)])

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            (
                "[packages.sdist]\nurl = 'https://example.invalid/a-1.0.tar.gz'\nhashes = {sha256 = 'SHA'}",
                ["pylock.toml:4", "a has a source", "cp311-cp311-manylinux_2_36_x86_64"],
            ),
            ("[packages.directory]\npath = 'here'", ["pylock.toml:4", "a is not from an index: here"]),
            (
                "[[packages.wheels]]\nurl = 'https://h.invalid/a-1.0-cp311-cp311-win32.whl'\nhashes = {sha256 = 'SHA'}",
                ["'a'", "cp311-cp311-manylinux_2_36_x86_64"],
            ),
        ],
    )
    def test_a_pylock_without_a_wheel_names_package_and_tags(
        self, tmp_path: Path, uv: Uv, body: str, words: list[str]
    ) -> None:
        path = tmp_path / "pylock.toml"
        head = "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'a'\nversion = '1.0'\n"
        path.write_text(head + body.replace("SHA", "0" * 64) + "\n")
        with pytest.raises(UserError) as caught:
            lock_wheels(Requirements(pylock=path), TARGET, Index(), uv)
        assert all(word in str(caught.value) for word in words)

    @pytest.mark.parametrize(
        ("wheel_line", "words"),
        [
            ("url = 'https://h.invalid/a-1.0-py3-none-any.whl'\nhashes = {sha512 = 'aa'}", "has no sha256"),
            ("url = 'https://h.invalid/b-1.0-py3-none-any.whl'\nhashes = {sha256 = 'SHA'}", "not consistent"),
            ("url = 'https://h.invalid/a-2.0-py3-none-any.whl'\nhashes = {sha256 = 'SHA'}", "not consistent"),
        ],
    )
    def test_a_pylock_that_contradicts_itself_is_refused(
        self, tmp_path: Path, uv: Uv, wheel_line: str, words: str
    ) -> None:
        path = tmp_path / "pylock.toml"
        head = (
            "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'a'\nversion = '1.0'\n[[packages.wheels]]\n"
        )
        path.write_text(head + wheel_line.replace("SHA", "0" * 64) + "\n")
        with pytest.raises(UserError, match=words):
            lock_wheels(Requirements(pylock=path), TARGET, Index(), uv)

    def test_missing_files_are_named(self, tmp_path: Path, uv: Uv) -> None:
        with pytest.raises(CrateError, match=r"can't be read: No such file"):
            lock_wheels(Requirements(pylock=tmp_path / "pylock.toml"), TARGET, Index(), uv)


def pylock(served: PackageIndex, tags: object) -> str:
    lines = ["lock-version = '1.0'", "created-by = 'tests'", "[[packages]]", "name = 'native'", "version = '1.5'"]
    for tag in tags:
        data = served.files[f"native-1.5-{tag}.whl"]
        lines += ["[[packages.wheels]]", f"url = 'https://example.invalid/native-1.5-{tag}.whl'", f"size = {len(data)}"]
        lines += [f"hashes = {{sha256 = '{hashlib.sha256(data).hexdigest()}'}}"]
    return "\n".join(lines) + "\n"


class TestOthersLocks:
    """Locks of other tools, taken as they are."""

    PROJECT = """\
[project]
name = "demo"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["app", "windows-only; sys_platform == 'win32'"]
[project.optional-dependencies]
more = ["tool"]
[dependency-groups]
dev = ["extra"]
"""

    def test_uvs_lock_is_exported_by_uv_and_nothing_is_resolved_anew(self, tmp_path: Path, uv: Uv) -> None:
        (tmp_path / "pyproject.toml").write_text(self.PROJECT)
        with serve(PackageIndex({**some_files(), **wheel("extra"), **wheel("windows-only")})) as index:
            environment = {**uv.network.environment, "UV_DEFAULT_INDEX": index.url}
            words = [uv._program(), "lock", "--no-config", "--cache-dir", str(tmp_path / "other-cache")]
            subprocess.run(words, cwd=tmp_path, env=environment, check=True, capture_output=True)
            index.files |= wheel("app", "2.0")
            index.log.clear()
            plain, more, dev = (
                lock_wheels(Requirements(uv_lock=lock), TARGET, Index(index.url), uv)
                for lock in (
                    UvLock(tmp_path / "uv.lock"),
                    UvLock(tmp_path / "uv.lock", ("more",)),
                    UvLock(tmp_path / "uv.lock", (), ("dev",)),
                )
            )
            assert index.log == []
        assert [f"{each.name} {each.version}" for each in plain] == ["app 1.0", "native 1.5"]
        assert [each.name for each in more] == ["app", "native", "tool"]
        assert [each.name for each in dev] == ["app", "extra", "native"]
        assert all(each.size for each in plain)

    def test_a_lock_of_uv_that_is_none_is_the_users_fault(self, tmp_path: Path, uv: Uv) -> None:
        (tmp_path / "uv.lock").write_text("version = 1\nrequires-python = '>=3.11'\n[[package]]\nname = 1\n")
        with pytest.raises(UserError, match="uv can't read its lock"):
            lock_wheels(Requirements(uv_lock=UvLock(tmp_path / "uv.lock")), TARGET, Index(), uv)

    def test_pins_with_hashes_are_looked_up_and_their_dependencies_left_alone(
        self, served: PackageIndex, uv: Uv
    ) -> None:
        def sha(name: str) -> str:
            return hashlib.sha256(served.files[name]).hexdigest()

        app = LockedPackage("app", "1.0", (sha("app-1.0-py3-none-any.whl"),))
        windows = LockedPackage("windows-only", "9", (), "sys_platform == 'win32'")
        wanted = Requirements(("tool",), locked=LockedPackages("poetry.lock", (app, windows)))
        found = lock_wheels(wanted, TARGET, Index(served.url), uv)
        assert names(found) == ["app-1.0-py3-none-any.whl", "tool-2.0-py3-none-any.whl"]
        other = Requirements(locked=LockedPackages("poetry.lock", (replace(app, hashes=("0" * 64,)),)))
        with pytest.raises(IntegrityError, match=r"no wheel of app 1\.0 has a hash") as caught:
            lock_wheels(other, TARGET, Index(served.url), uv)
        assert caught.value.where == "poetry.lock"

    def test_exact_versions_are_looked_for_on_the_indexes_that_a_lock_names(
        self, tmp_path: Path, served: PackageIndex, uv: Uv
    ) -> None:
        private = wheel("private", "1.0")
        ((name, data),) = private.items()
        locked = LockedPackages("poetry.lock", (LockedPackage("private", "1.0", (hashlib.sha256(data).hexdigest(),)),))
        with serve(PackageIndex(private)) as other:
            with pytest.raises(UserError, match="no package private"):
                lock_wheels(Requirements(locked=locked), TARGET, Index(served.url), uv)
            index = Index(served.url, known=(other.url,))
            (pinned,) = lock_wheels(Requirements(locked=locked), TARGET, index, uv)
            (again,) = locate([replace(pinned, urls=())], TARGET, index, uv, tmp_path)
        assert (pinned.filename, len(again.urls)) == (name, 1)

    def test_a_pyproject_is_read_by_uv_with_the_indexes_of_its_sources(
        self, tmp_path: Path, served: PackageIndex, uv: Uv
    ) -> None:
        with serve(PackageIndex(wheel("tool", "7.0"))) as other:
            path = tmp_path / "pyproject.toml"
            sources = f"[tool.uv.sources]\ntool = {{index = 'mine'}}\n[[tool.uv.index]]\nname = 'mine'\nurl = '{other.url}'\nexplicit = true\n"
            path.write_text(self.PROJECT + sources)
            wanted = Requirements(files=(path,), options=("--extra", "more"))
            found = lock_wheels(wanted, TARGET, Index(served.url), uv)
        assert [f"{each.name} {each.version}" for each in found] == ["app 1.0", "native 1.5", "tool 7.0"]


def test_a_wheel_named_by_its_url_is_pinned_and_found_again_there(tmp_path: Path, served: PackageIndex, uv: Uv) -> None:
    url = f"{served.url.removesuffix('/simple')}/files/tool-2.0-py3-none-any.whl"
    (pinned,) = lock_wheels(Requirements((f"tool @ {url}",)), TARGET, Index(served.url), uv)
    assert (pinned.filename, pinned.urls) == ("tool-2.0-py3-none-any.whl", (url,))
    with Downloader(uv.network) as fetcher:
        (sized,) = with_sizes([pinned], fetcher)
    assert sized.size == len(served.files[pinned.filename])
    (again,) = locate(
        [replace(pinned, urls=())], TARGET, Index("http://127.0.0.1:9", direct={"tool": url}), uv, tmp_path
    )
    assert again.urls == (url,)


def test_sizes_come_from_the_server_where_the_index_says_none_and_no_wheel_is_fetched(uv: Uv) -> None:
    with serve(PackageIndex(some_files(), json=False)) as index, Downloader(uv.network) as fetcher:
        found = lock_wheels(Requirements(("tool",)), TARGET, Index(index.url), uv)
        assert found[0].size is None
        (sized,) = with_sizes(found, fetcher)
        assert sized.size == len(index.files[sized.filename])
        assert fetcher.traffic.received == 0


def test_an_index_that_wants_a_login_is_not_taken_for_one_without_the_package(uv: Uv) -> None:
    with serve(PackageIndex(some_files(), login="user:s3cret")) as index:
        with pytest.raises(RegistryError, match="answered 401 Unauthorized") as caught:
            lock_wheels(Requirements(("tool",)), TARGET, Index(index.url.replace("//", "//user:b4d@")), uv)
        assert "127.0.0.1" in caught.value.where
        assert "b4d" not in str(caught.value)
        assert "netrc" in caught.value.hint
        netrc = Path(uv.network.environment["HOME"]) / ".netrc"
        netrc.write_text("machine 127.0.0.1 login user password s3cret\n")
        netrc.chmod(0o600)
        other = replace(uv, cache=uv.cache.parent / "other")
        assert len(lock_wheels(Requirements(("tool",)), TARGET, Index(index.url), other)) == 1


@pytest.mark.parametrize("merged", [False, True])
def test_one_of_several_indexes_that_wants_a_login_is_named(served: PackageIndex, uv: Uv, merged: bool) -> None:
    with serve(PackageIndex(wheel("private"), login="user:s3cret")) as locked:
        index = Index(served.url, (locked.url,), merged=merged)
        with pytest.raises(RegistryError, match="answered 401 Unauthorized"):
            lock_wheels(Requirements(("private", "tool")), TARGET, index, uv)


def test_pips_indexes_count_as_one_and_others_shield_private_names(served: PackageIndex, uv: Uv) -> None:
    with serve(PackageIndex(wheel("tool", "1.0"))) as extra:
        index = Index(served.url, (extra.url,))
        assert lock_wheels(Requirements(("tool",)), TARGET, index, uv)[0].version == "1.0"
        assert lock_wheels(Requirements(("tool",)), TARGET, replace(index, merged=True), uv)[0].version == "2.0"
