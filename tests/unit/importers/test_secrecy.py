"""What may be a secret in another tool's file is neither told nor written."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from modelcrate.importers.secrecy import has_argument, is_secret, tell, tell_value
from modelcrate_layers.errors import CrateError
from support.configurations import read, write

X = "hunter2"
COG = "build: {gpu: false}\npredict: predict.py:Predictor\n"
TRUSS = "model_name: m\npython_version: py311\n"
BENTO = "service: service:Sums\n"
KIT = "manifestVersion: 1.0.0\npackage: {name: a}\n"
CASES = [
    ("cog", f"{COG}weird: {{password: {X}}}\n"),
    ("truss", f"{TRUSS}weird: {{a: [{{password: {X}}}]}}\n"),
    ("truss", f"{TRUSS}base_image: {{image: a/b:1, docker_auth: {{password: {X}}}}}\n"),
    ("truss", f"{TRUSS}training_checkpoints: {{a: {{token: {X}}}}}\nresources: {{env: {{PASSWORD: {X}}}}}\n"),
    ("kit", f"{KIT}model: {{path: model/tiny.gguf, parameters: {{token: {X}}}}}\n"),
    ("cog", f'build: {{run: ["HF_TOKEN={X} python dl.py", "wget --password={X} https://x"]}}\npredict: predict.py:Predictor\n'),
    ("cog", f"build: {{pre_install: \"curl -H 'Authorization: Bearer {X}' https://x\"}}\npredict: predict.py:Predictor\n"),
    ("truss", f'{TRUSS}build_commands: ["export API_KEY={X}"]\n'),
    ("bento", f'{BENTO}python: {{pip_args: "--token {X}"}}\n'),
    ("cog", f'{COG}weights: [{{source: {{uri: "https://x/w.bin?token={X}"}}}}]\n'),
    ("truss", f'{TRUSS}external_data: [{{url: "https://x/a?sig={X}", local_data_path: a}}]\n'),
    ("bento", f'{BENTO}python: {{packages: ["a @ https://x/a-1-py3-none-any.whl?token={X}"]}}\n'),
    ("cog", f"{COG}image: https://user:{X}@reg.io/x\n"),
    ("cog", f"build: {{python_requirements: 'https://u:{X}@x/r.txt'}}\npredict: predict.py:Predictor\n"),
    ("bento", f"{BENTO}python: {{requirements_txt: 'https://u:{X}@x/r.txt'}}\n"),
    ("kit", f"{KIT}model: {{path: 'https://u:{X}@x/m.gguf'}}\n"),
    ("bento", f"{BENTO}docker: {{base_image: 'u:{X}@reg.io/x'}}\n"),
    ("truss", f"{TRUSS}base_image: {{image: 'https://u:{X}@reg/x:1'}}\n"),
    ("truss", f'{TRUSS}weights: [{{source: "hf://u:{X}@x/y"}}]\n'),
    ("truss", f"{TRUSS}model_metadata: {{api_key: {X}, deep: [{{password: {X}}}], link: 'https://x/a?sig={X}'}}\nodd: {{token: {X}}}\n"),
    ("cog", f"{COG}environment: [PW={X}, DB_PASS={X}, PGPASS={X}, PRIVATE_KEY={X}, 'AUTH=Bearer {X}', 'URL=http://u:{X}@h/']\n"),
    ("truss", f"{TRUSS}secrets: {{foo: null}}\nenvironment_variables: {{foo: {X}}}\ndescription: token={X}\n"),
    ("truss", f"{TRUSS}docker_server: {{start_command: 'x --api-key {X}', server_port: 80}}\n"),
    ("bento", f"{BENTO}labels: {{a: 'https://u:{X}@h/x', password: {X}}}\n'password:{X}': 1\n"),
    ("cog", f"{COG}image: 'https://h/x?token={X}'\n"),
    ("bento", f'{BENTO}python: {{extra_index_url: ["https://x/simple?token={X}", "https://y/simple"]}}\n'),
    ("cog", f'build: {{python_packages: ["--extra-index-url https://u:{X}@h/simple", "a @ git+https://u:{X}@h/a"]}}\npredict: predict.py:Predictor\n'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_no_secret_is_told_or_written(tmp_path: Path, kind: str, text: str) -> None:
    name = {"cog": "cog.yaml", "truss": "config.yaml", "bento": "bentofile.yaml", "kit": "Kitfile"}[kind]
    try:
        found = read(write(tmp_path, kind, **{name.replace(".", "__"): text}))
    except CrateError as fault:
        said = str(fault)
    else:
        said = "\n".join([*found.lines(), *found.files.values(), str(found.project)])
    assert X not in said
    assert said


def test_the_lines_of_a_key_in_a_file_of_variables_are_not_told(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nQUJDabc\nZGVmZGVm==\n-----END PRIVATE KEY-----"
    env = f'KEY="{key}"\nOTHER={key}\nbad line SECRET\nTEXT="uno\ndue"\nQUJDabd\nLEVEL=3\n'
    found = read(write(tmp_path, "bento", bentofile__yaml=f"{BENTO}docker: {{env: .env}}\n", __env=env))
    said = "\n".join([*found.lines(), str(found.project)])
    assert not [each for each in ("QUJD", "ZGVm", "bad line", "uno", "due") if each in said]
    assert dict(found.project.env) == {"LEVEL": "3"}


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        *[("DB_PASSWORD", "123456", True), ("MAX_TOKENS", "512", False), ("MAX_TOKENS", "abc", True)],
        *[("TOKENIZER_PATH", "/a", False), ("TOKENIZERS_PARALLELISM", "0", False), ("USE_AUTH", "true", False)],
        *[("AUTHOR", "me", False), ("COMPASS", "n", False), ("PASSENGERS", "3", False), ("KEYBOARD", "de", False)],
        *[("OPENAI_KEY", "x", True), ("DB_PWD", "x", True), ("HF_TOKEN", "x", True), ("LEVEL", "3", False)],
    ],
)  # fmt: skip
def test_what_is_a_secret(name: str, value: str, secret: bool) -> None:
    assert is_secret(name, value) is secret


def test_what_is_plain_is_told() -> None:
    line = (
        "base: registry:vllm/openai:v0.9@sha256:ab; https://docs.example:8000/a, git+ssh://git@h/a, hf://acme/model@v1"
    )
    assert tell(line) == line
    assert tell_value("a", [1, "b"]) == "[1, b]"
    assert tell_value("a", "ffmpeg") == "ffmpeg"
    assert tell_value("a", "make all") == "make ..."


@pytest.mark.parametrize(
    ("command", "secret"),
    [
        *[("vllm serve /m --max-num-batched-tokens 4096 --tokenizer a/b --port 80", False), ("x --api-key abc", True)],
        *[("sh -c 'x --api-key $API_KEY && true'", False), ("API_KEY=abc x", True), ("x --api-key=${KEY}", False)],
        *[("x --enable-auth --port 80", False), ("x https://u:pw@h/a", True), ("x http://127.0.0.1:80/a@b", False)],
    ],
)
def test_secrets_among_the_words_of_a_command(command: str, secret: bool) -> None:
    assert has_argument(command) is secret


@pytest.mark.parametrize(
    "part", ["pass", "//a:", "a:,", "://a", "--pass ", "bearer ", "a=", "PW=x ", "//a@", "?", "authorization  "]
)
def test_long_texts_take_time_by_their_length(part: str) -> None:
    before = time.process_time()
    text = part * (300_000 // len(part))
    is_secret("a", text)
    tell(text)
    tell_value("a", text)
    assert time.process_time() - before < 10
