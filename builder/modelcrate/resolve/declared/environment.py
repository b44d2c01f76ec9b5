"""Conda's environment files: the pip part and Python's version always; conda's packages by the solver, else as wheels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from modelcrate.project.conda import CondaSpec, as_requirement, package_name, parse_conda
from modelcrate.project.values import Conda, Dependencies
from modelcrate.resolve.conda import EXTRA
from modelcrate.resolve.declared import Declaration, line_of, refuse_parts
from modelcrate.resolve.declared.pip import lines_that_decide
from modelcrate.resolve.requirement_lines import MAX_FILE, PlacedLine, read_text
from modelcrate.resolve.requirements import Requirements, placed_faults, raise_together
from modelcrate_layers.errors import CrateError, UserError
from modelcrate_layers.patterns import compile_later

_NOT_ON_PYPI = compile_later(
    r"_.*|lib(?!rosa$|cst$|sass$|torrent$).*|.*_(linux|osx|win)-(64|aarch64|arm64)|r-.*|(cuda|cudnn|nccl|mkl|tbb|openmp|openblas|blas|gcc|gxx|gfortran"
    r"|compilers|cxx-compiler|c-compiler|openssl|ca-certificates|readline|ncurses|sqlite|tk|tcl|xz|zlib|zstd|bzip2|lz4-c|ld_impl.*"
    r"|nodejs|openjdk|git|curl|ffmpeg|hdf5|freetype|icu|krb5|cudatoolkit|pytorch-cuda|pytorch-mutex|ninja-base|python_abi|tzdata|ucrt|vc.*)"
)
"""Conda packages that are no Python packages: no wheel stands for them. The most frequent ones of environments that people export."""

_CARRIED_BY_WHEELS = frozenset(
    [
        "mkl",
        "openblas",
        "blas",
        "libblas",
        "libcblas",
        "liblapack",
        "libgomp",
        "libgcc-ng",
        "libgcc",
        "libstdcxx-ng",
        "libstdcxx",
        "openssl",
        "ca-certificates",
        "readline",
        "ncurses",
        "sqlite",
        "tk",
        "xz",
        "zlib",
        "zstd",
        "bzip2",
        "lz4-c",
        "tzdata",
        "python_abi",
        "libffi",
        "_libgcc_mutex",
        "_openmp_mutex",
        "cudatoolkit",
        "pytorch-cuda",
        "pytorch-mutex",
        "cuda",
        "cudnn",
        "libuuid",
        "libsqlite",
        "libzlib",
        "ld_impl_linux-64",
        "intel-openmp",
        "llvm-openmp",
    ]
)
"""Those of them that nothing lacks without conda: wheels bring such libraries along, or the base does."""


def read(path: Path, needs: Dependencies) -> Declaration:
    """Reads an environment.yml.

    Its packages are conda's where the solver is installed. Elsewhere `wheels_instead` gives the wheels by the names that they have
    on the package index.

    Raises:
        UserError: It is no environment, or its pip part has something that no index has.
    """
    refuse_parts(needs, path)
    text = read_text(path, MAX_FILE)
    wanted = parse_conda(text.encode(), str(path))
    placed = _pip_part(wanted, path, text)
    packages = (*(needs.conda.packages if needs.conda else ()), *wanted.packages)
    channels = wanted.channels or (needs.conda.channels if needs.conda else ())
    listed = [line for each in placed for line in lines_that_decide(each.text, path.parent, each.where)]
    return Declaration(
        Requirements(placed=placed),
        Conda(packages, channels) if packages else None,
        wheels_instead=partial(as_wheels, packages, path, text) if packages and needs.conda is None else None,
        requires_python=f"=={wanted.python}.*" if wanted.python else "",
        inputs={"requirements": listed, **({"conda": list(packages)} if packages else {})},
        notices=tuple(f"{path.name}: {each}" for each in wanted.unread),
    )


def _pip_part(wanted: CondaSpec, path: Path, text: str) -> tuple[PlacedLine, ...]:
    """Returns the lines of the pip section, which is read as pip reads a requirements file; those that include files come last.

    Raises:
        UserError: One has something that no index has; it names all of them.
    """
    placed = []
    for line in filter(str.strip, wanted.pip):
        number = line_of(path, text, line).rpartition(":")[2]
        placed.append(PlacedLine(path, int(number) if number.isdigit() else 1, line.strip(), line.strip()))
    raise_together(placed_faults(placed), str(path))
    return tuple(sorted(placed, key=lambda each: re.match(r"-r|--requirement", each.text) is not None))


def as_wheels(packages: Sequence[str], path: Path, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the requirements that replace conda packages, and the notices about it.

    Args:
        packages: The packages of conda.
        path: The file that names them, for messages.
        text: Its text.

    Raises:
        UserError: No wheel stands for one of them.
    """
    left_out = [each for each in packages if package_name(each) in _CARRIED_BY_WHEELS]
    kept = [each for each in packages if each not in left_out]
    faults: list[CrateError] = [
        UserError(
            f"{package_name(each)} is a package of conda that is not on the package index",
            where=line_of(path, text, each),
            hint=f"pip install '{EXTRA}' where modelcrate is, and conda's packages are solved",
        )
        for each in kept
        if _NOT_ON_PYPI.fullmatch(package_name(each))
    ]
    raise_together(faults, str(path))
    lines = tuple(dict.fromkeys(map(as_requirement, kept)))
    said = f"{path.name}: conda's packages are taken as wheels from the package index: {', '.join(lines)}"
    notices = [f"{said}; with '{EXTRA}' they would be conda's own"] if lines else []
    if left_out:
        notices.append(
            f"{path.name}: left out, because wheels bring their own libraries: {', '.join(map(package_name, left_out))}"
        )
    return lines, tuple(notices)
