"""Layers of foreign bases as values: what stands in the bytes of a C library and of a Python, and the base that layers make."""

from __future__ import annotations

from modelcrate.images.image import ImageLayer
from modelcrate.resolve.resolved_base import ResolvedBase
from modelcrate_layers.content import Digest, Literal
from modelcrate_layers.tar import codec
from modelcrate_layers.tar.recipe import Layer

GLIBC = b"\x7fELF...\nGNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\n"


def program(loader: str = "/lib64/ld-linux-x86-64.so.2") -> bytes:
    return b"\x7fELF" + bytes(100) + loader.encode() + b"\0" + bytes(100)


def image_layer(tar: Literal) -> ImageLayer:
    facts = Layer(tar.descriptor, Digest.of(tar.data), len(tar.data), codec.NONE)
    return ImageLayer("base", "", facts, tar, "reused")


def base(*tars: Literal, env: tuple[str, ...] = ()) -> ResolvedBase:
    return ResolvedBase("somebody's", {"config": {"Env": list(env)}}, tuple(map(image_layer, tars)))
