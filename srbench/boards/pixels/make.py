"""The pixels of a board: scenes, crops and difference maps within what a page may weigh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srbench.boards.board import Board, Column
from srbench.boards.pixels.album import Album, Plan
from srbench.boards.pixels.cells import Cell, cells_with_images, columns_of, first_readable
from srbench.boards.pixels.crops import (
    PHOTOGRAPH_SIDE,
    SIDE,
    choose_gain,
    crop_box,
    cut,
)
from srbench.boards.pixels.flags import flag_notes
from srbench.boards.pixels.model import Option, Pixels, Scene, Shot
from srbench.boards.pixels.palettes import make_palettes
from srbench.boards.pixels.scenes import Choice, choose_scenes
from srbench.boards.pixels.words import with_unit
from srbench.foreign.text import printable

BUDGET = 700_000  # bytes of all images of a page as base64; the page itself may have 2 MiB
VALUES = ("psnr", "lpips", "ssim")  # shown beside the first column, as far as three go
MOST_VALUES = 3
FEWEST_SCENES = 3


def make_pixels(board: Board, cells: Path) -> Pixels | None:
    """Collect what the image sections of a board's page show.

    Parameters
    ----------
    board : Board
        Of each row the lowest seed that has images is shown.
    cells : Path
        Folder of the cells' folders.

    Returns
    -------
    Pixels or None
        None where no cell has images. All pictures together stay below `BUDGET` as base64: folded
        members of sweeps give way first, then scenes beyond worst, median and best, then methods
        at the end of the table; large crops become small ones before a method gives way.
    """
    shown = cells_with_images(board, cells)
    choice = choose_scenes(board, shown)
    if not choice.order:
        return None
    palettes = make_palettes(board, shown)
    clouds = sum(len(cloud.picture.uri) for cloud in palettes.clouds if cloud.picture) \
        if palettes else 0
    side = PHOTOGRAPH_SIDE if shown[0].record.identity.scale > 1 else SIDE
    album = Album(shown, map_gain(shown, choice, side))
    plan = _fitting(album, shown, choice, side, BUDGET - clouds)
    order = tuple(Scene(number=index + 1, role=role, thumbnail=album.thumbnail(index))
                  for index, role in plan.scenes)
    options = _options(album, plan, shown_columns(board, shown[0]))
    return Pixels(
        scenes=order, options=options, palettes=palettes, flags=flag_notes(board),
        scene=next((place for place, scene in enumerate(order) if scene.role == "median"), 0),
        option=_first_ranked(plan, board), gain=album.gain, rule=choice.rule,
        crop=_crop_words(album, plan), zoom=_zoom(options),
        left_out=_left_out(plan, shown, choice))


def map_gain(cells: Sequence[Cell], choice: Choice, side: int) -> int:
    """Factor of the difference maps, from the first scene; folded methods have no say."""
    index = choice.order[0][0]
    hr = first_readable(cells, "hr", index)
    errors = []
    for cell in [cell for cell in cells if not cell.row.folded][:24]:
        image = cell.image("prediction", index)
        if image is not None and hr is not None and image.size == hr.size:
            box = crop_box(hr.size, hr.size, side)
            error = cut(image.pixels, box).astype(int) - cut(hr.pixels, box).astype(int)
            errors.append(abs(error).astype(np.uint8))
    return choose_gain(errors)


def _fitting(album: Album, cells: list[Cell], choice: Choice, side: int, most: int) -> Plan:
    """The first plan that fits; each leaves out more than the one before."""
    kept = [cell for cell in cells if not cell.row.folded] or cells
    few = choice.order[:FEWEST_SCENES]
    plans = [Plan(cells=cells, scenes=choice.order, side=side)]
    plans += [Plan(cells=kept, scenes=choice.order[:count], side=side)
              for count in range(len(choice.order), len(few) - 1, -1)]
    plans += [Plan(cells=kept, scenes=few, side=smaller)
              for smaller in range(side - 32, SIDE - 1, -32)]
    plans += [Plan(cells=kept[:count], scenes=few, side=SIDE)
              for count in range(len(kept) - 1, 0, -1)]
    plans += [Plan(cells=kept[:1], scenes=few[:count], side=SIDE)
              for count in range(len(few) - 1, 0, -1)]
    return next((plan for plan in plans if album.weight(plan, most) <= most), plans[-1])


def shown_columns(board: Board, cell: Cell) -> list[Column]:
    """The first column and those of `VALUES`, at most three."""
    columns = columns_of(board, cell)
    wanted = [column for name in VALUES for column in columns[1:] if column.metric == name]
    return [*columns[:1], *wanted][:MOST_VALUES]


def _options(album: Album, plan: Plan, columns: Sequence[Column]) -> tuple[Option, ...]:
    """LR, the reference, the methods in table order, HR."""
    def end(kind: str) -> Option:
        return Option(key=kind, label=kind.upper(), shots=tuple(
            album.shot(None, kind, index, plan.side) for index, _ in plan.scenes))

    rows = [Option(key=key, label=printable(cell.row.label),
                   note=named(cell),
                   shots=tuple(_valued(album, cell, index, plan.side, columns)
                               for index, _ in plan.scenes))
            for key, cell in zip(keys([cell.row.anchor for cell in plan.cells]), plan.cells,
                                 strict=True)]
    return end("lr"), *rows, end("hr")


def named(cell: Cell) -> str:
    """Which of a row's seeds a cell is, where there are several."""
    return f"seed {cell.seed}" if cell.many else ""


def _valued(album: Album, cell: Cell, index: int, side: int, columns: Sequence[Column]) -> Shot:
    shot = album.shot(cell, "prediction", index, side)
    found = [(printable(column.title), with_unit(column, float(values[index])))
             for column in columns
             if (values := cell.values(column)) is not None and index < len(values)]
    return Shot(picture=shot.picture, difference=shot.difference, why=shot.why,
                values=tuple(found))


def keys(anchors: Sequence[str]) -> list[str]:
    """Anchors as they are where they can stand in an id and are unique; else their places."""
    seen = {"lr", "hr"}
    found = []
    for place, anchor in enumerate(anchors):
        good = re.fullmatch(r"[A-Za-z0-9._-]+", anchor) is not None and anchor not in seen
        found.append(anchor if good else f"{place}-method")
        seen.add(found[-1])
    return found


def _first_ranked(plan: Plan, board: Board) -> int:
    """Place of the best method among the options."""
    labels = [cell.row.label for cell in plan.cells]
    return 1 + next((labels.index(row.label) for row in board.final.rows if row.label in labels), 0)


def _zoom(options: Sequence[Option]) -> int:
    """The enlargement at which pictures are some 300 to 500 pixels wide."""
    width = max((shot.picture.width for option in options for shot in option.shots
                 if shot.picture), default=SIDE)
    return 8 if width <= 48 else 4 if width <= 128 else 2


def _crop_words(album: Album, plan: Plan) -> str:
    hr = album.image(None, "hr", plan.scenes[0][0])
    width, height = hr.size if hr else (plan.side, plan.side)
    if max(width, height) <= plan.side:
        return f"whole images of {width} x {height} px"
    return f"the central {min(plan.side, width)} x {min(plan.side, height)} px"


def _left_out(plan: Plan, cells: Sequence[Cell], choice: Choice) -> str:
    methods, scenes = len(cells) - len(plan.cells), len(choice.order) - len(plan.scenes)
    folded = sum(cell.row.folded for cell in cells) - sum(cell.row.folded for cell in plan.cells)
    parts = [f"{folded} members of sweeps that are not chosen"] if folded else []
    if methods > folded:
        parts.append(f"the {methods - folded} methods at the end of the table")
    if scenes:
        parts.append(f"{scenes} of {len(choice.order)} scenes")
    return f"Left out to keep the page small: {', '.join(parts)}." if parts else ""
