"""Projects that serve a GGUF file with llama.cpp's own server, as xllamacpp has it in wheels, and the script that starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.importers.project_parts import plain_words
from modelcrate.project.values import Command, DebianBase, Dependencies, HubModel, Model, Project
from modelcrate_layers.frozen import dataclass

FOLDER = "serve"
"""The folder with the script, which alone goes into the image."""

PORT = 8080
HEALTH = "/health"
CONTEXT = 4096
"""Tokens of the context, where nobody says how many: the model's own limit may take more memory than there is."""

_SCRIPT = '''"""Serves a GGUF file with llama.cpp's own server. Made from {made_from} by modelcrate init; it is yours to change."""

{imports}

import xllamacpp
{chat}
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

_CHAT = '''
SYSTEM = {system}
EXAMPLES = {examples}

KINDS = {{0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}}
WITHOUT_TEMPLATE = """{{%- for message in messages -%}}<|im_start|>{{{{ message.role }}}}
{{{{ message.content }}}}<|im_end|>
{{% endfor -%}}{{%- if add_generation_prompt -%}}<|im_start|>assistant
{{% endif -%}}"""


def chat_template(path):
    """Returns the chat template in the head of a GGUF file; without one ChatML, as llama.cpp does."""

    def number(kind):
        return struct.unpack("<" + kind, file.read(struct.calcsize("<" + kind)))[0]

    def text():
        return file.read(number("Q")).decode("utf-8", "replace")

    def value(kind):
        if kind == 8:
            return text()
        if kind != 9:
            return number(KINDS[kind])
        inside, count = number("I"), number("Q")
        return [value(inside) for _ in range(count)]

    with open(path, "rb") as file:
        file.seek(16)
        for _ in range(number("Q")):
            name, found = text(), value(number("I"))
            if name == "tokenizer.chat_template":
                return found
    return WITHOUT_TEMPLATE


def with_messages(template):
    """Returns a chat template that puts the system message before a conversation without one, and the examples before all."""
    system = json.dumps([{{"role": "system", "content": SYSTEM}}] if SYSTEM else [], ensure_ascii=False)
    examples = json.dumps(EXAMPLES, ensure_ascii=False)
    return (
        "{{%- set system = " + system + " -%}}{{%- set examples = " + examples + " -%}}"
        "{{%- if messages and messages[0]['role'] == 'system' -%}}{{%- set system = [] -%}}{{%- endif -%}}"
        "{{%- set messages = system + examples + messages -%}}" + template
    )

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
    chat: Chat | None = None,
) -> tuple[Project, tuple[tuple[str, str], ...]]:
    """Returns a project that serves a GGUF file, and the files that belong to it.

    Args:
        name: The name of the project.
        made_from: The file that says all this.
        models: The model; a second one is an adapter (LoRA).
        settings: Attributes of xllamacpp's parameters, and their values.
        chat: What stands before every conversation.
    """
    lines = [f"params.{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    if "n_ctx" not in settings:
        lines.insert(0, f"params.n_ctx = {CONTEXT}")
    if len(models) > 1:
        lines += [
            f"adapter = xllamacpp.CommonAdapterLoraInfo()\nadapter.path, adapter.scale = {_place(models[1], alone=False)}, 1.0",
            "params.lora_adapters = [adapter]",
        ]
    spoken = ""
    if chat is not None:
        examples = [{"role": role, "content": text} for role, text in chat.messages]
        spoken = _CHAT.format(
            system=json.dumps(chat.system, ensure_ascii=False),
            examples=json.dumps(examples, ensure_ascii=False, indent=4),
        )
        lines.append("params.chat_template = with_messages(chat_template(params.model.path))")
    imports = ["os", "pathlib", "threading", *(["json", "struct"] if chat else [])]
    script = _SCRIPT.format(
        made_from=plain_words(made_from),
        imports="\n".join(f"import {each}" for each in sorted(imports)),
        chat=spoken,
        model=_place(models[0], alone=len(models) == 1),
        port=PORT,
        settings="\n".join(lines),
    )
    command = Command(("python3", "serve.py"), Path(FOLDER), (PORT,), health=HEALTH)
    project = Project(
        name,
        None,
        tuple(models),
        base=DebianBase(packages=("libgomp1",)),
        dependencies=Dependencies(("xllamacpp",)),
        command=command,
    )
    return project, ((f"{FOLDER}/serve.py", script),)


def _place(model: Model | HubModel, *, alone: bool) -> str:
    """Returns the expression for the path of a model's file: the first GGUF file of a folder that is no projector."""
    above = "models" if alone else f'models / "{model.name}/{model.version}"'
    if isinstance(model, Model) and model.path.suffix.lower() == ".gguf":
        return f"str({above} / {json.dumps(model.path.name)})"
    return f'str(min(each for each in ({above}).rglob("*.gguf") if "mmproj" not in each.name.lower()))'
