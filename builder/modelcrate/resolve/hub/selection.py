"""Which files of a hub's model go into an image: the project's patterns, else one form of the weights with all that is no other form of them.

Pure. What is left out is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from modelcrate.project.byte_sizes import format_size
from modelcrate.resolve.hub.listing import HubFile
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

_STEM = (
    r"(pytorch_model|diffusion_pytorch_model|adapter_model|model|consolidated|tf_model|flax_model|rust_model)[\w.-]*"
)
_FORMS: tuple[tuple[str, str], ...] = (
    ("safetensors", r".*\.safetensors"),
    ("PyTorch", rf"{_STEM}\.(bin|pt|pth|ckpt)"),
    ("TensorFlow", rf"{_STEM}\.(h5|tflite)"),
    ("Flax", rf"{_STEM}\.msgpack"),
    ("Rust", rf"{_STEM}\.ot"),
    ("ONNX", r".*\.onnx(_data|\.data)?"),
    ("OpenVINO", r"openvino_.*\.(bin|xml)"),
    ("GGUF", r".*\.gguf"),
)
"""The forms that the weights of one model may have in one folder, the one that is taken first: what reads none of code goes before pickles."""

_OTHER_FOLDERS = compile_later(r"(onnx|openvino|coreml|tflite|flax|original|gguf|metal)/.*")
"""Folders with the same weights for another program; in `original`, as they were before they were converted."""

_TRAINING = compile_later(
    r"(.*/)?(training_args\.bin|optimizer\.(pt|bin)|scheduler\.(pt|bin)|scaler\.pt|rng_state.*\.pth|trainer_state\.json"
    r"|events\.out\.tfevents.*|\.git(attributes|ignore|keep))|runs/.*|checkpoint-\d+/.*|logs/.*"
)
"""What training leaves behind, and Git's own files: nothing that serves."""

_SHARD = compile_later(r"(.*)-\d{5}-of-\d{5}(\.\w+)")
_NAMED = 4


def select_files(
    files: Sequence[HubFile], patterns: Sequence[str], repo: str
) -> tuple[tuple[HubFile, ...], tuple[str, ...]]:
    """Returns the files that are taken, and notices about what is left out.

    Args:
        files: All files of the model.
        patterns: Shell patterns of the project, as the hub's own tools take them: `*` stands for slashes, too. Empty: none.
        repo: The model's name, for messages.

    Raises:
        UserError: A pattern has no file, no file is left, or only the user can choose among several.
    """
    if patterns:
        return _by_patterns(files, patterns, repo), ()
    chosen, notices = list(files), []
    for why, drop in (
        (
            "training left them, or they are Git's",
            lambda kept: [each for each in kept if _TRAINING.fullmatch(each.path)],
        ),
        ("they have the same weights for other programs", _for_others),
        ("they have the same weights in another form", _same_weights),
        ("they have the same weights in another precision or a second time", _variants),
    ):
        if gone := drop(chosen):
            out = set(gone)
            chosen = [each for each in chosen if each not in out]
            notices.append(f"{repo}: left out, because {why}: {_told(gone)}; files: [PATTERN] takes what it names")
    if not chosen:
        raise UserError(f"{repo} has no file that serves", hint="name them: files: [PATTERN, ...]")
    _check_one_gguf(chosen, repo)
    return tuple(chosen), tuple(notices)


def _by_patterns(files: Sequence[HubFile], patterns: Sequence[str], repo: str) -> tuple[HubFile, ...]:
    whole = [f"{each}*" if each.endswith("/") else each for each in patterns]
    for pattern in whole:
        if not any(fnmatchcase(each.path, pattern) for each in files):
            have = ", ".join(each.path for each in files[:20])
            raise UserError(
                f"{repo} has no file {pattern!r}",
                why=f"it has {have}{' ...' if len(files) > 20 else ''}",
                hint="name files that the list has, or leave `files:` out",
            )
    return tuple(each for each in files if any(fnmatchcase(each.path, pattern) for pattern in whole))


def _for_others(files: Sequence[HubFile]) -> list[HubFile]:
    others = [each for each in files if _OTHER_FOLDERS.fullmatch(each.path)]
    kept = set(files) - set(others)
    return others if any(_form(each) is not None for each in kept) else []


def _same_weights(files: Sequence[HubFile]) -> list[HubFile]:
    """Returns the weights of a folder that has them in a form that goes before, with their lists of shards."""
    best: dict[str, int] = {}
    for each in files:
        if (form := _form(each)) is not None:
            folder = each.path.rpartition("/")[0]
            best[folder] = min(form, best.get(folder, form))
    return [
        each
        for each in files
        if (form := _form(each)) is not None and form > best.get(each.path.rpartition("/")[0], form)
    ]


def _variants(files: Sequence[HubFile]) -> list[HubFile]:
    """Returns `model.fp16.safetensors` beside `model.safetensors`, and `consolidated.safetensors` beside the files of a model."""
    paths = {each.path for each in files}
    gone = []
    for each in files:
        folder, slash, name = each.path.rpartition("/")
        plain = re.sub(r"\.(fp16|bf16|fp32|int8|non_ema)(?=[.-])", "", name)
        once = plain != name and f"{folder}{slash}{plain}" in paths
        beside = any(re.fullmatch(re.escape(f"{folder}{slash}") + r"model[^/]*\.safetensors", other) for other in paths)
        if once or (beside and re.fullmatch(r"consolidated.*\.safetensors(\.index\.json)?", name)):
            gone.append(each)
    return gone


def _check_one_gguf(files: Sequence[HubFile], repo: str) -> None:
    found = [each for each in files if each.path.endswith(".gguf")]
    whole = {_SHARD.sub(r"\1\2", each.path) for each in found if not each.path.rpartition("/")[2].startswith("mmproj")}
    if len(whole) > 1:
        raise UserError(
            f"{repo} has {len(whole)} models, and only you know which of them you want",
            why=_told(found, 20),
            hint='name one: files: ["*Q4_K_M*.gguf"]',
        )


def _form(file: HubFile) -> int | None:
    name = file.path.rpartition("/")[2].removesuffix(".index.json")
    return next((number for number, (_, pattern) in enumerate(_FORMS) if re.fullmatch(pattern, name)), None)


def _told(files: Sequence[HubFile], most: int = _NAMED) -> str:
    return ", ".join(_names(sorted(files, key=lambda each: -each.size), most))


def _names(files: Sequence[HubFile], most: int) -> Iterator[str]:
    yield from (f"{each.path} ({format_size(each.size)})" for each in files[:most])
    if len(files) > most:
        yield f"{len(files) - most} more"
