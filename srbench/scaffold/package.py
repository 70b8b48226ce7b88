"""Writes the package folder of a new method or dataset from the templates of this folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from srbench.atomic import atomic_write, told_as_store_error
from srbench.errors import UsageError
from srbench.scaffold.names import Names

HERE = Path(__file__).parent
UNFIT = re.compile(r"[{}\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # ends or opens a field
DEFAULT_LICENCE = "MIT"


@dataclass(frozen=True, kw_only=True)
class Package:
    """What a new package is to say.

    Parameters
    ----------
    names : Names
        What everything is called.
    author : str
        Who wrote it; "the authors of srbench-NAME" where empty.
    licence : str
        SPDX expression.

    Raises
    ------
    UsageError
        If the author cannot stand in BibTeX and TOML, or the licence is no SPDX expression.
    """

    names: Names
    author: str = ""
    licence: str = DEFAULT_LICENCE

    def __post_init__(self) -> None:
        if UNFIT.search(self.author) or len(self.author) > 200:
            raise UsageError(f"--author {self.author!r} holds a character that files of the "
                             "package cannot, or is longer than 200",
                             hint="give a name on one line, without braces and backslashes")
        object.__setattr__(self, "author",
                           self.author.strip() or f"the authors of {self.names.distribution}")
        object.__setattr__(self, "licence", spdx(self.licence))

    def files(self) -> dict[str, str]:
        """Return the content of every file by its path in the package's folder."""
        names, kind = self.names, self.names.kind
        templates = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "README.md",
            "LICENSE": "mit.txt" if self.licence == "MIT" else "licence.txt",
            ".gitignore": "gitignore",
            ".github/workflows/ci.yml": "ci.yml",
            f"{names.module}/__init__.py": f"{kind}_init.py",
            f"{names.module}/{kind}.py": f"{kind}.py",
            f"tests/test_{names.module.removeprefix('srbench_')}.py": f"{kind}_test.py",
        }
        texts = _render(templates, self._values())
        return {**texts, f"{names.module}/py.typed": ""}

    def _values(self) -> dict[str, object]:
        names, year = self.names, datetime.now(UTC).year
        title = f"{names.distribution}: a {names.kind} for srbench"
        citation = (f"@misc{{{names.name}, title = {{{title}}}, ",
                    f"author = {{{self.author}}}, year = {{{year}}}}}")
        return {"kind": names.kind, "name": names.name, "distribution": names.distribution,
                "module": names.module, "cls": names.cls, "author": self.author, "year": year,
                "licence": self.licence, "citation": citation,
                "load": f"{names.module}.{names.kind}:{names.cls}",
                "commands": commands(names, Path())[1:]}


def commands(names: Names, folder: Path) -> list[str]:
    """Return the three commands that follow: install, check, run."""
    import shlex

    trial = {"method": f"srbench run --methods {names.name},bicubic --dataset aim19",
             "dataset": f"srbench run --methods linear,identity --dataset {names.name}"}
    return [f"pip install -e {shlex.quote(str(folder / names.distribution))}",
            f"srbench check {names.name}", trial[names.kind]]


def write(package: Package, parent: Path, *, force: bool = False) -> tuple[Path, list[str]]:
    """Write the folder ``srbench-NAME`` below ``parent``.

    Parameters
    ----------
    package : Package
        What to write.
    parent : Path
        Made where it does not exist.
    force : bool
        Write into a folder that is there; files of other names in it stay.

    Returns
    -------
    folder : Path
        The package's folder.
    replaced : list of str
        Files whose content was another before.

    Raises
    ------
    UsageError
        If the folder is there and ``force`` is not set.
    StoreError
        If the disk refuses.
    """
    folder = parent / package.names.distribution
    if (folder.exists() or folder.is_symlink()) and not (force and folder.is_dir()):
        raise UsageError(f"there is a {'folder' if folder.is_dir() else 'file'} {folder} already",
                         hint="choose another name or --path, or replace its files with --force"
                         if folder.is_dir() else "choose another name or --path")
    replaced = []
    for name, text in package.files().items():
        path, data = folder / name, text.encode()
        with told_as_store_error(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.read_bytes() != data:
                replaced.append(name)
        atomic_write(path, data, durable=False)
    return folder, replaced


def spdx(expression: str) -> str:
    """Return an SPDX licence expression in its usual spelling.

    Raises
    ------
    UsageError
        If it is none.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return canonicalize_license_expression(expression)
    except InvalidLicenseExpression as error:
        raise UsageError(f"--licence {expression!r} is no SPDX expression: {error}",
                         hint="take an identifier of https://spdx.org/licenses, such as MIT, "
                              "Apache-2.0 or BSD-3-Clause") from error


def _render(templates: Mapping[str, str], values: Mapping[str, object]) -> dict[str, str]:
    """Fill the templates; a name they do not know is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined,
                              keep_trailing_newline=True, trim_blocks=True, autoescape=False)
    environment.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
    return {path: environment.get_template(f"{template}.jinja").render(values)
            for path, template in templates.items()}
