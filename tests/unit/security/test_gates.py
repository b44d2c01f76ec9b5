"""The gates before a build, over real folders: what is refused, what is told, and what the project's settings change."""

from __future__ import annotations

import base64 as b64
import json
import pickle
import time
from base64 import b64encode, urlsafe_b64encode
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from modelcrate.config import Config
from modelcrate.pipeline.compose import list_files, scan_parts
from modelcrate.project.values import Entry, Gates, Model, Project, ScratchBase
from modelcrate.security.scan import gates, guard
from modelcrate.security.scan.guard import pass_gates
from modelcrate.security.scan.parts import Findings
from modelcrate.security.scan.secrets import MAX_BYTES, secrets_in
from modelcrate_layers.errors import SourceError
from modelcrate_layers.tar import sources
from support.pickles import EVIL, calls, made, reduced, zipped
from support.secret_forms import find_suspects

AWS = "AKIA" + "QZ5KVN2WTR7XBMLD"
SECRETS: dict[str, tuple[str, str]] = {
    "an access key of AWS": ("a.py", f"x = 1\nkey = '{AWS}'\n"),
    "a secret key of AWS": ("a.cfg", "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzXbc9qKpLm"),
    "a private key": ("k.pem", "-----BEGIN EC PRIVATE " + "KEY-----\nMHcCAQEEIOa1b2c3d4\nAAAA\n-----END"),
    "a token of GitHub's": ("a.sh", "ghp_" + "a1B2" * 9),
    "a token of GitLab's": ("a.sh", "glpat-" + "a1B2c" * 4),
    "a token of Hugging Face's": ("a.py", "hf_" + "abcDE" * 7),
    "a token of Slack's": ("a.py", "xoxb-" + "123456789012-abcdefgh"),
    "an API key of Google's": ("a.js", "AIza" + "Sy" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6Q"),
    "a key of Stripe's": ("a.py", "sk_live_" + "a1B2" * 6),
    "a token of PyPI's": ("a.ini", "pypi-AgE" + "IcHlwaS5vcmc" * 6),
    "a token of npm's": ("a.txt", "npm_" + "a1B2" * 9),
    "an account key of Azure's": ("a.txt", "AccountKey=" + "a1B2" * 21 + "ab=="),
    "a token of Databricks'": ("a.txt", "dapi" + "0123456789abcdef" * 2),
    "a registry login": ("config.json", '{"auths": {"r": {"auth": "' + "dXNlcjpwYXNz" + '"}}}'),
    "a login in a URL": ("a.py", "postgres://admin:" + "s3cr3tpw@db.example.com/x"),
    "logins": (".netrc", "machine example.com login a password b"),
    "a file of environment variables with values": (".env", "TOKEN=abc"),
    "cloud credentials": (".aws/credentials", "[default]\nx = yes_it_is"),
    "a private SSH key": ("id_ed25519", "anything"),
    "the state of Terraform, which has every value": ("terraform.tfstate", '{"version": 4}'),
    "a token of Kaggle's": (".kaggle/kaggle.json", '{"username": "a", "key": "b"}'),
    "secrets": (".streamlit/secrets.toml", 'password = "b"'),
    "database passwords": (".my.cnf", "[client]\npassword = xyzzy7"),
    "a login to a package index": (".npmrc", "//r.example/:_password=" + "czNjcjN0cHc="),
}  # fmt: skip


def gate(project: Project, folder: Path) -> tuple[str, ...]:
    """What a build of the project is told."""
    return pass_gates(
        project, folder, scan_parts(project, folder, list_files(project, folder, {})), Config(folder / "home")
    ).warned


def inspect(project: Project, folder: Path) -> Findings:
    """All findings, with nothing raised."""
    found = [
        gates.check_part(part, project.gates, folder)
        for part in scan_parts(project, folder, list_files(project, folder, {}))
    ]
    return Findings(
        tuple(fault for each in found for fault in each.refused), tuple(line for each in found for line in each.warned)
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.pkl").write_bytes(pickle.dumps(OrderedDict(a=1)))
    return Project("demo", Entry(Path("score.py"), Path("src")), (Model(Path("model"), "demo"),), base=ScratchBase())


def test_a_clean_project_passes_in_silence(project: Project, tmp_path: Path) -> None:
    assert gate(project, tmp_path) == ()


def test_a_file_behind_links_has_the_names_of_the_links(project: Project, tmp_path: Path) -> None:
    """Loaders go by the name that a script gives them: of a file called blob nobody would say that it is a graph."""
    (tmp_path / "model/blobs").mkdir()
    (tmp_path / "model/blobs/blob").write_bytes(b"\x12\x09WriteFile")
    assert gate(project, tmp_path) == ()
    (tmp_path / "model/further").symlink_to("blobs")
    (tmp_path / "model/itself").symlink_to("itself")
    (tmp_path / "model/saved_model.pb").symlink_to("further/../blobs/./blob")
    with pytest.raises(SourceError, match=r"model/saved_model\.pb: .*run code") as caught:
        gate(project, tmp_path)
    assert caught.value.faults == 1


def test_a_name_begins_no_line_of_a_message(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/a\nb.pkl").write_bytes(zipped({"c\nd.pkl": reduced(2)}))
    with pytest.raises(SourceError) as caught:
        gate(project, tmp_path)
    head = str(caught.value).splitlines()[0]
    assert r"a\nb.pkl: c\nd.pkl in it is a pickle" in head


@pytest.mark.parametrize("kind", SECRETS)
def test_each_secret_is_found_and_never_repeated(kind: str, project: Project, tmp_path: Path) -> None:
    name, text = SECRETS[kind]
    (tmp_path / "src" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "src" / name).write_text(text)
    with pytest.raises(SourceError, match=f"would put {kind} into the image") as caught:
        gate(project, tmp_path)
    assert text.split()[-1] not in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("score.py", "password = os.environ['PASSWORD']\ntoken = get_token()\n"),
        (".env", "# nothing\nTOKEN=\nOTHER=$FROM_OUTSIDE\n"),
        (".env.example", "TOKEN=abc"),
        ("cert.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"),
        ("doc.md", "postgres://user:password@db.example.com and https://user:***@x.example.com"),
        ("doc.md", "-----BEGIN PRIVATE KEY-----"),
        ("id_rsa.pub", "ssh-rsa AAAA"),
        ("model.bin", "\0" + AWS),
    ],
)
def test_what_is_no_secret_passes(name: str, text: str) -> None:
    assert secrets_in(name, text.encode()) == []


KEY = "-----BEGIN PRIVATE " + "KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQ\n-----END"
LOGIN = "amqp://app:" + "s3cr3tpw@10.0.0.7:5672/x"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (json.dumps({"k": KEY}), 1),
        ("x\n" + json.dumps({"config": json.dumps({"k": KEY})}), 2),
        (f"k = {KEY!r}", 1),
        (quote(KEY), 1),
        (json.dumps({"u": LOGIN}).replace("/", "\\/"), 1),
        ("\n\nconfig: " + b64encode(json.dumps({"auths": {"r": {"auth": "Ym9iOnNlY3JldA=="}}}).encode()).decode(), 3),
        (LOGIN, 1),
        ("postgres://app:" + "s3cr3tpw@localhost/db", 1),
        ("redis://:" + "s3cr3tpw@redis:6379/0", 1),
        ("http://bob:" + "s3cr3tpw@[::1]:80/", 1),
        ("client-key-data: " + b64encode(KEY.encode()).decode(), 1),
    ],
)
def test_secrets_are_found_behind_escapes_and_base64(text: str, line: int) -> None:
    data = text.encode()
    assert find_suspects([("a.txt", data)])
    assert [each.line for each in secrets_in("a.txt", data)] == [line]


def jwt(expires: int) -> str:
    parts = ({"alg": "HS256"}, {"sub": "bob", "exp": expires})
    return ".".join(
        [urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in parts] + ["a1B2c3D4" * 6]
    )


def test_windows_text_and_wrapped_base64_are_read() -> None:
    text = f"token: ghp_{'aB3dE6gH9' * 4}\nanother line that makes it long enough to be wrapped by base64\n"
    for data in (text.encode("utf-16"), b64.encodebytes(text.encode()), b64.b64encode(text.encode())):
        assert find_suspects([("a.txt", data)])
        assert [each.kind for each in secrets_in("a.txt", data)] == ["a token of GitHub's"]
    assert not secrets_in("a.txt", b"\xff\xfe" + b"\0\xd8" * 99)


def test_a_signed_token_is_warned_about_until_it_expires(project: Project, tmp_path: Path) -> None:
    (tmp_path / "src/token.txt").write_text(jwt(4_000_000_000))
    assert "a signed token (JWT)" in gate(project, tmp_path)[0]
    assert secrets_in("a", jwt(1_600_000_000).encode()) == []
    assert secrets_in("a", b"eyJhbGciOi.eyJub25zZW5zZQ." + b"a1B2c3D4" * 6) == []


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        "sk_live_" + "0" * 24,
        "postgres://postgres:" + "postgres@localhost/db",
        "https://user:" + "password@10.0.0.1/",
        "redis://:${PASSWORD}@redis/0",
        "if key.startswith('-----BEGIN PRIVATE " + "KEY-----'):",
    ],
)
def test_examples_of_documents_are_no_secrets(text: str) -> None:
    assert secrets_in("a.md", text.encode()) == []


def test_a_name_that_no_layer_can_have_ends_it_here(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/.wh.weights").write_bytes(b"x")
    with pytest.raises(SourceError, match="would delete a file of the base"):
        gate(project, tmp_path)


def test_secrets_are_told_with_their_line() -> None:
    assert [(each.line, each.kind) for each in secrets_in("a.py", f"a\n\nb {AWS}".encode())] == [
        (3, "an access key of AWS")
    ]


def test_the_name_of_a_large_file_counts(project: Project, tmp_path: Path) -> None:
    with (tmp_path / "model/passwords.kdbx").open("wb") as file:
        file.write(b"x")
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SourceError, match="a password store"):
        gate(project, tmp_path)


def test_a_small_file_is_read_once_for_all_gates(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, real = [], sources._open
    monkeypatch.setattr(sources, "_open", lambda path: opened.append(path) or real(path))
    gate(project, tmp_path)
    assert sorted(opened) == sorted(map(str, (tmp_path / "model/model.pkl", tmp_path / "src/score.py")))


def test_a_changed_script_makes_nobody_read_the_model(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "settled", lambda tree: True)  # nobody waits here for the files to grow old
    gate(project, tmp_path)
    (tmp_path / "src/score.py").write_text("def init(): pass\ndef run(data): return 1\n")
    looked = []
    inspect_part = gates.check_part
    monkeypatch.setattr(gates, "check_part", lambda part, *rest: looked.append(part.top) or inspect_part(part, *rest))
    gate(project, tmp_path)
    assert looked == [tmp_path / "src"]
    gate(project, tmp_path)
    assert looked == [tmp_path / "src"]


def test_a_signature_that_is_a_link_is_looked_at(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/inner.json").write_text("{}")
    (tmp_path / "model/model.sig").symlink_to("inner.json")
    assert "model.sig is not an OpenSSF model signature" in gate(project, tmp_path)[0]


def test_an_unsafe_pickle_ends_the_build_before_anything_else(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/evil.pkl").write_bytes(EVIL)
    with pytest.raises(SourceError, match="would run code") as caught:
        gate(project, tmp_path)
    assert "posix.system" in str(caught.value)


SETTINGS: list[tuple[bytes, Any, tuple[int, int]]] = [
    (made("my.thing", "Model"), "warn", (0, 1)),
    (made("my.thing", "Model"), "refuse", (1, 0)),
    (made("my.thing", "Model"), "allow", (0, 0)),
    (calls("my.thing", "Model"), "warn", (1, 0)),
    (EVIL[:20], "warn", (1, 0)),
    (EVIL[:20], "allow", (0, 0)),
    (EVIL, "warn", (1, 0)),
    (EVIL, "refuse", (1, 0)),
    (EVIL, "allow", (0, 0)),
]


@pytest.mark.parametrize(("data", "setting", "counts"), SETTINGS)
def test_the_setting_decides(
    data: bytes, setting: Any, counts: tuple[int, int], project: Project, tmp_path: Path
) -> None:
    (tmp_path / "model/other.pkl").write_bytes(data)
    found = inspect(replace(project, gates=Gates(unsafe_pickle=setting)), tmp_path)
    assert (len(found.refused), len(found.warned)) == counts


def test_secrets_can_be_told_only_or_not_at_all(project: Project, tmp_path: Path) -> None:
    (tmp_path / "src/a.py").write_text(AWS)
    assert len(inspect(replace(project, gates=Gates(secrets="warn")), tmp_path).warned) == 1
    assert inspect(replace(project, gates=Gates(secrets="allow")), tmp_path).warned == ()


@pytest.mark.parametrize("name", ["w.safetensors", "m.pkl", "vocabulary.txt"])
def test_a_pointer_of_git_lfs_is_no_model(name: str, project: Project, tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    (tmp_path / "src" / name).write_bytes(pointer)
    assert "pointer of Git LFS" in gate(project, tmp_path)[0]
    (tmp_path / "model" / name).write_bytes(pointer)
    with pytest.raises(SourceError, match="pointer of Git LFS") as caught:
        gate(project, tmp_path)
    assert "git lfs pull" in caught.value.hint


def test_what_a_model_has_only_a_name_of_is_told(project: Project, tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "deep").mkdir()
    (model / "deep/good").symlink_to("../model.pkl")
    (model / "whole.pkl.dvc").write_text("outs: []\n")
    (model / "whole.pkl").write_bytes(b"")
    assert gate(project, tmp_path) == ()
    (model / "lost").symlink_to("nowhere/w.bin")
    (model / "w.bin.dvc").write_text("outs: []\n")
    (model / ".git").mkdir()
    (model / ".git/pack").write_bytes(bytes(2_000_000))
    lost, dvc, git = sorted(gate(project, tmp_path), key=lambda line: ("/lost" not in line, "dvc pull" not in line))
    assert "model/lost: is a link to 'nowhere/w.bin', which is not there" in lost
    assert "model/w.bin.dvc: is a pointer of DVC, and w.bin is not beside it" in dvc
    assert "2.0 MB go into the image" in git
    (model / "weights.bin").symlink_to(".git/annex/objects/Xx/Yy/SHA256E-s1--0.bin/SHA256E-s1--0.bin")
    with pytest.raises(SourceError, match=r"weights\.bin: is a link of git-annex.*") as caught:
        gate(project, tmp_path)
    assert caught.value.hint == "fetch it with `git annex get`"


def test_a_model_without_a_file_is_told(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/model.pkl").unlink()
    (told,) = gate(project, tmp_path)
    assert "is a model without any file" in told


def test_a_damaged_header_ends_the_build(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/w.safetensors").write_bytes(b"12345678{}")
    with pytest.raises(SourceError, match="damaged"):
        gate(project, tmp_path)


def test_a_pickle_in_the_source_folder_is_looked_at(project: Project, tmp_path: Path) -> None:
    (tmp_path / "src/cache.pkl").write_bytes(EVIL)
    assert len(inspect(project, tmp_path).refused) == 1


def test_a_library_is_told_beside_a_model_and_not_among_the_sources(project: Project, tmp_path: Path) -> None:
    """There it is the project's own code, as a script is."""
    for folder in ("src", "model"):
        (tmp_path / folder / "ops.so").write_bytes(b"\x7fELF" + bytes(80))
    (line,) = gate(project, tmp_path)
    assert "model/ops.so: it may run what is not read here" in line
    assert "machine code" in line


def test_values_of_terraform_are_told_and_examples_are_not(project: Project, tmp_path: Path) -> None:
    for name in ("prod.auto.tfvars", "example.tfvars"):
        (tmp_path / "src" / name).write_text('region = "x"\n')
    (line,) = gate(project, tmp_path)
    assert "prod.auto.tfvars: would put values of Terraform's variables" in line


@pytest.mark.parametrize(
    "text",
    [
        "MISTRAL_API_KEY=your_mistral_api_key_here_please",
        "mistral_api_key = settings.mistral_api_key_of_the_environment",
        f"deepseek-v3: md5 {'a1' * 16}",
        f"task-sk-{'a1' * 16}",
        "WANDB_API_KEY=${WANDB_API_KEY}",
    ],
)
def test_a_makers_name_alone_makes_no_secret(text: str) -> None:
    assert not secrets_in("a.txt", text.encode())


def test_the_models_own_allow_list_counts(project: Project, tmp_path: Path) -> None:
    (tmp_path / "model/other.pkl").write_bytes(made("my.thing", "Model"))
    assert (
        inspect(replace(project, gates=Gates(unsafe_pickle="refuse", allow=("my.thing:Model",))), tmp_path).refused
        == ()
    )


@pytest.mark.parametrize(
    "name", ["weights.bin", "vectorizer", "arrays.npz", "notes.txt", "config.json", "helper.py", ".hidden", "a.b.dat"]
)
def test_a_pickle_in_a_source_folder_is_read_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/score.py").write_text("def init(): ...\ndef run(data): ...\n")
    (tmp_path / "src" / name).write_bytes(EVIL)
    project = Project("demo", Entry(Path("score.py"), Path("src")), base=ScratchBase())
    with pytest.raises(SourceError, match="would run code"):
        gate(project, tmp_path)
    (tmp_path / "src" / name).write_bytes("\ufeffwords, and \u00e9 more".encode())
    assert gate(project, tmp_path) == ()


@pytest.mark.parametrize("name", ["notes.txt", "helper.py", "config.json", "README.md", "data.csv"])
def test_a_pickle_of_protocol_0_is_read_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/score.py").write_text("def init(): ...\ndef run(data): ...\n")
    project = Project("demo", Entry(Path("score.py"), Path("src")), base=ScratchBase())
    for data in (calls("os", "system"), b"I1\n0" + calls("os", "system"), b"N." + calls("os", "system")):
        (tmp_path / "src" / name).write_bytes(data)
        with pytest.raises(SourceError, match="would run code"):
            gate(project, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["(c) 2026 by us\n", "copyright us\n", "class Model:\n    pass\n", "In the beginning\nthere was\n", "]\n", "(1, 2)\n",
     "cos\n", "Very long words, with commas\nand lines.\n", "# Text.\nimport os\nos.system('x')\n", "x.\n", "I am\nhere.\n"],
)  # fmt: skip
def test_texts_are_no_pickles(text: str, project: Project, tmp_path: Path) -> None:
    for name in ("src/notes.txt", "src/part.py", "model/README.md"):
        (tmp_path / name).write_text(text)
    assert gate(project, tmp_path) == ()


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("secret", ["hf_" + "abcDE" * 7, "123456789:AA" + "h3Bq0" * 6 + "xyz", "TWILIO=SK" + "0123456789abcdef" * 2,
                                    "0123456789abcdef" * 2 + "-us7", "abc8Q~" + "a1B2" * 8 + "xy", AWS, LOGIN])  # fmt: skip
def test_a_secret_in_base64_is_found_wherever_it_begins(secret: str, before: int) -> None:
    text = f"{'#' * before} {secret} \u00ff".encode()
    lines = b64.encodebytes(b"\n" * 40 + text).decode()
    for data in (b64.b64encode(text), b"key = " + b64.urlsafe_b64encode(text), json.dumps([lines]).encode()):
        assert find_suspects([("a.txt", data)])
        assert len(secrets_in("a.txt", data)) == 1


def test_of_very_many_files_each_with_a_secret_is_named_and_no_other(project: Project, tmp_path: Path) -> None:
    secret, found = f"token = 'ghp_{'aB3dE6gH9' * 4}'\n", {0, 1, 1500, 2999}
    for number in range(3000):
        (tmp_path / f"model/{number:04}.txt").write_text(secret if number in found else "x = 1\n" * 300)
    (tmp_path / "model/1499.txt").write_bytes(b"\0" * (MAX_BYTES + 1))  # large ones are between them
    with pytest.raises(SourceError) as caught:
        gate(project, tmp_path)
    where = [fault.where for fault in (caught.value, *caught.value.also)]
    assert [each.rpartition("model/")[2] for each in where] == [f"{number:04}.txt:1" for number in sorted(found)]


@pytest.mark.parametrize(
    "mark", [b"AKIA", b"Z2hwX", b"://x@", b"eyJ", b"twilio", b"\\n%3A%2F%2F", b"Z2hwX2FhYWFhYWFhYWFhYWFhYWFhYWFh\n"]
)
def test_very_many_marks_are_searched_in_a_short_time(mark: bytes) -> None:
    begin = time.process_time()
    secrets_in("a.txt", mark * ((1 << 18) // len(mark)))
    assert time.process_time() - begin < 10
