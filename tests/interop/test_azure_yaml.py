"""Azure's own library (azure-ai-ml) judges our reading of its YAML: it loads what we load, to the same values, and refuses what we refuse."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from modelcrate.project.azure_v2 import AssetReference, V2Environment, V2Model
from modelcrate.project.azure_v2_reading import read_v2
from modelcrate_layers.errors import CrateError
from support import azure, azure_yaml

PACKAGES = ("azure-ai-ml==1.35.2",)
LOADER = """
import json, logging, re, sys, warnings
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
from azure.ai.ml import load_online_deployment
out = []
for file in sys.argv[1:]:
    text = open(file).read()
    given = [{key: "given"} for key in ("name", "endpoint_name") if not re.search(f"^{key}:", text, re.MULTILINE)]
    try:
        d = load_online_deployment(file, params_override=given)  # as az gives what its command line has
    except Exception as fault:
        out.append({"fault": str(fault)[:500]})
        continue
    m, e, c = d.model, d.environment, d.code_configuration
    out.append({
        "name": d.name, "endpoint": d.endpoint_name,
        "model": m if isinstance(m, str) else m and [str(m.path), m.type],
        "environment": e if isinstance(e, str) else e and [e.image, e.conda_file, bool(e.build)],
        "scoring": None if isinstance(e, str) or not e or not e.inference_config
        else [e.inference_config.scoring_route.port, e.inference_config.scoring_route.path],
        "code": c and [c.code, c.scoring_script],
        "variables": {key: str(value) for key, value in d.environment_variables.items()},
    })
print(json.dumps(out))
"""

REFUSED = {
    "a key that nobody knows": "unknwon: 1\n",
    "a plain name as a model": "model: m:1\n",
    "a file without file:": "environment: env.yml\n",
    "a model that is not there": "model: {path: ./nothing}\n",
    "an environment that is a list": "environment: [a]\n",
    "routes of which one is missing": "environment: {image: x, inference_config: {scoring_route: {port: 80, path: /p}}}\n",
    "an unknown key of a model": "model: {path: ../../model-1/model, pth: x}\n",
    "an unknown key of an environment": "environment: {image: x, conda: y}\n",
    "conda's keys in the environment": "environment: {image: x, dependencies: [python]}\n",
    "no mapping as code": "code_configuration: score.py\n",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What azure-ai-ml makes of every file. It takes long to start, so it starts once."""
    python = azure.environment("azure-ai-ml", *PACKAGES, compiled=False)
    folder = tmp_path_factory.mktemp("yaml")
    texts = {**azure_yaml.DEPLOYMENTS, **REFUSED}
    files = [azure_yaml.write(folder / str(number), text) for number, text in enumerate(texts.values())]
    done = subprocess.run([python, "-c", LOADER, *map(str, files)], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, dict(zip(texts, json.loads(done.stdout.splitlines()[-1]), strict=True))


def file_of(folder: Path, name: str) -> Path:
    number = [*azure_yaml.DEPLOYMENTS, *REFUSED].index(name)
    return folder / str(number) / "online" / "managed" / "sample" / "blue.yml"


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", azure_yaml.DEPLOYMENTS)
def test_it_reads_the_same_values(loaded: tuple[Path, dict[str, Any]], name: str) -> None:
    folder, theirs = loaded
    found, wanted = read_v2(file_of(folder, name)), theirs[name]
    assert "fault" not in wanted, wanted
    assert (found.name or "given", found.endpoint or "given") == (wanted["name"], wanted["endpoint"])
    assert dict(found.variables) == wanted["variables"]
    if isinstance(found.model, V2Model):
        path, kind = wanted["model"]
        assert (found.model.path, found.model.type) == (Path(path).resolve(), kind)
    elif isinstance(found.model, AssetReference):
        assert found.model.text.removeprefix("azureml:") == wanted["model"]
    if isinstance(found.environment, V2Environment):
        image, conda, build = wanted["environment"]
        assert (found.environment.image or None) == image
        assert found.environment.conda == conda
        assert (found.environment.dockerfile is not None) == build
        scoring = found.environment.scoring
        assert (None if scoring is None else [scoring.port, scoring.path]) == wanted["scoring"]
    elif isinstance(found.environment, AssetReference):
        assert found.environment.text.removeprefix("azureml:") == wanted["environment"]
    if wanted["code"]:
        code, script = wanted["code"]
        assert found.code == (found.file.parent / code).resolve()
        assert found.script == script


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_the_same_files(loaded: tuple[Path, dict[str, Any]], name: str) -> None:
    folder, theirs = loaded
    assert "fault" in theirs[name]
    with pytest.raises(CrateError) as fault:
        read_v2(file_of(folder, name))
    assert fault.value.hint, "it says what to do"
