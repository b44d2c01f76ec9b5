"""A build as plain data, for callers in Python: one order, or many at once."""

from __future__ import annotations

from pathlib import Path

from modelcrate import transports
from modelcrate.arguments import as_path, as_texts
from modelcrate.images.layer_list import place_of
from modelcrate.images.reference import Reference
from modelcrate.pipeline.request import AttestationOptions, Request
from modelcrate.pipeline.session import Session
from modelcrate.transports.output import Output
from modelcrate_layers.frozen import dataclass, replace


@dataclass(frozen=True, slots=True)
class Order:
    """A project to be built, how, and where its image goes. It travels between processes, so all of it is plain data.

    In `outputs`, `push` and `cache_from`, `{name}` is the project's name.

    Attributes:
        project: A project file, or its folder.
        outputs: Outputs as the command line writes them. An order without these and `push` goes into the local store, if `build_all` builds it.
        cache_from: Addresses of images whose layers may be taken.
        locked: Whether the build has to be what the lock says.
        push: References of registries.
        sbom: Whether bills of materials are put beside the image; None: where it is pushed or signed.
        provenance: Whether a statement of how it was built is.
        sign: The key to sign with: a file, or `command:PROGRAM`.
        policy: A policy file that the base has to satisfy.
        reuse: Whether layers may be taken from images that exist.
        paranoid: Whether every file is read and nothing that was remembered is believed.
        max_size: The most bytes that the image may have; None: what the project says.
        test: Whether the image has to pass its golden requests before it is delivered.
        max_layer_growth: The most stored bytes by which a layer may grow; None: what the project says.
        sources: Whether the sources are put beside the image.
        share_layers: The repository of the signed list by which projects share layers; empty for none.
        variant: The one variant of the project that is built, or `default`; empty for all.
        against: The address of the image that growth is measured against; empty for the one that is in the target.
    """

    project: Path
    outputs: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    locked: bool = False
    push: tuple[str, ...] = ()
    sbom: bool | None = None
    provenance: bool = False
    sign: str = ""
    policy: Path | None = None
    reuse: bool = True
    paranoid: bool = False
    max_size: int | None = None
    test: bool = False
    max_layer_growth: int | None = None
    sources: bool = False
    share_layers: str = ""
    variant: str = ""
    against: str = ""


def read_order(order: Order, session: Session) -> Request:
    """Reads the project of an order, and returns the request for its build.

    Raises:
        UserError: The project has faults, an output is none, or the key can't be used.
        SourceError: There is no such project or key.
    """
    request = session.read(as_path("project", order.project)).for_variant(order.variant)
    name, signer = request.project.name, None
    if order.sign:
        from modelcrate.security.signing.keys import given_password, load_signer

        signer = load_signer(order.sign, given_password(session.config.environment))
    outputs: list[Output] = [
        transports.parse(text.replace("{name}", name)) for text in as_texts("outputs", order.outputs)
    ]
    if pushed := as_texts("push", order.push):
        from modelcrate.transports.registry import RegistryOutput

        outputs += [RegistryOutput.of(Reference.parse(text.replace("{name}", name))) for text in pushed]
    return replace(
        request,
        outputs=tuple(outputs),
        locked=order.locked,
        cache_from=tuple(text.replace("{name}", name) for text in as_texts("cache_from", order.cache_from)),
        attestations=AttestationOptions(order.sbom, order.provenance, signer, order.sources),
        policy=order.policy,
        reuse=order.reuse,
        paranoid=order.paranoid,
        max_size=order.max_size,
        test=order.test,
        max_layer_growth=order.max_layer_growth,
        against=order.against,
        share_layers=place_of(order.share_layers) if order.share_layers else None,
    )
