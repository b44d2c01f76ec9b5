"""uv's complaints in our words, whatever shape its release gives them."""

from __future__ import annotations

import pytest

from modelcrate.resolve.target import NoWheelError, Target
from modelcrate.resolve.uv_faults import explained
from modelcrate_layers.errors import CrateError, MachineError, RegistryError, UserError

OLD = """\
Resolved 3 packages in 5ms
  × No solution found when resolving dependencies:
  ╰─▶ Because docopt was not found in the package registry and you require docopt, we can
      conclude that your requirements are unsatisfiable.

      hint: Pre-releases are available for `docopt` (e.g., `--prerelease=allow`)
"""
WHEELS = """\
error: No solution found when resolving dependencies
  cause: Because all versions of docopt>=1 have no usable wheels and you require docopt, we can conclude that your requirements are unsatisfiable.

hint: Wheels are required for `docopt` because building from source is disabled for all packages (i.e., with `--no-build`)
  which goes on here
"""


@pytest.mark.parametrize(
    ("text", "error", "what"),
    [
        (OLD, UserError, "there is no package docopt"),
        (OLD.replace("the package registry", "the cache"), RegistryError, "docopt is not in the cache"),
        (WHEELS, UserError, "docopt has no wheel for Python 3.11 on linux/amd64"),
        (
            "error: Failed to fetch: `https://u:pw@h.invalid/x/`\n  cause: dns error",
            RegistryError,
            "index could not be used",
        ),
        (
            "error: Failed to download `six @ https://h.invalid/s.whl`\n  cause: HTTP status client error (404 Not Found) for url (s.whl)",
            UserError,
            "no wheel of six at its address",
        ),
        (
            OLD.replace("hint: Pre", "hint: An index (https://u:pw@h.invalid/s) returned a 403 Forbidden error. Pre"),
            RegistryError,
            "index answered 403 Forbidden",
        ),
        (
            WHEELS.replace("all versions of docopt>=1 have no usable wheels", "there are no versions of docopt"),
            UserError,
            "no file of docopt is where wheels are looked for",
        ),
        (
            WHEELS.replace(
                "all versions of docopt>=1 have no usable wheels and you require docopt",
                "there are no versions of docopt>3 and you require docopt>3",
            ),
            UserError,
            "can't be had together",
        ),
        ("error: Couldn't parse requirement in `r.txt` at position 3", UserError, "can't be read"),
        ("error: something new", MachineError, "uv could not lock"),
        ("", MachineError, "uv could not lock"),
    ],
)
def test_complaints_are_classed_by_whose_fault_it_is(text: str, error: type[CrateError], what: str) -> None:
    fault = explained(text, Target("3.11"))
    assert type(fault) in (error, NoWheelError)
    assert isinstance(fault, error)
    assert what in fault.what
    for word in ("×", "╰", "hint", "--", "which goes on", "pw", "Resolved"):
        assert word not in fault.why


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sklearn", "scikit-learn"), ("pil", "pillow"), ("pkg-resources", "setuptools<82"), ("keras", "")],
)
def test_who_requires_a_module_is_told_its_package(name: str, meant: str) -> None:
    for text in (OLD, WHEELS):
        hint = explained(text.replace("docopt", name), Target("3.11")).hint
        assert (f"write {meant} in its place" in hint) if meant else ("in its place" not in hint)


@pytest.mark.parametrize(
    ("why", "hint"),
    [
        (
            "Because the requested Python version (>=3.11) does not satisfy Python>=3.12 and tool==2.0 depends on Python>=3.12, we can conclude that",
            "tool==2.0 is for Python>=3.12: choose another `python:`, or allow an older tool",
        ),
        (
            "Because tool==2.0 was yanked (reason: bad) and only tool==2.0 is available, we can conclude that",
            "write tool==2.0 to have it",
        ),
        ("Because you require tool>2 and tool<2, we can conclude that", "loosen one of them"),
    ],
)
def test_the_way_out_of_requirements_that_do_not_go_together_is_told(why: str, hint: str) -> None:
    text = f"  × No solution found when resolving dependencies:\n  ╰─▶ {why} your requirements are unsatisfiable.\n"
    assert hint in explained(text, Target("3.11")).hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("opencv", "write opencv-python-headless in its place"),
        ("PyTorch", "write torch in its place"),
        ("tensorflow-gpu", "write tensorflow in its place"),
        ("json", "the module json is Python's own: leave the line out"),
        ("python", "chooses the Python: leave the line out"),
        (
            "pkg-resources==0.0.0",
            "a package of the system that `pip freeze` has listed, and no index has it: leave the line out",
        ),
        ("python-apt===2.4.0+ubuntu3", "no index has it: leave the line out"),
    ],
)
def test_a_name_that_is_dead_or_never_was_is_told_the_package_that_is_alive(name: str, hint: str) -> None:
    for text in (OLD, WHEELS):
        assert explained(text.replace("docopt", name), Target("3.11")).hint.endswith(hint)


def test_an_explanation_is_trimmed() -> None:
    long = "No solution found\n" + "".join(f"  cause: Because of {n}\n" for n in range(100))
    assert len(explained(long, Target("3.11")).why.splitlines()) == 12
