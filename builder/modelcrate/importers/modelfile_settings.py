"""The parameters of a Modelfile (Ollama) as those of llama.cpp's server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelcrate.importers.modelfile_lines import Instruction
from modelcrate.importers.reading import Reading
from modelcrate_layers.errors import UserError
from modelcrate_layers.patterns import compile_later

_SETTINGS: Mapping[str, tuple[str, type[int] | type[float]]] = {
    "num_ctx": ("n_ctx", int),
    "num_predict": ("n_predict", int),
    "num_keep": ("n_keep", int),
    "num_batch": ("n_batch", int),
    "num_gpu": ("n_gpu_layers", int),
    "main_gpu": ("main_gpu", int),
    "num_thread": ("cpuparams.n_threads", int),
    "temperature": ("sampling.temp", float),
    "top_k": ("sampling.top_k", int),
    "top_p": ("sampling.top_p", float),
    "min_p": ("sampling.min_p", float),
    "typical_p": ("sampling.typ_p", float),
    "seed": ("sampling.seed", int),
    "repeat_penalty": ("sampling.penalty_repeat", float),
    "repeat_last_n": ("sampling.penalty_last_n", int),
    "presence_penalty": ("sampling.penalty_present", float),
    "frequency_penalty": ("sampling.penalty_freq", float),
    "mirostat": ("sampling.mirostat", int),
    "mirostat_tau": ("sampling.mirostat_tau", float),
    "mirostat_eta": ("sampling.mirostat_eta", float),
}
"""The parameters, and what llama.cpp's server calls them."""

_WHOLE = compile_later(r"[+-]?[0-9]{1,20}")
_NUMBER = compile_later(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_MOST: Mapping[type, float] = {int: 2**31 - 1, float: 3.4e38}
_MOST_SEED = 2**32 - 1
"""The server has numbers of 32 bits."""


def read_settings(reading: Reading, lines: Sequence[Instruction]) -> dict[str, object]:
    """Returns the attributes of the server's parameters that a Modelfile sets; a number that the server can't take is a fault."""
    settings, stops = dict[str, object](), list[str]()
    for each in lines:
        if each.word != "parameter":
            continue
        key = f"PARAMETER {each.name}"
        if each.name == "stop":
            stops.append(each.value)
            reading.take(key, "serve/serve.py: params.antiprompt")
            continue
        if each.name not in _SETTINGS:
            reading.leave(key, each.value, "llama.cpp's server has no such setting")
            continue
        attribute, kind = _SETTINGS[each.name]
        most = _MOST_SEED if each.name == "seed" else _MOST[kind]
        number = _number(each.value, kind, most)
        if number is None:
            reading.faults.append(
                UserError(
                    f"{each.name} is no {'whole number' if kind is int else 'number'}",
                    where=f"{reading.file}:{each.line}",
                    hint=f"write a number behind it, at most {most}",
                )
            )
        elif each.name == "seed" and number < 0:
            reading.leave(key, each.value, "a random seed is the default")
        else:
            settings[attribute] = number
            reading.take(key, f"serve/serve.py: params.{attribute}")
    return settings | ({"antiprompt": stops} if stops else {})


def _number(text: str, kind: type[int] | type[float], most: float) -> int | float | None:
    """Returns a number as Go reads it; None for what is none, or too large for the server."""
    if not (_WHOLE if kind is int else _NUMBER).fullmatch(text):
        return None
    found = kind(text)
    return found if abs(found) <= most else None
