"""A RUN line that a person adds to a saved Dockerfile works with other people's builders, over a base with a shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.engines import build_with_buildah, docker
from support.shared_command import Modelcrate
from support.tools import call
from support.waiting import HANG
from support.wheels import make_wheel

pytestmark = [pytest.mark.interop, pytest.mark.network]

MARK = "# add your RUN lines here"
LINES = """\
COPY more /more
RUN ls -l /more && pip install --no-index /more/*.whl && python -c 'import added' && mkdir -p /srv/x && echo done-by-$(id -u) > /srv/x/note
RUN [ "$ODD" = 'a$HOME"b' ] && [ "$(cat "/var/azureml-app/s \\$HOME's/x.txt")" = odd ]
"""


@pytest.fixture
def saved(modelcrate: Modelcrate, tmp_path: Path) -> Path:
    """The folder of a Dockerfile with lines added by hand."""
    project, folder = tmp_path / "project", tmp_path / "saved"
    project.mkdir()
    (project / "modelcrate.yaml").write_text(
        "name: shelled\nbase: {from: debian, shell: true}\nentry: {source: \"s $HOME's\", script: score.py}\nenv: {ODD: 'a$HOME\"b'}\n"
    )
    (project / "s $HOME's").mkdir()
    (project / "s $HOME's/x.txt").write_text("odd")
    (project / "s $HOME's/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    done = modelcrate.run("build", project, "-o", f"dockerfile:{folder}")
    if done.returncode == 4:
        pytest.skip(f"no mirror answers: {done.stderr.strip()[:300]}")
    assert done.returncode == 0, done.stderr
    make_wheel(folder / "more", "added", "1.0", {"added.py": b""})
    text = (folder / "Dockerfile").read_text()
    marked = next(line for line in text.splitlines(keepends=True) if line.startswith(MARK))
    (folder / "Dockerfile").write_text(text.replace(marked, marked + LINES))
    return folder


def test_with_buildah(saved: Path, modelcrate: Modelcrate, tmp_path: Path) -> None:
    image = build_with_buildah(saved, tmp_path)
    read = modelcrate.said("run", "--name", "shelled", image, "cat", "/srv/x/note")
    assert read.strip() == "done-by-0"


def test_with_docker(saved: Path) -> None:
    with docker() as client:
        words = ("build", "--network", "none", "--tag", "theirs", saved)
        call("docker", "-H", f"unix://{client.socket}", *words, environment={"DOCKER_BUILDKIT": "0"}, timeout=HANG)
        read = client(
            "run", "--rm", "--entrypoint", "/bin/sh", "theirs", "-c", "cat /srv/x/note && python -c 'import added'"
        )
        assert read.strip() == "done-by-0"
