"""Modules and files in a project's folder that do not go into its image, or that are not on Python's path there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from modelcrate.project.contracts import APP_ROOT
from modelcrate.project.values import Entry
from modelcrate_layers.frozen import dataclass
from modelcrate_layers.named_file import MAX_NAMED, read_named_file


@dataclass(frozen=True, slots=True)
class NearModules:
    """Looks for modules in the project's folder that do not go into the image, or are not on Python's path there.

    Attributes:
        folder: The project's folder.
        entry: The entry script with its source folder.
        name: The project's name.
    """

    folder: Path
    entry: Entry
    name: str

    def place(self, module: str) -> Path | None:
        """Returns where a module is, relative to the project's folder; None where it is not found."""
        top, source = module.partition(".")[0], self.entry.source or Path()
        above = dict.fromkeys((self.entry.file.parent, Path(), Path("src"), source, source / "src"))
        places = (each / name for each in above for name in (top, f"{top}.py"))
        return next((each for each in places if (self.folder / each).exists()), None)

    def way_out(self, place: Path) -> str:
        """Returns what to write in the project file, so that a module at this place can be imported."""
        source, lines = self.entry.source, []
        if source is None and place.parent == self.entry.file.parent:
            return f"write entry: {{source: {place.parent}, script: {self.entry.file.name}}}"
        if source is None or not place.is_relative_to(source):
            source = Path()
            lines.append(f"entry: {{source: ., script: {self.entry.file}}}")
        holder = place.parent.relative_to(source)
        if holder != Path():
            lines.append(f"env: {{PYTHONPATH: {APP_ROOT}/{source.name or self.name}/{holder}}}")
        package = "; or, as a package, dependencies: {project: true}" if self._is_package() else ""
        return f"write {' and '.join(lines)}{package}"

    def file(self, place: PurePosixPath, named: PurePosixPath) -> Path | None:
        """Returns the file of the project that a path of the image stands for, relative to its folder; None for none.

        Args:
            place: The path in the image.
            named: The path as the script names it.
        """
        source = self.entry.source
        inside = place.relative_to(APP_ROOT)
        if named.is_absolute():
            parts = inside.parts[1:] if source is not None else inside.parts
            found = [(source or self.entry.file.parent).joinpath(*parts)]
        else:
            found = [above / named for above in (Path(), self.entry.file.parent)]
        return next((each for each in found if (self.folder / each).is_file()), None)

    def way_in(self, file: Path) -> str:
        """Returns what to write in the project file, so that a file of the project goes into the image."""
        here = self.entry.file.parent
        if self.entry.source is None and file.is_relative_to(here):
            return f"write entry: {{source: {here}, script: {self.entry.file.name}}}"
        if self.entry.source is None or not file.is_relative_to(self.entry.source):
            return f"write entry: {{source: ., script: {self.entry.file}}}"
        return "take it out of the rules that leave it out"

    def _is_package(self) -> bool:
        with suppress(OSError):
            return b"[build-system]" in read_named_file(self.folder / "pyproject.toml", MAX_NAMED)
        return False
