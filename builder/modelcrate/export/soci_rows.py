"""`soci-rows:REF`: the same as `soci:REF`, with tables for rows of gzip members, too: soci-snapshotter reads them from version 0.14 on.

Older ones take what is behind the first member of a span for missing, and programs in the container get errors. So it has a name of its own.
"""

from __future__ import annotations

from modelcrate.export.soci import PLACES, SociOutput
from modelcrate.transports import PLACE, parse_nested

KIND = "soci-rows"
EXAMPLE = PLACE


def parse(target: str) -> SociOutput:
    """Returns the output for a target of the command line."""
    return SociOutput(KIND, parse_nested(KIND, target, PLACES), target, rows=True)
