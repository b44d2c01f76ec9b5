"""`python -m fuzz.one NAME ...`: one parser under atheris, with libFuzzer's own words behind it. Its last line is what was run, as JSON."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["modelcrate", "modelcrate_layers", "modelcrate_server"]):
    from fuzz import targets


def main() -> None:
    name, *words = sys.argv[1:]
    one = targets.TARGETS[name]
    ours = targets.CrateError

    def test(data: bytes) -> None:
        try:
            one(data)
        except ours:
            return

    atheris.Setup([sys.argv[0], *words], test)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
