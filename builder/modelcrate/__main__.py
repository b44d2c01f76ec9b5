"""`python -m modelcrate`."""

from modelcrate.cli import command

command()
