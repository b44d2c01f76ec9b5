"""In the place of `mlflow models build-docker`: the image of a model that MLflow has, without Docker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelcrate.api import Built, build, find
from modelcrate.config import Config
from modelcrate.events import Emit
from modelcrate.project.values import model_name
from modelcrate_layers.atomic import scratch_folder
from modelcrate_layers.errors import UserError

MANAGERS = (None, "local", "virtualenv", "uv")
"""The words for environments that mean: the packages of the model's requirements, which the image has."""


def build_docker(
    model_uri: str | None = None,
    name: str = "mlflow-pyfunc",
    env_manager: str | None = "virtualenv",
    mlflow_home: str | None = None,
    install_java: bool = False,
    install_mlflow: bool = False,
    base_image: str | None = None,
    *,
    push: str = "",
    trust_pickles: bool = False,
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Built:
    """Builds the image of a model: it answers `/invocations` on port 8080, as MLflow's own does.

    The arguments up to `base_image` are those of `mlflow.models.build_docker`.

    Args:
        model_uri: The model, as MLflow names it: a path, `models:/NAME/1`, `runs:/...`, `s3://...`.
        name: The name of the image in the local store.
        env_manager: `virtualenv`, `uv` or `local`; the image has the packages that the model requires in any case.
        mlflow_home: A checkout of MLflow; refused.
        install_java: Whether Java is installed; refused.
        install_mlflow: Nothing to do: the image has MLflow.
        base_image: The reference of the base; by default Debian, made by modelcrate.
        push: A reference that the image is pushed to, too.
        trust_pickles: Whether pickles that run code are taken, as those of `PythonModel` classes are; say it for models of your own.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The image.

    Raises:
        UserError: An argument takes an engine, or the model can't be served.
        CrateError: The image can't be built or delivered.
    """
    from mlflow.artifacts import download_artifacts

    _check(model_uri, env_manager, mlflow_home, install_java)
    with scratch_folder() as folder:
        model = Path(download_artifacts(artifact_uri=model_uri, dst_path=str(folder))).resolve()
        if not (model / "MLmodel").is_file():
            raise UserError(
                "is no model of MLflow", where=str(model_uri), hint="name the folder that has the file MLmodel"
            )
        inside = model if model.is_relative_to(folder.resolve()) else _copied(model, folder)
        plain = model_name(Path(name.partition(":")[0])) or "mlflow-pyfunc"
        project: dict[str, Any] = {
            "name": plain,
            "models": [{"path": inside.relative_to(folder.resolve()).as_posix(), "name": plain, "version": 1}],
            "contracts": ["mlflow"],
        }
        if trust_pickles:
            project["gates"] = {"unsafe-pickle": "allow"}
        if base_image:
            project["base"] = (
                f"registry:{base_image}" if "/" in base_image else f"registry:docker.io/library/{base_image}"
            )
        (folder / "modelcrate.yaml").write_text(json.dumps(project), encoding="utf-8", newline="\n")
        build(folder, push=push or (), outputs=f"store:{name}", settings=settings, emit=emit)
    return find(name, settings=settings)


def _check(model_uri: str | None, env_manager: str | None, mlflow_home: str | None, install_java: bool) -> None:
    """Refuses what takes a program while the image is made."""
    if not model_uri:
        raise UserError(
            "no model_uri",
            why="MLflow's image without a model installs the packages of a model when it starts",
            hint="name the model: its packages are in the image, and it starts without a network",
        )
    if env_manager not in MANAGERS:
        raise UserError(
            f"env_manager is {env_manager!r}",
            why="no environment is made while the image is built or started",
            hint="virtualenv, uv or local; packages of conda go into a project file: dependencies: {conda: [...]}",
        )
    if mlflow_home:
        raise UserError(
            "mlflow_home can't be installed",
            why="no program runs while modelcrate makes an image",
            hint="build a wheel of it, and name its folder in a project file: dependencies: {wheelhouse: DIR}",
        )
    if install_java:
        raise UserError(
            "install_java: Java is not installed",
            why="no program runs while modelcrate makes an image",
            hint="name a base that has Java and Python: base_image=REFERENCE",
        )


def _copied(model: Path, folder: Path) -> Path:
    """Returns a copy of a model that MLflow has left where it is: a project can't leave its folder."""
    import shutil

    target = folder.resolve() / "model"
    shutil.copytree(model, target, symlinks=True)
    return target
