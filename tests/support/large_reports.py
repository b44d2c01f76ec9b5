"""Facts for reports, made by hand: an image with as many files and tensors as large images have, and hostile names among them."""

from __future__ import annotations

import random
from dataclasses import replace

from modelcrate.modelfiles.tensor_places import TensorPlace
from modelcrate.reports.contents_tree import find_owners, layer_node
from modelcrate.reports.facts import BesideFacts, ImageFacts, LayerFacts, ModelFileFacts, Node, PackageFacts
from modelcrate.reports.listing import Listing, PackageFiles
from modelcrate.reports.page import image_page
from modelcrate.reports.timeline import Span, Timeline
from support.layered import made_layer

SITE = "opt/modelcrate/lib/python3.11/site-packages"


def facts(top: Node, **more: object) -> ImageFacts:
    rows = tuple(
        LayerFacts("linux/amd64", each.role, each.name, each.stored or 0, each.size, inputs=("numpy 2.4.6", "rules 1"))
        for each in top.children
    )
    plain = ImageFacts(top.name, "sha256:" + "0" * 64, (("platform", "linux/amd64"),), top, ({},), rows, (), (), (), 1)
    return replace(plain, **more)  # type: ignore[arg-type]


def made(role: str, name: str, listing: Listing) -> Node:
    image_layer = made_layer(role, name, repr(name).encode())
    node = layer_node(image_layer, listing, find_owners([listing]))
    return replace(node, stored=node.size // 3)


def many_files(count: int) -> Listing:
    """Names as Python packages have them: words, folders, and few endings."""
    draw = random.Random(count)
    words = [
        "array",
        "core",
        "linalg",
        "tests",
        "sparse",
        "stats",
        "signal",
        "utils",
        "optimize",
        "spatial",
        "special",
        "tree",
        "metrics",
    ]
    words += [f"{one}_{other}" for one in words for other in words]
    tops = ("pandas", "pandas", "numpy", "other")
    folders = [
        "/".join([draw.choice(tops), *(draw.choice(words) for _ in range(draw.choice((0, 1, 1, 2))))])
        for _ in range(count // 15)
    ]
    files: dict[str, int] = {}
    while len(files) < count:
        path = f"{draw.choice(folders)}/{draw.choice(words)}"
        for ending in (".py", "__pycache__/{}.cpython-311.pyc"):
            folder, _, name = path.rpartition("/")
            file = f"{path}.py" if ending == ".py" else f"{folder}/{ending.format(name)}"
            files[f"{SITE}/{file}"] = draw.randrange(50, 90_000)
    hostile = (f"{SITE}/</script><script>alert(1)", 70_000)
    listed = (*sorted(files.items())[: count - 1], hostile)

    def owned(name: str) -> tuple[str, ...]:
        return tuple(path for path, _ in listed if path.startswith(f"{SITE}/{name}/"))

    packages = (
        PackageFiles("wheel", "pandas", "2.2", ("numpy>=1.26",), owned("pandas")),
        PackageFiles("wheel", "numpy", "2.4", (), owned("numpy")),
    )
    return Listing(listed, packages)


def many_tensors(count: int) -> Listing:
    """A model of blocks of nine tensors, as language models are."""
    parts = (
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
        "input_layernorm",
        "post_attention_layernorm",
    )
    tensors = tuple(
        TensorPlace(
            f"model.layers.{at // 9}.{parts[at % 9]}.weight",
            f"BF16 [4096, {1024 * (at % 9 + 1)}]",
            20_000 * (at % 9 + 1),
        )
        for at in range(count)
    )
    path = "var/azureml-app/azureml-models/m/1/model.safetensors"
    return Listing(((path, sum(each.size for each in tensors) + 500),), (), {path: tensors})


def large_facts() -> ImageFacts:
    """10,000 files and 5,000 tensors."""
    nodes = (made("dependencies", "wheels", many_files(10_000)), made("model", "m:1", many_tensors(5_000)))
    top = Node("large", "image", sum(each.size for each in nodes), nodes)
    packages = (
        PackageFacts("wheel", "pandas", "2.2", "BSD-3-Clause", 90, 140),
        PackageFacts("wheel", "numpy", "2.4", "", 50, 50, "pandas 2.2"),
    )
    models = (ModelFileFacts("m/model.safetensors", "m:1", "safetensors", 900, "5 000 tensors", "", "Apache-2.0"),)
    beside = (BesideFacts("signature", "by a key"),)
    return facts(
        top, packages=packages, models=models, beside=beside, keepers=({"numpy 2.4": "pandas 2.2"},), files=10_001
    )


def large_report() -> bytes:
    """Its page, with the times of a build."""
    spans = [Span("resolve", 0, 1, step=True), Span("pack", 1, 9, step=True)]
    spans += [Span(f"layer {at}", 1 + at / 4, 2 + at / 3, at * 1000) for at in range(20)]
    return image_page(large_facts(), Timeline(tuple(spans)))
