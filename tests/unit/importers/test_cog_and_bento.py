"""cog.yaml and bentofile.yaml: what becomes of their keys."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path

import pytest

from modelcrate.importers.requirement_lines import GENERATED
from modelcrate.project.values import Conda, DebianBase, HubModel, Model
from modelcrate_layers.errors import UserError
from support.configurations import read, write


def test_a_cog_is_started_as_its_own_images_start_it(tmp_path: Path) -> None:
    project = read(write(tmp_path, "cog")).project
    assert (project.name, project.python) == ("times-two", "3.12")
    assert project.command is not None
    assert project.command.argv == ("python3", "-m", "cog.server.http")
    assert (project.command.source, project.command.ports, project.command.health) == (Path(), (5000,), "/health-check")
    assert project.base == DebianBase(packages=("ffmpeg", "libgl1"))
    assert project.dependencies.requirements == ("idna==3.10", "cog==0.16.0")
    assert dict(project.env) == {
        "COG_PREDICT_TYPE_STUB": "predict.py:Predictor",
        "COG_TRAIN_TYPE_STUB": "predict.py:train",
        "COG_MAX_CONCURRENCY": "4",
        "LEVEL": "3",
    }
    assert project.models == (HubModel("acme/model", "w", "v1", ("*.json",)), Model(Path("weights/local"), "v"))


def test_a_cog_that_trains_alone_is_a_server_for_that(tmp_path: Path) -> None:
    project = read(write(tmp_path, "cog", cog__yaml="build: {python_version: 3.12}\ntrain: predict.py:train\n")).project
    assert project.command is not None
    assert project.command.argv[-2:] == ("--x-mode", "train")
    with pytest.raises(UserError, match="names nothing to serve"):
        read(write(tmp_path, "cog", cog__yaml="build: {python_version: 3.12}\n"))


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("3.10", "3.10"),
        ('"3.11.9"', "3.11"),
        ("3.8", "3.9"),
        ("3", None),
        ("3.99", None),
        ("py312", "3.12"),
        ("'2.7'", None),
    ],
)
def test_versions_of_python(tmp_path: Path, written: str, taken: str | None) -> None:
    found = read(
        write(tmp_path, "cog", cog__yaml=f"build: {{python_version: {written}}}\npredict: predict.py:Predictor\n")
    )
    assert found.project.python == taken
    assert (taken is None) is any(each.startswith("build.python_version") for each in found.not_taken)
    assert any("3.1 is read as 3.10" in each for each in found.notices) is (written == "3.10")
    assert any("Python 3.8 is taken as 3.9" in each for each in found.notices) is (written == "3.8")


def test_torch_of_a_cog_without_a_gpu_comes_without_cuda(tmp_path: Path) -> None:
    text = "build: {gpu: %s, python_version: '3.11', python_packages: [torch==2.4.0]}\npredict: predict.py:Predictor\n"
    assert read(write(tmp_path, "cog", cog__yaml=text % "false")).project.dependencies.torch == "cpu"
    assert read(write(tmp_path, "cog", cog__yaml=text % "true")).project.dependencies.torch is None


def test_what_a_tool_adds_to_a_file_stands_in_one_of_ours(tmp_path: Path) -> None:
    text = "build: {python_requirements: ./requirements.txt}\npredict: predict.py:Predictor\n"
    found = read(write(tmp_path, "cog", cog__yaml=text, requirements__txt="idna\n"))
    assert found.project.dependencies.requirements == Path(GENERATED)
    assert found.files[GENERATED].splitlines()[1:] == ["-r requirements.txt", "cog<0.17"]
    has_it = read(write(tmp_path, "cog", cog__yaml=text, requirements__txt="idna\ncog>=0.16\n"))
    assert (has_it.project.dependencies.requirements, has_it.files) == (Path("requirements.txt"), {})


def test_what_no_index_has_is_said_before_a_build(tmp_path: Path) -> None:
    text = "build: {python_packages: [idna, 'git+https://u:p4ss@git.example/a/b', 'git+https://git.example/a/b', '-e .', '--extra-index-url https://i.example/simple']}\npredict: a.py:B\n"
    found = read(write(tmp_path, "cog", cog__yaml=text))
    assert found.files[GENERATED].splitlines()[1:] == [
        "idna",
        "git+https://git.example/a/b",
        "--extra-index-url https://i.example/simple",
        "cog<0.17",
    ]
    missing = "\n".join(found.missing)
    assert "a.py is not there, which predict names" in missing
    assert f"{GENERATED}:3: not a package of an index but a version control address" in missing
    assert "p4ss" not in "\n".join([*found.lines(), *found.files.values()])
    assert any(
        each.startswith("the requirement: git+https://git.example/a/b; it has a login") for each in found.not_taken
    )
    assert "the requirement: -e ...; the project's own modules come with its sources" in found.not_taken


@pytest.mark.parametrize("source", ["-" * 3_000 + "1", "-" * 100_000 + "1"])
def test_code_with_too_much_in_one_another_is_a_fault(tmp_path: Path, source: str) -> None:
    with pytest.raises(UserError, match=r"predict\.py has more in one another than Python reads"):
        read(write(tmp_path, "cog", predict__py=source))
    with pytest.raises(UserError, match=r"model/model\.py has more in one another than Python reads"):
        read(write(tmp_path, "truss", **{"model/model.py": source}))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        (".env", {"bentofile__yaml": "service: service:Sums\ndocker: {env: .env}\n"}),
        (".bentoignore", {}),
        (".modelcrateignore", {"bentofile__yaml": "service: service:Sums\nexclude: [a]\n"}),
    ],
)
def test_links_out_of_the_folder_are_refused_as_paths_are(tmp_path: Path, name: str, changed: dict[str, str]) -> None:
    (tmp_path / "outside").write_text("HIDDEN=plain\n")
    file = write(tmp_path, "bento", **changed)
    (file.parent / name).unlink(missing_ok=True)
    (file.parent / name).symlink_to("../outside")
    with pytest.raises(UserError, match=f"{name} is a link out of the folder") as raised:
        read(file)
    assert "HIDDEN" not in str(raised.value)


def test_a_link_in_the_folder_is_followed(tmp_path: Path) -> None:
    file = write(tmp_path, "bento", bentofile__yaml="service: service:Sums\ndocker: {env: .env}\n", real="A=1\n")
    (file.parent / ".env").symlink_to("real")
    assert read(file).project.env["A"] == "1"


@pytest.mark.parametrize("kind", ["fifo", "folder"])
@pytest.mark.parametrize("name", [".modelcrateignore", ".bentoignore"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, name: str, kind: str) -> None:
    file = write(tmp_path, "bento", bentofile__yaml="service: service:Sums\nexclude: [a]\n")
    (file.parent / name).unlink(missing_ok=True)
    os.mkfifo(file.parent / name) if kind == "fifo" else (file.parent / name).mkdir()
    with pytest.raises(UserError, match=f"{name} is no file") as raised:
        read(file)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("kind", "changed", "key"),
    [
        ("cog", {"cog.yaml": "build: {python_requirements: /etc/x}\npredict: predict.py:P\n"}, "python_requirements"),
        ("cog", {"cog.yaml": "build: {gpu: false}\npredict: ../predict.py:P\n"}, "predict"),
        ("truss", {"config.yaml": "model_name: a\nmodel_class_filename: ../../etc/passwd\n"}, "model_class_filename"),
        ("truss", {"config.yaml": "model_name: a\nmodel_module_dir: /etc\n"}, "model_module_dir"),
    ],
)
def test_what_is_a_fault_is_not_said_to_be_taken_over(
    tmp_path: Path, kind: str, changed: dict[str, str], key: str
) -> None:
    with pytest.raises(UserError, match="is not in the folder of the file") as raised:
        read(write(tmp_path, kind, **changed))
    said = str(raised.value).splitlines()
    assert not [each for each in said if "taken over: " in each and f"{key}: " in each]


def test_a_bento_without_a_service_needs_one(tmp_path: Path) -> None:
    file = write(tmp_path, "bento", bentofile__yaml="labels: {a: b}\nexclude: [a]\n")
    needed = "service.py is not there, and no other service is named: service: MODULE:CLASS"
    assert needed not in read(file).missing
    (file.parent / "service.py").unlink()
    assert needed in read(file).missing


def test_which_version_of_cog_serves(tmp_path: Path) -> None:
    """From 0.17 on, its server needs a schema that its own program makes, or it checks no inputs; `run:` is for such versions only."""
    text = "build: {python_version: '3.12', %s}\n%s: predict.py:Predictor\n"

    def taken(extra: str = "gpu: false", key: str = "predict") -> tuple[object, bool]:
        found = read(write(tmp_path, "cog", cog__yaml=text % (extra, key)))
        return found.project.dependencies.requirements, any("checks inputs only with" in each for each in found.notices)

    assert taken() == (("cog<0.17",), False)
    assert taken("sdk_version: 0.18.0") == (("cog==0.18.0",), True)
    assert taken("sdk_version: 0.9.4") == (("cog==0.9.4",), False)
    assert taken("sdk_version: 0.17.0") == (("cog==0.17.0",), True)
    assert taken(key="run") == (("cog",), True)
    assert taken("python_packages: [cog==0.9.0]") == (("cog==0.9.0",), False)
    (tmp_path / "cog/predict.py").write_text("import cog\n\n\nclass Predictor(cog.BaseRunner): ...\n")
    file = tmp_path / "cog/cog.yaml"
    file.write_text(text % ("gpu: false", "predict"))
    assert read(file).project.dependencies.requirements == ("cog",)
    (tmp_path / "cog/.cog").mkdir()
    (tmp_path / "cog/.cog/openapi_schema.json").write_text("{}")
    assert taken() == (("cog",), False)


@pytest.mark.parametrize("path", ["../up.py", "/etc/x.py", "~/x.py", "a/../../x.py"])
def test_paths_stay_in_the_folder(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="is not in the folder of the file"):
        read(write(tmp_path, "cog", cog__yaml=f"build: {{gpu: false}}\npredict: {path}:P\n"))


def test_a_bento_is_served_by_bentoml(tmp_path: Path) -> None:
    found = read(write(tmp_path, "bento"))
    project = found.project
    assert (project.name, project.python) == ("summing", "3.11")
    assert project.command is not None
    assert project.command.argv == ("bentoml", "serve", "service:Sums", "--host", "0.0.0.0", "--port", "3000")
    assert (project.command.ports, project.command.health) == ((3000,), "/readyz")
    assert project.dependencies.requirements == ("idna", "bentoml", "attrs")
    assert project.dependencies.index_url == "https://index.example/simple"
    assert project.dependencies.extra_index_urls == ("https://more.example/simple",)
    assert project.dependencies.wheelhouse == Path("wheels")
    assert dict(project.env) == {
        "LEVEL": "3",
        "MODE": "fast",
        "BENTOML_HOME": "/var/azureml-app/summing/bento-store",
        "PYTHONPATH": "/var/azureml-app/summing/src",
    }
    assert dict(project.labels) == {"owner": "me", "stage": "dev", "org.opencontainers.image.description": "Sums rows"}
    assert found.files[".modelcrateignore"].splitlines()[1:] == [
        *("*", "!*/", "!*.py", "!*.py/**", "!model", "!model/**", "!bento-store/**", "tests/")
    ]
    assert sum("is in BentoML's store" in each for each in found.missing) == 2


def test_other_forms_of_a_bento(tmp_path: Path) -> None:
    text = """
service: "service.py:Sums"
docker: {base_image: "reg.example/base:1", python_version: "3.9", system_packages: [git], env: .env, distro: debian}
python: {requirements_txt: ./requirements.txt, packages: [attrs]}
conda: {environment_yml: environment.yml, channels: [a]}
"""
    environment = "channels: [conda-forge]\ndependencies: [python=3.10, rdkit, {pip: [idna]}]\n"
    file = write(tmp_path, "bento", bentofile__yaml=text, requirements__txt="attrs\n", environment__yml=environment)
    (file.parent / ".env").write_text("# a\nexport LEVEL='3'\nEMPTY\n")
    found = read(file)
    assert str(found.project.base) == "reg.example/base:1"
    assert found.project.python == "3.10"
    assert found.project.dependencies.conda == Conda(("rdkit",), ("conda-forge",))
    assert found.files[GENERATED].splitlines()[1:] == ["-r requirements.txt", "bentoml", "idna"]
    assert dict(found.project.env) == {"LEVEL": "3"}
    left = [each.partition(": ")[0].partition(";")[0] for each in found.not_taken]
    assert left == [
        "docker.python_version",
        "docker.system_packages",
        "docker.distro",
        "conda.channels",
        "python.packages",
        "docker.env",
    ]


@pytest.mark.parametrize(
    ("image", "base"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("debian", "docker.io/library/debian"),
        ("nvidia/cuda:12.1.0-base", "nvidia/cuda:12.1.0-base"),
        ("reg.example:5000/a/b:1", "reg.example:5000/a/b:1"),
        ("<your-registry>/a", None),
    ],
)
def test_images_by_dockers_words(tmp_path: Path, image: str, base: str | None) -> None:
    file = write(tmp_path, "bento", bentofile__yaml=f"service: 'service:Sums'\ndocker: {{base_image: '{image}'}}\n")
    if base is None:
        with pytest.raises(UserError, match="is no image"):
            read(file)
    else:
        assert str(read(file).project.base) == base


def test_a_bento_without_a_service_lets_bentoml_look(tmp_path: Path) -> None:
    found = read(write(tmp_path, "bento", bentofile__yaml="labels: {a: b}\n"))
    assert found.project.command is not None
    assert found.project.command.argv[2] == "."
    with pytest.raises(UserError, match="no reference to a service"):
        read(write(tmp_path, "bento", bentofile__yaml="service: --reload\n"))


def test_a_file_of_variables_is_read_as_pythons_dotenv_reads_it(tmp_path: Path) -> None:
    file = write(tmp_path, "bento", bentofile__yaml="service: service:Sums\ndocker: {env: .env}\n")
    lines = (
        "\ufeffFIRST=1",
        'QUOTED="a # b" # a comment',
        "SINGLE='c' # it's one",
        "PLAIN=d # e",
        "INSIDE=f#g",
        r'ESCAPED="h\"i" # j',
    )
    (file.parent / ".env").write_text("\n".join(lines))
    wanted = {"FIRST": "1", "QUOTED": "a # b", "SINGLE": "c", "PLAIN": "d", "INSIDE": "f#g", "ESCAPED": 'h"i'}
    assert dict(read(file).project.env) == wanted


def test_a_bento_may_be_described_in_pyproject(tmp_path: Path) -> None:
    file = write(tmp_path, "bento", service__py="class Sums: ...\n")
    project = file.parent / "pyproject.toml"
    project.write_text(
        '[project]\nname = "sums"\n\n[tool.bentoml.build]\nservice = "service:Sums"\nlabels = {owner = "us"}\n'
    )
    file.unlink(missing_ok=True)
    found = read(file.parent)
    assert found.tool == "BentoML"
    assert found.project.command is not None
    assert found.project.command.argv[:3] == ("bentoml", "serve", "service:Sums")
    project.write_text('[project]\nname = "sums"\n')
    with pytest.raises(UserError, match=r"tool\.bentoml\.build"):
        read(project)


def test_a_bento_that_was_built_is_no_bentofile(tmp_path: Path) -> None:
    """Its `bento.yaml` has some of the same keys, and its sources in `src`."""
    built = {
        "service": "service:Iris",
        "name": "iris",
        "bentoml_version": "1.4.0",
        "creation_time": "2025-01-01",
        "python": {},
    }
    (tmp_path / "bento.yaml").write_text(json.dumps(built))
    with pytest.raises(UserError, match="a Bento that was built"):
        read(tmp_path / "bento.yaml")


def test_models_that_a_service_loads_are_in_its_store_too(tmp_path: Path) -> None:
    """BentoML takes them along when it builds; without them the container ends at its start."""
    code = """\
        import bentoml
        from bentoml.models import BentoModel
        TAG = "violations:abc"
        ref = bentoml.xgboost.get(TAG)
        other = bentoml.sklearn.load_model(tag="iris:latest")
        third = BentoModel("third:1")
        cache = {}
        cache.get("nothing")
        bentoml.sklearn.save_model("saved", None)
        bentoml.depends(None)
        """
    text = "service: service.py:svc\ninclude: ['*.py']\nmodels: [third]\n"
    file = write(tmp_path, "bento", bentofile__yaml=text, service__py=textwrap.dedent(code))
    found = read(file)
    assert found.project.env["BENTOML_HOME"].endswith("/bento-store")
    for tag in ("violations:abc", "iris:latest", "third"):
        assert any(f"the model {tag} is in BentoML's store" in each for each in found.missing), tag
    assert len([each for each in found.missing if "BentoML's store" in each]) == 3
    assert (
        "service.py:4 loads the model violations:abc: bento-store/models/violations, where BENTOML_HOME says"
        in found.notices
    )
    assert "!bento-store/**" in found.files[".modelcrateignore"]
