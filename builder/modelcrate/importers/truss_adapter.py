"""The entry script for a model class of Truss: it makes the class as Truss does, and calls its methods in Truss's order."""

from __future__ import annotations

import json
import pprint
from pathlib import Path

from modelcrate.importers.project_parts import plain_words
from modelcrate.importers.truss_model import Method, ModelClass
from modelcrate_layers.frozen import dataclass

STEPS = ("preprocess", "predict", "postprocess")
OFFERED = ("config", "data_dir", "secrets", "environment", "lazy_data_resolver")
"""What Truss offers to the class when it is made, by the names of its parameters."""

_SECRETS = '''

class Secrets(Mapping):
    """Looks a secret up when it is asked for: in the file /secrets/NAME, else in the variable TRUSS_SECRET_NAME."""

    names = {names}

    def __getitem__(self, name):
        file = pathlib.Path("/secrets", name)
        found = file.read_text() if file.is_file() else os.environ.get(f"TRUSS_SECRET_{{name}}")
        if not found:
            raise KeyError(f"start the container with -e TRUSS_SECRET_{{name}}=...")
        return found

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)
'''
_RESOLVER = '''

class DataResolver:
    """Stands for the downloads of Truss: the models are in the image already."""

    def block_until_download_complete(self, *args, **kwargs):
        return 0
'''
_INIT = '''

def init():
    """Makes the model and loads it, before the first request."""
    global model
    os.chdir(HERE)
    model = {name}({arguments})
'''
_LOAD = """    if hasattr(model, "load"):
        model.load()
"""
_PLAIN = '''

def plain(value):
    """Returns arrays and numbers of numpy as Python's own, as Truss does."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.tolist() if hasattr(value, "tolist") else value
'''


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parts of a Truss are, relative to its folder: the module of the class, its name, the data, and packages that go along."""

    module: Path
    name: str
    data: Path
    packages: Path | None


def adapter_text(place: Place, model: ModelClass, config: object, secrets: tuple[str, ...], made_from: str) -> str:
    """Returns the text of the entry script.

    Args:
        place: Where the parts of the Truss are.
        model: What the class says.
        config: The configuration of plain values, for a class that takes it.
        secrets: The names of the secrets, for a class that takes them.
        made_from: The file that says all this.
    """
    offered = [each for each in OFFERED if model.is_given(each)]
    values = {
        "config": "CONFIG",
        "data_dir": f"HERE / {json.dumps(place.data.as_posix())}",
        "secrets": "Secrets()",
        "environment": "None",
        "lazy_data_resolver": "DataResolver()",
    }
    imports = sorted(
        {"json", "os", "pathlib"}
        | ({"sys"} if place.packages else set())
        | (set() if _is_plain(place) else {"importlib"})
    )
    what = f"Answers requests with the class {place.name} of {plain_words(place.module.as_posix())}"
    lines = [
        f'"""{what}. Made from {plain_words(made_from)} by modelcrate init; it is yours to change."""',
        "",
        *[f"import {each}" for each in imports],
        *(["from collections.abc import Mapping"] if "secrets" in offered else []),
        "",
    ]
    here = "HERE = pathlib.Path(__file__).resolve().parent"
    if place.packages:
        lines += [
            here,
            f"sys.path.append(str(HERE / {json.dumps(place.packages.as_posix())}))",
            "",
            _import(place) + "  # noqa: E402",
        ]
    else:
        lines += [_import(place), "", here]
    if "config" in offered:
        lines += ["", f"CONFIG = {pprint.pformat(config, width=110, sort_dicts=False)}"]
    text = "\n".join(lines) + "\n"
    text += _SECRETS.format(names=repr(secrets)) if "secrets" in offered else ""
    text += _RESOLVER if "lazy_data_resolver" in offered else ""
    text += _INIT.format(name=place.name, arguments=", ".join(f"{each}={values[each]}" for each in offered))
    text += "    model.load()\n" if model.method("load") is not None else ""
    text += _LOAD if model.method("load") is None and model.has_bases else ""
    return text + _run({name: method for name in STEPS if (method := model.method(name)) is not None})


def _module(place: Place) -> str:
    return ".".join([*place.module.parent.parts, place.module.stem])


def _import(place: Place) -> str:
    """Returns the line that imports the class."""
    if _is_plain(place):
        return f"from {_module(place)} import {place.name}"
    return f"{place.name} = importlib.import_module({json.dumps(_module(place))}).{place.name}"


def _is_plain(place: Place) -> bool:
    return all(each.isidentifier() for each in _module(place).split("."))


def _run(steps: dict[str, Method]) -> str:
    """Returns the text of run(): the steps that the class has, awaited where they are asynchronous."""
    awaits = any(method.is_async and not method.yields for method in steps.values())
    streams = steps.get("predict") is not None and steps["predict"].yields
    calls = []
    for name, method in steps.items():
        call = f"model.{name}({'value' if method.parameters else ''})"
        calls.append(f"    value = {'await ' if method.is_async and not method.yields else ''}{call}\n")
    if not steps:  # a class whose source is not known
        calls = ["    value = model.predict(value)\n"]
    head = f'\n\n{"async " if awaits else ""}def run(data):\n    """Answers the JSON of a request, as Truss does."""\n    value = json.loads(data)\n'
    if streams:
        return head + "".join(calls) + "    return value\n"
    return head + "".join(calls) + "    return plain(value)\n" + _PLAIN
