"""Facts as words for people: sizes, tables, the lines of a plan and of a receipt. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from modelcrate.images.image import Deliverable, Image, ImageLayer, Index
from modelcrate.pipeline.cost import Cost
from modelcrate.pipeline.plan import CodecChoice, PlannedLayer
from modelcrate.pipeline.receipt import Receipt
from modelcrate.pipeline.session import Prepared
from modelcrate_layers.content import Digest

Costs = Mapping[Digest, Cost]
"""What each planned layer will take, by its fact."""

_BYTES = ("fetch", "read", "compress", "send")
_UNDECIDED = "its bytes say, when they are here"


def size(count: float) -> str:
    """Bytes in decimal units: `55.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def table(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Columns by spaces; those in `right` stand at their right edge."""
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


def layer_table(image: Image) -> str:
    """A line a layer: role, what it is, stored size, what became of it."""
    rows = [
        (layer.role, layer.name or str(layer.descriptor.digest)[:19], size(layer.descriptor.size), _fate(layer))
        for layer in image.layers
    ]
    return table(rows, right=(2,))


def receipt_text(receipt: Receipt) -> str:
    """The end of a build."""
    parts = []
    for image in receipt.image.images:
        head = [f"{image.platform}"] if len(receipt.image.images) > 1 else []
        unpacked = sum(max(0, layer.layer.tar_size) for layer in image.layers)
        stored = sum(layer.descriptor.size for layer in image.layers)
        parts += [
            *head,
            layer_table(image),
            f"{len(image.layers)} layers, {size(stored)} stored, {size(unpacked)} unpacked",
        ]
    for each in receipt.outputs:
        there = f", {size(each.there)} already there" if each.there else ""
        requests = f", {each.requests} requests" if each.requests else ""
        parts.append(f"{each.kind} {each.target}  {each.digest}  {size(each.sent)} written{there}{requests}")
    parts.append(f"image {receipt.image.digest}  in {sum(receipt.timings.values()):.1f} s")
    return "\n".join(parts)


def plan_text(prepared: Prepared, costs: Costs, image: Deliverable | None) -> str:
    """What a build would do."""
    parts = []
    for plan in prepared.plans:
        rows = [(layer.role, layer.name, size(layer.descriptor.size), "the base's own") for layer in plan.base]
        for each in plan.layers:
            stored = size(each.known.descriptor.size) if each.known else "?"
            told = f"known: {each.why}" if each.known else f"new: {each.why}; {_stored(costs[each.cache_key].choice)}"
            rows.append((each.role, each.name, stored, told))
        head = [str(plan.platform)] if len(prepared.plans) > 1 else []
        parts += [*head, table(rows, right=(2,))]
        keys = [(each.role, str(each.key)) for each in plan.layers if each.key]
        parts.append("keys\n" + "\n".join(f"  {role:13} {key}" for role, key in keys))
    parts.append(f"to do: {', '.join(_to_do(costs))}")
    parts.append(f"image {image.digest}" if image is not None else "image: known when the new layers are measured")
    return "\n".join(parts)


def _stored(choice: CodecChoice | None) -> str:
    return f"{choice.codec}: {choice.why}" if choice else f"stored as {_UNDECIDED}"


def _to_do(costs: Costs) -> Iterator[str]:
    """Sums of what is known, and where there is more that is not."""
    for name in _BYTES:
        counts = [getattr(each, name) for each in costs.values()]
        unknown = counts.count(None)
        known = size(sum(count for count in counts if count is not None))
        yield f"{name} {known}" + (f" and what {unknown} new layer{'s' * (unknown > 1)} will be" if unknown else "")


def plan_json(prepared: Prepared, costs: Costs, image: Deliverable | None) -> dict[str, object]:
    """The same as data."""
    platforms = [
        {
            "platform": str(plan.platform),
            "layers": [
                *map(_base_json, plan.base),
                *(_planned_json(each, costs[each.cache_key]) for each in plan.layers),
            ],
        }
        for plan in prepared.plans
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
        **({"digest": str(known.descriptor.digest), "size": known.descriptor.size} if known else {}),
    }


def whole_text(name: str, image: Image | Index) -> str:
    """An image that exists, for `inspect`."""
    parts = [f"{name}  {image.digest}"]
    for each in image.images:
        settings = each.settings.get("config") or {}
        facts = [
            ("platform", str(each.platform)),
            ("image id", str(each.id)),
            ("created", str(each.settings.get("created", "unknown"))),
            ("starts", " ".join([*(settings.get("Entrypoint") or []), *(settings.get("Cmd") or [])])),
            ("user", str(settings.get("User", "") or "root")),
            ("ports", " ".join(settings.get("ExposedPorts") or {}) or "none"),
        ]
        parts += [table(facts), layer_table(each)]
    return "\n".join(parts)


def _fate(layer: ImageLayer) -> str:
    if layer.foreign:
        return "the base's own"
    return f"{layer.origin}: {layer.why}" if layer.why else layer.origin
