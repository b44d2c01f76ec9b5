"""The variables of an image with CUDA's packages."""

from __future__ import annotations

import pytest

from modelcrate.resolve.cuda import cuda_variables
from modelcrate.resolve.pinned import PinnedWheel


def wheel(name: str, version: str) -> PinnedWheel:
    return PinnedWheel(name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "0" * 64)


@pytest.mark.parametrize(
    ("name", "version", "release"),
    [
        ("nvidia-cuda-runtime-cu12", "12.6.77", "12"),
        ("nvidia-cuda-runtime", "13.0.48", "13"),
        ("torch", "2.7.0+cu118", "11"),
        ("torch", "2.7.0+cu126", "12"),
    ],
)
def test_wheels_that_bring_cuda(name: str, version: str, release: str) -> None:
    found = cuda_variables([wheel("numpy", "2.0"), wheel(name, version)], {"LD_LIBRARY_PATH": "/opt/lib"})
    assert found == {
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/opt/lib",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_REQUIRE_CUDA": f"cuda>={release}.0",
        "NVIDIA_VISIBLE_DEVICES": "all",
    }


@pytest.mark.parametrize(
    ("name", "version"), [("torch", "2.7.0+cpu"), ("torch", "2.7.0"), ("nvidia-nccl-cu12", "2.2"), ("triton", "3")]
)
def test_wheels_that_do_not(name: str, version: str) -> None:
    assert cuda_variables([wheel(name, version)], {}) == {}
