"""Values as text for users: sizes, tables, plans, receipts, images. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from modelcrate.images.image import Deliverable, Image, ImageLayer, Index, image_label
from modelcrate.images.image_config import exposed_ports
from modelcrate.project.byte_sizes import format_size
from modelcrate_layers.content import Digest

if TYPE_CHECKING:
    from modelcrate.pipeline.cost import Cost
    from modelcrate.pipeline.plan import CodecChoice, Plan, PlannedLayer
    from modelcrate.pipeline.prepare import Prepared
    from modelcrate.pipeline.receipt import Receipt
    from modelcrate.transports.output import Delivered

    Costs = Mapping[Digest, Cost]

_BYTES = ("fetch", "read", "compress", "send")
_UNDECIDED = "decided when its bytes are read"


def counted(number: int, noun: str) -> str:
    """Returns a number with what it counts: `1 layer`, `2 layers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_table(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Returns rows as columns that are separated by spaces.

    Args:
        rows: The cells; all rows have the same length.
        right: The indexes of the columns that are aligned to the right.
    """
    if not rows:
        return ""
    columns = set(right)
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.rjust(width) if at in columns else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def layer_table(image: Image, *, reasons: bool = False) -> str:
    """Returns a line for each layer: role, what it is, stored size, and whether it is new; with `reasons`, why."""
    rows = [
        (
            layer.role,
            layer.name or str(layer.descriptor.digest)[:19],
            format_size(layer.descriptor.size),
            origin_text(layer),
            layer.why if reasons else "",
        )
        for layer in image.layers
    ]
    return format_table(rows, right=(2,))


def origin_text(layer: ImageLayer) -> str:
    """Returns where a layer comes from, in a word."""
    if layer.foreign:
        return "base"
    return "new" if layer.origin == "built" else "reused"


def receipt_text(receipt: Receipt, *, reasons: bool = False) -> str:
    """Returns the end of a build: the layers, the sums, where the image is, and how to run it."""
    parts = []
    for image in receipt.image.images:
        head = [image.label] if len(receipt.image.images) > 1 else []
        unpacked = sum(max(0, layer.layer.tar_size) for layer in image.layers)
        stored = sum(layer.descriptor.size for layer in image.layers)
        new = sum(layer.descriptor.size for layer in image.layers if origin_text(layer) == "new")
        parts += [
            *head,
            layer_table(image, reasons=reasons),
            f"{counted(len(image.layers), 'layer')}, {format_size(stored)} ({format_size(new)} new), {format_size(unpacked)} unpacked",
        ]
    parts += shared_text(
        [{each.descriptor.digest: each.descriptor.size for each in one.layers} for one in receipt.image.images]
    )
    parts.append(f"image {receipt.image.digest}  in {sum(receipt.timings.values()):.1f} s")
    for each in receipt.outputs:
        reused = f", {format_size(each.reused)} already there" if each.reused else ""
        requests = f", {counted(each.requests, 'request')}" if each.requests else ""
        parts.append(
            f"{_WHERE.get(each.kind, each.kind)} {each.target}: {format_size(each.sent)} written{reused}{requests}"
        )
        parts += [f"  the variant {name}: {target}" for name, target in each.variants.items()]
        parts += [f"  run it: {command}" for command in _run_commands(each, receipt.image)]
    return "\n".join(parts)


def shared_text(images: Sequence[Mapping[Digest, int]]) -> list[str]:
    """Returns a line about the layers that several images have in common, each stored and sent once; no line for one image.

    Args:
        images: The stored sizes of the layers of each image, by what tells layers apart.
    """
    if len(images) < 2:
        return []
    counts = Counter(key for each in images for key in each)
    sizes = {key: size for each in images for key, size in each.items()}
    several = [key for key, count in counts.items() if count > 1]
    shared = format_size(sum(sizes[key] for key in several))
    return [
        f"in several of the images: {counted(len(several), 'layer')}, {shared}, each once; all of them: {format_size(sum(sizes.values()))}"
    ]


_WHERE = {
    "store": "in the local store as",
    "registry": "pushed to",
    "docker-archive": "written to",
    "docker": "loaded as",
}


def _run_commands(delivered: Delivered, image: Deliverable) -> Iterator[str]:
    """Yields the commands that start an image from its output. An artifact, and an image without a command, have none."""
    config = image.images[0].settings.get("config") if image.images else None
    if not isinstance(config, dict) or not (config.get("Entrypoint") or config.get("Cmd")):
        return
    exposed = next(iter(exposed_ports(config)), 0)
    published = f"-p 8080:{exposed} " if exposed else ""
    if delivered.kind == "store":
        yield f"modelcrate run {published}{delivered.target.removesuffix(':latest')}"
    elif delivered.kind in ("registry", "docker"):
        yield f"docker run {published}{delivered.target}"
    elif delivered.kind == "docker-archive" and delivered.target != "-":
        yield f"docker load -i {delivered.target.partition(':')[0]}"


def plan_text(prepared: Prepared, costs: Costs, image: Deliverable | None) -> str:
    """Returns a plan as text: the layers of each platform, their keys, the sums of the work, and the digest if it is known."""
    parts, images = [], list[dict[Digest, int]]()
    for label, plan in labelled_plans(prepared):
        rows = [(layer.role, layer.name, format_size(layer.descriptor.size), "the base's own") for layer in plan.base]
        for each in plan.layers:
            bytes_of = costs[each.cache_key]
            stored = ("" if bytes_of.exact else "about ") + format_size(bytes_of.size)
            state = f"known: {each.why}" if each.known else f"new: {each.why}; {_stored(bytes_of.choice)}"
            rows.append((each.role, each.name, stored, state))
        head = [label] if len(prepared.all_plans) > 1 else []
        images.append(
            {each.descriptor.digest: each.descriptor.size for each in plan.base}
            | {each.cache_key: costs[each.cache_key].size for each in plan.layers}
        )
        parts += [*head, format_table(rows, right=(2,))]
        keys = [(each.role, str(each.key)) for each in plan.layers if each.key]
        parts.append("keys\n" + "\n".join(f"  {role:13} {key}" for role, key in keys))
        total = sum(layer.descriptor.size for layer in plan.base) + sum(
            costs[each.cache_key].size for each in plan.layers
        )
        exact = all(costs[each.cache_key].exact for each in plan.layers)
        parts.append(f"size: {'' if exact else 'about '}{format_size(total)}")
    parts += shared_text(images)
    parts.append(f"to do: {', '.join(_to_do(costs))}")
    parts.append(f"image {image.digest}" if image is not None else "image: known when the new layers are measured")
    return "\n".join(parts)


def labelled_plans(prepared: Prepared) -> Iterator[tuple[str, Plan]]:
    """Yields the plans of all images with what tells them apart: the platform, and the name of a variant."""
    for each in prepared.every:
        for plan in each.plans:
            yield image_label(plan.platform, each.request.variant_name), plan


def _stored(choice: CodecChoice | None) -> str:
    return f"{choice.codec}: {choice.why}" if choice else f"compression is {_UNDECIDED}"


def _to_do(costs: Costs) -> Iterator[str]:
    """Yields the sums of the bytes that are known, and the number of layers whose bytes are not."""
    for name in _BYTES:
        counts = [getattr(each, name) for each in costs.values()]
        unknown = counts.count(None)
        known = format_size(sum(count for count in counts if count is not None))
        yield f"{name} {known}" + (f" and what {unknown} new layer{'s' * (unknown > 1)} will be" if unknown else "")


def plan_json(prepared: Prepared, costs: Costs, image: Deliverable | None) -> dict[str, object]:
    """Returns a plan as data for JSON."""
    platforms = [
        {
            "platform": str(plan.platform),
            **({"variant": each.request.variant_name} if each.request.variant_name else {}),
            "layers": [
                *map(_base_json, plan.base),
                *(_planned_json(planned, costs[planned.cache_key]) for planned in plan.layers),
            ],
        }
        for each in prepared.every
        for plan in each.plans
    ]
    digest = str(image.digest) if image is not None else None
    return {"name": prepared.request.project.name, "digest": digest, "platforms": platforms}


def _base_json(layer: ImageLayer) -> dict[str, object]:
    return {"role": layer.role, "name": layer.name, "digest": str(layer.descriptor.digest), "state": "base"}


def _planned_json(each: PlannedLayer, bytes_of: Cost) -> dict[str, object]:
    known = each.known
    return {
        "role": each.role,
        "name": each.name,
        "key": str(each.key) if each.key else None,
        "state": "known" if known else "new",
        "known_from": each.known_from or None,
        "why": each.why,
        "bytes": {name: getattr(bytes_of, name) for name in _BYTES},
        "codec": str(bytes_of.choice.codec) if bytes_of.choice else None,
        "codec_why": bytes_of.choice.why if bytes_of.choice else _UNDECIDED,
        "size" if bytes_of.exact else "size_estimate": bytes_of.size,
        **({"digest": str(known.descriptor.digest)} if known else {}),
    }


def image_text(name: str, image: Image | Index) -> str:
    """Returns an image or an index as text, for `modelcrate inspect`."""
    parts = [f"{name}  {image.digest}"]
    for each in image.images:
        settings = each.settings.get("config") or {}
        facts = [
            ("platform", str(each.platform)),
            *([("variant", each.variant)] if each.variant else []),
            ("image id", str(each.id)),
            ("created", str(each.settings.get("created", "unknown"))),
            ("starts", " ".join([*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])])),
            ("user", str(settings.get("User", "") or "root")),
            ("ports", " ".join(settings.get("ExposedPorts") or {}) or "none"),
        ]
        parts += [format_table(facts), layer_table(each)]
    return "\n".join(parts)
