"""Words on standard output, for the parts of the library whose originals print: the objects of `azureml`."""

from __future__ import annotations


def print_text(text: str, end: str = "\n") -> None:
    """Prints a text."""
    print(text, end=end, flush=True)
