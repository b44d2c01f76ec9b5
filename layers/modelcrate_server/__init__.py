"""The scoring server that modelcrate puts into images: Azure ML's inference contract, with the standard library alone.

These files are copied into the image as the top-level package `modelcrate_server`; in our own repository they are part
of `modelcrate.project.contracts`. They therefore import each other relatively, import nothing else of ours, and run on
every CPython from 3.9 on (which is why their dataclasses are frozen but have no slots: those came with 3.10).
"""

from __future__ import annotations

VERSION = "0.1.0"
"""What the header x-ms-server-version says after `modelcrate/`; a test keeps it equal to the project's version."""
