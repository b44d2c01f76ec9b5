"""The search of the gates for secrets, over some files at once."""

from __future__ import annotations

from collections.abc import Sequence

from modelcrate.security.scan.secrets import find_marks, suspects, text_of


def find_suspects(files: Sequence[tuple[str, bytes]], many: bool = False) -> set[int]:
    """Returns the numbers of the files that may have a secret in them, by their names and their bytes."""
    texts = [text_of(data) for _, data in files]
    return suspects([name for name, _ in files], texts, find_marks(texts, many))
