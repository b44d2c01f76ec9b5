"""Text on standard output, for the parts of the library whose originals print: the classes of `azureml`."""

from __future__ import annotations


def print_text(text: str, end: str = "\n") -> None:
    """Prints a text and flushes the stream."""
    print(text, end=end, flush=True)
