"""uv's complaints as errors of ours: what is wrong, where, and what to do about it here."""

from __future__ import annotations

import re
import sys

from modelcrate.resolve.target import NoWheelError, Target
from modelcrate_layers.errors import CrateError, IntegrityError, MachineError, RegistryError, UserError
from modelcrate_layers.packages.pinned import normalise_name
from modelcrate_layers.patterns import compile_later

MAX_WHY = 12
"""Lines of uv's explanation that are shown."""

_REFUSED = compile_later(
    r"index URL \((\S+)\) could not be queried [^(]*\((4\d\d) ([\w ]+)\)"
    r"|An index \((\S+)\) returned an? (40[13]) ([\w ]+) error"
)
"""How uv says that an index wants a login: its URL, the status and the reason."""


def explained(text: str, target: Target) -> CrateError:
    """Returns uv's complaint as an error of ours. Its advice is about its own options, and of no use here."""
    lines = explanation(text)
    if match := _REFUSED.search(" ".join(text.split())):
        return _refused(*filter(None, match.groups()))
    words, why = " ".join(lines), "\n".join(lines[:MAX_WHY])
    if match := re.search(r"(?:Because|and|that) (\S+) was not found in the cache", words):
        return RegistryError(
            f"{match[1]} is not in the cache, and --offline forbids to ask the index for it",
            hint="lock once with the network, or name a wheelhouse",
        )
    if match := re.search(r"(\S+) was not found in the (?:package registry|provided package locations)", words):
        return UserError(
            f"there is no package {_name(match[1])} where wheels are looked for",
            why=why,
            hint=_other_name(match[1], words) or "is the name right, and the index or wheelhouse the one that has it?",
        )
    if match := re.search(r"(\S+) ha(?:s|ve) no (?:usable wheels|wheels with a matching)", words):
        other = _other_name(match[1], words)
        return (UserError if other else NoWheelError)(
            f"{_name(match[1])} has no wheel for {target}",
            why=f"looked for the wheel tags {target.sought()}\n{why}",
            hint=other
            or f"nothing is built from source: build it once (pip wheel --no-deps -w wheels {_buildable(match[1].strip('`'))!r}), and name the folder: "
            "dependencies: {requirements: FILE, wheelhouse: wheels, index-url: URL}",
        )
    if (fault := _wheel_fault(text, why)) is not None:
        return fault
    if "No solution found" in text:
        return UserError("the requirements can't be had together", why=why, hint=_way_out(words, target))
    if re.search(r"(?i)error sending request|failed to fetch|failed to download|request failed|timed out|dns", text):
        return RegistryError("the package index could not be used", why=why)
    if re.search(r"(?i)couldn.t parse|unexpected .* in|invalid .*requirement", text):
        return UserError("the requirements can't be read", why=why)
    return MachineError("uv could not lock the requirements", why=why)


def _way_out(words: str, target: Target) -> str:
    """Returns what to do where requirements can't be had together, by uv's reason."""
    if match := re.search(r"does not satisfy Python\S+ and (\S+) depends on (Python[^\s,]+)", words):
        return f"the image has Python {target.python}, and {match[1]} is for {match[2]}: choose another `python:`, or allow an older {_name(match[1])}"
    if match := re.search(r"(?:Because|and) (\S+) was yanked", words):
        return (
            f"its authors have withdrawn {match[1]}: allow another version, or write {match[1]} to have it nevertheless"
        )
    return "loosen one of them"


def _wheel_fault(text: str, why: str) -> CrateError | None:
    """Returns the fault of one wheel that is not there, or is damaged; None where the complaint is about none."""
    if match := re.search(r"Failed to download `(\S+) @ (\S+?)`.*\((404 Not Found|410 Gone)\)", " ".join(text.split())):
        address = re.sub(r"(?<=//)[^/@\s]+@", "", match[2])
        return UserError(
            f"there is no wheel of {match[1]} at its address",
            why=f"{address} was answered with {match[3]}",
            hint="is the address right? Some servers answer so to those who are not logged in",
        )
    if match := re.search(
        r"there are no versions of ([\w.-]+) and you require \1(?![\w.=<>!~-])", " ".join(why.split())
    ):
        return UserError(
            f"no file of {match[1]} is where wheels are looked for",
            why=why,
            hint="is the index or wheelhouse the right one? An index that shows a page to sign in has none either",
        )
    if match := re.search(
        r"(\S+) has (?:an )?((?:invalid|inconsistent) (?:package format|metadata))", " ".join(why.split())
    ):
        return IntegrityError(
            f"the file of {match[1]} is damaged",
            why=why,
            hint="fetch or build the wheel again, and put it in the place of this one; or allow another version",
        )
    if match := re.search(r"(?s)Failed to (?:download|read|unzip|parse)\S* `([^`]+)`.*\b(?:ZIP|zip|wheel)\b", text):
        return IntegrityError(
            f"the wheel {match[1]} is damaged",
            why=why,
            hint="fetch or build it again, and put it in the place of this one",
        )
    return None


def _refused(url: str, status: str, reason: str) -> RegistryError:
    return RegistryError(
        f"the package index answered {status} {reason}",
        where=re.sub(r"(?<=//)[^/@\s]+@", "", url),
        why="it wants a user and a password, and those that were found are missing or wrong"
        + ("; or it says so of packages that it does not have" if status == "403" else ""),
        hint="credentials are looked for in ~/.netrc, in UV_INDEX_NAME_USERNAME and _PASSWORD, in the URLs of UV_INDEX, PIP_INDEX_URL, "
        "pip.conf and uv.toml, and in the keyring (UV_KEYRING_PROVIDER=subprocess)",
    )


def explanation(text: str) -> list[str]:
    """Returns the lines that explain: no drawing, no progress, no hints, no passwords."""
    kept: list[str] = []
    hinting = False
    for line in text.splitlines():
        line = re.sub(r"^[\s×╰─▶├│]*(?:error: |cause: )?", "", line).rstrip()
        hinting = bool(line) and (hinting or line.startswith(("hint:", "help:")))
        if (
            line
            and not hinting
            and not line.startswith(("warning:", "Using ", "Updating ", "Resolved ", "No solution found"))
        ):
            kept.append(re.sub(r"(?<=//)[^/@\s]+@", "", line))
    return kept


def _name(text: str) -> str:
    """Returns the package that a part of a complaint is about: `all versions of docopt` and `numpy>=99` are about docopt and numpy."""
    return re.split(r"[=<>!~]", text.strip("`"))[0]


def _other_name(text: str, words: str) -> str:
    """Returns what to do where a complaint is about a name of something else: a module, a package that is dead; empty for others.

    `words` is the whole complaint.
    """
    from modelcrate.resolve.import_names import LIVE, meant_by

    name = _name(text)
    if re.search(rf"{re.escape(name)}===?(?:0\.0\.0\b|\S*(?:ubuntu|debian))", words):
        return (
            f"{name} is a package of the system that `pip freeze` has listed, and no index has it: leave the line out"
        )
    if normalise_name(name) in ("python", "python3"):
        return "`python:` in the project file chooses the Python: leave the line out"
    if live := LIVE.get(normalise_name(name)):
        return f"the package that is alive is {live}: write {live} in its place"
    if meant := meant_by(normalise_name(name)):
        return f"the module {name} is of the package {meant}: write {meant} in its place"
    if name in sys.stdlib_module_names:
        return f"the module {name} is Python's own: leave the line out"
    return ""


def _buildable(text: str) -> str:
    """Returns a package with its version, where a complaint names one; of a range of versions that have no wheel the name alone."""
    return text if "==" in text else _name(text)
