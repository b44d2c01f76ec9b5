"""Licences of packages as SPDX expressions."""

from __future__ import annotations

import pytest

from modelcrate.security.sbom import licences


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3+", "AGPL-3.0-or-later"),
        ("GFDL-1.3+", "GFDL-1.3-or-later"),
        ("GPL-2+ or Artistic", "Artistic-1.0-Perl AND GPL-2.0-or-later"),
        ("GPL-3+ with Autoconf exception", "GPL-3.0-or-later"),
        ("HPND", "HPND"),
        ("public-domain", "LicenseRef-public-domain"),
    ],
)
def test_names_of_debian(name: str, expected: str) -> None:
    text = f"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: {name}\n"
    assert licences.of_debian(text) == expected


def test_free_text_is_no_copyright_file_in_debians_format() -> None:
    assert licences.of_debian("License: MIT\n") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpl-3.0-only and (mit OR apache-2.0)", ["GPL-3.0-only", "MIT", "Apache-2.0"]),
        ("GPL-2.0-or-later WITH Classpath-exception-2.0", ["GPL-2.0-or-later", "Classpath-exception-2.0"]),
        ("LicenseRef-own", ["LicenseRef-own"]),
        ("no licence of SPDX", ["no", "licence", "of", "SPDX"]),
        ("", []),
    ],
)
def test_the_licences_in_an_expression(text: str, expected: list[str]) -> None:
    assert licences.ids(text) == expected


@pytest.mark.parametrize("text", ["(" * 100_000, "MIT AND " * 100_000 + "MIT", "(" * 400, "MIT OR " * 60, "eval('1')"])
def test_an_odd_expression_is_none(text: str) -> None:
    assert licences.expression(text) == ""
