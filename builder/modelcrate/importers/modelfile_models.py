"""The model and the adapter that a Modelfile (Ollama) names: files of its folder, or models of a hub."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from glob import escape
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from modelcrate.importers.modelfile_lines import Instruction
from modelcrate.importers.ollama_store import StoredModel, find_stored
from modelcrate.importers.project_parts import MAX_NAME, MAX_PATH, free_name, hub_model
from modelcrate.importers.reading import Reading
from modelcrate.importers.secrecy import has_secret
from modelcrate.project.pages import page
from modelcrate.project.values import HubModel, Model
from modelcrate.resolve.requirement_faults import mask
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

QUANTIZATION = "Q4_K_M"
"""Which file of a repository is taken where none is named, as Ollama does."""

_HUB = compile_later(r"(?i:(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co))/")
_CACHED = compile_later(r"/models--([^/]+?)--([^/]+)/snapshots/([0-9a-f]{40})/(.+\.gguf)$")
"""A file in the local cache of a hub, which has the repository and the commit in its path."""


def stored_model(reading: Reading, lines: Sequence[Instruction]) -> StoredModel | None:
    """Returns the model of Ollama's own store that FROM names, where it names a model of its library that is there."""
    named = next((each for each in lines if each.word == "from"), None)
    if named is None or not _is_of_the_library(reading, named.value):
        return None
    return find_stored(named.value, named.line)


def with_stored(lines: Sequence[Instruction], stored: StoredModel) -> tuple[Instruction, ...]:
    """Returns the instructions of a Modelfile with those of its model, which count where it says nothing of the kind itself."""
    own = {(each.word, each.name if each.word == "parameter" else "") for each in lines} - {("from", "")}
    more = (each for each in stored.lines if (each.word, each.name if each.word == "parameter" else "") not in own)
    return (*lines, *more)


def read_model(
    reading: Reading, lines: Sequence[Instruction], stored: StoredModel | None = None
) -> Model | HubModel | None:
    """Returns the model that FROM names; None for one that an image can't have, which is a fault.

    Args:
        reading: The Modelfile.
        lines: Its instructions.
        stored: The model of Ollama's own store that FROM names.
    """
    named = [each for each in lines if each.word == "from"]
    if not named:
        reading.fault("names no model", "FROM ./model.gguf")
        return None
    for each in named[1:]:
        reading.leave(
            "FROM",
            None if _is_address(each.value) else each.value,
            "a further file, such as the projector of a vision model: params.mmproj.path in serve/serve.py",
        )
    value = named[0].value
    keys = reading.keys({})
    if hub := _HUB.match(value):
        return _of_a_hub(reading, value[hub.end() :])
    if _is_address(value):
        reading.faults.append(_address(reading, named[0]))
        return None
    if cached := _CACHED.search(value):
        reading.take("FROM", f"models: hf: {cached[1]}/{cached[2]}, files: {cached[4]}")
        return hub_model(keys, f"{cached[1]}/{cached[2]}", cached[3], [cached[4]])
    if stored is not None:
        reading.take("FROM", f"models: {stored.name}, which is in Ollama's own store: {stored.file}")
        return Model(Path(stored.name), free_name(Path(stored.name).stem, ()))
    if _is_of_the_library(reading, value):
        reading.faults.append(_of_the_library(reading, named[0]))
        return None
    path = _path(reading, value, "FROM", "model.gguf")
    if path == Path():
        path = _own_folder(reading)
    if (
        (reading.file.parent / path).is_file()
        and path.suffix.lower() != ".gguf"
        and not _is_gguf(reading.file.parent / path)
    ):
        reading.fault(
            f"{path} is no GGUF file",
            "convert it with llama.cpp's convert_hf_to_gguf.py, or name the folder of a model: FROM ./FOLDER",
        )
        return None
    if (reading.file.parent / path).is_file() and path.suffix.lower() != ".gguf":
        reading.fault(f"{path} is a GGUF file by another name", "the server looks for NAME.gguf: rename it")
        return None
    reading.take("FROM", f"models: {path}")
    return Model(path, free_name(path.stem, ()))


def _of_a_hub(reading: Reading, place: str) -> HubModel | None:
    """Returns the model that a place in a hub names: ORG/NAME with a tag, or the address of one file."""
    repo, revision, pattern = "", "", ""
    if named := re.fullmatch(r"([\w.-]+/[\w.-]+)/?(?::([A-Za-z0-9_-]{1,50}|[\w.-]{1,200}(?i:\.gguf)))?", place):
        repo, pattern = named[1], _pattern(named[2] or "latest")
    elif one := re.fullmatch(r"([\w.-]+/[\w.-]+)/(?:resolve|blob|raw)/([^/?#@:]+)/([^?#@:]+\.gguf)(?:[?#].*)?", place):
        repo, revision, pattern = one[1], unquote(one[2]), escape(unquote(one[3]))
    if not repo:
        reading.fault("FROM names no GGUF files of a hub", f"expected FROM hf.co/ORG/NAME-GGUF:{QUANTIZATION}")
        return None
    reading.take("FROM", f"models: hf: {repo}, files: {pattern}")
    return hub_model(reading.keys({}), repo, revision, [pattern])


def _pattern(tag: str) -> str:
    """Returns the pattern of the files of a tag: a file's name, or a quantization in any case, as one whole word of the name.

    A projector (mmproj-F16.gguf) has the same ending, and its name before it ends in j.
    """
    if tag.lower().endswith(".gguf"):
        return tag
    word = QUANTIZATION if tag.lower() == "latest" else tag
    either = "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in word)
    return f"*[!jJ][-._/]{either}[-.]*gguf"


def _address(reading: Reading, line: Instruction) -> UserError:
    """Returns the fault of a line with a URL, which may have a password in it and is not shown."""
    word = line.word.upper()
    return UserError(
        f"{word} names an address, and nothing is downloaded from there",
        where=f"{reading.file}:{line.line}",
        hint=f"put the file here and name it: {word} ./model.gguf",
    )


def _own_folder(reading: Reading) -> Path:
    """Returns what stands in the folder of the Modelfile, which can't be a model of a project in it: its one GGUF file.

    For a folder of safetensors it stays the folder, and the project is one above it.
    """
    folder = reading.file.parent
    found = gguf_files(folder)
    if len(found) == 1:
        return Path(found[0])
    if found:
        reading.fault(f"the folder has {len(found)} GGUF files", f"name one: FROM ./{found[0]}")
    elif not any(folder.glob("*.safetensors")):
        reading.fault("the folder has neither a GGUF file nor safetensors", "FROM ./model.gguf")
    elif not Path(os.path.abspath(folder)).name:
        reading.fault("no project file can be above this folder", "put the model into a folder: FROM ./FOLDER")
    return Path()


def gguf_files(folder: Path) -> list[str]:
    """Returns the names of the GGUF files in a folder, without projectors."""
    return sorted(each.name for each in folder.glob("*.gguf") if "mmproj" not in each.name.lower())


def _path(reading: Reading, value: str, word: str, usual: str) -> Path:
    """Returns the path of a file in the folder. One from elsewhere has to be copied there; without an ending, it gets a usual name."""
    plain = PurePosixPath(value.replace("\\", "/"))
    path = Path(*[part for part in plain.parts if part != "."])
    short = _is_short(value)
    if (
        value.isprintable()
        and short
        and not plain.is_absolute()
        and ".." not in path.parts
        and not re.match("[A-Za-z]:|~", value)
    ):
        if not (reading.file.parent / path).exists():
            reading.missing.append(f"{path} is not there, which {word} names")
        return path
    name = plain.name if plain.suffix.lower() == ".gguf" and short and plain.name.isprintable() else usual
    if not (reading.file.parent / name).exists():
        reading.missing.append(f"{word} names a file outside of the folder: copy {mask(value)[:300]} here as {name}")
    return Path(name)


def _is_address(value: str) -> bool:
    """Returns whether a value is a URL, or the place of a file on another machine, and no path of this one."""
    return re.match(r"[A-Za-z][\w+.-]+:[/\\]|[^/\\]*:[^/\\]*@", value) is not None


def _is_place(value: str) -> bool:
    return (
        value.startswith((".", "/", "~"))
        or re.search(r"(?i)\.(gguf|bin|safetensors)$|[/\\]blobs[/\\]", value) is not None
    )


def _is_of_the_library(reading: Reading, value: str) -> bool:
    """Returns whether FROM names a model of Ollama's library, or what is none at all: neither a file nor a model of a hub."""
    if _HUB.match(value) or _is_address(value) or _is_place(value):
        return False
    return not (len(value) <= MAX_NAME and (reading.file.parent / value).exists())


def _is_short(value: str) -> bool:
    """Returns whether a file can have such a path."""
    return len(value.encode()) <= MAX_PATH and all(len(each.encode()) <= MAX_NAME for each in re.split(r"[/\\]", value))


def _is_gguf(file: Path) -> bool:
    with file.open("rb") as handle:
        return handle.read(4) == b"GGUF"


def _of_the_library(reading: Reading, line: Instruction) -> UserError:
    if not re.fullmatch(r"[\w./-]{1,100}(:[\w.-]{1,100})?", line.value) or has_secret(line.value):
        return UserError(
            "FROM names neither a file nor a model of Ollama's library",
            where=f"{reading.file}:{line.line}",
            hint=f"FROM ./model.gguf, or FROM hf.co/ORG/NAME-GGUF:{QUANTIZATION} ({page('hub')})",
        )
    return UserError(
        f"{line.value[:100]} is a name in Ollama's library, and not a file",
        where=f"{reading.file}:{line.line}",
        why="Ollama's own store on this machine does not have it (OLLAMA_MODELS, ~/.ollama/models)",
        hint=f"`ollama pull {line.value[:100]}` puts it there; or copy its GGUF file here and write FROM ./model.gguf; "
        f"or take one of a hub: FROM hf.co/ORG/NAME-GGUF:{QUANTIZATION} ({page('hub')})",
    )


def read_adapter(reading: Reading, lines: Sequence[Instruction]) -> Model | None:
    """Returns the adapter that ADAPTER names, as GGUF; None without one."""
    found = None
    for each in lines:
        if each.word != "adapter":
            continue
        if _is_address(each.value):
            reading.faults.append(_address(reading, each))
            continue
        if found is not None or not _may_be_gguf(reading, each.value):
            reading.leave(
                "ADAPTER",
                each.value,
                "one adapter is taken, as GGUF: llama.cpp's convert_lora_to_gguf.py makes it of safetensors",
            )
            continue
        path = _path(reading, each.value, "ADAPTER", "adapter.gguf")
        found = Model(path, free_name(f"adapter-{path.stem}", ()))
        reading.take("ADAPTER", f"models: {path}; serve/serve.py: params.lora_adapters")
    return found


def _may_be_gguf(reading: Reading, value: str) -> bool:
    """Returns whether an adapter is a GGUF file, or a folder with one, by what is there; by its name, where nothing is."""
    plain = PurePosixPath(value.replace("\\", "/"))
    place = reading.file.parent / plain
    if plain.is_absolute() or ".." in plain.parts or not _is_short(value) or not place.exists():
        return plain.suffix.lower() == ".gguf" or re.search(r"[/\\]blobs[/\\]", value) is not None
    return plain.suffix.lower() == ".gguf" if place.is_file() else plain != PurePosixPath() and bool(gguf_files(place))
