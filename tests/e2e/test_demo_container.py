"""The demo's container, started without an engine: what it answers, what is in it, how large it is."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from support.demo import REQUEST, Built
from support.waiting import HANG

pytestmark = pytest.mark.network

DIRECT = """
import ctypes, joblib, json, numpy, os, pathlib, scipy, sklearn, sqlite3, ssl, sys
model = joblib.load(pathlib.Path(os.environ["AZUREML_MODEL_DIR"]) / "sklearn_regression_model.pkl")
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 100
ctypes.CDLL("libgomp.so.1")
print(json.dumps({
    "predicted": model.predict(json.loads(sys.argv[1])["data"]).tolist(),
    "python": "%d.%d" % sys.version_info[:2],
    "scikit-learn": sklearn.__version__,
    "answer": sqlite3.connect(":memory:").execute("select 6 * 7").fetchone(),
}))
"""
"""What Python and scikit-learn say directly: the wheels and the model of the image, with neither our server nor the entry script."""


def post(url: str, body: str) -> str:
    asked = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=HANG) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def direct(demo: Built) -> Any:
    return json.loads(
        demo.modelcrate.said("run", "--name", "inside", f"oci:{demo.layout}:1", "python", "-c", DIRECT, REQUEST)
    )


@pytest.fixture
def container(demo: Built) -> Iterator[int]:
    """The port of the demo, read-only and, where we may choose, as a user that the image does not know."""
    anybody = ("--user", "123456:0") if os.geteuid() == 0 else ()
    strict = ("--read-only", *anybody)
    started = demo.modelcrate.json("run", "-d", "--name", "scoring", "-p", "0:5001", *strict, f"oci:{demo.layout}:1")
    try:
        yield started["ports"]["5001"]
    finally:
        ended = demo.modelcrate.json("stop", "--rm", "scoring")
    assert ended == [{"name": "scoring", "exit_code": 0}]


def test_the_container_answers_what_scikit_learn_predicts(container: int, direct: Any) -> None:
    answer = json.loads(post(f"http://127.0.0.1:{container}/score", REQUEST))
    assert len(answer) == 2
    assert answer == pytest.approx(direct["predicted"], rel=1e-9, abs=0)
    assert answer == pytest.approx([6783.288837469616, 4073.0497773702928], rel=1e-9, abs=0)


def test_python_of_the_image_has_all_its_parts(demo: Built, direct: Any) -> None:
    wanted = next(layer["name"] for layer in demo.receipt["layers"] if layer["name"].startswith("scikit-learn "))
    assert (direct["python"], direct["scikit-learn"]) == ("3.11", wanted.partition(" ")[2])
    assert direct["answer"] == [42]  # sqlite; ssl's certificates and ctypes were asked inside


def test_the_image_is_at_most_350_mb(demo: Built) -> None:
    """Row 38 of docs/azureml.md: 1.43 GB there."""
    unpacked = sum(layer["tar_size"] for layer in demo.receipt["layers"])
    assert 100_000_000 < unpacked <= 350_000_000
