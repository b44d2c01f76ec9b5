"""The check of imports: what was let through is not looked at again while its files and packages stay."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from modelcrate.home.result_cache import ResultCache
from modelcrate.modelfiles.framework_reading import ModelDescription
from modelcrate.pipeline.compose import Files, is_below_root
from modelcrate.project.values import DebianBase, Gate, Project
from modelcrate.resolve.world import Resolved, World
from modelcrate_layers.content import canonical_json, parse_json
from modelcrate_layers.errors import CrateError
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.layer_cache import settled

VERSION = 5
"""Raised when the check learns to see something new: what was let through before is then looked at again."""


@dataclass(frozen=True, slots=True)
class ImportCheck:
    """The check of one project: before a package is fetched by the names of packages, and once more by their files, where any was not there.

    Attributes:
        project: The project.
        folder: The folder of the project.
        files: The files of the project.
        models: The descriptions of the models.
        world: The base and the packages of every platform.
        home: The folder that remembers the result, and holds the wheels that have been fetched.
        generated: Whether the script is one of ours, which does without what it imports on condition.
    """

    project: Project
    folder: Path
    files: Files
    models: Sequence[ModelDescription]
    world: World
    home: Path
    generated: bool

    def run(self) -> tuple[str, ...]:
        """Checks that the image has all modules that are imported; returns what is only a notice.

        Raises:
            UserError: The image lacks modules that are always imported; it names all of them.
        """
        project, files, home = self.project, self.files, self.home
        resolved = next((each for each in self.world.platforms if each.target is not None), self.world.platforms[0])
        python = _python(self.project, resolved)
        nothing = project.command is None and (files.entry is None or project.entry is None)
        if not python or nothing or project.gates.imports == "allow":
            return ()
        path = [each for each in project.env.get("PYTHONPATH", "").split(":") if each]
        elsewhere = not all(map(is_below_root, path))  # a folder that is not known may have it
        gate: Gate = "warn" if elsewhere and project.gates.imports == "refuse" else project.gates.imports
        packages = sorted((*self.world.packages.items(), *((each.name, each.version) for each in resolved.pins.conda)))
        pickled = [[each.where, each.names] for model in self.models for each in model.pickles]
        sources = [files.entry.script, files.entry.fingerprint] if files.entry is not None else []
        apart = [each.name for each in resolved.pins.debs if each.name.startswith("python3-")]
        apart += sorted(resolved.below.lacking)
        script = [*sources, self.generated, repr(project.command), str(project.base), apart]
        listed = [[str(model.name), *each] for model, each in zip(files.named, files.fingerprints, strict=True)]
        # a wheel that is not there is judged by its name
        whole = all(each.place(home / "cache").is_file() for each in resolved.pins.wheels)
        question = [VERSION, script, listed, path, pickled, python, packages, gate, whole]
        passed = ResultCache(home / "imports")
        with suppress(CrateError):
            if (known := passed.get(question)) is not None:
                return tuple(map(str, parse_json(known)))
        from modelcrate.pipeline.start_check.import_check import held_imports

        notices = held_imports(
            project, self.folder, files, self.models, resolved, python, home / "cache", self.generated, gate
        )
        if files.entry is None or settled(files.entry.sources.entries):
            passed.put(question, canonical_json(list(notices)))
        return notices


def _python(project: Project, resolved: Resolved) -> str:
    """Returns the Python of an image; empty where it has none, or none that is known. One without packages may start a script, too."""
    if resolved.target is not None:
        return resolved.target.minor
    if project.command is None or project.python or not isinstance(project.base, DebianBase):
        return (project.python or "") if project.command is not None else ""
    from modelcrate.resolve.debian.releases import release_of

    return release_of(project.base.release, project.python).python
