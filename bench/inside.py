"""What is measured inside one Python process: run by the interpreter that has our wheel. Prints JSON with its own seconds.

Paths are arguments: nothing here knows of the bench.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path


class Sink:
    """A file that hashes what it is given."""

    def __init__(self) -> None:
        self.hashed, self.size = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.hashed.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size


def tar(folder: str) -> None:
    """Ours: listed, sorted, checked, packed, hashed."""
    from modelcrate_layers.tar import recipe
    from modelcrate_layers.tar.codec import NONE
    from modelcrate_layers.tar.listing import list_inside
    from modelcrate_layers.tar.tree import Tree

    begun = time.perf_counter()
    tree = Tree.of(list_inside(Path(folder), b"data").entries, [b"data"])
    listed = time.perf_counter() - begun
    layer = recipe.measure(recipe.Recipe(tree, NONE))
    _say(begun, listed=listed, digest=str(layer.diff_id))


def tarfile(folder: str) -> None:
    """The standard library's, as one writes it."""
    from tarfile import open as opened

    begun = time.perf_counter()
    sink = Sink()
    with opened(fileobj=sink, mode="w") as archive:  # type: ignore[call-overload]
        archive.add(folder, "data")
    _say(begun, digest=sink.hashed.hexdigest())


def archive(layout: str, target: str) -> None:
    """A docker archive from a layout."""
    import modelcrate

    begun = time.perf_counter()
    modelcrate.find(f"oci:{layout}:x").save(f"docker-archive:{target}:bench:1")
    _say(begun)


def fleet(folder: str, host: str) -> None:
    """Many projects in one process, built and pushed. The first warms what the others share."""
    from modelcrate.pipeline.batch import Order, build_all, worst

    orders = [
        Order(project, (f"registry:{host}/fleet/{project.name}:1",)) for project in sorted(Path(folder).iterdir())
    ]
    ended = []
    outcomes = build_all(orders, done=lambda outcome: ended.append(time.perf_counter()))
    assert worst(outcomes) == 0, [each.fault for each in outcomes if each.fault]
    print(json.dumps({"seconds": (ended[-1] - ended[0]) / len(orders[1:]), "projects": len(orders)}))


def base(layout: str, target: str) -> None:
    """The base layers of an image as an image of their own."""
    import modelcrate
    from modelcrate.events import ignore_event
    from modelcrate.images.image import RunSpec, assemble
    from modelcrate.transports.oci import write
    from modelcrate_layers.store import Layout

    whole = modelcrate.find(f"oci:{layout}:x").image.images[0]
    layers = [layer for layer in whole.layers if layer.role == "base"]
    config = {"config": {"Env": ["LANG=C.UTF-8"]}}
    alone = assemble(whole.platform, config, layers, RunSpec())
    write(Layout.create(Path(target)), alone, "x", ignore_event, "oci", target)


def unpack(layout: str, role: str, folder: str) -> None:
    """The files of all layers of one role."""
    from io import BytesIO
    from tarfile import open as opened

    import modelcrate
    from modelcrate_layers.tar.codec import decode

    Path(folder).mkdir(parents=True)
    for layer in modelcrate.find(f"oci:{layout}:x").layers:
        if layer.role == role:
            with opened(fileobj=BytesIO(b"".join(decode(layer.blob.chunks())))) as archive:
                archive.extractall(folder, filter="fully_trusted")


def _say(begun: float, **more: object) -> None:
    print(json.dumps({"seconds": time.perf_counter() - begun, **more}))


if __name__ == "__main__":
    {each.__name__: each for each in (tar, tarfile, archive, fleet, base, unpack)}[sys.argv[1]](*sys.argv[2:])
