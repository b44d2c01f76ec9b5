"""The base that is made of packages: what is where, what is left out, and what two packages may share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from modelcrate_layers.errors import SourceError
from modelcrate_layers.kinds.debian import Deb, DebianLayer, environment
from modelcrate_layers.tar.codec import NONE
from modelcrate_layers.tar.recipe import Recipe, measure
from modelcrate_layers.tar.sources import read
from modelcrate_layers.tar.tree import Entry, Kind
from support.debs import Put, folder, hard, keep_deb, link


def entries(*debs: Deb) -> dict[bytes, Entry]:
    return {entry.path: entry for entry in DebianLayer("bookworm", "3.11", debs).tree().entries}


def text(entry: Entry) -> bytes:
    assert entry.source is not None
    return read(entry.source)


def test_usr_is_merged(tmp_path: Path) -> None:
    one = keep_deb(tmp_path, "one", [folder("./lib/"), Put("./lib/a.so", b"1"), Put("./usr/lib/b.so", b"2")])
    two = keep_deb(tmp_path, "two", [link("./bin", "usr/bin"), Put("./lib64/ld.so", b"3"), Put("./sbin/x", b"4")])
    found = entries(one, two)
    assert {b"usr/lib/a.so", b"usr/lib/b.so", b"usr/lib64/ld.so", b"usr/sbin/x"} <= found.keys()
    links = {path: entry.link for path, entry in found.items() if b"/" not in path and entry.kind is Kind.SYMLINK}
    assert links == {name: b"usr/" + name for name in (b"bin", b"sbin", b"lib", b"lib64")}


def test_documentation_is_left_out_and_copyright_stays(tmp_path: Path) -> None:
    members = [
        folder("./usr/share/doc/", 0o700),
        Put("./usr/share/doc/one/copyright", b"free"),
        Put("./usr/share/doc/one/README", b"long"),
        Put("./usr/share/doc/one/copyright/x", b"odd"),
        link("./usr/share/doc/two", "one"),
        Put("./usr/share/man/man1/one.1.gz", b"man"),
        Put("./usr/share/locale/de/LC_MESSAGES/one.mo", b"mo"),
        Put("./usr/share/documents", b"is none"),
    ]
    found = entries(keep_deb(tmp_path, "one", [each for each in members if "copyright/" not in each.name]))
    share = {path for path in found if path.startswith(b"usr/share/")}
    assert share == {
        b"usr/share/doc",
        b"usr/share/doc/one",
        b"usr/share/doc/one/copyright",
        b"usr/share/doc/two",
        b"usr/share/documents",
    }
    assert found[b"usr/share/doc"].mode == 0o755


def test_rights_are_kept_but_for_those_that_make_one_another_user(tmp_path: Path) -> None:
    one = keep_deb(tmp_path, "one", [Put("./usr/bin/su", b"1", mode=0o6755), folder("./var/mine/", 0o2750)])
    found = entries(one)
    assert (found[b"usr/bin/su"].mode, found[b"var/mine"].mode) == (0o755, 0o750)
    assert all((entry.uid, entry.gid) == (0, 0) for path, entry in found.items() if path != b"home/modelcrate")


def test_users_temporary_folders_and_homes_are_there(tmp_path: Path) -> None:
    found = entries(keep_deb(tmp_path, "one", []))
    assert b"\nmodelcrate:x:10001:0:" in text(found[b"etc/passwd"])
    assert text(found[b"etc/group"]).startswith(b"root:x:0:\n")
    assert b"hosts: files dns\n" in text(found[b"etc/nsswitch.conf"])
    assert [found[path].mode for path in (b"tmp", b"var/tmp", b"root")] == [0o1777, 0o1777, 0o700]
    home = found[b"home/modelcrate"]
    assert (home.uid, home.gid, home.mode) == (10001, 0, 0o770)
    assert {b"dev", b"proc", b"sys", b"run"} <= found.keys()


def test_run_is_reached_through_var_and_what_packages_put_there_moves(tmp_path: Path) -> None:
    found = entries(keep_deb(tmp_path, "one", [folder("./var/run/"), folder("./var/run/one/"), folder("./var/lock/")]))
    assert (found[b"var/run"].link, found[b"var/lock"].link) == (b"/run", b"/run/lock")
    assert found[b"run/one"].kind is Kind.DIRECTORY


def test_certificates_are_bundled_in_the_order_of_their_names(tmp_path: Path) -> None:
    root = "./usr/share/ca-certificates/mozilla/"
    found = entries(
        keep_deb(tmp_path, "ca", [Put(root + "b.crt", b"B\n\n"), Put(root + "a.crt", b"A"), Put(root + "c", b"no")])
    )
    assert text(found[b"etc/ssl/certs/ca-certificates.crt"]) == b"A\nB\n"
    assert found[b"usr/lib/ssl/cert.pem"].link == b"/etc/ssl/certs/ca-certificates.crt"


def test_python3_and_the_time_zone_are_linked_where_they_are(tmp_path: Path) -> None:
    python = keep_deb(
        tmp_path, "python", [Put("./usr/bin/python3.11", b"1"), Put("./usr/share/zoneinfo/Etc/UTC", b"2")]
    )
    found = entries(python)
    assert found[b"usr/bin/python3"].link == b"python3.11"
    assert found[b"etc/localtime"].link == b"/usr/share/zoneinfo/Etc/UTC"
    bare = entries(keep_deb(tmp_path, "bare", []))
    assert not {b"usr/bin/python3", b"etc/localtime", b"etc/ssl/certs/ca-certificates.crt"} & bare.keys()


def test_a_file_of_a_package_is_not_replaced_by_one_of_ours(tmp_path: Path) -> None:
    found = entries(keep_deb(tmp_path, "one", [Put("./etc/nsswitch.conf", b"mine")]))
    assert text(found[b"etc/nsswitch.conf"]) == b"mine"


def test_scanners_find_every_package_and_the_sums_of_what_is_kept(tmp_path: Path) -> None:
    sums = b"".join(b"%032d  %b\n" % (at, path) for at, path in enumerate([b"lib/a", b"usr/share/man/a", b"usr/b"]))
    members = [Put("./lib/a", b"1"), Put("./usr/share/man/a", b"2"), Put("./usr/b", b"3")]
    found = entries(keep_deb(tmp_path, "one", members, md5sums=sums))
    assert text(found[b"var/lib/dpkg/status.d/one"]).startswith(b"Package: one\nVersion: 1.0\n")
    kept = text(found[b"var/lib/dpkg/status.d/one.md5sums"]).splitlines()
    assert [line[34:] for line in kept] == [b"lib/a", b"usr/b"]


def test_hard_links_stay_one_file(tmp_path: Path) -> None:
    found = entries(
        keep_deb(tmp_path, "one", [Put("./usr/b", b"bytes"), hard("./usr/a", "./usr/b"), hard("./lib/c", "usr/b")])
    )
    assert text(found[b"usr/a"]) == b"bytes"
    assert [(found[path].kind, found[path].link) for path in (b"usr/b", b"usr/lib/c")] == [
        (Kind.HARD_LINK, b"usr/a")
    ] * 2


def test_a_hard_link_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="comes later or never"):
        entries(keep_deb(tmp_path, "one", [hard("./usr/a", "./usr/b")]))


def test_two_packages_with_other_bytes_in_one_file_are_both_named(tmp_path: Path) -> None:
    one, two = keep_deb(tmp_path, "one", [Put("./usr/x", b"1")]), keep_deb(tmp_path, "two", [Put("./usr/x", b"2")])
    with pytest.raises(SourceError, match="one and two both bring usr/x"):
        entries(two, one)


@pytest.mark.parametrize("other", [link("./usr/x", "y"), folder("./usr/x/"), Put("./usr/x", b"1", mode=0o755)])
def test_two_packages_with_other_things_under_one_name_are_refused(tmp_path: Path, other: Put) -> None:
    one, two = keep_deb(tmp_path, "one", [Put("./usr/x", b"1")]), keep_deb(tmp_path, "two", [other])
    with pytest.raises(SourceError, match="both bring usr/x"):
        entries(one, two)


def test_two_packages_may_bring_the_same(tmp_path: Path) -> None:
    same = [Put("./usr/x", b"1"), link("./usr/y", "x")]
    one = keep_deb(tmp_path, "one", [folder("./usr/", 0o755), *same])
    two = keep_deb(tmp_path, "two", [folder("./usr/", 0o700), *same])
    found = entries(two, one)
    assert (text(found[b"usr/x"]), found[b"usr"].mode) == (b"1", 0o755)


def test_a_file_below_another_packages_link_is_refused(tmp_path: Path) -> None:
    one, two = (
        keep_deb(tmp_path, "one", [link("./usr/x", "/etc")]),
        keep_deb(tmp_path, "two", [Put("./usr/x/passwd", b"evil")]),
    )
    with pytest.raises(SourceError, match="no folder above it"):
        entries(one, two)


def test_the_key_needs_no_package_and_knows_every_hash(tmp_path: Path) -> None:
    one = Deb("one", "1", "all", tmp_path / "missing.deb", "0" * 64, 5, "pool/main/one.deb")
    two = replace(one, package="two", sha256="1" * 64)
    layer = DebianLayer("bookworm", "3.11", (one, two))
    assert layer.key() == replace(layer, debs=(replace(two, path=tmp_path / "else.deb"), one)).key()
    others = [
        replace(layer, python="3.12"),
        replace(layer, debs=(one,)),
        replace(layer, debs=(one, replace(two, sha256="2" * 64))),
    ]
    assert len({layer.key(), *(other.key() for other in others)}) == 4
    assert (layer.role, layer.name) == ("base", "debian bookworm, python 3.11")


def test_the_layers_bytes_are_those_of_always(tmp_path: Path) -> None:
    """A golden digest: who moves it raises POLICY, and says so in the changelog."""
    members = [Put("./usr/bin/python3.11", b"1", mode=0o755), Put("./lib/a", b"2"), link("./etc/b", "../usr/lib/a")]
    debs = (keep_deb(tmp_path, "one", members), keep_deb(tmp_path, "two", []))
    tree = DebianLayer("bookworm", "3.11", debs).tree()
    assert (
        str(measure(Recipe(tree, NONE)).diff_id)
        == "sha256:b97a8d17ff9fc8b1292d733ea6854e5e79381eb005f6cb13644c0dc834222d01"
    )


def test_the_environment_is_small() -> None:
    assert environment() == {
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
