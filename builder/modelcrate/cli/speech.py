"""Words on standard output for those who call modelcrate as a library that speaks: the azureml objects, whose originals print."""

from __future__ import annotations


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)
