"""NVIDIA's driver against the CUDA of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelcrate.containers.cuda import check_driver, installed_driver
from modelcrate_layers.errors import MachineError

OLD = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\nGCC version:  gcc\n"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)\n"


@pytest.mark.parametrize(("text", "version"), [(OLD, "470.256.02"), (OPEN, "580.65.06"), ("", ""), ("9" * 99, "")])
def test_the_installed_driver(tmp_path: Path, text: str, version: str) -> None:
    (tmp_path / "version").write_text(text)
    assert installed_driver(tmp_path / "version") == version
    assert installed_driver(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("wanted", "driver"),
    [
        ("12.0", "525.60.13"),
        ("12.6", "580.65.06"),
        ("11.8", "450.80.02"),
        ("13.0", "590.1"),
        ("12.0", ""),
        ("99.0", "1.1"),
    ],
)
def test_a_driver_that_is_new_enough(wanted: str, driver: str) -> None:
    check_driver({"NVIDIA_REQUIRE_CUDA": f"cuda>={wanted}"}, driver)
    check_driver({}, driver)


@pytest.mark.parametrize(("wanted", "driver"), [("12.0", "470.256.02"), ("12.6", "525.60.11"), ("13.0", "575.64")])
def test_a_driver_that_is_too_old(wanted: str, driver: str) -> None:
    with pytest.raises(MachineError, match=f"driver {driver} is too old for CUDA {wanted[:2]}"):
        check_driver({"NVIDIA_REQUIRE_CUDA": f"cuda>={wanted}"}, driver)
