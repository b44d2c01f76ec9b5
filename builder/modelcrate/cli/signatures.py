"""Verifies signatures, for `verify --key` and `verify --policy`, and prints the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelcrate.cli.console import Console

if TYPE_CHECKING:
    from modelcrate.security.signing.verifying import Verified


def run(address: str, keys: list[Path], policy: Path | None, console: Console) -> int:
    """Verifies the signatures of an image, and a policy if there is one. Returns the exit code.

    Raises:
        IntegrityError: A signature is missing or wrong, or the policy is not met.
    """
    from modelcrate.security.signing.requirements import signature_check
    from modelcrate.transports.addresses import find

    check = signature_check(keys, policy)
    assert check is not None, "the caller has one of the two"
    verified = check(find(address, console.connections), address)
    assert verified is not None, "so that something was verified"
    console.print_result(_facts(verified), _text(verified))
    return 0


def _facts(verified: Verified) -> dict[str, Any]:
    proven = [
        {
            "predicateType": each.statement.predicate_type,
            "subject": str(each.digest),
            "key": each.key,
            "form": each.form,
        }
        for each in verified.proven
    ]
    return {
        "image": verified.name,
        "digest": str(verified.digest),
        "proven": proven,
        "checked": list(verified.checked),
        "unchecked": list(verified.unchecked),
    }


def _text(verified: Verified) -> str:
    lines = [f"{verified.name}  {verified.digest}"]
    lines += [f"proven     {each.form} by {each.key}: {each.statement.predicate_type}" for each in verified.proven]
    lines += [f"checked    {line}" for line in verified.checked]
    lines += [f"unchecked  {line}" for line in verified.unchecked]
    return "\n".join(lines)
