"""Licences of packages as SPDX expressions (SPDX 2.3, annex D). Pure. A licence without a name in SPDX becomes a LicenseRef."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from modelcrate_layers.patterns import compile_later

_DEBIAN = {
    "expat": "MIT", "apache-2": "Apache-2.0", "gpl-1": "GPL-1.0", "gpl-2": "GPL-2.0", "gpl-3": "GPL-3.0", "lgpl-2": "LGPL-2.0",
    "lgpl-3": "LGPL-3.0", "agpl-3": "AGPL-3.0", "cc0": "CC0-1.0", "artistic": "Artistic-1.0-Perl", "psf-2": "PSF-2.0",
}  # fmt: skip
"""Short names of Debian's copyright format that SPDX spells otherwise."""

_GNU = compile_later(r"(?:[AL]?GPL|GFDL)-[0-9]\.[0-9]")
"""Licences whose SPDX name has to say whether a later version is allowed."""

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
_OFTEN = frozenset((*_FREE_TEXT.values(), *_CLASSIFIERS.values()))
"""What most packages have: nothing is looked up for it."""

MAX_EXPRESSION = 500
"""Characters of a licence field that may be an expression; longer ones are a licence's full text."""

_UNSAFE = compile_later(r"[^A-Za-z0-9.-]+")


def of_wheel(metadata: Mapping[str, list[str]]) -> str:
    """Returns the licence of a wheel, as an SPDX expression; empty, if its METADATA has none.

    The order is: License-Expression (PEP 639), License where it is an expression, classifiers, the words of License.
    """
    for text in (*metadata.get("License-Expression", ()), *metadata.get("License", ())):
        if found := expression(text):
            return found
    classifiers = [
        each.rpartition("::")[2].strip() for each in metadata.get("Classifier", ()) if each.startswith("License ::")
    ]
    listed = sorted({_CLASSIFIERS[each] for each in classifiers if each in _CLASSIFIERS})
    if listed:
        return " AND ".join(listed)
    words = [
        each.strip()
        for each in (*metadata.get("License", ()), *classifiers)
        if each.strip() and "\n" not in each and len(each) < 80
    ]
    return reference(words[0]) if words else ""


def expression(text: str) -> str:
    """Returns an SPDX expression in its canonical spelling, if the text is one or a common name of a licence; else an empty text."""
    words = " ".join(text.split())
    return _FREE_TEXT.get(words.lower()) or _canonical(words)


def of_debian(copyright_file: str) -> str:
    """Returns all licences that a copyright file names, joined by AND and in alphabetical order.

    Empty, if the file is not in Debian's machine-readable format (DEP-5).
    """
    if not re.search(r"(?m)^Format:", copyright_file):
        return ""
    names = re.findall(r"(?m)^License:[ \t]*(\S[^\n]{0,200})$", copyright_file)
    found = {
        _debian(part) for name in names for part in re.split(r"\s+(?:and|or|and/or)\s+|,\s*", name.strip()) if part
    }
    return " AND ".join(sorted(found - {""}))


def _debian(name: str) -> str:
    short = re.sub(r"\s+with\s.*", "", name.strip().strip("()"), flags=re.IGNORECASE).lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+~_-]{0,60}", short):
        return ""
    plain = short.rstrip("+")
    licence = _DEBIAN.get(plain) or _canonical(plain)
    if _GNU.fullmatch(licence):
        return f"{licence}-{'or-later' if short.endswith('+') else 'only'}"
    return licence or reference(name)


@lru_cache(1024)  # a base names the same few licences thousands of times
def _canonical(text: str) -> str:
    if text in _OFTEN:
        return text
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text)) if 0 < len(text) <= MAX_EXPRESSION else ""
    except InvalidLicenseExpression:
        return ""


def reference(words: str) -> str:
    """Returns the LicenseRef of a licence that has no name in SPDX, made from the package's own words."""
    return f"LicenseRef-{_UNSAFE.sub('-', words).strip('-.')[:64] or 'unknown'}"


def references(expressions: Iterable[str]) -> list[str]:
    """Returns the LicenseRefs in these expressions, each once."""
    return sorted({match for each in expressions for match in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", each)})


def ids(text: str) -> list[str]:
    """Returns the licences and exceptions that an expression names, in their canonical spelling where SPDX has one."""
    words = re.split(r"[\s()]+", _canonical(text) or text)
    return [word for word in words if word and word not in ("AND", "OR", "WITH")]
