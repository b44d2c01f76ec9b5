"""A base pinned and fetched from a mirror that is right, and from mirrors that are not."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pysequoia import SignatureMode, sign

from modelcrate.events import Event, Notice
from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.resolve.debian import (
    DebianWanted,
    Freshness,
    PinnedDeb,
    choose_mirrors,
    debs_in,
    fetch_debs,
    newest_debs,
    resolve_debian,
)
from modelcrate.resolve.debian.releases import RELEASES, DebianRelease, release_of
from modelcrate_layers.errors import (
    CrateError,
    IntegrityError,
    LockedError,
    MachineError,
    RegistryError,
    UserError,
)
from modelcrate_layers.kinds.debian import DebianLayer
from support.debian_mirror import NOW, ROOTS, Mirror, new_key, rfc, roots_of, serve
from support.debs import Put, deb_bytes, stanza
from support.images import StillClock

KEY = new_key()
WANTED = DebianWanted("bookworm", "amd64")
NO_NET = HttpConfig(offline=True)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A mirror with what every base begins with; not published yet."""
    with serve(Mirror(KEY)) as served:
        for name, members in ROOTS.items():
            served.add(name, members)
        yield served


def resolve(
    mirror: Mirror, cache: Path, wanted: DebianWanted = WANTED, network: HttpConfig | None = None
) -> tuple[PinnedDeb, ...]:
    with Downloader(network or HttpConfig(), clock=StillClock()) as fetcher:
        return resolve_debian(wanted, mirror.mirrors, fetcher, cache, NOW)


def fetch(mirror: Mirror, cache: Path, pinned: tuple[PinnedDeb, ...], network: HttpConfig | None = None) -> None:
    with Downloader(network or HttpConfig(), clock=StillClock()) as fetcher:
        fetch_debs(pinned, mirror.mirrors, fetcher, cache)


def names(pinned: tuple[PinnedDeb, ...]) -> list[str]:
    return [f"{each.package} {each.version}" for each in pinned]


def files(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file())


def test_a_base_is_pinned_fetched_and_made(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    assert [each.package for each in pinned] == sorted(ROOTS)
    fetch(mirror, tmp_path, pinned)
    layer = DebianLayer("bookworm", "3.11", debs_in(pinned, tmp_path))
    paths = {entry.path for entry in layer.tree().entries}
    assert {b"usr/lib/thing", b"usr/bin/python3", b"etc/passwd", b"lib"} <= paths
    assert b"lib/thing" not in paths


@pytest.mark.parametrize("release", list(RELEASES.values()), ids=str)
def test_a_base_of_every_release_by_its_python_alone(release: DebianRelease, tmp_path: Path) -> None:
    with serve(Mirror(KEY, release.codename)) as mirror:
        for name, members in roots_of(release.python).items():
            mirror.add(name, members)
        mirror.add("tzdata", version="2.0", suite=f"{release.codename}-security")
        mirror.publish()
        pinned = resolve(mirror, tmp_path, DebianWanted(release_of(None, release.python).codename, "amd64"))
        fetch(mirror, tmp_path, pinned)
    assert {f"python{release.python}", "tzdata"} <= {each.package for each in pinned}
    assert {each.version for each in pinned if each.package == "tzdata"} == {"2.0"}
    assert tuple(PinnedDeb.parse(each.json()) for each in pinned) == pinned
    layer = DebianLayer(release.codename, release.python, debs_in(pinned, tmp_path), release.distribution)
    assert layer.name == f"{release.distribution} {release.codename}, python {release.python}"
    assert f"usr/bin/python{release.python}".encode() in {entry.path for entry in layer.tree().entries}


@pytest.mark.parametrize(("codename", "suite"), [("noble", "noble-updates"), ("bookworm", "bookworm-updates")])
def test_an_index_in_the_place_of_another_is_refused(codename: str, suite: str, tmp_path: Path) -> None:
    """An old index of the release itself, put in the place of its updates, would hide them."""
    release = RELEASES[codename]
    with serve(Mirror(KEY, codename)) as mirror:
        for name, members in roots_of(release.python).items():
            mirror.add(name, members)
        mirror.publish()
        top = f"/{release.suites('amd64')[0].archive}/dists"
        mirror.files[f"{top}/{suite}/InRelease"] = mirror.files[f"{top}/{codename}/InRelease"]
        with pytest.raises(IntegrityError, match=f"is the index of '{codename}', not of {suite}"):
            resolve(mirror, tmp_path, DebianWanted(codename, "amd64"))


def test_what_ubuntus_main_lacks_is_looked_for_in_universe_and_it_is_said(tmp_path: Path) -> None:
    with serve(Mirror(KEY, "noble", parts={"ffmpeg": "universe", "libx264": "universe"})) as mirror:
        for name in (*roots_of("3.12"), "curl"):
            mirror.add(name, roots_of("3.12").get(name))
        mirror.add("ffmpeg", Depends="libx264, curl")
        mirror.add("libx264")
        mirror.publish()
        events: list[Event] = []

        def found(*packages: str) -> set[str]:
            wanted = DebianWanted("noble", "amd64", packages)
            with Downloader(HttpConfig(), clock=StillClock()) as fetcher:
                pinned = resolve_debian(wanted, mirror.mirrors, fetcher, tmp_path, NOW, events.append)
            return {each.package for each in pinned} - set(roots_of("3.12"))

        assert found("curl") == {"curl"}
        assert not any("universe" in each for each in mirror.asked), "its long lists are fetched where they are needed"
        for _ in range(2):  # solved, and remembered
            assert found("ffmpeg") == {"ffmpeg", "libx264", "curl"}
        said = [each.text for each in events if isinstance(each, Notice)]
        assert said == ["of Ubuntu noble's universe, which has fewer security updates than main: ffmpeg, libx264"] * 2
        with pytest.raises(UserError, match="no Debian package 'nobody' in main and universe"):
            found("nobody")
        with Downloader(HttpConfig(), clock=StillClock()) as fetcher:
            for packages, known in ((("curl",), False), (("curl", "ffmpeg"), True)):
                all_of_them = newest_debs(
                    DebianWanted("noble", "amd64", packages), mirror.mirrors, fetcher, tmp_path, NOW
                )
                assert (all_of_them.get("ffmpeg") is not None) is known
        mirror.parts.clear()
        mirror.stanzas = {
            suite: [each for each in kept if "/universe/" not in each] for suite, kept in mirror.stanzas.items()
        }
        mirror.publish()
        with pytest.raises(UserError, match=r"no Debian package 'nobody' in main$"):
            found("nobody")


def test_a_shell_is_taken_where_it_is_wanted(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("coreutils")
    mirror.add("dash")
    mirror.publish()
    assert {"coreutils", "dash"} & {each.package for each in resolve(mirror, tmp_path)} == set()
    found = {each.package for each in resolve(mirror, tmp_path, replace(WANTED, shell=True))}
    assert {"coreutils", "dash"} <= found


def test_an_xz_list_is_read_too(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm", packer=".xz")
    assert len(resolve(mirror, tmp_path)) == len(ROOTS)


def test_the_highest_version_of_all_suites_wins(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("tzdata", version="1.0+deb12u10", suite="bookworm-updates")
    mirror.add("tzdata", version="1.0+deb12u9", suite="bookworm-security")
    mirror.add("netbase", version="1.0+deb12u1", suite="bookworm-security")
    mirror.publish()
    pinned = {each.package: each for each in resolve(mirror, tmp_path)}
    assert (pinned["tzdata"].version, pinned["tzdata"].archive) == ("1.0+deb12u10", "debian")
    assert (pinned["netbase"].version, pinned["netbase"].archive) == ("1.0+deb12u1", "debian-security")


def test_a_second_resolve_asks_for_the_indexes_only(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    first = resolve(mirror, tmp_path)
    fetch(mirror, tmp_path, first)
    mirror.asked.clear()
    assert resolve(mirror, tmp_path) == first
    fetch(mirror, tmp_path, first)
    assert len(mirror.asked) == 3
    assert all(path.endswith("/InRelease") for path in mirror.asked)


def test_a_warm_cache_needs_no_network(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    first = resolve(mirror, tmp_path)
    fetch(mirror, tmp_path, first)
    mirror.asked.clear()
    assert resolve(mirror, tmp_path, network=NO_NET) == first
    fetch(mirror, tmp_path, first, network=NO_NET)
    assert mirror.asked == []


def test_a_cold_cache_without_network_says_so(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    with pytest.raises(RegistryError, match="bookworm") as caught:
        resolve(mirror, tmp_path, network=NO_NET)
    assert "--offline" in str(caught.value.also)
    assert mirror.asked == []


def test_a_damaged_memory_is_forgotten(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    first = resolve(mirror, tmp_path)
    (answer,) = (tmp_path / "debian" / "answers").glob("*.json")
    answer.write_bytes(answer.read_bytes()[:-30])
    assert resolve(mirror, tmp_path) == first


def test_a_pinned_package_survives_the_way_through_a_lock(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    assert tuple(PinnedDeb.parse(each.json()) for each in pinned) == pinned
    assert mirror.address not in str([each.json() for each in pinned])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sha256", "../../etc/passwd"),
        ("sha256", "A" * 64),
        ("pool", "pool/../../x.deb"),
        ("pool", "/etc/x.deb"),
        ("pool", "pool/main/.hidden.deb"),
        ("pool", "pool//x.deb"),
        ("size", 0),
        ("size", 1 << 40),
        ("size", "5"),
        ("archive", "debian-evil"),
        ("package", None),
        ("package", "../a"),
        ("architecture", ""),
        ("version", "1\n2"),
    ],
)
def test_a_lock_that_was_tampered_with_is_refused(name: str, value: object) -> None:
    good = PinnedDeb("a", "1", "all", "debian", "pool/main/a.deb", "0" * 64, 5).json()
    with pytest.raises(IntegrityError, match=r"not a (pinned|version)"):
        PinnedDeb.parse({**good, name: value})


@pytest.mark.parametrize("suite", ["bookworm", "bookworm-updates", "bookworm-security"])
def test_an_index_with_a_changed_byte_is_refused(mirror: Mirror, tmp_path: Path, suite: str) -> None:
    mirror.publish()
    (path,) = (path for path in mirror.files if path.endswith(f"/{suite}/InRelease"))
    mirror.files[path] = mirror.files[path].replace(b"Origin: Test", b"Origin: Tess")
    with pytest.raises(IntegrityError, match="not signed by a key that is pinned") as caught:
        resolve(mirror, tmp_path)
    assert caught.value.where.endswith(f"{suite}/InRelease")
    assert "\n" not in caught.value.why


def test_what_stands_before_and_behind_the_signed_text_is_not_read(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    path = "/debian/dists/bookworm/InRelease"
    mirror.files[path] = b"Codename: evil\n\n" + mirror.files[path] + b"SHA256:\n evil\n"
    assert len(resolve(mirror, tmp_path)) == len(ROOTS)


def test_an_index_signed_by_a_stranger_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm-security", signer=new_key())
    with pytest.raises(IntegrityError, match="not signed by a key"):
        resolve(mirror, tmp_path)


def test_a_certificate_counts_only_under_its_pinned_fingerprint(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    mirrors = replace(mirror.mirrors, keyring=replace(mirror.keyring, fingerprints=frozenset({"0" * 40})))
    with Downloader(HttpConfig()) as fetcher, pytest.raises(IntegrityError, match="not signed by a key"):
        resolve_debian(WANTED, mirrors, fetcher, tmp_path, NOW)


def test_debians_own_keys_do_not_sign_the_tests_mirror(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    with Downloader(HttpConfig()) as fetcher, pytest.raises(IntegrityError, match="not signed by a key"):
        resolve_debian(WANTED, replace(mirror.mirrors, keyring=None), fetcher, tmp_path, NOW)


@pytest.mark.parametrize("data", [b"", b"hello", b"Codename: bookworm\n", b"\xff" * 1000])
def test_an_index_without_a_signature_is_refused(mirror: Mirror, tmp_path: Path, data: bytes) -> None:
    mirror.publish()
    mirror.files["/debian/dists/bookworm/InRelease"] = data
    with pytest.raises(IntegrityError, match="not signed by a key"):
        resolve(mirror, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Codename": "trixie"}, "the index of 'trixie', not of bookworm"),
        ({"Date": rfc(NOW + timedelta(days=3))}, "in the future"),
        ({"Date": "tomorrow"}, "no date"),
        ({"Valid-Until": rfc(NOW - timedelta(minutes=1))}, "too old"),
        ({"Valid-Until": "never"}, "no date"),
        ({"SHA256": "nonsense"}, "stands twice"),
        ({"Date": rfc(NOW)[:-4] + " +0200", "Codename": "x"}, "the index of 'x'"),
    ],
)
def test_an_index_that_says_wrong_things_is_refused(
    mirror: Mirror, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm", **change)
    with pytest.raises(IntegrityError, match=words):
        resolve(mirror, tmp_path)


def test_an_index_without_lists_for_an_architecture_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm", packer=".lzma")
    with pytest.raises(IntegrityError, match="no packages of main for amd64"):
        resolve(mirror, tmp_path)


@pytest.mark.parametrize(
    "lines", [f"{'0' * 63} 5 a", f"{'0' * 64} x a", f"{'0' * 64} 5 a\n {'0' * 64} 5 a", f"{'0' * 64} 5 a b"]
)
def test_an_index_with_malformed_hashes_is_refused(mirror: Mirror, tmp_path: Path, lines: str) -> None:
    mirror.publish()
    fields = f"Codename: bookworm\nDate: {rfc(NOW)}\nSHA256:\n {lines}\n"
    mirror.files["/debian/dists/bookworm/InRelease"] = sign(KEY.signer(), fields.encode(), mode=SignatureMode.CLEAR)
    with pytest.raises(IntegrityError, match=r"malformed line|lists a twice"):
        resolve(mirror, tmp_path)


def test_an_old_index_is_taken_where_the_project_says_so(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish(**{"Valid-Until": rfc(NOW - timedelta(days=300))})
    with Downloader(HttpConfig()) as fetcher:
        pinned = resolve_debian(WANTED, replace(mirror.mirrors, freshness=Freshness.ANY), fetcher, tmp_path, NOW)
    assert len(pinned) == len(ROOTS)


def test_an_index_after_its_last_day_is_taken_where_the_project_ignores_it_and_it_is_said(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm-updates", **{"Valid-Until": rfc(NOW - timedelta(days=23))})
    told: list[Event] = []
    with Downloader(HttpConfig()) as fetcher:
        lenient = replace(mirror.mirrors, freshness=Freshness.IGNORED)
        pinned = resolve_debian(WANTED, lenient, fetcher, tmp_path, NOW, told.append)
    assert len(pinned) == len(ROOTS)
    [notice] = [event.text for event in told if isinstance(event, Notice)]
    assert "bookworm-updates of" in notice
    assert "bookworm of" not in notice
    assert "security updates are missing" in notice


def test_ignoring_the_last_day_ignores_nothing_else(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    mirror.publish_suite("bookworm", new_key(), **{"Valid-Until": rfc(NOW - timedelta(days=23))})
    lenient = replace(mirror.mirrors, freshness=Freshness.IGNORED)
    with Downloader(HttpConfig()) as fetcher, pytest.raises(IntegrityError, match="not signed by a key"):
        resolve_debian(WANTED, lenient, fetcher, tmp_path, NOW)


def test_a_list_that_was_tampered_with_is_refused_and_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    for path in mirror.lists("bookworm"):
        mirror.files[path] = mirror.files[path][:-1] + b"\xff"
    with pytest.raises(CrateError) as caught:
        resolve(mirror, tmp_path)
    assert isinstance(caught.value, IntegrityError)
    digest = hashlib.sha256(mirror.files[mirror.lists("bookworm")[0]]).hexdigest()
    kept = files(tmp_path)
    assert not any(digest in name or ".part-" in name for name in kept)
    assert not any(name.startswith("debian/answers") for name in kept)


def test_a_package_that_was_tampered_with_is_refused_and_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    path = "/debian/pool/main/tzdata_1.0_all.deb"
    mirror.files[path] = mirror.files[path][:-1] + b"\xff"
    with pytest.raises(IntegrityError, match=r"tzdata 1\.0"):
        fetch(mirror, tmp_path, pinned)
    wanted = next(each.sha256 for each in pinned if each.package == "tzdata")
    assert not any(wanted in name or ".part-" in name for name in files(tmp_path))


def test_a_package_that_is_larger_than_pinned_is_stopped(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    mirror.files["/debian/pool/main/tzdata_1.0_all.deb"] += bytes(5_000_000)
    with pytest.raises(IntegrityError, match="should have"):
        fetch(mirror, tmp_path, pinned)


def test_a_list_that_is_larger_than_any_is_refused(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelcrate.resolve.debian import pin

    mirror.add("bomb", Description="x" * 3_000_000)
    mirror.publish()
    monkeypatch.setattr(pin, "MAX_LIST", 1_000_000)
    with pytest.raises(IntegrityError, match="unpacks to more than"):
        resolve(mirror, tmp_path)


def test_a_package_that_left_the_mirror_is_named_with_a_way_out(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    del mirror.files["/debian/pool/main/tzdata_1.0_all.deb"]
    with pytest.raises(LockedError, match=r"has left the mirror: tzdata 1\.0\n") as caught:
        fetch(mirror, tmp_path, pinned)
    assert caught.value.where.endswith("/tzdata_1.0_all.deb")
    assert "snapshot mirror" in caught.value.hint
    assert "lock again" in caught.value.hint


def test_a_mirror_may_be_a_folder_and_a_package_may_have_left_it_too(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    for path, data in mirror.files.items():
        (tmp_path / "mirror" / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mirror" / path[1:]).write_bytes(data)
    there = choose_mirrors([f"file://{tmp_path}/mirror/debian"], {})
    there = replace(there, keyring=mirror.keyring)
    with Downloader(NO_NET) as fetcher:
        pinned = resolve_debian(WANTED, there, fetcher, tmp_path / "cache", NOW)
        (tmp_path / "mirror/debian/pool/main/tzdata_1.0_all.deb").unlink()
        with pytest.raises(LockedError, match=r"tzdata 1\.0"):
            fetch_debs(pinned, there, fetcher, tmp_path / "cache")
    assert mirror.asked == []


def test_a_security_update_that_is_gone_from_both_archives_is_named(mirror: Mirror, tmp_path: Path) -> None:
    path = mirror.add("tzdata", version="1.1", suite="bookworm-security")
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    del mirror.files[path]
    with pytest.raises(LockedError, match=r"tzdata 1\.1"):
        fetch(mirror, tmp_path, pinned)
    assert sum("tzdata" in each for each in mirror.asked) == 2


def test_a_disk_that_takes_no_more_is_this_machines_fault(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("big", [Put("./random", os.urandom(300_000))])
    mirror.publish()
    pinned = resolve(mirror, tmp_path, replace(WANTED, packages=("big",)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(MachineError, match="can't be written"):
            fetch(mirror, tmp_path, pinned)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    wanted = next(each.sha256 for each in pinned if each.package == "big")
    assert not any(wanted in name or ".part-" in name for name in files(tmp_path))


def test_a_security_update_is_found_where_it_moved(mirror: Mirror, tmp_path: Path) -> None:
    path = mirror.add("tzdata", version="1.1", suite="bookworm-security")
    mirror.publish()
    pinned = resolve(mirror, tmp_path)
    mirror.files["/debian/pool/main/tzdata_1.1_all.deb"] = mirror.files.pop(path)
    fetch(mirror, tmp_path, pinned)
    assert all(each.path.exists() for each in debs_in(pinned, tmp_path))


@pytest.mark.parametrize("what", ["InRelease", "_all.deb"])
def test_a_mirror_that_breaks_off_leaves_nothing_half_made(mirror: Mirror, tmp_path: Path, what: str) -> None:
    mirror.publish()
    mirror.cut.add(what)
    with pytest.raises(CrateError):
        fetch(mirror, tmp_path, resolve(mirror, tmp_path))
    assert not any(".part-" in name or name.endswith(".deb") for name in files(tmp_path))


def test_the_next_mirror_is_asked_where_one_has_nothing(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish()
    good = mirror.mirrors
    both = replace(good, addresses={name: (f"{mirror.address}/none", *each) for name, each in good.addresses.items()})
    with Downloader(HttpConfig()) as fetcher:
        pinned = resolve_debian(WANTED, both, fetcher, tmp_path, NOW)
        assert all(deb.path.exists() for deb in fetch_debs(pinned, both, fetcher, tmp_path))


def test_a_mirror_that_has_nothing_is_named(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no mirror has the index") as caught:
        resolve(mirror, tmp_path)
    assert mirror.address in str(caught.value.also[0])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (DebianWanted("sarge", "amd64"), "unknown Debian release"),
        (DebianWanted("bookworm", "riscv64"), "architecture"),
        (DebianWanted("bookworm", "amd64", python="3.13"), r"has Python 3\.11"),
        (DebianWanted("bookworm", "amd64", ("tzdat",)), "no Debian package 'tzdat'"),
    ],
)
def test_a_base_that_does_not_exist_is_the_users_fault(
    mirror: Mirror, tmp_path: Path, wanted: DebianWanted, words: str
) -> None:
    mirror.publish()
    with pytest.raises(UserError, match=words) as caught:
        resolve(mirror, tmp_path, wanted)
    assert caught.value.hint


def test_a_package_that_says_another_name_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    data = deb_bytes(stanza("other"), [Put("./a", b"1")])
    mirror.files["/debian/pool/main/extra_1.0_all.deb"] = data
    mirror.list("bookworm", stanza("extra"), "pool/main/extra_1.0_all.deb", data)
    mirror.publish()
    pinned = resolve(mirror, tmp_path, replace(WANTED, packages=("extra",)))
    fetch(mirror, tmp_path, pinned)
    with pytest.raises(CrateError, match=r"says that it is other 1\.0 all"):
        DebianLayer("bookworm", "3.11", debs_in(pinned, tmp_path)).tree()


def test_a_package_with_a_member_outside_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.add("evil", [Put("./../evil", b"1")])
    mirror.publish()
    pinned = resolve(mirror, tmp_path, replace(WANTED, packages=("evil",)))
    fetch(mirror, tmp_path, pinned)
    with pytest.raises(IntegrityError, match="leads outside"):
        DebianLayer("bookworm", "3.11", debs_in(pinned, tmp_path)).tree()
