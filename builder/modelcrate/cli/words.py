"""Facts as words for people: sizes, tables, the lines of a plan and of a receipt. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelcrate.image import Image, ImageLayer, Index
from modelcrate.pipeline import Prepared
from modelcrate.receipt import Receipt


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


def plan_text(prepared: Prepared) -> str:
    """What a build would do."""
    parts = []
    for plan in prepared.plans:
        rows = [(layer.role, layer.name, size(layer.descriptor.size), "the base's own") for layer in plan.base]
        for each in plan.layers:
            stored = size(each.known.descriptor.size) if each.known else "?"
            rows.append((each.role, each.name, stored, f"{'known' if each.known else 'new'}: {each.why}"))
        head = [str(plan.platform)] if len(prepared.plans) > 1 else []
        parts += [*head, table(rows, right=(2,))]
        keys = [(each.role, str(each.key)) for each in plan.layers if each.key]
        parts.append("keys\n" + "\n".join(f"  {role:13} {key}" for role, key in keys))
    return "\n".join(parts)


def plan_json(prepared: Prepared) -> dict[str, object]:
    """The same as data."""
    platforms = []
    for plan in prepared.plans:
        layers: list[dict[str, object]] = [
            {"role": layer.role, "name": layer.name, "digest": str(layer.descriptor.digest), "state": "base"}
            for layer in plan.base
        ]
        for each in plan.layers:
            facts = (
                {"digest": str(each.known.descriptor.digest), "size": each.known.descriptor.size} if each.known else {}
            )
            layers.append(
                {
                    "role": each.role,
                    "name": each.name,
                    "key": str(each.key) if each.key else None,
                    "state": "known" if each.known else "new",
                    "why": each.why,
                    **facts,
                }
            )
        platforms.append({"platform": str(plan.platform), "layers": layers})
    return {"name": prepared.request.project.name, "platforms": platforms}


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
