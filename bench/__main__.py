"""`python -m bench`: choose, measure, print, write."""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

from bench import report, serving, simulation
from bench.lab import GIB, REPOSITORY, Lab, Lacking, installed, scratch
from bench.scenarios import ALL

NEEDED = 10 * GIB
"""Room for the largest scenario in full size: corpus, registry, and the copies that others make."""


def main() -> int:
    names = [each.name for each in ALL]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of all corpora; 1 is what the bars are for")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of every contender")
    parser.add_argument("--only", default="", help=f"some of: {','.join([*names, 'serving', 'simulation'])}")
    parser.add_argument("--seed", type=int, default=1, help="of the order in which contenders take turns")
    parser.add_argument("--folder", type=Path, help="where to work; default: memory, where there is room")
    parser.add_argument("--modelcrate", type=Path, help="an installed command; default: a wheel of these sources")
    parser.add_argument("--cache", type=Path, help="downloads that are kept; default: a folder in the user's cache")
    parser.add_argument("--write", type=Path, help="where performance.md goes; default: docs, in full size only")
    given = parser.parse_args()
    only = set(filter(None, given.only.split(",")))
    if unknown := only - {*names, "serving", "simulation"}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    target = given.write or (REPOSITORY / "docs" if given.scale == 1 else None)
    results = report.load(target) if target else {"rows": {}}
    results["machine"] = report.machine()
    with tempfile.TemporaryDirectory(dir=given.folder or scratch(int(NEEDED * given.scale))) as folder:
        command = (given.modelcrate or installed()).absolute()
        lab = Lab(Path(folder), command, _cache(given.cache), given.scale, given.runs, random.Random(given.seed))
        for scenario in ALL:
            if not only or scenario.name in only:
                try:
                    results["rows"][scenario.name] = report.record(scenario.run(lab), lab)
                except Lacking as why:
                    print(f"{scenario.name}: not measured: {why}\n", flush=True)
                    continue
                print(report.text(scenario.name, results["rows"][scenario.name]) + "\n", flush=True)
                if target:
                    report.save(results, target)
        if not only or "serving" in only:
            try:
                results["serving"] = serving.run(lab)
                print(serving.page(results["serving"]))
            except Lacking as why:
                print(f"serving: not measured: {why}\n", flush=True)
    if not only or "simulation" in only:
        results["simulation"] = simulation.page(simulation.run(lab.scaled(simulation.IMAGES, 10)))
        print(results["simulation"])
    if target:
        report.save(results, target)
    return 0


def _cache(given: Path | None) -> Path:
    if given:
        return given.absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelcrate-bench"


if __name__ == "__main__":
    raise SystemExit(main())
