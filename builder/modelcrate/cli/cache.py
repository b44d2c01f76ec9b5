"""Show the disk usage of MODELCRATE_HOME (du), remove files that are not needed (prune), or find damaged files (check).

prune removes unused blobs. With --older-than it also removes files that were not used for that time. With --keep it removes the longest
unused files until at most that much is left. Images with names stay, unless --images is given. prune fails while a build is running; with
--wait it waits for the end of the build.

check hashes every blob and package. With --repair it removes damaged files, so that the next build makes or fetches them again.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelcrate.cli.console import Console
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import counted, format_table
from modelcrate_layers.errors import IntegrityError, UserError

if TYPE_CHECKING:
    from modelcrate.home.prune import StoredItem

_AGES = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZES = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("du", "prune", "check"),
        help="du: show the disk usage; prune: remove files; check: find damaged files",
    )
    parser.add_argument("--older-than", metavar="AGE", help="prune: remove files not used for 30d, 12h or 10m")
    parser.add_argument("--keep", metavar="SIZE", help="prune: remove files until at most 5GB or 500MB are left")
    parser.add_argument("--images", action="store_true", help="prune: remove images with names too")
    parser.add_argument("--dry-run", action="store_true", help="prune: only show what would be removed")
    parser.add_argument("--repair", action="store_true", help="check: remove damaged files")
    parser.add_argument("--wait", action="store_true", help="wait for running builds")


def run(args: argparse.Namespace, console: Console) -> int:
    from modelcrate.home import prune
    from modelcrate.home.home_lock import exclusive_home_lock, shared_home_lock

    config = console.config
    _check_options(args)
    if args.action == "du":
        with shared_home_lock(config):
            _show(console, prune.list_items(config), "in all")
        return 0
    if args.action == "check":
        with exclusive_home_lock(config.home, wait=args.wait) if args.repair else shared_home_lock(config):
            return _check(console, repairing=args.repair)
    age = _amount(args.older_than, r"([0-9]+)(m|h|d|w)", _AGES, "an age", "30d, 12h or 10m")
    keep = _amount(args.keep, r"([0-9]+)(B|kB|MB|GB|TB|)", _SIZES, "a size", "5GB or 500MB")
    with exclusive_home_lock(config.home, wait=args.wait):
        rules = prune.PruneRules(age, keep, args.images)
        going = prune.choose_items(prune.list_items(config), rules) if args.dry_run else prune.prune(config, rules)
    _show(console, going, "would be removed" if args.dry_run else "removed")
    return 0


def _check_options(args: argparse.Namespace) -> None:
    """Refuses options of another action, which would mean nothing."""
    belongs = {"older_than": "prune", "keep": "prune", "images": "prune", "dry_run": "prune", "repair": "check"}
    for name, action in belongs.items():
        if getattr(args, name) and args.action != action:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} is an option of {action}", hint=f"modelcrate cache {action} {option}")


def _check(console: Console, *, repairing: bool) -> int:
    from modelcrate.home.check import check, repair

    found = list(check(console.config, console.emit))
    damaged = [each for each in found if not each.intact]
    for each in damaged if repairing else ():
        repair(each)
    facts = {
        "home": str(console.config.home),
        "files": len(found),
        "bytes": sum(each.size for each in found),
        "damaged": [{"path": str(each.path), "images": list(each.images)} for each in damaged],
        "repaired": repairing,
    }
    lines = [f"{each.path} is damaged{_needed(each.images)}" for each in damaged]
    total = f"{counted(len(found), 'file')}, {format_size(sum(each.size for each in found))}: {len(damaged) or 'none'} damaged"
    done = ", removed" if damaged and repairing else "; remove them: modelcrate cache check --repair" if damaged else ""
    console.print_result(facts, "\n".join([*lines, total + done]))
    return IntegrityError.exit_code if damaged and not repairing else 0


def _needed(images: Sequence[str]) -> str:
    return f"; build or pull again: {', '.join(images)}" if images else ""


def _show(console: Console, found: list[StoredItem], total: str) -> None:
    kinds: dict[str, tuple[int, int]] = {}
    for each in found:
        count, held = kinds.get(each.kind, (0, 0))
        kinds[each.kind] = (count + 1, held + each.size)
    held = sum(each.size for each in found)
    rows = [(kind, str(count), format_size(total)) for kind, (count, total) in sorted(kinds.items())]
    facts = {
        "home": str(console.config.home),
        "bytes": held,
        "kinds": {kind: {"items": count, "bytes": total} for kind, (count, total) in sorted(kinds.items())},
    }
    console.print_result(facts, format_table([*rows, (total, str(len(found)), format_size(held))], right=(1, 2)))


def _amount(text: str | None, grammar: str, units: dict[str, int], what: str, example: str) -> int | None:
    if text is None:
        return None
    found = re.fullmatch(grammar, text)
    if found is None:
        raise UserError(f"not {what}: {text[:40]!r}", hint=f"expected something like {example}")
    return int(found[1]) * units[found[2]]
