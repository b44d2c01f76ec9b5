"""The option that names one of the variants of an image or a project."""

from __future__ import annotations

import argparse


def variant_argument(parser: argparse.ArgumentParser, what: str = "which image of an index") -> None:
    """Adds the option --variant. `what` is what it chooses."""
    parser.add_argument(
        "--variant", default="", metavar="NAME", help=f"{what}, by the name of its variant, such as gpu, or `default`"
    )
