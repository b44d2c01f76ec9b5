"""The scoring server that modelcrate puts into images: Azure ML's inference contract and others, under gunicorn.

These files are copied into the image as the top-level package `modelcrate_server`. They import each other relatively, and nothing
else but the standard library and gunicorn. They run on every CPython from 3.9 on, so their dataclasses are frozen without slots, which
came with 3.10.
"""

from __future__ import annotations

VERSION = "0.1.0"
"""The version of the project, as in the header field x-ms-server-version; a test compares them."""
