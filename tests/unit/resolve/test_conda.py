"""Conda packages pinned: solved by rattler for platforms that are not this machine's, from channels in folders."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

from modelcrate.config import Config
from modelcrate.net.config import HttpConfig
from modelcrate.net.download import Downloader
from modelcrate.project.values import Conda, Dependencies, Project
from modelcrate.resolve.conda import channel_urls, fetch_conda, lock_conda
from modelcrate.resolve.index import Index
from modelcrate.resolve.lock import Lock, Pins, parse_lock
from modelcrate.resolve.package_fetcher import Sources
from modelcrate.resolve.pinned import PinnedConda, Solved, python_of
from modelcrate.resolve.target import Target
from modelcrate.resolve.uv import Uv
from modelcrate.resolve.wheels import Requirements, lock_wheels
from modelcrate.transports.connections import Connections
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import IntegrityError, RegistryError, SourceError, UserError
from support import conda
from support.conda import Recipe, fake_python, greeting, native
from support.sources import REPOSITORY
from support.wheels import make_wheel

AMD, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")


def solve(
    folder: Path, *packages: str, python: str | None = None, platform: Platform = AMD, glibc: tuple[int, int] = (2, 36)
) -> Solved:
    wanted = Conda(packages, ("./channel",))
    with Downloader(HttpConfig({}, offline=True)) as fetcher:
        return lock_conda(wanted, python, platform, glibc, channel_urls(wanted, folder), fetcher)


def names(solved: Solved) -> dict[str, str]:
    return {each.name: each.version for each in solved.pinned}


def test_what_is_asked_for_and_what_that_needs_is_pinned_offline(tmp_path: Path) -> None:
    conda.channel(tmp_path / "channel")
    solved = solve(tmp_path, "greeting", "native>=2", python="3.11")
    assert names(solved) == {"greeting": "1.0", "native": "2.1", "python": "3.11.9"}
    assert solved.distributions == {"greeting": "1.0"}
    assert python_of(solved.pinned) == "3.11"
    found = {each.name: each for each in solved.pinned}
    assert (found["greeting"].subdir, found["native"].filename) == ("noarch", "native-2.1-h1_0.tar.bz2")
    assert names(solve(tmp_path, "greeting=1.0", "python=3.12")) == {"greeting": "1.0", "python": "3.12.1"}


def test_a_platform_has_its_own_packages(tmp_path: Path) -> None:
    arm = native(subdir="linux-aarch64", version="2.0")
    conda.write_channel(tmp_path / "channel", [native(), arm])
    assert names(solve(tmp_path, "native")) == {"native": "2.1"}
    assert names(solve(tmp_path, "native", platform=ARM)) == {"native": "2.0"}
    with pytest.raises(UserError, match="conda has no packages for linux/s390x"):
        solve(tmp_path, "native", platform=Platform("linux", "s390x"))


def test_the_base_decides_which_glibc_there_is_and_nobody_has_a_gpu(tmp_path: Path) -> None:
    new = native(version="3.0", depends=["__glibc >=2.40", "__unix", "__linux >=4"])
    conda.write_channel(tmp_path / "channel", [native(), new, Recipe("fast", depends=["__cuda"])])
    assert names(solve(tmp_path, "native")) == {"native": "2.1"}
    assert names(solve(tmp_path, "native", glibc=(2, 41))) == {"native": "3.0"}
    with pytest.raises(UserError, match="no set of conda packages satisfies fast") as fault:
        solve(tmp_path, "fast")
    assert "__cuda" in fault.value.why


def test_the_first_channel_that_has_a_package_serves_it(tmp_path: Path) -> None:
    conda.write_channel(tmp_path / "one", [native(version="1.0")])
    conda.write_channel(tmp_path / "two", [native(version="9.0"), greeting(), fake_python()])
    wanted = Conda(("native", "greeting"), ("./one", (tmp_path / "two").as_uri()))
    urls = channel_urls(wanted, tmp_path)
    with Downloader(HttpConfig({}, offline=True)) as fetcher:
        solved = lock_conda(wanted, None, AMD, (2, 36), urls, fetcher)
        assert names(solved)["native"] == "1.0"
        fetch_conda(solved.pinned, urls, tmp_path / "cache", fetcher)
    assert all(each.place(tmp_path / "cache").stat().st_size == each.size for each in solved.pinned)


def test_channels_have_names_addresses_or_folders(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    urls = channel_urls(Conda(("a",), ("conda-forge", "defaults", "https://mirror.example/x/", "here")), tmp_path)
    assert urls == (
        "https://conda.anaconda.org/conda-forge",
        "https://repo.anaconda.com/pkgs/main",
        "https://repo.anaconda.com/pkgs/r",
        "https://mirror.example/x",
        (tmp_path / "here").as_uri(),
    )
    assert channel_urls(Conda(("a",)), tmp_path) == ("https://conda.anaconda.org/conda-forge",)
    with pytest.raises(SourceError, match="not a folder"):
        channel_urls(Conda(("a",), ("./nowhere",)), tmp_path)


def test_a_channel_that_is_none_or_far_away_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "channel").mkdir()
    with pytest.raises(RegistryError, match=r"has no repodata.json for linux-64"):
        solve(tmp_path, "greeting")
    with (
        Downloader(HttpConfig({}, offline=True)) as fetcher,
        pytest.raises(RegistryError, match="--offline forbids") as caught,
    ):
        lock_conda(Conda(("a",)), None, AMD, (2, 36), ("https://conda.example/x",), fetcher)
    assert caught.value.hint
    with Downloader(HttpConfig({})) as fetcher, pytest.raises(RegistryError) as caught:
        lock_conda(Conda(("a",)), None, AMD, (2, 36), ("http://127.0.0.1:9/x",), fetcher)
    assert "channels: [URL]" in caught.value.hint
    conda.channel(tmp_path / "channel")
    (tmp_path / "channel/noarch/repodata.json").write_text("{")
    with pytest.raises(RegistryError, match="can't be read"):
        solve(tmp_path, "greeting")


def test_a_specification_that_is_none_is_refused(tmp_path: Path) -> None:
    conda.channel(tmp_path / "channel")
    with pytest.raises(UserError, match="specification"):
        solve(tmp_path, "greeting ==>1")


def test_it_solves_where_an_event_loop_runs_already(tmp_path: Path) -> None:
    """As in a notebook."""
    conda.channel(tmp_path / "channel")

    async def inside() -> Solved:
        return solve(tmp_path, "native")

    assert names(asyncio.run(inside())) == {"native": "2.1"}


def test_a_lock_has_pins_and_no_address(tmp_path: Path) -> None:
    conda.channel(tmp_path / "channel")
    lock = Lock({}, {"linux/amd64": Pins(None, (), (), solve(tmp_path, "native").pinned)})
    assert parse_lock(lock.text()) == lock
    (told,) = json.loads(lock.text())["platforms"]["linux/amd64"]["conda"]
    assert set(told) == {"name", "version", "build", "subdir", "filename", "sha256", "size"}
    assert str(tmp_path) not in lock.text().decode()


@pytest.mark.parametrize(
    "change", [{"filename": "x.conda"}, {"subdir": "../.."}, {"sha256": "0"}, {"name": 1}, {"size": "1"}]
)
def test_a_pin_that_is_none_is_refused(change: dict[str, object]) -> None:
    told = {
        "name": "a",
        "version": "1",
        "build": "0",
        "subdir": "noarch",
        "filename": "a-1-0.conda",
        "sha256": "0" * 64,
    }
    lock = {"lock-version": 1, "asked": {}, "codecs": [], "models": []}
    good = {"linux/amd64": {"wheels": [], "conda": [told]}}
    assert parse_lock(json.dumps({**lock, "platforms": good}).encode()).of(AMD).conda == (PinnedConda(**told),)
    bad = {"linux/amd64": {"wheels": [], "conda": [told | change]}}
    with pytest.raises((IntegrityError, ValueError, TypeError)):
        parse_lock(json.dumps({**lock, "platforms": bad}).encode())


def test_without_the_extra_the_wheels_that_would_serve_are_named(tmp_path: Path) -> None:
    """In a Python of its own, for which there is no rattler."""
    (tmp_path / "modelcrate.yaml").write_text(
        "name: lacking\nbase: scratch\ndependencies:\n  conda: ['pytorch=2.1', 'numpy>=1.26']\nentry: score.py\n"
    )
    (tmp_path / "score.py").write_text("def init(): ...\ndef run(data): ...\n")
    script = "import sys; sys.modules['rattler'] = None; from modelcrate.cli import main; sys.exit(main(sys.argv[1:]))"
    path = f"{REPOSITORY / 'builder'}:{REPOSITORY / 'layers'}"
    done = subprocess.run(
        [sys.executable, "-c", script, "build", str(tmp_path)],
        env={"PYTHONPATH": path, "MODELCRATE_HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "pytorch=2.1, numpy>=1.26" in done.stderr
    assert "pip install 'modelcrate[conda]'" in done.stderr
    assert "torch==2.1.*, numpy>=1.26" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("python", ["3.10", "3.12", "3.13"])
def test_the_base_below_condas_python_is_the_default_one(tmp_path: Path, python: str) -> None:
    project = Project("x", None, python=python, dependencies=Dependencies(conda=Conda(("numpy",))))
    with Connections(Config(tmp_path)) as connections:
        assert "debian" in Sources(project, tmp_path, connections).mirrors.addresses, (
            "whoever's release has this Python"
        )


def test_a_python_of_old_has_no_name_for_another(tmp_path: Path) -> None:
    assert python_of([]) == ""
    conda.write_channel(tmp_path / "channel", [fake_python()])
    assert python_of(solve(tmp_path, "python").pinned) == "3.11"


def test_wheels_have_to_go_with_what_conda_brings_and_leave_it_alone(tmp_path: Path) -> None:
    """No index has the package; the wheel that needs it is locked, and the one of an explicit line is left out."""
    make_wheel(tmp_path / "wheels", "needs-it", requires=["greeting>=1"])
    index, uv = Index(wheelhouse=tmp_path / "wheels"), Uv(tmp_path / "uv", HttpConfig({}, offline=True))
    there = {"greeting": "1.0"}
    locked = lock_wheels(Requirements(("needs-it", "greeting")), Target("3.11"), index, uv, there)
    assert [each.name for each in locked] == ["needs-it"]
    with pytest.raises(UserError, match="greeting"):
        lock_wheels(Requirements(("needs-it", "greeting>=2")), Target("3.11"), index, uv, there)


def test_a_channel_on_the_network_sends_its_list_packed(tmp_path: Path) -> None:
    conda.channel(tmp_path / "channel")
    for part in ("noarch", "linux-64"):
        plain = tmp_path / "channel" / part / "repodata.json"
        plain.with_suffix(".json.zst").write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    (tmp_path / "channel/noarch/repodata.json").write_text("{")  # nobody asks for it
    handler = partial(Quiet, directory=str(tmp_path / "channel"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            urls = channel_urls(Conda(("greeting",), (f"http://127.0.0.1:{server.server_port}",)), tmp_path)
            with Downloader(HttpConfig()) as fetcher:
                solved = lock_conda(Conda(("greeting",)), None, AMD, (2, 36), urls, fetcher)
                fetch_conda(solved.pinned, urls, tmp_path / "cache", fetcher)
        finally:
            server.shutdown()
    assert names(solved) == {"greeting": "1.0", "python": "3.12.1"}
    assert all(each.place(tmp_path / "cache").is_file() for each in solved.pinned)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass
