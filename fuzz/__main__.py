"""`python -m fuzz [NAME ...] [--seconds N]`: every parser for a while, one after the other; what each found is a file and a line."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from fuzz import seeds

HERE = Path(__file__).parent
HANG = 10
"""Seconds that one input may take. The slowest honest seed takes some hundredths."""
MEMORY = 1024
"""MiB that a process may have, the interpreter and its instruments included."""
PATIENCE = 120
"""Seconds beyond twice its time that a parser's process may take to start and to end, on a busy machine."""
QUIET = {"RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "0"}
"""Sequoia's faults come with a backtrace otherwise, which takes a second, and locks up with libFuzzer's clock."""
LARGEST = 1 << 16
"""Bytes of an input."""

_STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)")


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one parser: inputs run, places of code reached, inputs kept, files of findings."""

    name: str
    runs: int
    coverage: int
    features: int
    seconds: int
    findings: tuple[str, ...]


def main() -> int:
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=120, help="for each parser")
    parser.add_argument("--kept", type=Path, help="where inputs that reached something new are kept from run to run")
    given = parser.parse_args()
    if unknown := set(given.names) - TARGETS.keys():
        parser.error(f"no such parser: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="modelcrate-fuzz-") as scratch:
        kept = given.kept or Path(scratch) / "kept"
        told = [_one(name, given.seconds, kept / name, Path(scratch)) for name in given.names or TARGETS]
    hours = sum(each.seconds for each in told) / 3600
    findings = sum(len(each.findings) for each in told)
    print(f"{sum(each.runs for each in told)} runs in {hours:.2f} h, {findings} findings")
    return 1 if findings else 0


def _one(name: str, seconds: int, kept: Path, scratch: Path) -> Told:
    """A parser for so long. libFuzzer ends at its first finding; it is begun again with what is left of the time."""
    first = seeds.write(name, scratch / "seeds")
    found = HERE / "found" / name
    kept.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    words = [
        f"-max_total_time={seconds}",
        f"-timeout={HANG}",
        f"-rss_limit_mb={MEMORY}",
        f"-max_len={LARGEST}",
        f"-artifact_prefix={found}{os.sep}",
        "-print_final_stats=1",
        *([f"-dict={HERE / 'words' / name}"] if (HERE / "words" / name).exists() else []),
        *map(str, (kept, first, found)),
    ]
    called = [sys.executable, "-m", "fuzz.one", name, *words]
    done = _ended(called, 2 * seconds + PATIENCE)
    reached = _STATUS.findall(done.stderr)
    runs, coverage, features = map(int, reached[-1]) if reached else (0, 0, 0)
    took = re.search(r"Done \d+ runs in (\d+) second", done.stderr)
    findings = tuple(sorted(each.name for each in set(found.iterdir()) - before))
    if done.returncode and not findings:
        findings = ("it ended without a word" if done.returncode > 0 else "it had to be ended",)
    told = Told(name, runs, coverage, features, int(took[1]) if took else seconds, findings)
    print(json.dumps(asdict(told)), flush=True)
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    if not any(found.iterdir()):
        found.rmdir()
    return told


def _ended(words: list[str], seconds: int) -> subprocess.CompletedProcess[str]:
    """A process that ends; after so many seconds it is ended, and that is a finding."""
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, **QUIET}) as process:
        try:
            _, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            _, told = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, "", told)


if __name__ == "__main__":
    raise SystemExit(main())
