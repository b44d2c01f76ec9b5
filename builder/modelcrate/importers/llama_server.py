"""Projects that serve a GGUF file with llama.cpp's own server, as xllamacpp has it in wheels, and the script that starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.modelfiles import gguf
from modelcrate.project.values import Command, DebianBase, Dependencies, HubModel, Model, Project
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import open_named_file

FOLDER = "serve"
"""The folder with the script, which alone goes into the image."""

PORT = 8080
HEALTH = "/health"
CONTEXT = 4096
"""Tokens of the context, where nobody says how many: the model's own limit may take more memory than there is."""

TEMPLATE_FILE = "chat_template.jinja"

_SCRIPT = '''"""Serves a GGUF file with llama.cpp's own server. Made from {made_from} by modelcrate init; it is yours to change."""

import os
import pathlib
import threading

import xllamacpp

models = pathlib.Path(os.environ["AZUREML_MODEL_DIR"])

params = xllamacpp.CommonParams()
params.model.path = {model}
params.hostnames = ["0.0.0.0"]
params.port = {port}
params.n_parallel = 1
{settings}
server = xllamacpp.Server(params)
threading.Event().wait()
'''


@dataclass(frozen=True, slots=True)
class Chat:
    """What stands before every conversation: a system message for those that have none, and examples of answers (role, text)."""

    system: str = ""
    messages: tuple[tuple[str, str], ...] = ()


def llama_project(
    name: str,
    made_from: str,
    models: Sequence[Model | HubModel],
    settings: Mapping[str, object],
    template: str = "",
) -> tuple[Project, tuple[tuple[str, str], ...]]:
    """Returns a project that serves a GGUF file, and the files that belong to it.

    Args:
        name: The name of the project.
        made_from: The file that says all this.
        models: The model; a second one is an adapter (LoRA).
        settings: Attributes of xllamacpp's parameters, and their values.
        template: The chat template; empty for the model's own.
    """
    lines = [f"params.{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    if "n_ctx" not in settings:
        lines.insert(0, f"params.n_ctx = {CONTEXT}")
    if len(models) > 1:
        lines += [
            f"adapter = xllamacpp.CommonAdapterLoraInfo()\nadapter.path, adapter.scale = {_place(models[1], alone=False)}, 1.0",
            "params.lora_adapters = [adapter]",
        ]
    files = []
    if template:
        lines.append(f'params.chat_template = pathlib.Path(__file__).with_name("{TEMPLATE_FILE}").read_text()')
        files.append((f"{FOLDER}/{TEMPLATE_FILE}", template))
    place = _place(models[0], alone=len(models) == 1)
    script = _SCRIPT.format(made_from=made_from, model=place, port=PORT, settings="\n".join(lines))
    command = Command(("python3", "serve.py"), Path(FOLDER), (PORT,), health=HEALTH)
    project = Project(
        name,
        None,
        tuple(models),
        base=DebianBase(packages=("libgomp1",)),
        dependencies=Dependencies(("xllamacpp",)),
        command=command,
    )
    return project, ((f"{FOLDER}/serve.py", script), *files)


def _place(model: Model | HubModel, *, alone: bool) -> str:
    """Returns the expression for the path of a model's file: the first GGUF file of a folder."""
    above = "models" if alone else f'models / "{model.name}/{model.version}"'
    if isinstance(model, Model) and model.path.suffix.lower() == ".gguf":
        return f"str({above} / {json.dumps(model.path.name)})"
    return f'str(min(({above}).rglob("*.gguf")))'


def with_chat(chat: Chat, file: Path) -> str | None:
    """Returns the chat template of a GGUF file with what stands before every conversation; None where the file can't be read or has none."""
    own = _template(file)
    if own is None:
        return None
    system = json.dumps([{"role": "system", "content": chat.system}] if chat.system else [], ensure_ascii=False)
    examples = json.dumps([{"role": role, "content": text} for role, text in chat.messages], ensure_ascii=False)
    return (
        f"{{%- set system = {system} -%}}\n{{%- set examples = {examples} -%}}\n"
        "{%- if messages and messages[0]['role'] == 'system' -%}{%- set system = [] -%}{%- endif -%}\n"
        f"{{%- set messages = system + examples + messages -%}}\n{own}"
    )


def _template(file: Path) -> str | None:
    with suppress(CrateError, OSError), open_named_file(file) as handle:
        found = dict(gguf.read(handle, file.stat().st_size).templates)
        return found.get(gguf.TEMPLATE)
    return None
