"""Modelfile of Ollama: its GGUF file under llama.cpp's own server, with the parameters as defaults.

https://docs.ollama.com/modelfile has the instructions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelcrate.importers.imported import Imported
from modelcrate.importers.llama_server import CONTEXT, Chat, llama_project
from modelcrate.importers.modelfile_lines import Instruction, parse_modelfile
from modelcrate.importers.modelfile_models import gguf_files, read_adapter, read_model, stored_model, with_stored
from modelcrate.importers.modelfile_settings import read_settings
from modelcrate.importers.project_parts import OCI, free_name
from modelcrate.importers.reading import Reading
from modelcrate.project.values import Model, Project, project_name
from modelcrate_layers.errors import UserError
from modelcrate_layers.frozen import replace
from modelcrate_layers.named_file import MAX_NAMED, read_named_file, read_source

TOOL = "Ollama"
NAMES = ("Modelfile",)

_OTHERS = {
    "template": "it is written for Go's templates; the chat template in the GGUF file counts, or one in Jinja: params.chat_template in serve/serve.py",
    "license": f"a label names a licence: labels: {{{OCI}.licenses: NAME}}; its text goes along as a file beside serve.py",
    "draft": "a second model for drafts: params.speculative in serve/serve.py",
    "renderer": "it names code of Ollama's; the chat template does that here",
    "parser": "it names code of Ollama's; the chat template does that here",
    "requires": "Ollama is not in the image",
}


def recognises(data: Mapping[str, object]) -> bool:
    """Returns False: a Modelfile is no YAML."""
    return False


def read(file: Path) -> Imported:
    """Reads a Modelfile.

    Raises:
        SourceError: It can't be read.
        UserError: It has faults, or names a model that only Ollama's library has.
    """
    reading = Reading(file, TOOL)
    lines = parse_modelfile(read_source(file), str(file))
    stored = stored_model(reading, lines)
    if stored is not None:
        lines = with_stored(lines, stored)
    for each in lines:
        if each.word in _OTHERS:
            reading.leave(each.word.upper(), each.value, _OTHERS[each.word])
    settings = read_settings(reading, lines)
    model, adapter = read_model(reading, lines, stored), read_adapter(reading, lines)
    name = project_name(file.absolute().parent.name) or "model"
    if model is None:
        _chat(reading, lines)
        return reading.finish(Project(name, None))  # which raises what was found
    if isinstance(model, Model) and (file.parent / model.path).is_dir() and not gguf_files(file.parent / model.path):
        return _of_transformers(reading, name, model, lines, adapter)
    if "n_ctx" not in settings:
        reading.notices.append(f"the context has {CONTEXT} tokens, as Ollama's: params.n_ctx in serve/serve.py")
    reading.notices.append(
        "the server answers as OpenAI's API does, POST /v1/chat/completions on port 8080, and not as Ollama's"
    )
    models = [model] if adapter is None else [model, adapter]
    made = reading.finish(*llama_project(name, file.name, models, settings, _chat(reading, lines)))
    return made if stored is None else replace(made, placed={stored.name: stored.file})


def _chat(reading: Reading, lines: Sequence[Instruction]) -> Chat | None:
    """Returns what stands before every conversation; None where nothing does."""
    said = [each for each in lines if each.word in ("system", "message")]
    systems = [each.value for each in said if "system" in (each.word, each.name)]
    for each in said:
        name = "SYSTEM" if "system" in (each.word, each.name) else "EXAMPLES"
        reading.take(f"{each.word.upper()} {each.name}".strip(), f"serve/serve.py: {name}")
    if len(systems) > 1:
        reading.notices.append("of several system messages the last one counts")
    examples = tuple((each.name, each.value) for each in said if "system" not in (each.word, each.name))
    return Chat(systems[-1] if systems else "", examples) if said else None


def _leave_chat(reading: Reading, lines: Sequence[Instruction], why: str) -> None:
    for each in lines:
        if each.word in ("system", "message"):
            reading.leave(f"{each.word.upper()} {each.name}".strip(), each.value, why)


def _of_transformers(
    reading: Reading, name: str, model: Model, lines: Sequence[Instruction], adapter: Model | None
) -> Imported:
    """Returns the project for a folder of safetensors, which modelcrate serves with Transformers."""
    _leave_chat(reading, lines, "send it with each request")
    reading.not_taken += [
        f"{each.partition(':')[0]}; Transformers takes parameters with each request"
        for each in reading.taken
        if each.startswith(("PARAMETER", "ADAPTER"))
    ]
    reading.taken = [each for each in reading.taken if not each.startswith(("PARAMETER", "ADAPTER"))]
    reading.notices.append("a folder of safetensors is served with Transformers: POST /score on port 5001")
    if model.path != Path():
        return reading.finish(Project(name, None, (model,)))
    top = Path(os.path.abspath(reading.file)).parent
    reading.notices.append("the folder is itself the model, so that the project file is written above it")
    return reading.finish(Project(name, None, (Model(Path(top.name), free_name(name, ())),)), folder=top.parent)


def is_modelfile(file: Path) -> bool:
    """Returns whether a file of another name begins as a Modelfile does, and not as a Dockerfile."""
    try:
        lines = parse_modelfile(read_named_file(file, MAX_NAMED), str(file))
    except (OSError, ValueError, UserError):
        return False
    return any(each.word == "from" for each in lines)
