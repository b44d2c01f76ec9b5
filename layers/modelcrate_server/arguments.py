"""The command line of the server, with the original's options: each one sets a variable of the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import NoReturn

from .settings import DEFAULT_HEALTH_PORT, DEFAULT_PORT


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exits with code 1, as the original does."""
        self.print_usage()
        self.exit(1, f"{self.prog}: error: {message}\n")  # the original's code; argparse's own would be 2


def environment_of(argv: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment with the options of the command line in it.

    Exits with code 1 and the usage when an option is wrong.
    """
    options = vars(_parser().parse_args(argv))
    options.pop("serve")
    result = {"AML_APP_ROOT": os.getcwd(), **environ}
    # ports come from the command line alone: a platform's own SERVER_PORT never moved the original from 5001
    port = options.pop("port")
    result["SERVER_PORT"] = str(port or DEFAULT_PORT)
    if port:
        result["MODELCRATE_PORT"] = str(
            port
        )  # named on the command line, it is the only one, whatever platforms expect
    result["HEALTH_PORT"] = str(options.pop("health_port") or DEFAULT_HEALTH_PORT)
    for name, value in options.items():
        if value is not None:
            result[name] = os.path.realpath(value) if name in _PATHS else str(value)
    return result


_PATHS = {"AZUREML_ENTRY_SCRIPT", "AZUREML_CONFIG_FILE"}


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="modelcrate_server", description="Serves the init() and run() of an entry script over HTTP.")
    add = parser.add_argument
    add(
        "serve",
        nargs="?",
        choices=("serve",),
        help="the word with which SageMaker starts a container; it has no effect",
    )
    add("--entry_script", dest="AZUREML_ENTRY_SCRIPT", help="the entry script")
    add("--model_dir", dest="AZUREML_MODEL_DIR", help="the folder of the model")
    add(
        "--port",
        type=_port,
        help=f"where to listen, and nowhere else (default: {DEFAULT_PORT}, and the ports of other platforms)",
    )
    add(
        "--health_port",
        type=_port,
        help=f"the second listener, if SEPERATE_HEALTH_ENDPOINT is true (default: {DEFAULT_HEALTH_PORT})",
    )
    add("--worker_count", dest="WORKER_COUNT", type=_count, help="how many workers (default: 1)")
    add("--access_control_allow_origins", dest="AML_CORS_ORIGINS", help="origins for CORS, separated by commas")
    add("--config_file", dest="AZUREML_CONFIG_FILE", help="a JSON file with settings")
    add("--appinsights_instrumentation_key", dest="AML_APP_INSIGHTS_KEY", help="accepted, and not used")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is between 1 and 65535")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one worker is needed")
    return number
