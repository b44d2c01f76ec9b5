"""List the images of the local store: repository, tag, image id, creation time and size, as docker images does."""

from __future__ import annotations

import argparse
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import format_table


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: the command has the common options only."""


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.transports import store

    rows = [_facts(name, image) for name, image in store.list_images(console.config)]
    head = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")
    lines = [(r["repository"], r["tag"] or "<none>", r["id"][7:19], r["created"], format_size(r["size"])) for r in rows]
    console.print_result(rows, format_table([head, *lines]))
    return 0


def _facts(name: str, image: Any) -> dict[str, Any]:
    """Returns one image as data. The size is that of the unpacked layers, as in Docker."""
    from modelcrate.images.reference import split_tag

    named, _, _ = name.partition("@")  # what was pulled by its digest may have no tag
    repository, tag = split_tag(named)
    first = image.images[0]
    unpacked = sum(
        layer.layer.tar_size if layer.layer.tar_size >= 0 else layer.descriptor.size for layer in first.layers
    )
    created = str(first.settings.get("created", ""))
    return {
        "repository": repository,
        "tag": tag or "",
        "digest": str(image.digest),
        "id": str(first.id),
        "created": created[:10],
        "platforms": [str(each.platform) for each in image.images],
        "size": unpacked,
    }
