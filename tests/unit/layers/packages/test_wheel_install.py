"""What an installed wheel looks like, and that pip and uv, asked to install the same wheel, agree."""

from __future__ import annotations

import base64
import csv
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from modelcrate_layers.errors import IntegrityError
from modelcrate_layers.kinds import wheels as kind
from modelcrate_layers.kinds.wheels import WheelsLayer
from modelcrate_layers.packages import wheel, wheel_install
from modelcrate_layers.packages.venv import Venv
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar.sources import ZipMember
from modelcrate_layers.tar.tree import Tree
from support.installed import contents, listed
from support.wheels import make_wheel, rich

SITE = "opt/modelcrate/lib/python3.11/site-packages"


def installed(made: Wheel, prefix: str = "/opt/modelcrate") -> Tree:
    return WheelsLayer((made,), "3.11", prefix).tree()


def test_every_scheme_goes_to_its_place(tmp_path: Path) -> None:
    found = contents(installed(rich(tmp_path)))
    assert {path for path in found if not path.startswith(SITE)} == {
        "opt/modelcrate/bin/rich",
        "opt/modelcrate/bin/rich-script",
        "opt/modelcrate/bin/rich-shell",
        "opt/modelcrate/bin/rich-tool",
        "opt/modelcrate/bin/rich-window",
        "opt/modelcrate/include/python3.11/rich-wheel/rich.h",
        "opt/modelcrate/share/rich/data.txt",
    }
    assert f"{SITE}/rich_pure.py" in found
    assert f"{SITE}/rich_plat.py" in found
    assert f"{SITE}/shared_namespace/rich/__init__.py" in found


def test_nothing_above_the_prefix_is_in_the_layer(tmp_path: Path) -> None:
    tree = installed(rich(tmp_path))
    assert tree.entries[0].path == b"opt/modelcrate"
    assert all(entry.path.startswith(b"opt/modelcrate") for entry in tree.entries)


def test_scripts_start_our_interpreter_and_only_they_are_rewritten(tmp_path: Path) -> None:
    found = contents(installed(rich(tmp_path)))
    assert found["opt/modelcrate/bin/rich-script"] == (
        b"#!/opt/modelcrate/bin/python\nimport rich_wheel\nrich_wheel.main()\n",
        True,
    )
    assert found["opt/modelcrate/bin/rich-shell"] == (b"#!/bin/sh\necho shell\n", True)
    launcher, executable = found["opt/modelcrate/bin/rich-tool"]
    assert executable
    assert launcher.startswith(b"#!/opt/modelcrate/bin/python\n")
    assert b"from rich_wheel import Tool\n" in launcher
    assert b"sys.exit(Tool.run())" in launcher


def test_the_group_has_the_owners_rights(tmp_path: Path) -> None:
    for entry in installed(rich(tmp_path)).entries:
        assert entry.mode >> 6 & 7 == entry.mode >> 3 & 7
        assert (entry.uid, entry.gid) == (0, 0)


def test_record_lists_every_file_with_its_right_hash(tmp_path: Path) -> None:
    found = contents(installed(rich(tmp_path)))
    rows = list(csv.reader(found[f"{SITE}/rich_wheel-2.0.dist-info/RECORD"][0].decode().splitlines()))
    listed_paths = set()
    for path, hashed, size in rows:
        place = str(Path(f"/{SITE}/{path}").resolve())[1:]
        listed_paths.add(place)
        if path.endswith("/RECORD"):
            assert (hashed, size) == ("", "")
            continue
        data = found[place][0]
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        assert (hashed, size) == (f"sha256={digest}", str(len(data)))
    assert listed_paths == set(found)


def test_what_tells_about_an_installation_is_ours_and_not_the_wheels(tmp_path: Path) -> None:
    info = "demo-1.0.dist-info"
    names = ("INSTALLER", "REQUESTED", "direct_url.json")
    found = contents(installed(make_wheel(tmp_path, "demo", files={f"{info}/{name}": b"not mine" for name in names})))
    assert found[f"{SITE}/{info}/INSTALLER"][0] == b"modelcrate\n"
    assert f"{SITE}/{info}/REQUESTED" not in found
    assert f"{SITE}/{info}/direct_url.json" not in found


def test_bytecode_that_a_wheel_brings_is_left_out(tmp_path: Path) -> None:
    files = {"demo.py": b"", "__pycache__/demo.cpython-311.pyc": b"evil", "sourceless.pyc": b"kept"}
    found = contents(installed(make_wheel(tmp_path, "demo", files=files)))
    assert f"{SITE}/sourceless.pyc" in found
    assert not [path for path in found if "__pycache__" in path]


def test_unchanged_files_stay_in_the_wheel_until_they_are_packed(tmp_path: Path) -> None:
    made = rich(tmp_path)
    literal = {
        entry.path.decode().rpartition("/")[2]
        for entry in installed(made).entries
        if entry.source is not None and not isinstance(entry.source, ZipMember)
    }
    assert literal == {"rich", "rich-tool", "rich-window", "rich-script", "INSTALLER", "RECORD"}


def test_names_follow_the_dist_info_where_the_file_name_is_spelled_otherwise(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", files={"demo-1.0.data/scripts/run": b"#!python\n"})
    other = tmp_path / "Demo-1.0-1build-py3-none-any.whl"
    Path(made.path).rename(other)
    moved = Wheel("demo", "1.0", other.name, made.sha256, made.size, str(other))
    assert "opt/modelcrate/bin/run" in contents(installed(moved))


@pytest.mark.parametrize("spelling", ["My_Demo-1.0", "my-demo-1.0", "my.demo-1.0.0", "MY_DEMO-v1"])
def test_a_data_folder_may_spell_the_name_and_the_version_in_another_way(tmp_path: Path, spelling: str) -> None:
    files = {f"{spelling}.data/scripts/run": b"#!python\n", f"{spelling}.data/data/share/a": b"a"}
    found = contents(installed(make_wheel(tmp_path, "my-demo", files=files)))
    assert {"opt/modelcrate/bin/run", "opt/modelcrate/share/a"} <= set(found)


def test_a_folder_called_data_of_something_else_is_a_folder(tmp_path: Path) -> None:
    found = contents(installed(make_wheel(tmp_path, "demo", files={"other-1.0.data/scripts/run": b"x"})))
    assert f"{SITE}/other-1.0.data/scripts/run" in found


def test_a_script_that_an_entry_point_makes_as_well_is_made_by_the_entry_point(tmp_path: Path) -> None:
    files = {"demo.py": b"", "demo-1.0.data/scripts/run": b"#!python\nold\n"}
    points = "[console_scripts]\nrun = demo:one\n\n[gui_scripts]\nrun = demo:two\n"
    found = contents(installed(make_wheel(tmp_path, "demo", files=files, entry_points=points)))
    assert b"from demo import two" in found["opt/modelcrate/bin/run"][0]
    record = found[f"{SITE}/demo-1.0.dist-info/RECORD"][0].decode()
    assert record.count("bin/run,") == 1
    digest = base64.urlsafe_b64encode(hashlib.sha256(found["opt/modelcrate/bin/run"][0]).digest()).decode().rstrip("=")
    assert f"bin/run,sha256={digest}" in record


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({"demo-1.0.data/scripts": b"x"}, {}),
        ({"demo-1.0.data/file": b"x"}, {}),
        ({"demo-1.0.data/nonsense/file": b"x"}, {}),
        (None, {"entry_points": "[console_scripts]\nx = no-colon\n"}),
        (None, {"entry_points": "[console_scripts]\n../../x = a:b\n"}),
        (None, {"entry_points": "[console_scripts]\n.. = a:b\n"}),
        (None, {"entry_points": "not an ini file\n"}),
        (None, {"entry_points": "[console_scripts]\nx = a:b; import os\n"}),
        (None, {"wheel_file": "Wheel-Version: 2.0\nRoot-Is-Purelib: true\n"}),
        (None, {"wheel_file": "Root-Is-Purelib: true\n"}),
    ],
)
def test_a_wheel_that_contradicts_the_format_is_refused_by_name(tmp_path: Path, files: object, options: dict) -> None:
    made = make_wheel(tmp_path, "demo", files=files, **options)
    with pytest.raises(IntegrityError) as caught:
        installed(made)
    assert caught.value.where == made.filename
    assert "object at" not in caught.value.why
    assert "AssertionError" not in caught.value.why


def test_a_script_too_large_to_rewrite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_wheel(tmp_path, "demo", files={"demo-1.0.data/scripts/run": b"#!python\n" + b"#" * 1000})
    contents_ = wheel.read(made)
    monkeypatch.setattr(wheel_install, "MAX_TEXT", 999)
    with pytest.raises(IntegrityError, match="can't be installed"):
        wheel_install.entries(contents_, Venv("3.11"))


def test_keys_know_the_policy_without_importing_it() -> None:
    assert kind.POLICY == wheel_install.POLICY


PAPERS = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", ".lock"}
LAUNCHERS = {"bin/rich", "bin/rich-tool", "bin/rich-window"}
"""Each installer has its own text for them; what they do is compared by running them."""


def pip_installs(made: Wheel, prefix: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--no-index", "--no-deps", "--no-compile"]
    pip += ["--no-warn-script-location", "--disable-pip-version-check", "--ignore-installed", "--prefix", str(prefix)]
    subprocess.run([*pip, made.path], check=True, capture_output=True)


def uv_installs(made: Wheel, prefix: Path) -> None:
    from uv import find_uv_bin

    command = [find_uv_bin(), "pip", "install", "--no-config", "--offline", "--no-index", "--no-deps", "--no-cache"]
    subprocess.run(
        [*command, "--python", sys.executable, "--prefix", str(prefix), made.path], check=True, capture_output=True
    )


@pytest.mark.parametrize("oracle", [pip_installs, uv_installs])
def test_other_installers_put_the_same_bytes_in_the_same_places(tmp_path: Path, oracle: object) -> None:
    """But for the text of launchers, and the papers of an installation: INSTALLER, REQUESTED, direct_url.json, uv_cache.json.

    RECORD is compared row by row, without those. In a virtual environment, pip and uv keep headers in `include/site`.
    """
    made, prefix, python = rich(tmp_path), tmp_path / "prefix", f"3.{sys.version_info[1]}"
    oracle(made, prefix)
    tree = WheelsLayer((made,), python, str(prefix)).tree()
    ours = {path.removeprefix(f"{str(prefix)[1:]}/"): found for path, found in contents(tree).items()}
    theirs = {path.replace("include/site/", "include/"): found for path, found in listed(prefix).items()}
    interpreters = f"#!{sys.executable}\n".encode(), f"#!{prefix}/bin/python\n".encode()
    theirs["bin/rich-script"] = (theirs["bin/rich-script"][0].replace(*interpreters), True)
    info = f"lib/python{python}/site-packages/rich_wheel-2.0.dist-info"
    compared = {path for path in {*ours, *theirs} if path.rpartition("/")[2] not in PAPERS}
    assert compared <= ours.keys() & theirs.keys()
    for path in compared - LAUNCHERS:
        assert ours[path] == theirs[path], path
    assert recorded(ours[f"{info}/RECORD"][0]) == recorded(theirs[f"{info}/RECORD"][0])


def recorded(data: bytes) -> set[tuple[str, str]]:
    """Paths and hashes of a RECORD, without papers, and without the hashes of scripts, whose first line names a place."""
    rows = [
        (path.replace("include/site/", "include/"), hashed)
        for path, hashed, _ in csv.reader(data.decode().splitlines())
    ]
    return {
        (path, "" if "bin/rich" in path else hashed) for path, hashed in rows if path.rpartition("/")[2] not in PAPERS
    }


def test_a_platform_wheel_lands_where_a_pure_one_does(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", tag="cp311-cp311-manylinux_2_28_x86_64")
    assert f"{SITE}/demo.py" in contents(installed(made))


def test_the_zip_needs_no_unix_modes(tmp_path: Path) -> None:
    def windows(name: str, info: zipfile.ZipInfo) -> None:
        info.external_attr, info.create_system = 0, 0

    files = {"demo.py": b"", "demo-1.0.data/scripts/run": b"#!/bin/sh\n"}
    found = contents(installed(make_wheel(tmp_path, "demo", files=files, infos=windows)))
    assert found["opt/modelcrate/bin/run"] == (b"#!/bin/sh\n", True)
    assert found[f"{SITE}/demo.py"] == (b"", False)
