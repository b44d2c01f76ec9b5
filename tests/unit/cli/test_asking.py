"""predict, test, run PROJECT and build --test, over a tiny image whose server is a Perl script, in a real container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import modelcrate
from modelcrate.config import Config
from modelcrate_layers.errors import RegistryError, SourceError, UserError
from support.command import Inside
from support.containers import why_not
from support.rootfs import tiny_rootfs

SERVER = r"""
$| = 1; $SIG{CHLD} = "IGNORE"; $SIG{TERM} = sub { exit 0 };
socket(S, 2, 1, 0) or die; setsockopt(S, 1, 2, pack("i", 1));
bind(S, pack("S n a4 x8", 2, 8000, "\0\0\0\0")) or die; listen(S, 16) or die;
while (1) {
    accept(C, S) or next;
    my $line = <C>; my $size = 0;
    while (<C>) { $size = $1 if /^content-length: *(\d+)/i; last if /^\r?\n$/ }
    my $body = ""; read(C, $body, $size) if $size;
    my $status = $line =~ m{ /broken } ? "500 broken" : "200 OK";
    my $out = $line =~ /^GET/ ? "{}" : $line =~ m{ /plain } ? "plain" : "{\"got\": $body}";
    print C "HTTP/1.0 $status\r\nContent-Length: " . length($out) . "\r\n\r\n" . $out; close C;
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tiny_rootfs()
    if root is None or (reason := why_not("namespaces")):
        pytest.skip("a program of the tiny root is missing" if root is None else reason)
    folder = tmp_path / "perl"
    (folder / "src").mkdir(parents=True)
    (folder / "src/server.pl").write_text(SERVER)
    (tmp_path / "root.tar").write_bytes(root.data)
    (folder / "modelcrate.yaml").write_text(f"""
name: perl
base: rootfs:{tmp_path / "root.tar"}
command: [perl, server.pl]
source: src
ports: [8000]
health: /
user: "0"
tests:
  - {{request: '[1, 2]', expect: '{{"got": [1, 2]}}', path: /x}}
  - {{request: '[1]', path: /broken, status: 500}}
""")
    return folder


def test_an_image_is_held_to_its_golden_requests(inside: Inside, project: Path) -> None:
    built = inside("build", project, "--test", "-t", "perl:1").succeeded()
    assert "2 golden requests: as expected" in built.err
    assert "2 golden requests, 0 with another answer" in inside("test", "perl:1").succeeded().err
    assert "2 golden requests, 0 with another answer" in inside("test", project).succeeded().err
    path = project / "modelcrate.yaml"
    path.write_text(path.read_text().replace('"got": [1, 2]', '"got": [1, 3]'))
    inside("build", project, "--test", "-t", "perl:2").failed(5, "$.got[1] is 2, not 3")
    wrong = inside("test", "perl:1", "--project", project)
    assert wrong.code == 5
    assert "tests[1]: $.got[1] is 2, not 3" in wrong.out
    inside("test", "perl:2").failed(3, "there is no image")


def test_an_image_and_a_project_are_asked(inside: Inside, project: Path) -> None:
    asked = inside("predict", project, "--path", "/x", "-d", "[7]").succeeded()
    assert asked.json == {"got": [7]}
    inside("build", project, "-t", "perl:1").succeeded()
    (project / "body.json").write_text("[8]")
    assert inside("predict", "perl:1", "-d", f"@{project / 'body.json'}").succeeded().json == {"got": [8]}
    refused = inside("predict", "perl:1", "--path", "/broken", "-d", "1")
    assert (refused.code, "the server answered with status 500" in refused.err) == (4, True)


def test_a_project_is_run_and_its_server_is_asked(inside: Inside, project: Path) -> None:
    started = inside("run", "-d", "-p", "0:8000", "--name", "perl", "--json", project).succeeded().json
    try:
        url = f"http://127.0.0.1:{started['ports']['8000']}"
        assert inside("predict", f"{url}/x", "-d", "[9]").succeeded().json == {"got": [9]}
        inside("predict", f"{url}/x", "--offline", "-d", "[9]").failed(2, "--offline")
    finally:
        inside("rm", "--force", "perl").succeeded()


def test_the_library_asks_and_tests(project: Path, tmp_path: Path) -> None:
    config = Config(tmp_path / "home", {"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    image = modelcrate.build(project, outputs="store:perl:1", test=True, settings=config)
    assert modelcrate.predict(image, [1], path="/x") == {"got": [1]}
    assert modelcrate.predict("perl:1", b"[2]", path="/plain", settings=config) == b"plain"
    with pytest.raises(RegistryError, match="status 500"):
        modelcrate.predict(str(project), 1, path="/broken", settings=config)
    assert [each.differences for each in modelcrate.test("perl:1", settings=config)] == [(), ()]
    with pytest.raises(SourceError):
        modelcrate.test("absent:1", settings=config)


def test_an_image_that_does_not_get_ready(inside: Inside, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelcrate.inspect.serving.PATIENT_FOR", 0.3)
    monkeypatch.setattr("modelcrate.inspect.serving.READY_AFTER", 0.9)
    (project / "src/server.pl").write_text('print "loading\\n"; sleep 1000;')
    failed = inside("predict", project, "-d", "1").failed(6, "the image does not get ready", "modelcrate run -d IMAGE")
    assert "waiting until the image answers GET /, for at most 0.9 seconds" in failed.err
    assert inside("ps", "--all", "--json").succeeded().json == []


def test_what_can_not_be_asked(inside: Inside, alone: Path, tmp_path: Path) -> None:
    inside("test", "alone").failed(3, "no golden requests are beside the image")
    inside("predict", "alone", "-d", "1").failed(2, "the image names no port")
    inside("predict", "http://127.0.0.1:1", "-d", "1").failed(4, "no server answers")
    inside("predict", "http://127.0.0.1:1/x", "-d", "1").failed(4, "the server does not answer")
    inside("predict", "alone", "-d", f"@{tmp_path / 'absent'}").failed(3, "can't be read")
    inside("predict", "alone", "-d", "1", "--path", "x").failed(2, "not a path")
    inside("build", alone, "--test").failed(2, "no golden requests to test")


def test_an_image_for_another_machine_can_not_be_asked() -> None:
    from modelcrate.inspect.serving import choose_runnable

    with pytest.raises(UserError, match="is for no platform, and linux/"):
        choose_runnable([])
