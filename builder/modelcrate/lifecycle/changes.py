"""The library, for images that are there: other bases, other models, and the project that an image was made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelcrate.api import Built, as_address, as_image, as_session, settings_of
from modelcrate.arguments import as_path, as_text, as_texts
from modelcrate.config import Config
from modelcrate.events import Emit, Notice
from modelcrate.lifecycle.supply_chain import check_of_signatures

if TYPE_CHECKING:
    from modelcrate.images.image import Image, Index
    from modelcrate.images.reading import Found
    from modelcrate.pipeline.rebuild import Rebuilt
    from modelcrate.pipeline.session import Session
    from modelcrate.project.values import RegisteredModel
    from modelcrate.transports.output import Delivered, Output


def rebase(
    image: Built | str,
    onto: str,
    *,
    variant: str = "",
    output: str = "",
    sbom: bool | None = None,
    sign: str | Path = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Built:
    """Puts an image onto another base, after a proof that it runs there, and writes it in its place.

    Args:
        image: The image, or its address.
        onto: The address of the new base.
        variant: The variant that is put onto it, or `default`; empty for all that are on the default's base. The others stay.
        output: Where to write it instead, as the command line names outputs.
        sbom: Whether bills of materials are put beside it; None: where they are now.
        sign: The key to sign it with: a file, or `command:PROGRAM`.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The image. `receipt` says where it was written.

    Raises:
        UserError: Nothing can take the image's place, or it has no base.
        SourceError: There is no such image, or the base has none for its platform.
        IntegrityError: The image would not run on the new base; each reason is named.
    """
    from modelcrate.maintenance.rebase import NewBase
    from modelcrate.maintenance.rebase import rebase as put_onto
    from modelcrate.transports.addresses import find, output_for

    address, place = as_image("image", image), as_text("output", output)
    target = output_for(address, place)
    with as_session(settings_of(image, settings), emit) as session:
        base = NewBase.at(as_text("onto", onto), session.connections)
        found = find(address, session.connections)
        made = put_onto(
            found, base, session.connections, session.emit, [as_text("variant", variant)] if variant else []
        )
        for notice in made.notices:
            session.emit(Notice(notice))
        return _replaced(address, made.image, found, target, session, sbom, as_address("sign", sign))


def swap_model(
    image: Built | str,
    model: str | Path,
    *,
    name: str = "",
    output: str = "",
    workspace: str = "",
    test: bool = True,
    sbom: bool | None = None,
    sign: str | Path = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Built:
    """Gives an image another model, and writes it in its place. The golden requests beside it are asked before that.

    Args:
        image: The image, or its address.
        model: A file or folder, or a registered model, NAME:VERSION.
        name: The model that goes, where the image has several: NAME or NAME:VERSION.
        output: Where to write it instead, as the command line names outputs.
        workspace: Where the registered model is; by default the workspace of MODELCRATE_WORKSPACE, else `default`.
        test: Whether the golden requests are asked.
        sbom: Whether bills of materials are put beside it; None: where they are now.
        sign: The key to sign it with: a file, or `command:PROGRAM`.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The image. `receipt` says where it was written.

    Raises:
        UserError: Nothing can take the image's place, or it has no such model.
        SourceError: There is no such image or model, or the gates refuse the model.
        IntegrityError: A golden request is answered otherwise.
    """
    from modelcrate.pipeline import swap_model as swapping
    from modelcrate.transports.addresses import find, output_for

    address, place = as_image("image", image), as_text("output", output)
    target = output_for(address, place)
    new = model if isinstance(model, Path) else swapping.registered_or_path(as_text("model", model))
    with as_session(settings_of(image, settings), emit) as session:
        found = find(address, session.connections)
        place = _workspace_of(new, workspace, session)
        done = swapping.swap_model(found, new, session, as_text("name", name), place, test)
        return _replaced(address, done.image, found, target, session, sbom, as_address("sign", sign))


def _replaced(
    address: str, made: Image | Index, before: Found, target: Output, session: Session, sbom: bool | None, key: str
) -> Built:
    """Writes an image that was made of another one, with what belongs beside it."""
    from modelcrate.pipeline.attest_changed import attest_changed
    from modelcrate.pipeline.request import AttestationOptions
    from modelcrate.security.signing.keys import given_password, load_signer
    from modelcrate.security.signing.naming import image_identity

    signer = load_signer(key, given_password(session.config.environment)) if key else None
    options = AttestationOptions(sbom, signer=signer)
    image = attest_changed(made, before, image_identity(target.target), session.config, options)
    return Built(session.copy(address, image, [target]), session.config)


def export_model(
    model: str | Path,
    *outputs: str,
    workspace: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> tuple[Delivered, ...]:
    """Writes a model alone: for KServe, for volumes of Kubernetes, or for those who read ModelPack.

    Args:
        model: A file or folder, or a registered model, NAME or NAME:VERSION.
        *outputs: Outputs as the command line names them: `modelcar:REF`, `modelpack:REF`, `modelpack-tar:REF`, or any other.
        workspace: Where a registered model is: a folder, or HOST/PREFIX of a registry; by default that of MODELCRATE_WORKSPACE, else `default`.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        What was written to each output, with its digest.

    Raises:
        UserError: No output is named, or one can't have the model.
        SourceError: There is no such model, or the gates refuse it.
    """
    from modelcrate import transports
    from modelcrate.export.export_model import export_model as write
    from modelcrate.pipeline.swap_model import registered_or_path

    wanted = model if isinstance(model, Path) else registered_or_path(as_text("model", model))
    targets = [transports.parse(each) for each in as_texts("outputs", outputs)]
    with as_session(settings, emit) as session:
        return write(wanted, targets, session, _workspace_of(wanted, workspace, session))


def _workspace_of(model: Path | RegisteredModel, address: str, session: Session) -> str:
    """Returns where a registered model is looked for, as the commands do; nowhere for a file or folder."""
    from modelcrate.workspace.opening import open_usual

    named = as_text("workspace", address)
    return "" if isinstance(model, Path) else open_usual(named, session.connections).address


def rebuild(
    image: Built | str,
    *,
    keys: str | Path | Sequence[str | Path] = (),
    policy: str | Path | None = None,
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Rebuilt:
    """Builds an image again from the lock and the sources beside it, and compares. Models are the image's own.

    Args:
        image: The image, or its address, which was built with `sources=True`.
        keys: Files with public keys; nothing is rebuilt that none of them has signed, nor from sources that none has.
        policy: The file with a policy; nothing is rebuilt that it refuses.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The digest of the rebuilt image, and how the image differs from it: `mismatches` is empty where it does not.

    Raises:
        SourceError: There is no such image, or no sources beside it.
        IntegrityError: The image is not signed as it has to be, or the sources are damaged.
        CrateError: The rebuild failed; the class is the kind of cause.
    """
    from modelcrate.pipeline.rebuild import rebuild_image
    from modelcrate.transports.addresses import find

    address, check = as_image("image", image), check_of_signatures(keys, policy)
    with as_session(settings_of(image, settings), emit) as session:
        found = find(address, session.connections)
        return rebuild_image(found, session, check(found, address) if check is not None else None)


def write_sources(
    image: Built | str,
    folder: str | Path,
    *,
    digest: str = "",
    settings: Config | None = None,
    emit: Emit | None = None,
) -> Path:
    """Writes the project that an image was made of into a folder: its sources, its lock, and models that were files beside them.

    Args:
        image: The image, or its address, which was built with `sources=True`.
        folder: A folder that is not there yet, or is empty.
        digest: Which sources are taken, where several are beside the image: the digest of their artifact.
        settings: The configuration; by default that of the process.
        emit: Gets the events.

    Returns:
        The path of the project file.

    Raises:
        UserError: There is something in the folder, or several sources are beside the image, and none of them is named.
        SourceError: There is no such image, or no sources beside it.
        IntegrityError: The sources are damaged, or name what the image does not have.
    """
    from modelcrate.pipeline.restore import restore_project
    from modelcrate.transports.addresses import find

    address, target = as_image("image", image), as_path("folder", folder)
    with as_session(settings_of(image, settings), emit) as session:
        return restore_project(
            find(address, session.connections), target, session.config, as_text("digest", digest) if digest else ""
        )
