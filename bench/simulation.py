"""A fleet on paper: 1,000 images over 90 days, and what a registry stores, what is pushed, and what a node pulls.

Three ways to cut an image into layers, over the same history:

- ours: the very rules of the product, `grouping.group` for wheels and `model_layers` for models;
- one layer a kind: base, dependencies, model, entry;
- the usual Dockerfile: `COPY requirements.txt`, `RUN pip install`, `COPY . .`, so that code and models share a layer, and every image
  has a dependencies layer of its own, with other bytes at each build of it, for pip's files have the clock in them.

The history is drawn from a seed. Wheels are those of 38 real packages, with their real sizes; a project
takes one of four stacks and a few small packages. An image is built again when its code changes (most often), its model, one of its
wheels (each package has releases, which a project follows with some delay), or the base (once a month, for security). A node runs
images as they are deployed: every build goes to three nodes of forty, which keep what they have pulled, as engines do.

What is left out: compression (sizes are as stored), the cost of requests but their number, garbage collection (a registry keeps all).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from modelcrate_layers.kinds import model as models
from modelcrate_layers.packages import grouping
from modelcrate_layers.packages.wheel import Wheel
from modelcrate_layers.tar.listing import Listing
from modelcrate_layers.tar.sources import FileRange, Stamp
from modelcrate_layers.tar.tree import directory, file

IMAGES, DAYS, NODES, COPIES = 1000, 90, 40, 3
BASE = 18_000_000
MB = 1_000_000

PACKAGES = {
    "torch": 539.1, "nvidia-cudnn-cu13": 519.2, "nvidia-cublas": 404.9, "triton": 285.8, "nvidia-cusolver": 227.9,
    "nvidia-cufft": 218.3, "nvidia-nccl-cu13": 216.0, "nvidia-cusparselt-cu13": 170.1, "nvidia-cusparse": 151.0,
    "nvidia-nvshmem-cu13": 135.4, "xgboost": 131.7, "pyarrow": 55.0, "nvidia-cuda-nvrtc": 47.0, "scipy": 35.3,
    "onnxruntime": 27.8, "numpy": 16.9, "transformers": 13.3, "pandas": 12.4, "matplotlib": 9.9, "scikit-learn": 9.3,
    "pillow": 7.1, "sympy": 6.3, "fonttools": 5.5, "hf-xet": 4.3, "lightgbm": 3.5, "tokenizers": 3.4,
    "pydantic-core": 2.3, "networkx": 2.1, "kiwisolver": 1.4, "huggingface-hub": 0.9, "regex": 0.8, "pyyaml": 0.8,
    "safetensors": 0.5, "narwhals": 0.5, "joblib": 0.3, "protobuf": 0.3, "gunicorn": 0.3, "packaging": 0.1,
}  # fmt: skip
"""Wheel files in MB, as a lock of torch, transformers, onnxruntime, pandas, pyarrow, xgboost, lightgbm, scikit-learn and matplotlib for
CPython 3.11 on manylinux x86-64 named them in November 2026."""

STACKS = {
    "sklearn": ("numpy", "scipy", "scikit-learn", "joblib", "narwhals", "pandas"),
    "boosting": ("numpy", "scipy", "scikit-learn", "joblib", "narwhals", "pandas", "pyarrow", "xgboost", "lightgbm"),
    "torch": ("numpy", "torch", "triton", "sympy", "networkx", "transformers", "tokenizers", "safetensors", "hf-xet",
              "huggingface-hub", "regex", "pyyaml", "packaging",
              *(name for name in PACKAGES if name.startswith("nvidia-"))),
    "onnx": ("numpy", "onnxruntime", "protobuf", "packaging", "pillow", "tokenizers"),
}  # fmt: skip
SHARES = {"sklearn": 50, "boosting": 20, "torch": 20, "onnx": 10}
MODELS = {"sklearn": (1, 2), "boosting": (1, 30), "torch": (3, 900), "onnx": (1, 120)}
"""Files of a model, and MB of each."""

SMALL = ("gunicorn", "pydantic-core", "pyyaml", "matplotlib", "pillow", "fonttools", "kiwisolver", "protobuf", "regex")
RELEASE, FOLLOW = 1 / 45, 1 / 10
"""Chances a day: that a package has a release; that a project which is behind catches up with one of its packages."""
CODE, MODEL, BASE_EVERY = 1 / 7, 1 / 20, 30


@dataclass(frozen=True, slots=True)
class State:
    """What decides an image: versions of code, model files, wheels and base. `built` counts the builds, for what a clock gets into."""

    name: str
    code: int
    files: tuple[tuple[str, int, int], ...]
    wheels: tuple[tuple[str, int], ...]
    base: int
    built: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """Equal ids, equal bytes."""

    id: str
    size: int


Cut = Callable[[State], tuple[Layer, ...]]


@dataclass
class Totals:
    """Bytes, and layers an image. Not frozen: it is a tally."""

    stored: int = 0
    pushed: int = 0
    pulled: int = 0
    builds: int = 0
    layers: int = 0
    most: int = 0
    blobs: set[str] = field(default_factory=set)
    nodes: list[set[str]] = field(default_factory=lambda: [set() for _ in range(NODES)])

    def add(self, layers: tuple[Layer, ...], nodes: list[int]) -> None:
        """One build: pushed what the registry lacks, pulled by some nodes what they lack."""
        self.builds, self.layers, self.most = self.builds + 1, self.layers + len(layers), max(self.most, len(layers))
        for layer in layers:
            if layer.id not in self.blobs:
                self.blobs.add(layer.id)
                self.stored += layer.size
                self.pushed += layer.size
        for node in nodes:
            new = [layer for layer in layers if layer.id not in self.nodes[node]]
            self.pulled += sum(layer.size for layer in new)
            self.nodes[node].update(layer.id for layer in new)


def ours(state: State, budget: int = grouping.MAX_LAYERS) -> tuple[Layer, ...]:
    """The product's own rules."""
    top = models.folder("model", 1)
    entries = [
        file(top + b"/" + name.encode(), FileRange(name, Stamp(0, version, size, 0, 0), 0, size))
        for name, version, size in state.files
    ]
    cut = models.model_layers("model", 1, Listing((directory(top), *entries)))
    return (
        _base(state),
        *_wheel_layers(state.wheels, budget),
        *(_model(state, each) for each in cut),
        Layer(f"e{state.name}{state.code}", 40_000),
    )


@cache
def _wheel_layers(wheels: tuple[tuple[str, int], ...], budget: int) -> tuple[Layer, ...]:
    """Cached, for most builds change no wheel."""
    groups = grouping.group(map(_wheel, wheels), budget)
    return tuple(
        Layer("w" + ",".join(sorted(w.sha256 for w in each.packages)), sum(w.size for w in each.packages))
        for each in groups
    )


def by_kind(state: State) -> tuple[Layer, ...]:
    """One layer for each of base, dependencies, model and entry; reproducible, so equal dependencies are equal layers."""
    wheels = Layer(f"k{sorted(state.wheels)}", sum(_wheel(each).size for each in state.wheels))
    model = Layer(f"m{state.name}{state.files}", sum(size for _, _, size in state.files))
    return (_base(state), wheels, model, Layer(f"e{state.name}{state.code}", 40_000))


def dockerfile(state: State) -> tuple[Layer, ...]:
    """pip's layer has a clock in it and is cached by requirements and base only; code and model come with one COPY."""
    wheels = Layer(f"d{state.name}{sorted(state.wheels)}{state.base}", sum(_wheel(each).size for each in state.wheels))
    copied = Layer(
        f"c{state.name}{state.code}{state.files}{state.base}", 40_000 + sum(size for _, _, size in state.files)
    )
    return (_base(state), wheels, copied)


WAYS: dict[str, Cut] = {"modelcrate": ours, "one layer a kind": by_kind, "usual Dockerfile": dockerfile}
BUDGETS = (2, 4, 8, 12, 16, 24, 48)


def history(images: int, seed: int = 7) -> Iterator[State]:
    """Every build in its order: all images on the first day, then what changes."""
    rng = random.Random(seed)
    released = dict.fromkeys(PACKAGES, 0)
    fleet = [_first(rng, number) for number in range(images)]
    yield from fleet
    for day in range(1, DAYS):
        for package in PACKAGES:
            released[package] += rng.random() < RELEASE
        for at, state in enumerate(fleet):
            after = _changed(rng, state, released, day // BASE_EVERY)
            if after != state:
                fleet[at] = replace(after, built=state.built + 1)
                yield fleet[at]


def run(images: int = IMAGES, seed: int = 7) -> dict[str, Totals]:
    """The totals of every way, and of ours under other budgets."""
    cuts = dict(WAYS) | {f"budget {limit}": lambda state, limit=limit: ours(state, limit) for limit in BUDGETS}  # type: ignore[misc]
    totals = {name: Totals() for name in cuts}
    rng = random.Random(seed + 1)
    for state in history(images, seed):
        nodes = rng.sample(range(NODES), COPIES)
        for name, cut in cuts.items():
            totals[name].add(cut(state), nodes)
    return totals


def page(totals: dict[str, Totals]) -> str:
    """The simulation's part of docs/performance.md."""
    ways = {name: each for name, each in totals.items() if name in WAYS}
    ours_, kind, docker = ways.values()
    against = (
        f"Against the usual Dockerfile, the product's plan stores {_times(docker.stored, ours_.stored)} less and nodes pull "
        f"{_times(docker.pulled, ours_.pulled)} less; against one layer a kind {_times(kind.stored, ours_.stored)} and "
        f"{_times(kind.pulled, ours_.pulled)}."
    )
    about = (
        f"{ours_.builds:,} builds of a fleet over {DAYS} days, {NODES} nodes, every build deployed to {COPIES} of them."
    )
    lines = [
        "## A fleet on paper\n",
        f"`bench/simulation.py`: {about}\n",
        "| layers by | stored in the registry = pushed | pulled, mean of a node | layers an image (most) |",
        "|---|---|---|---|",
        *(_line(name, each) for name, each in ways.items()),
        f"\n{against}\n",
        "What the budget of layers for wheels is worth:\n",
        "| budget | stored | pulled, mean of a node | layers an image (most) |",
        "|---|---|---|---|",
        *(_line(name.removeprefix("budget "), each) for name, each in totals.items() if name.startswith("budget ")),
        f"\n{_verdict(totals)}\n",
    ]
    return "\n".join(lines)


def _verdict(totals: dict[str, Totals]) -> str:
    """The smallest budget that costs no more than one percent over the largest."""
    best = totals[f"budget {BUDGETS[-1]}"].stored
    enough = next(limit for limit in BUDGETS if totals[f"budget {limit}"].stored <= 1.01 * best)
    return (
        f"From a budget of {enough} on, more layers save less than one percent, for only wheels of {grouping.HEAVY >> 20} MiB and more go "
        f"alone, and no stack here has more of them. Below it, the largest wheels share the tail's layer, and every small release moves "
        f"them all again. The product's budget is {grouping.MAX_LAYERS}; its largest image here has {totals['modelcrate'].most} layers in all, "
        f"of the 127 that engines take."
    )


def _line(name: str, each: Totals) -> str:
    mean = each.layers / max(1, each.builds)
    return f"| {name} | {_gb(each.stored)} | {_gb(each.pulled / NODES)} | {mean:.1f} ({each.most}) |"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


def _times(more: int, less: int) -> str:
    return f"{more / max(1, less):.1f} times"


def _first(rng: random.Random, number: int) -> State:
    stack = rng.choices(list(SHARES), list(SHARES.values()))[0]
    extra = rng.sample(SMALL[1:], rng.randrange(5))
    count, size = MODELS[stack]
    scale = rng.lognormvariate(0, 0.8)
    files = tuple((f"part{n}.bin", 0, round(size * MB * scale)) for n in range(count))
    wheels = tuple((package, 0) for package in sorted({*STACKS[stack], *extra, SMALL[0]}))
    return State(f"image{number}", 0, (*files, ("config.json", 0, 2_000)), wheels, 0)


def _changed(rng: random.Random, state: State, released: dict[str, int], base: int) -> State:
    if rng.random() < CODE:
        state = replace(state, code=state.code + 1)
    if rng.random() < MODEL:  # trained again: every file of weights, not the settings beside them
        files = [(name, version + (size > 10_000), size) for name, version, size in state.files]
        state = replace(state, files=tuple(files))
    behind = [name for name, version in state.wheels if version < released[name]]
    if behind and rng.random() < FOLLOW:
        chosen = rng.choice(behind)
        wheels = tuple((name, released[name] if name == chosen else version) for name, version in state.wheels)
        state = replace(state, wheels=wheels)
    return replace(state, base=base) if base != state.base and rng.random() < FOLLOW else state


def _base(state: State) -> Layer:
    return Layer(f"b{state.base}", BASE)


def _model(state: State, layer: models.ModelLayer) -> Layer:
    parts = [(entry.path, entry.source.stamp.inode) for entry in layer.files if isinstance(entry.source, FileRange)]
    return Layer(f"m{state.name}{parts}", sum(entry.size for entry in layer.files))


_WHEELS: dict[tuple[str, int], Wheel] = {}


def _wheel(pin: tuple[str, int]) -> Wheel:
    """A release of a package as a wheel; every release has the size of the real one."""
    if pin not in _WHEELS:
        name, version = pin
        filename = f"{name.replace('-', '_')}-1.{version}-py3-none-any.whl"
        sha256 = hashlib.sha256(filename.encode()).hexdigest()
        _WHEELS[pin] = Wheel(name, f"1.{version}", filename, sha256, round(PACKAGES[name] * MB), "")
    return _WHEELS[pin]
