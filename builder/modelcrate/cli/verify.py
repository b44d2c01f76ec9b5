"""Check who signed an image and what was attested of it, with plain keys and nothing to call: in a registry, a layout or an archive.

Exit code 0: signed, and all that was asked for is proven. 5: not signed by these keys, changed, or against the policy."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console
from modelcrate_layers.errors import UserError

if TYPE_CHECKING:
    from modelcrate.trust.verifying import Verified

SUMMARY = "verify the signatures of an image"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", help="the image's address")
    parser.add_argument(
        "--key", action="append", default=[], type=Path, metavar="FILE", help="a public key; may be given several times"
    )
    parser.add_argument(
        "--policy", type=Path, metavar="FILE", help="a policy: keys by repository, and what must be proven"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    if not args.key and args.policy is None:
        raise UserError("nothing to verify with", hint="give --key FILE, or --policy FILE")
    verified = _verified(args, console)
    console.result(_facts(verified), _text(verified))
    return 0


def _verified(args: argparse.Namespace, console: Console) -> Verified:
    from modelcrate.inputs.addresses import find
    from modelcrate.trust import policy
    from modelcrate.trust.keys import load_public
    from modelcrate.trust.naming import identity
    from modelcrate.trust.verifying import require_signature, verify

    found = find(args.image, console.settings)
    if args.policy is not None:
        policy.check(found, identity(args.image), policy.read_policy(args.policy), datetime.now(UTC))
    keys = [load_public(path) for path in args.key] or list(
        policy.read_policy(args.policy).rule_for(identity(args.image)).keys
    )
    verified = verify(found, keys, args.image)
    require_signature(verified)
    return verified


def _facts(verified: Verified) -> dict[str, Any]:
    return {
        "image": verified.name,
        "digest": str(verified.digest),
        "proven": [
            {
                "predicateType": each.statement.predicate_type,
                "subject": str(each.digest),
                "key": each.key,
                "form": each.form,
            }
            for each in verified.proven
        ],
        "checked": list(verified.checked),
        "unchecked": list(verified.unchecked),
    }


def _text(verified: Verified) -> str:
    lines = [f"{verified.name}  {verified.digest}"]
    lines += [f"proven     {each.form} by {each.key}: {each.statement.predicate_type}" for each in verified.proven]
    lines += [f"checked    {line}" for line in verified.checked]
    lines += [f"unchecked  {line}" for line in verified.unchecked]
    return "\n".join(lines)
