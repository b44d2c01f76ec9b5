"""Register, list, show, download, export, tag and delete models of a workspace. A workspace is a folder, or HOST/PREFIX of any OCI registry."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelcrate.cli.console import Console
from modelcrate.cli.workspace_options import workspace, workspace_argument
from modelcrate.project.byte_sizes import format_size
from modelcrate.render.text import format_table
from modelcrate.workspace.record import ModelRecord
from modelcrate_layers.content import Platform
from modelcrate_layers.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = {name: actions.add_parser(name, help=text, description=text) for name, (text, _) in _ACTIONS.items()}
    _register_arguments(made["register"])
    _list_arguments(made["list"])
    for name in ("show", "download", "tag"):
        made[name].add_argument("model", help="NAME (the latest version) or NAME:VERSION")
    made["delete"].add_argument("model", help="NAME:VERSION")
    made["download"].add_argument("target", nargs="?", default=".", type=Path, help="a folder (default: this folder)")
    made["download"].add_argument("--exist-ok", action="store_true", help="replace existing files")
    made["tag"].add_argument("tags", nargs="*", metavar="KEY=VALUE", help="tags to set")
    made["tag"].add_argument("--remove", action="append", default=[], metavar="KEY", help="a tag to remove")
    made["tag"].add_argument(
        "--property",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a property to add; it can't be changed later",
    )
    _export_arguments(made["export"])
    for each in made.values():
        workspace_argument(each)
    return list(made.values())


def run(args: argparse.Namespace, console: Console) -> int:
    _ACTIONS[args.action][1](args, console)
    return 0


def _register_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="letters, digits, dashes, dots and underscores")
    parser.add_argument("path", type=Path, help="the model's file or folder")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="a tag")
    parser.add_argument("--property", action="append", default=[], metavar="KEY=VALUE", help="a property")
    parser.add_argument("--description", default="", help="a text for people")
    parser.add_argument("--framework", default="", help="ScikitLearn, Onnx, ...; those two need no entry script")
    parser.add_argument("--framework-version", default="", help="the version that saved the model")
    parser.add_argument(
        "--child",
        action="append",
        default=[],
        metavar="PATH",
        help="register only this path of the folder; may be given several times",
    )


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a file or folder, or a registered model: NAME or NAME:VERSION")
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        required=True,
        metavar="KIND:TARGET",
        help="where it goes: modelcar:REF, modelpack:REF, modelpack-tar:REF, or any other output; may be given several times",
    )
    parser.add_argument(
        "--platform",
        action="append",
        default=[],
        type=Platform.parse,
        metavar="OS/ARCHITECTURE",
        help="a platform of its image; may be given several times (default: linux/amd64 and linux/arm64)",
    )


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="models of this name (default: all)")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY[=VALUE]", help="only models with this tag")
    parser.add_argument(
        "--property", action="append", default=[], metavar="KEY[=VALUE]", help="only models with this property"
    )
    parser.add_argument("--framework", help="only models of this framework")
    parser.add_argument("--latest", action="store_true", help="only the latest version of each model")


def _register(args: argparse.Namespace, console: Console) -> None:
    from datetime import UTC, datetime

    from modelcrate.pipeline.register_model import Registration, register

    tags, properties = _texts(args.tag), _texts(args.property)
    wanted = Registration(
        args.name,
        args.path,
        tags,
        properties,
        args.description,
        args.framework,
        args.framework_version,
        tuple(args.child),
    )
    backend = workspace(args, console.connections)
    record = register(backend, wanted, console.config, datetime.now(UTC), console.emit)
    console.print_result(facts(record), record.id)


def _list(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.workspace.find import ModelQuery, list_models

    wanted = ModelQuery(args.name, _filter(args.tag), _filter(args.property), args.framework, args.latest)
    found = list_models(workspace(args, console.connections), wanted)
    head = ("NAME", "VERSION", "FRAMEWORK", "CREATED", "SIZE", "TAGS")
    rows = [
        (
            each.name,
            str(each.version),
            each.framework,
            f"{each.created:%Y-%m-%d}",
            format_size(each.size),
            _shown(each.tags),
        )
        for each in found
    ]
    console.print_result([facts(each) for each in found], format_table([head, *rows]))


def _show(args: argparse.Namespace, console: Console) -> None:
    values = facts(_get(args, console))
    lines = [(key, _shown(value) if isinstance(value, dict) else str(value)) for key, value in values.items() if value]
    console.print_result(values, format_table([line for line in lines if line[0] != "layers"]))


def _download(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.workspace.download import download

    record = _get(args, console)
    place = download(workspace(args, console.connections), record, args.target, exist_ok=args.exist_ok)
    console.print_result({**facts(record), "path": str(place)}, str(place))


def _export(args: argparse.Namespace, console: Console) -> None:
    from modelcrate import transports
    from modelcrate.export.export_model import PLATFORMS, export_model
    from modelcrate.pipeline.receipt import output_facts
    from modelcrate.pipeline.swap_model import registered_or_path
    from modelcrate.transports import is_stdout

    outputs = [transports.parse(text) for text in args.output]
    model = registered_or_path(args.model)
    with console.session() as session:
        place = "" if isinstance(model, Path) else workspace(args, session.connections).address
        done = export_model(model, outputs, session, place, args.platform or PLATFORMS)
    if any(is_stdout(each.kind, each.target) for each in done):  # standard output is taken
        return
    lines = [(f"{each.kind}:{each.target}", str(each.digest), f"{format_size(each.sent)} written") for each in done]
    console.print_result([output_facts(each) for each in done], format_table(lines))


def _tag(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.pipeline.register_model import change

    record = _get(args, console).tagged(_texts(args.tags), tuple(args.remove))
    record = change(workspace(args, console.connections), record.with_properties(_texts(args.property)), console.emit)
    console.print_result(facts(record), _shown(record.tags))


def _delete(args: argparse.Namespace, console: Console) -> None:
    from modelcrate.workspace.deleting import delete
    from modelcrate.workspace.find import get_model
    from modelcrate.workspace.record import parse_model_id

    name, version = parse_model_id(args.model)
    if version is None:
        raise UserError(f"which version of {name} is to be deleted?", hint=f"modelcrate model list {name}")
    backend = workspace(args, console.connections)
    record = get_model(backend, name, version)
    delete(backend, record.name, record.version, console.emit)
    console.print_result({"deleted": record.id}, record.id)


def _get(args: argparse.Namespace, console: Console) -> ModelRecord:
    from modelcrate.workspace.find import get_model
    from modelcrate.workspace.record import parse_model_id

    return get_model(workspace(args, console.connections), *parse_model_id(args.model))


def facts(record: ModelRecord) -> dict[str, Any]:
    """Returns a model as data for JSON."""
    return {
        "id": record.id,
        "name": record.name,
        "version": record.version,
        "created": record.created.isoformat(),
        "framework": record.framework,
        "framework_version": record.framework_version,
        "description": record.description,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "size": record.size,
        "layers": [str(each.layer.descriptor.digest) for each in record.layers],
    }


def _texts(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UserError(f"not a pair: {key!r}", hint="expected KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _filter(words: Sequence[str]) -> dict[str, str | None]:
    return {key: value if equals else None for key, equals, value in (word.partition("=") for word in words)}


def _shown(texts: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(texts.items()))


_ACTIONS = {
    "register": ("register a file or folder under the next version of a name", _register),
    "list": ("list models", _list),
    "show": ("show one model", _show),
    "download": ("write a model's files into a folder", _download),
    "export": ("write a model alone, for KServe, Kubernetes or ModelPack's readers, or as any output", _export),
    "tag": ("set and remove tags, and add properties", _tag),
    "delete": ("delete one version of a model", _delete),
}
