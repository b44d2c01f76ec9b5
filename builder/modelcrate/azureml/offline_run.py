"""The run of a script that no service has started: what `Run.get_context()` is on a user's own machine."""

from __future__ import annotations

import os
from typing import Any

from modelcrate.azureml.absent import RUNS, Absent
from modelcrate.render.stdout import print_text


class Run(metaclass=Absent):
    """A run of the cloud's service. None is here; `get_context` gives the one of a script that runs by itself."""

    topic = RUNS

    @staticmethod
    def get_context(allow_offline: bool = True, **kwargs: object) -> OfflineRun:
        """Returns the run of this script.

        Args:
            allow_offline: Whether a script may run without the service.
            **kwargs: Ignored.

        Raises:
            UserError: It may not.
        """
        if not allow_offline:
            raise RUNS.error("a run of the service")
        return OfflineRun()


class OfflineRun:
    """A run whose metrics are printed, and whose files stay where they are. It has no experiment and no workspace, as in the original."""

    DELIM = "#"

    def __init__(self, *of_a_run: object, **more: object) -> None:
        self.id = self.identity = f"OfflineRun_{os.getpid()}"

    def __getattr__(self, name: str) -> Any:
        """Raises an AttributeError, as the original: scripts ask by it whether they run by themselves."""
        raise AttributeError(
            f"a script that runs by itself has no {name!r}, as in the original; Workspace.from_config() gives the workspace"
        )

    def log(self, name: str, value: object, *more: object, **named: object) -> None:
        """Prints a metric."""
        print_text(f"{name}: {value}")

    log_list = log_table = log_confusion_matrix = log_accuracy_table = log_residuals = log_predictions = log

    def log_row(self, name: str, description: str | None = None, **row: object) -> None:
        """Prints a row of metrics."""
        print_text(f"{name}: {row}")

    def log_image(self, name: str, path: str | None = None, plot: object = None, description: str = "") -> None:
        """Prints that there is an image. Neither a file nor a plot is kept."""
        print_text(f"{name}: {path or 'a plot'}, which is not kept")

    def tag(self, key: str, value: object = None) -> None:
        """Prints a tag."""
        self.log(key, value)

    def set_tags(self, tags: dict[str, object]) -> None:
        """Prints tags."""
        for key, value in tags.items():
            self.log(key, value)

    add_properties = set_tags

    def upload_file(self, name: str, path_or_stream: object, *more: object, **named: object) -> None:
        """Prints that a file or a folder stays where it is."""
        print_text(f"{name}: stays in {path_or_stream}")

    upload_files = upload_folder = upload_file

    def child_run(self, *of_a_run: object, **more: object) -> OfflineRun:
        """Returns another such run."""
        return OfflineRun()

    def complete(self, *of_a_run: object, **more: object) -> None:
        """Does nothing: nobody waits for its end."""

    cancel = fail = flush = complete
