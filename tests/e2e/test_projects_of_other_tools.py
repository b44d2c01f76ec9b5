"""Configurations of other tools become images that answer as those tools do: imported, built, started, asked."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.configurations import PREDICTOR, SERVICE, TRUSS, write
from support.shared_command import Modelcrate
from support.validator import assert_valid_layout
from support.waiting import until

pytestmark = [pytest.mark.network, pytest.mark.slow]

COG = "build: {gpu: false, python_version: '3.11', python_requirements: requirements.txt}\npredict: predict.py:Predictor\n"
BENTO = "service: service:Sums\ninclude: ['*.py']\npython: {packages: [idna]}\ndocker: {python_version: '3.11', env: {LEVEL: 3}}\n"
TRUSS_CONFIG = (
    "model_name: Sums\nmodel_metadata: {factor: 2}\npython_version: py311\nsecrets: {key: null}\nrequirements: [idna]\n"
)
MODELFILE = 'FROM ./tiny.gguf\nPARAMETER num_ctx 128\nPARAMETER num_predict 4\nPARAMETER top_k 7\nSYSTEM """Be "kind"."""\nMESSAGE user hi\nMESSAGE assistant ho\n'


@contextmanager
def started(modelcrate: Modelcrate, file: Path, port: int, *words: str) -> Iterator[str]:
    """The address of a container of the image of a configuration."""
    made = Path(modelcrate.json("init", "--from", file)["file"]).parent
    name = file.parent.name
    layout = file.parent.parent / "layout"
    modelcrate.said("build", made, "-t", f"{name}:1", "-o", f"oci:{layout}")
    assert_valid_layout(layout)
    container = modelcrate.json("run", "-d", "-p", f"0:{port}", "--wait", "120", "--name", name, *words, f"{name}:1")
    try:
        yield f"http://127.0.0.1:{container['ports'][str(port)]}"
    finally:
        modelcrate.said("rm", "--force", name)


def asked(address: str, data: object = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def test_a_cog(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """The oracle is Cog's own server: it checks the input by the types of the class, and fills in what is not given."""
    file = write(tmp_path, "cog", cog__yaml=COG, requirements__txt="idna==3.10\n")
    (file.parent / "predict.py").write_text(PREDICTOR.replace("(description", "(default=4, description"))
    with started(modelcrate, file, 5000) as address:
        until(lambda: asked(f"{address}/health-check")["status"] == "READY")
        assert asked(f"{address}/predictions", {"input": {"number": 21}})["output"] == 42
        assert asked(f"{address}/predictions", {"input": {}})["output"] == 8
        with pytest.raises(urllib.error.HTTPError, match="422"):
            asked(f"{address}/predictions", {"input": {"number": "many"}})


def test_a_bento(modelcrate: Modelcrate, tmp_path: Path) -> None:
    file = write(tmp_path, "bento", bentofile__yaml=BENTO)
    (file.parent / "service.py").write_text(SERVICE)
    (file.parent / "notes.txt").write_text("stays out")
    with started(modelcrate, file, 3000) as address:
        assert asked(f"{address}/sum", {"rows": [[1, 2], [3, 4.5]]}) == [3.0, 7.5]
    layers = [
        layer.read_bytes() for layer in (tmp_path / "layout/blobs/sha256").iterdir() if layer.stat().st_size < 100_000
    ]
    assert (any(b"service.py" in each for each in layers), any(b"notes.txt" in each for each in layers)) == (
        True,
        False,
    )


def test_a_truss(modelcrate: Modelcrate, tmp_path: Path) -> None:
    file = write(tmp_path, "truss", config__yaml=TRUSS_CONFIG)
    (file.parent / "model/model.py").write_text(TRUSS)
    with started(modelcrate, file, 5001, "-e", "TRUSS_SECRET_key=k") as address:
        assert asked(f"{address}/score", {"rows": [[1, 2], [3, 4]]}) == {"sums": [9, 21], "key": "k"}


def test_a_modelfile(modelcrate: Modelcrate, tmp_path: Path) -> None:
    """The oracle is llama.cpp's server: it tells its defaults, and the text that a conversation becomes."""
    file = write(tmp_path, "ollama", Modelfile=MODELFILE)
    with started(modelcrate, file, 8080) as address:
        assert asked(f"{address}/props")["default_generation_settings"]["params"]["top_k"] == 7
        hello = [{"role": "user", "content": "yo"}]
        text = asked(f"{address}/apply-template", {"messages": hello})["prompt"]
        assert [each in text for each in ('Be "kind".', "hi", "ho", "yo")] == [True] * 4
        own = asked(f"{address}/apply-template", {"messages": [{"role": "system", "content": "own"}, *hello]})["prompt"]
        assert ('Be "kind".' in own, "own" in own, "ho" in own) == (False, True, True)
        answer = asked(f"{address}/v1/chat/completions", {"messages": hello})
        assert answer["usage"]["completion_tokens"] <= 4
