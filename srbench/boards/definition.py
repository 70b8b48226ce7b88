"""What a board is: ``leaderboards/NAME.toml``, read strictly.

::

    title = "W2 early"
    preset = "quick"
    datasets = ["w2-early@embedded"]      # titles as records have them
    columns = ["l2-uvp", "psnr"]          # the ranking metric first
    published = [{label = "ots", metric = "l2-uvp", value = 1.4, tolerance = 0.2, source = "..."}]

What every key means: docs/leaderboards.md.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from srbench.boards.schema import BoardFile, sentences
from srbench.errors import StoreError, UnknownName, UsageError
from srbench.foreign.paths import read_capped

if TYPE_CHECKING:
    from srbench.results.record import Record

NAME = re.compile(r"[a-z0-9@._-]+")
TITLE = re.compile(r"[a-z0-9@.-]+(\[[a-z0-9@_.=,-]+\])?")  # what a plain name can be made of
LARGEST = 2**20  # bytes of a definition
LONGEST = 100  # characters of a name that is made from a title


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A value of the literature that a method should have.

    ``tolerance`` is absolute, in the metric's unit; ``dataset`` is a title of the board.
    """

    label: str
    metric: str
    dataset: str
    value: float
    tolerance: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A board before it has any number.

    Attributes
    ----------
    name : str
        Of its files and links.
    title, summary : str
        What stands above the table.
    preset : str
        The one preset whose records it takes.
    datasets : tuple of str
        Titles of its datasets, in the order of the columns.
    source : str
        Where the data must be from (``"official"``, ``"embedded"``); empty takes any.
    methods : tuple of str
        Names or labels of the methods it takes; empty takes all.
    columns : tuple of str
        Metrics in their order, the ranking one first; empty leaves the order to the board.
    rank : str
        Title of the dataset on which the first metric ranks.
    reference : str
        Label of the method that others are compared with; empty leaves it to the board.
    published : tuple of Expected
        Values of the literature.
    scenes : int or None
        How many scenes are shown; None leaves it to the page.
    command : str
        The command that makes its records.
    cite : tuple of str
        BibTeX entries beside those of its methods and datasets.
    """

    name: str
    title: str
    preset: str
    datasets: tuple[str, ...]
    summary: str = ""
    source: str = ""
    methods: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rank: str = ""
    reference: str = ""
    published: tuple[Expected, ...] = ()
    scenes: int | None = None
    command: str = ""
    cite: tuple[str, ...] = ()

    def wants(self, record: Record) -> bool:
        """Whether a record belongs to the board."""
        identity = record.identity
        # The second form is how `srbench.results.frame` tells two data of one title apart.
        titles = (identity.title,
                  f"{identity.title} (data {record.origin.dataset_fingerprint[:8]})")
        return (identity.preset == self.preset
                and any(title in self.datasets for title in titles)
                and self.source in ("", identity.source)
                and (not self.methods or identity.method in self.methods
                     or identity.label in self.methods))


def default_definition(title: str, preset: str) -> Definition:
    """Define the board of a dataset that no file defines.

    >>> default_definition("mix3tomix10[dim=2]", "quick").name
    'mix3tomix10-dim-2-quick'
    """
    text = f"{title}-{preset}"
    name = re.sub(r"[^a-z0-9@._]+", "-", text.lower()).strip("-._")
    if not TITLE.fullmatch(title) or len(name) > LONGEST or _reserved(name):
        # Other titles may leave the same letters: the digest tells them apart.
        digest = hashlib.sha256(f"{title}\0{preset}".encode()).hexdigest()[:8]
        name = f"{name[:LONGEST] or 'board'}-{digest}"
    return Definition(name=name, title=title, preset=preset, datasets=(title,))


def load_definitions(folder: Path) -> list[Definition]:
    """Read every ``NAME.toml`` of a folder, in the order of their names.

    Raises
    ------
    UsageError
        If there is no such folder or a file is not the definition of a board; the message names
        file, key, value and remedy.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder} with definitions of boards",
                         hint="name one with --definitions, or write leaderboards/NAME.toml: "
                              "docs/leaderboards.md")
    return [load_definition(path) for path in sorted(folder.glob("*.toml"))]


def find_definition(definitions: Iterable[Definition], name: str) -> Definition:
    """Return the definition of that name; raises `UnknownName` with the nearest one."""
    known = {definition.name: definition for definition in definitions}
    if name not in known:
        raise UnknownName("board", name, known)
    return known[name]


def load_definition(path: Path) -> Definition:
    """Read one definition; raises `UsageError` as `load_definitions` does."""
    name = path.name.removesuffix(".toml")
    if not NAME.fullmatch(name) or name[0] in ".-" or _reserved(name):
        raise UsageError(
            f"{path}: {name!r} cannot be the name of a board",
            hint=f"rename the file: names match {NAME.pattern}, begin with a letter or number, are "
                 "not 'index' and do not end in '-pixels'")
    try:
        data = tomllib.loads(read_capped(path, LARGEST).decode("utf-8"))
    except (OSError, StoreError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as TOML: {error}",
                         hint="mend the file; what it may hold: docs/leaderboards.md") from error
    try:
        file = BoardFile.model_validate(data)
    except ValidationError as error:
        (first, remedy), *more = sentences(error)
        rest = "".join(f"; {message}" for message, _ in more)
        raise UsageError(f"{path}: {first}{rest}", hint=remedy) from error
    return _definition(name, file)


def _definition(name: str, file: BoardFile) -> Definition:
    only = file.datasets[0]
    return Definition(
        name=name, title=file.title, summary=" ".join(file.summary.split()), preset=file.preset,
        datasets=tuple(file.datasets), source=file.source,
        methods=tuple(file.methods), columns=tuple(file.columns), rank=file.rank or only,
        reference=file.reference,
        published=tuple(Expected(
            label=value.label, metric=value.metric, dataset=value.dataset or only,
            value=value.value, tolerance=value.tolerance, source=value.source)
            for value in file.published),
        scenes=file.scenes.count, command=" ".join(file.command.split()), cite=tuple(file.cite))


def _reserved(name: str) -> bool:
    """Whether the files of a board of that name would be those of another page."""
    return name in ("", "index") or name.endswith("-pixels")
