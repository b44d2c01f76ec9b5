"""Licences as packages write them, as SPDX expressions. Pure. What has no name in SPDX keeps its own, as a LicenseRef."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_DEBIAN = {
    "expat": "MIT", "mit": "MIT", "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause",
    "apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0", "gpl-1": "GPL-1.0", "gpl-2": "GPL-2.0", "gpl-3": "GPL-3.0",
    "gpl-2.0": "GPL-2.0", "gpl-3.0": "GPL-3.0", "lgpl-2": "LGPL-2.0", "lgpl-2.0": "LGPL-2.0", "lgpl-2.1": "LGPL-2.1",
    "lgpl-3": "LGPL-3.0", "lgpl-3.0": "LGPL-3.0", "agpl-3": "AGPL-3.0", "gfdl-1.3": "GFDL-1.3", "gfdl-1.2": "GFDL-1.2",
    "mpl-1.1": "MPL-1.1", "mpl-2.0": "MPL-2.0", "isc": "ISC", "zlib": "Zlib", "cc0-1.0": "CC0-1.0", "cc0": "CC0-1.0",
    "artistic": "Artistic-1.0-Perl", "artistic-2.0": "Artistic-2.0", "psf-2": "PSF-2.0", "python-2.0": "Python-2.0", "0bsd": "0BSD",
    "unlicense": "Unlicense", "bsl-1.0": "BSL-1.0", "openssl": "OpenSSL", "curl": "curl", "x11": "X11", "wtfpl": "WTFPL",
}  # fmt: skip
"""Short names of Debian's copyright format."""

_GNU = frozenset(
    {"GPL-1.0", "GPL-2.0", "GPL-3.0", "LGPL-2.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0", "GFDL-1.2", "GFDL-1.3"}
)
_FREE_TEXT = {
    "mit license": "MIT", "the mit license": "MIT", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0", "bsd": "BSD-3-Clause",
    "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0", "new bsd": "BSD-3-Clause", "psf": "PSF-2.0",
    "bsd license": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause", "bsd 3-clause": "BSD-3-Clause", "modified bsd": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause", "new bsd license": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "apache": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "isc license": "ISC", "psf license": "PSF-2.0", "lgpl": "LGPL-2.1-or-later",
}  # fmt: skip
_CLASSIFIERS = {
    "MIT License": "MIT", "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause", "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only", "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only", "The Unlicense (Unlicense)": "Unlicense", "zlib/libpng License": "Zlib",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later", "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
}  # fmt: skip
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def of_wheel(metadata: Mapping[str, list[str]]) -> str:
    """The licence of a wheel's METADATA: the expression (PEP 639), else a classifier, else the field's own words; empty for none."""
    for text in (*metadata.get("License-Expression", ()), *metadata.get("License", ())):
        if found := expression(text):
            return found
    told = [
        each.rpartition("::")[2].strip() for each in metadata.get("Classifier", ()) if each.startswith("License ::")
    ]
    known = sorted({_CLASSIFIERS[each] for each in told if each in _CLASSIFIERS})
    if known:
        return " AND ".join(known)
    words = [
        each.strip()
        for each in (*metadata.get("License", ()), *told)
        if each.strip() and "\n" not in each and len(each) < 80
    ]
    return reference(words[0]) if words else ""


def expression(text: str) -> str:
    """An SPDX expression in its right spelling, if these words are one or are well known; else nothing."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    words = " ".join(text.split())
    if not words or len(words) > 500:
        return ""
    if words.lower() in _FREE_TEXT:
        return _FREE_TEXT[words.lower()]
    try:
        return str(canonicalize_license_expression(words))
    except InvalidLicenseExpression:
        return ""


def of_debian(copyright_file: str) -> str:
    """All licences that a copyright file in Debian's format names, in the order of their names; empty where it has another form."""
    if not re.search(r"(?m)^Format:", copyright_file):
        return ""
    names = re.findall(r"(?m)^License:[ \t]*(\S[^\n]{0,200})$", copyright_file)
    found = {
        _debian(part) for name in names for part in re.split(r"\s+(?:and|or|and/or)\s+|,\s*", name.strip()) if part
    }
    return " AND ".join(sorted(found - {""}))


def _debian(name: str) -> str:
    short = re.sub(r"\s+with\s.*", "", name.strip().strip("()"), flags=re.IGNORECASE).lower()
    later = short.endswith("+")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+~_-]{0,60}", short):
        return ""
    known = _DEBIAN.get(short.rstrip("+"), "")
    if known in _GNU:
        return f"{known}-{'or-later' if later else 'only'}"
    return known or reference(name)


def reference(words: str) -> str:
    """A licence that has no name in SPDX, by its own words."""
    return f"LicenseRef-{_UNSAFE.sub('-', words).strip('-.')[:64] or 'unknown'}"


def references(expressions: Iterable[str]) -> list[str]:
    """The LicenseRefs in these expressions, each once."""
    return sorted({match for each in expressions for match in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", each)})


def ids(text: str) -> list[str]:
    """The licences that an expression names, one by one."""
    return [word for word in re.split(r"[\s()]+", text) if word and word not in ("AND", "OR", "WITH")]
