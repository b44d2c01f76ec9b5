"""Results as a table for people, as JSON, and as docs/performance.md. The page is made from the JSON alone, so parts can be measured anew."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import serving
from bench.harness import Bar, Outcome, Outcomes, Row
from bench.lab import Lab

TOOLS = ("umoci", "buildah", "skopeo", "podman", "docker-registry")

HEAD = """\
# Performance

Made by `make bench`; the figures are in `performance.json`. Times are wall clock of whole processes, start-up included, as medians (and their
range) of interleaved runs in random order, after one round that isn't timed. Read and written are all bytes that passed through read and
write, of files and pipes; memory is the peak of the largest process. Received are the bytes of bodies that came to the registry, counted in
the untimed round. The corpora are described in `bench/corpora.py`, the peers' commands in `bench/peers.py`.

The scenarios `by-...` are curves: what a build costs by how much there is. Their bars are exponents of the processor's time and of memory over the
last step of the curve, start-up subtracted: 1 is in proportion, and 0 stands where less than 0.1 s or 10 MB are added.
"""


def machine() -> dict[str, str]:
    """The machine's facts and the versions that matter."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    facts = {
        "cpu": cpu.partition(": ")[2],
        "cores": str(os.cpu_count()),
        "memory": size(memory),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
    }
    return facts | {tool: _version(tool) for tool in TOOLS}


def record(row: Row, lab: Lab) -> dict[str, Any]:
    """A row as JSON."""
    return {
        "title": row.title,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "scale": lab.scale,
        "load": round(os.getloadavg()[0], 1),
        "outcomes": {name: _outcome(each) for name, each in row.outcomes.items()},
        "figures": dict(row.figures),
        "bars": [_bar(bar, row.outcomes) for bar in row.bars],
        "missing": list(row.missing),
        "note": row.note,
    }


def text(name: str, row: Mapping[str, Any]) -> str:
    """A row for a terminal."""
    lines = [f"{name}: {row['title']}" + (f" [scale {row['scale']}]" if row["scale"] != 1 else "")]
    lines += [f"  {each[0]:18} {'  '.join(each[1:])}" for each in _lines(row)]
    lines += [f"  {bar['text']}: {_value(bar)}" for bar in row["bars"]]
    lines += [f"  not measured, not installed: {', '.join(row['missing'])}"] if row["missing"] else []
    return "\n".join(lines)


def page(results: Mapping[str, Any]) -> str:
    """docs/performance.md."""
    facts = ", ".join(f"{name} {value}" for name, value in results["machine"].items())
    out = [
        HEAD,
        f"Machine: {facts}.\n",
        "## Bars\n",
        "| scenario | figure | reached | bar | |",
        "|---|---|---|---|---|",
    ]
    for name, row in results["rows"].items():
        for bar in row["bars"]:
            met = "" if bar["value"] is None else "met" if bar["met"] else "**missed**"
            out.append(f"| {name} | {bar['text']} | {figure(bar, 'value')} | {figure(bar, 'limit')} | {met} |")
    out.append("\n## Scenarios\n")
    for name, row in results["rows"].items():
        out += [f"### {name}: {row['title']}\n", *_table(row)]
        about = [
            f"Measured {row['date']} UTC, load {row['load']}" + (f", scale {row['scale']}" if row["scale"] != 1 else "")
        ]
        about += [row["note"]] if row["note"] else []
        about += [f"Not installed: {', '.join(row['missing'])}"] if row["missing"] else []
        out.append("\n" + ". ".join(each.rstrip(".") for each in about) + ".\n")
    out += [Path(__file__).with_name(name).read_text() for name in ("codecs.md", "beside.md", "scale.md")]
    if "serving" in results:
        out.append(serving.page(results["serving"]))
    if "simulation" in results:
        out.append(results["simulation"])
    return "\n".join(out)


def save(results: Mapping[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "performance.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "performance.md").write_text(page(results))


def load(folder: Path) -> dict[str, Any]:
    """Earlier results, to which new ones are added."""
    file = folder / "performance.json"
    return json.loads(file.read_text()) if file.exists() else {"rows": {}}


def size(count: float) -> str:
    """Bytes for people, in powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(count) >= factor:
            return f"{count / factor:.{1 if unit != 'kB' else 0}f} {unit}"
    return f"{count:.0f} B"


def figure(bar: Mapping[str, Any], which: str) -> str:
    """A bar's value or limit, in its unit: bytes, where the limit is large, else seconds or a ratio."""
    if bar[which] is None:
        return "no peer"
    if bar["limit"] >= 1000:
        return size(bar[which])
    return f"{bar[which]:.3g}" if bar["limit"] else f"{bar[which]:.0f}"


def _value(bar: Mapping[str, Any]) -> str:
    met = "" if bar["value"] is None else ", met" if bar["met"] else ", MISSED"
    return f"{figure(bar, 'value')} (at most {figure(bar, 'limit')}{met})"


def _bar(bar: Bar, outcomes: Outcomes) -> dict[str, Any]:
    value = bar.value(outcomes)
    return {"text": bar.text, "value": value, "limit": bar.limit, "met": value is not None and value <= bar.limit}


def _outcome(each: Outcome) -> dict[str, Any]:
    out: dict[str, Any] = {"walls": each.walls, "wall": each.wall, "cpu": each.cpu, "rss": each.rss}
    out |= {"read": each.read, "written": each.written}
    if each.counted:
        counted = each.counted
        out |= {"received": counted.received, "returned": counted.returned, "requests": dict(counted.requests)}
    return out


def _lines(row: Mapping[str, Any]) -> list[list[str]]:
    out = []
    for name, each in row["outcomes"].items():
        walls = f"{each['wall']:.3f} s ({min(each['walls']):.3f}-{max(each['walls']):.3f}, {len(each['walls'])} runs)"
        cells = [name, walls, f"cpu {each['cpu']:.2f} s", f"rss {size(each['rss'])}"]
        cells += [f"read {size(each['read'])}", f"written {size(each['written'])}"]
        if "received" in each:
            verbs = " ".join(f"{verb} {n}" for verb, n in each["requests"].items())
            cells += [f"received {size(each['received'])}", f"returned {size(each['returned'])}", verbs]
        out.append(cells)
    return out + [[name, size(value)] for name, value in row["figures"].items()]


def _table(row: Mapping[str, Any]) -> list[str]:
    lines = _lines(row)
    width = max(map(len, lines), default=0)
    heads = ["", "wall", "cpu", "memory", "read", "written", "received", "returned", "requests"][:width]
    words = {"cpu ", "rss ", "read ", "written ", "received ", "returned "}
    cells = [
        [next((cell[len(word) :] for word in words if cell.startswith(word)), cell) for cell in line] for line in lines
    ]
    if not row["outcomes"]:
        heads = ["", "bytes"]
    return [
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *("| " + " | ".join([*line, *[""] * (width - len(line))]) + " |" for line in cells),
    ]


def _version(tool: str) -> str:
    if not shutil.which(tool):
        return "missing"
    said = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout.split()
    return next((word for word in said if word[:1].isdigit()), "?")
