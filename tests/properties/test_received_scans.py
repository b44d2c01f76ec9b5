"""What others say of the layers of a base: whatever it is, a base has a Python by it or has none, and nothing breaks."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcrate.events import ignore_event
from modelcrate.resolve import scan
from modelcrate.resolve.find_python import Look, Wanted, find_python
from modelcrate.resolve.scan import LayerScan, path_in_root
from modelcrate_layers.errors import IntegrityError, UserError
from support.foreign_bases import base
from support.rootfs import layer, member

PROGRAMS = (
    *("usr/bin/python3.11", "bin/python3", "usr/local/bin/python", "etc/alternatives/python3", "lib/libc.so.6"),
    *("usr/include/python3.11/patchlevel.h", "usr/lib/x86_64-linux-gnu/libc.so.6", "lib/ld-musl-x86_64.so.1"),
)
FOLDERS, MODULES = ("bin", "lib64", "usr", "opt/x"), ("usr/lib/python3.11/os.py", "lib/python3.11/abc.py")
TARGETS = ("", "python3.11", "/usr/bin/python3.11", "../../..", "usr", "/", ".", "bin/python3", "\0", "a" * 300)
LOADERS = ("", "ld-linux-x86-64.so.2", "ld-musl-x86_64.so.1", "ld-x.so.9")
VERSIONS = ("", "2.36", "1.2.5", "3.11.9", "3.13.0rc1", "0.0", "99.99")

told = {"target": st.sampled_from(TARGETS), "loader": st.sampled_from(LOADERS), "version": st.sampled_from(VERSIONS)}
files = st.one_of(
    *(
        st.fixed_dictionaries({"path": st.sampled_from(paths), "kind": st.sampled_from(kinds)}, optional=told)
        for paths, kinds in ((PROGRAMS, ("file", "link", "script")), (FOLDERS, ("link",)), (MODULES, ("module",)))
    )
)
PATHS = (*PROGRAMS, *FOLDERS, *MODULES, "", "../x", "/bin/python3")
hidden = st.sampled_from((*PATHS, *(f"{path}/" for path in PATHS)))
scans = st.fixed_dictionaries(
    {"files": st.lists(files, max_size=8), "hidden": st.lists(hidden, max_size=3), "tar-size": st.integers(-1, 1 << 60)}
)


@given(st.lists(scans, max_size=4), st.integers(0, 1))
def test_a_python_is_found_or_none(values: list[dict[str, object]], unread: int) -> None:
    found = [LayerScan.parse(each) for each in values]
    assert [LayerScan.parse(each.json()) for each in found] == found
    below = base(layer(member("etc/x")))
    with suppress(UserError):  # its Python does not start, or is none
        resolved = find_python(below, Wanted(), Look.of(found, unread), ignore_event)
        assert resolved.interpreter.startswith("/") or not resolved.interpreter


@pytest.mark.parametrize("pattern", [scan._INTERESTING, scan._MODULE], ids=["interesting", "module"])
@given(data=st.data())
def test_what_is_looked_for_has_a_hint_in_its_path(pattern: re.Pattern[str], data: st.DataObject) -> None:
    path = data.draw(st.from_regex(pattern.pattern, fullmatch=True))
    assert scan._HINT.search(path.encode(errors="surrogatepass"))


@given(st.text(alphabet="/.ab", max_size=12).map(str.encode))
def test_a_path_is_that_of_its_parts_or_leads_outside(name: bytes) -> None:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        with pytest.raises(IntegrityError, match="outside"):
            path_in_root(name, "here")
    else:
        assert path_in_root(name, "here") == b"/".join(parts)
