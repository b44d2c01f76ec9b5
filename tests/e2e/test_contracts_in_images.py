"""What `contracts:` does to an image, over a project that builds in a moment and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.command import Inside
from support.small_projects import served
from support.validator import assert_valid_layout


def project(folder: Path, *contracts: str) -> Path:
    served(folder)
    if contracts:
        with (folder / "modelcrate.yaml").open("a") as file:
            file.write(f"contracts: [{', '.join(contracts)}]\n")
    return folder


def config_of(layout: Path, receipt: Any) -> Any:
    assert_valid_layout(layout)
    return json.loads((layout / "blobs" / receipt["id"].replace(":", "/")).read_bytes())["config"]


def test_an_image_says_which_contracts_it_has_and_where(inside: Inside, tmp_path: Path) -> None:
    made = project(tmp_path / "made", "azureml", "sagemaker", "oip")
    receipt = inside("build", made, "--offline", "-o", f"oci:{tmp_path / 'oci'}:1", "--json").succeeded().json
    config = config_of(tmp_path / "oci", receipt)
    env = dict(line.partition("=")[::2] for line in config["Env"])
    assert sorted(config["ExposedPorts"]) == ["5001/tcp", "8080/tcp"]
    assert config["Entrypoint"] == ["/opt/modelcrate/bin/python", "-m", "modelcrate_server"]
    assert env["MODELCRATE_CONTRACTS"] == "azureml,sagemaker,oip"
    assert (env["MODELCRATE_MODEL_NAME"], env["MODELCRATE_MODEL_VERSION"]) == ("served", "1")
    assert env["PATH"].startswith("/opt/modelcrate/bin:/opt/modelcrate/server/bin:")


def test_an_image_without_the_key_is_azures_alone(inside: Inside, tmp_path: Path) -> None:
    plain, named = project(tmp_path / "plain"), project(tmp_path / "named", "azureml")
    words = ("--offline", "--json", "-o")
    one = inside("build", plain, *words, f"oci:{tmp_path / 'one'}:1").succeeded().json
    two = inside("build", named, *words, f"oci:{tmp_path / 'two'}:1").succeeded().json
    config = config_of(tmp_path / "one", one)
    assert one["digest"] == two["digest"]
    assert list(config["ExposedPorts"]) == ["5001/tcp"]
    assert not [line for line in config["Env"] if "MODELCRATE" in line]


def test_the_folder_of_a_dockerfile_gives_the_same_image(inside: Inside, tmp_path: Path) -> None:
    made = project(tmp_path / "made", "vertex", "sagemaker")
    words = ("--offline", "--json", "-o")
    direct = inside("build", made, *words, f"oci:{tmp_path / 'oci'}:1", "-o", f"dockerfile:{tmp_path / 'saved'}")
    again = inside("build", tmp_path / "saved", *words, f"oci:{tmp_path / 'again'}:1").succeeded().json
    assert again["digest"] == direct.succeeded().json["digest"]
    text = (tmp_path / "saved" / "Dockerfile").read_text()
    assert "EXPOSE 8080" in text
    assert "MODELCRATE_CONTRACTS" in text
    assert [path.name for path in (tmp_path / "saved").rglob("bin/serve") if path.stat().st_mode & 0o111] == ["serve"]
