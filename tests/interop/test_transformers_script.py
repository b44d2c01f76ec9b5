"""The entry script for Transformers, over the real library: too large for an image of a test (torch of PyPI brings CUDA along), so our
server runs it in an environment on this machine, and the answers are held to the library's own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.demo import cache
from support.platforms import keeps, without_a_script
from support.serving import Ask, Server
from support.sources import REPOSITORY

pytestmark = [pytest.mark.interop, pytest.mark.slow]

MODEL = REPOSITORY / "fixtures" / "models" / "transformers"
TEXTS = ["a good film", "the film was not very good"]

DIRECT = """
import json, sys, torch, transformers
folder, texts = sys.argv[1], sys.argv[2:]
pipe = transformers.pipeline("text-classification", model=folder, tokenizer=folder)
with torch.inference_mode():
    logits = pipe.model(input_ids=torch.tensor([[2, 8, 5, 7, 3]])).logits.tolist()
print(json.dumps([pipe(texts), logits]))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that has torch and transformers. Making one takes a gigabyte and minutes, so a run doesn't do it by itself."""
    found = os.environ.get("MODELCRATE_TEST_TRANSFORMERS") or str(cache() / "transformers" / "bin" / "python")
    if not Path(found).exists():
        pytest.skip(
            f"torch and transformers are missing: python -m venv {cache() / 'transformers'}, and pip install them there"
        )
    return found


@pytest.fixture(scope="module")
def server(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with without_a_script(MODEL, tmp_path_factory.mktemp("transformers"), python) as running:
        yield running


def asked(server: Server, body: Any) -> Any:
    header = ("Content-Type", "application/json")
    answer = server.ask(Ask("POST", "/score", json.dumps(body).encode(), [header]))
    assert answer.status == 200, server.log
    return json.loads(answer.body)["outputs"]


def test_texts_and_tensors_are_answered_as_the_library_does(server: Server, python: str) -> None:
    command = [python, "-W", "ignore", "-c", DIRECT, str(MODEL), *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    labels, logits = json.loads(done.stdout.splitlines()[-1])
    found = asked(server, {"inputs": TEXTS})
    assert [each["label"] for each in found] == [each["label"] for each in labels]
    assert [each["score"] for each in found] == pytest.approx([each["score"] for each in labels], rel=1e-5)
    (row,) = asked(server, {"inputs": {"input_ids": [[2, 8, 5, 7, 3]]}})["logits"]
    assert row == pytest.approx(logits[0], rel=1e-5)


def test_texts_are_answered_by_every_contract(server: Server) -> None:
    keeps(server, TEXTS)
