"""The light table: whole images of all methods, one scene at a time, beside a board's page.

The images are files beside the page, the bytes that the cells kept. Difference maps are blended by
the browser, so they follow the crop and weigh nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from srbench.boards.board import Board, Column
from srbench.boards.markup import PACKAGE, csp_hash, environment, script_json
from srbench.boards.pixels.cells import Cell, cells_with_images
from srbench.boards.pixels.crops import SIDE, thumbnail
from srbench.boards.pixels.flags import MEANINGS
from srbench.boards.pixels.make import keys, map_gain, named, shown_columns
from srbench.boards.pixels.model import Scene
from srbench.boards.pixels.palettes import make_palettes
from srbench.boards.pixels.scenes import Choice, choose_scenes
from srbench.boards.pixels.shelf import Shelf, filled, write_files
from srbench.boards.pixels.strips import Strip, common_ends, make_strip
from srbench.boards.pixels.words import with_unit
from srbench.foreign.text import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

STYLES = ("templates/style.css", "pixels/pixels.css", "pixels/lighttable.css")
MOST_COLUMNS = 24  # methods side by side


@dataclass(frozen=True, kw_only=True)
class View:
    """One method's view of one scene; ``file`` is empty without an image, and ``why`` says why."""

    file: str = ""
    why: str = ""
    values: tuple[tuple[str, str], ...] = ()
    rank: str = ""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """A column of the table: LR, a method, HR."""

    key: str
    label: str
    views: tuple[View, ...]
    note: str = ""
    flags: tuple[str, ...] = ()
    strip: Strip | None = None


def pixels_page(board: Board, cells: Path, out: Path, name: str) -> str:
    """Write a board's whole images beside its second page, and return that page.

    Parameters
    ----------
    board : Board
        As on its first page.
    cells : Path
        Folder of the cells' folders.
    out : Path
        Folder of the pages. Images are written to ``out/name/``, and those of an earlier page that
        is built again without them are removed.
    name : str
        File name of the page without suffix; a plain one.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ValueError
        If no cell has images.
    StoreError
        If the disk refuses.
    """
    found = cells_with_images(board, cells)
    choice = choose_scenes(board, found)
    if not choice.order:
        raise ValueError(f"no cell of {board.name} has images to show")
    shown = found if len(found) <= MOST_COLUMNS else \
        [cell for cell in found if not cell.row.folded][:MOST_COLUMNS]
    shelf = filled(Shelf(shown, keys([cell.row.anchor for cell in shown])), choice)
    write_files(shelf, out / name)
    return _render(board, shelf, choice, name, len(found))


def _render(board: Board, shelf: Shelf, choice: Choice, name: str, found: int) -> str:
    from markupsafe import Markup

    columns = shown_columns(board, shelf.cells[0])
    crop = _crop(shelf, choice)
    style = _style(crop)
    script = (PACKAGE / "pixels/lighttable.js").read_text(encoding="utf-8")
    scenes = [Scene(number=index + 1, role=role, thumbnail=thumbnail(shelf.targets[index]))
              for index, role in shelf.scenes]
    return environment().get_template("lighttable.html").render(
        board=board, folder=quote(name), first_page=quote(name.removesuffix("-pixels")),
        scenes=scenes, stands=_stands(shelf, columns), rule=choice.rule, crop=crop,
        chosen=next((at for at, scene in enumerate(scenes) if scene.role == "median"), 0),
        left_out=_left_out(shelf, choice, found), column=columns[0] if columns else None,
        ends=_ends(shelf, columns), palettes=make_palettes(board, shelf.cells),
        commit=_commit(board), data=script_json(_data(shelf, columns)), style=Markup(style),
        style_hash=csp_hash(style), script=Markup(script), script_hash=csp_hash(script))


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Size of the whole images, and the square of them that is enlarged at first."""

    width: int
    height: int
    side: int
    x: int
    y: int
    gain: int


def _crop(shelf: Shelf, choice: Choice) -> Crop:
    """The central square: 64 px, of small images half their side, so that there is a choice."""
    width, height = shelf.targets[shelf.scenes[0][0]].size
    short = min(width, height)
    side = SIDE if short > SIDE else max(1, short // 2)
    return Crop(width=width, height=height, side=side, x=(width - side) // 2,
                y=(height - side) // 2, gain=map_gain(shelf.cells, choice, side))


def _style(crop: Crop) -> str:
    """Style sheets of the page, and the numbers that its script changes."""
    sheets = [(PACKAGE / name).read_text(encoding="utf-8") for name in STYLES]
    numbers = {"w": crop.width, "h": crop.height, "s": crop.side, "x": crop.x, "y": crop.y,
               "gain": 2 * crop.gain}  # half the image and half the negative of HR are blended
    settings = " ".join(f"--{name}: {value};" for name, value in numbers.items())
    return "\n".join([*sheets, f":root {{ {settings} }}\n"])


def _left_out(shelf: Shelf, choice: Choice, found: int) -> str:
    parts = [(len(choice.order) - len(shelf.scenes), "scenes"),
             (found - len(shelf.cells), "methods")]
    return " and ".join(f"{count} {what}" for count, what in parts if count)


def _commit(board: Board) -> str:
    """Commit that the records name, if they agree on one."""
    found = [record.environment.get("git") for record in board.records]
    commits = {str(git.get("commit")) if isinstance(git, dict) else "" for git in found}
    return printable(commits.pop())[:12] if len(commits) == 1 else ""


def _stands(shelf: Shelf, columns: Sequence[Column]) -> list[Stand]:
    def end(kind: str) -> Stand:
        return Stand(key=kind, label=kind.upper(), views=tuple(
            _view(shelf, index, kind) for index, _ in shelf.scenes))

    ends = _ends(shelf, columns)
    ranks = _ranks(shelf, columns)
    stands = []
    for place, (key, cell) in enumerate(zip(shelf.keys, shelf.cells, strict=True)):
        values = cell.values(columns[0]) if columns else None
        stands.append(Stand(
            key=key, label=printable(cell.row.label), note=named(cell),
            flags=tuple(MEANINGS.get(flag, (printable(flag, most=200), ""))[0]
                        for flag in cell.record.outcome.flags),
            strip=None if values is None or ends is None else
            make_strip(values, [index for index, _ in shelf.scenes], ends),
            views=tuple(_view(shelf, index, key, cell, columns, ranks[place][at])
                        for at, (index, _) in enumerate(shelf.scenes))))
    return [end("lr"), *stands, end("hr")]


def _view(shelf: Shelf, index: int, key: str, cell: Cell | None = None,
          columns: Sequence[Column] = (), rank: str = "") -> View:
    name = f"{index + 1}-{key}.png"
    values = tuple((printable(column.title), with_unit(column, float(own[index])))
                   for column in columns
                   if cell is not None and (own := cell.values(column)) is not None
                   and index < len(own))
    return View(file=name if name in shelf.files else "", values=values, rank=rank,
                why=shelf.why.get((index, key), ""))


def _ends(shelf: Shelf, columns: Sequence[Column]) -> tuple[float, float] | None:
    rows = [values for cell in shelf.cells for column in columns[:1]
            if (values := cell.values(column)) is not None]
    return common_ends(rows)


def _badness(shelf: Shelf, columns: Sequence[Column]) -> NDArray[np.float64]:
    """Badness in the first column, shape (methods, scenes); NaN where there is no value."""
    table = np.full((len(shelf.cells), len(shelf.scenes)), math.nan)
    for row, cell in enumerate(shelf.cells):
        values = cell.values(columns[0]) if columns else None
        for at, (index, _) in enumerate(shelf.scenes):
            if values is not None and index < len(values) and math.isfinite(values[index]):
                table[row, at] = columns[0].badness(float(values[index]))
    return table


def _ranks(shelf: Shelf, columns: Sequence[Column]) -> list[list[str]]:
    """Place of each method on each scene, among those shown; equal values share the better one."""
    table = _badness(shelf, columns)
    known = (~np.isnan(table)).sum(0)
    return [["" if math.isnan(value) else
             f"rank {1 + int((table[:, at] < value).sum())} of {known[at]} on this scene"
             for at, value in enumerate(row)] for row in table]


def _data(shelf: Shelf, columns: Sequence[Column]) -> dict[str, Any]:
    """What the script needs to sort scenes: badness of each method on each scene."""
    return {"keys": shelf.keys,
            "badness": [[None if math.isnan(value) else round(value, 6) for value in row]
                        for row in _badness(shelf, columns).tolist()]}
