"""The pixels of a board: scenes, crops and difference maps within what a page may weigh."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srbench.boards.board import Board, Column
from srbench.boards.pixels.cells import (
    Cell,
    Stored,
    cells_with_images,
    columns_of,
    first_readable,
)
from srbench.boards.pixels.crops import (
    PHOTOGRAPH_SIDE,
    SIDE,
    choose_gain,
    crop_box,
    cut,
    difference_picture,
    picture,
    thumbnail,
)
from srbench.boards.pixels.flags import flag_notes
from srbench.boards.pixels.model import Option, Picture, Pixels, Scene, Shot
from srbench.boards.pixels.palettes import make_palettes
from srbench.boards.pixels.scenes import Choice, choose_scenes
from srbench.boards.pixels.words import with_unit
from srbench.foreign.text import printable

BUDGET = 700_000  # bytes of all images of a page as base64; the page itself may have 2 MiB
VALUES = ("psnr", "lpips", "ssim")  # shown beside the first column, as far as three go
MOST_VALUES = 3
FEWEST_SCENES = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a page would show."""

    cells: list[Cell]
    scenes: tuple[tuple[int, str], ...]
    side: int


@dataclass
class Album:
    """Pictures of a board, each made once, whichever plan asks."""

    cells: list[Cell]
    gain: int
    _images: dict[tuple[str, str, int], Stored | None] = field(default_factory=dict)
    _pictures: dict[tuple[str, str, int, int], Picture] = field(default_factory=dict)

    def image(self, cell: Cell | None, kind: str, index: int) -> Stored | None:
        """An image of a cell, or LR or HR of the first cell that has them."""
        key = cell.row.anchor if cell else "", kind, index
        if key not in self._images:
            self._images[key] = cell.image(kind, index) if cell else \
                first_readable(self.cells, kind, index)
        return self._images[key]

    def shot(self, cell: Cell | None, kind: str, index: int, side: int) -> Shot:
        """Picture and difference map of what is shown of an image."""
        image, hr = self.image(cell, kind, index), self.image(None, "hr", index)
        if image is None or hr is None:
            return Shot(picture=None, why="no image was kept, or its file is damaged")
        if kind == "prediction" and image.size != hr.size:
            return Shot(picture=None, why="the image has another size than HR")
        key = cell.row.anchor if cell else "", kind, index, side
        if key not in self._pictures:
            self._pictures[key] = picture(image, hr.size, side)
        difference = None
        if kind != "hr" and image.size == hr.size:
            mapped = key[0], f"{kind}-difference", index, side
            if mapped not in self._pictures:
                self._pictures[mapped] = difference_picture(image, hr, side, self.gain)
            difference = self._pictures[mapped]
        return Shot(picture=self._pictures[key], difference=difference)

    def thumbnail(self, index: int, side: int) -> Picture:
        """A small view of a scene."""
        hr = self.image(None, "hr", index)
        if hr is None:
            raise ValueError(f"scene {index} was chosen though its HR image cannot be read")
        key = "", "thumbnail", index, side
        if key not in self._pictures:
            self._pictures[key] = thumbnail(hr, side)
        return self._pictures[key]

    def weight(self, plan: Plan, most: int) -> int:
        """Bytes of a plan's pictures as base64, or a number above ``most`` as soon as it is."""
        total = 0
        for index, _ in plan.scenes:
            total += len(self.thumbnail(index, plan.side).uri)
            ends: list[tuple[Cell | None, str]] = [(None, "lr"), (None, "hr")]
            for cell, kind in ends + [(cell, "prediction") for cell in plan.cells]:
                shot = self.shot(cell, kind, index, plan.side)
                total += sum(len(part.uri) for part in (shot.picture, shot.difference) if part)
                if total > most:
                    return total
        return total


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
    album = Album(shown, _gain(shown, choice, side))
    plan = _fitting(album, shown, choice, side, BUDGET - clouds)
    order = tuple(_scene(album, plan, index, role) for index, role in plan.scenes)
    options = _options(album, plan, _columns(board, shown[0]))
    return Pixels(
        scenes=order, options=options, palettes=palettes, flags=flag_notes(board),
        scene=next((place for place, scene in enumerate(order) if scene.role == "median"), 0),
        option=_first_ranked(plan, board), gain=album.gain, rule=choice.rule,
        crop=_crop_words(album, plan), zoom=_zoom(options),
        left_out=_left_out(plan, shown, choice))


def _gain(cells: Sequence[Cell], choice: Choice, side: int) -> int:
    """Factor of the difference maps, from the first scene of the methods that are not folded."""
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
    plans.append(Plan(cells=kept, scenes=few, side=SIDE))
    plans += [Plan(cells=kept[:count], scenes=few, side=SIDE)
              for count in range(len(kept) - 1, 0, -1)]
    return next((plan for plan in plans if album.weight(plan, most) <= most), plans[-1])


def _columns(board: Board, cell: Cell) -> list[Column]:
    """The first column and those of `VALUES`, at most three."""
    columns = columns_of(board, cell)
    wanted = [column for name in VALUES for column in columns[1:] if column.metric == name]
    return [*columns[:1], *wanted][:MOST_VALUES]


def _scene(album: Album, plan: Plan, index: int, role: str) -> Scene:
    return Scene(number=index + 1, role=role, thumbnail=album.thumbnail(index, plan.side))


def _options(album: Album, plan: Plan, columns: Sequence[Column]) -> tuple[Option, ...]:
    """LR, the reference, the methods in table order, HR."""
    def end(kind: str) -> Option:
        return Option(key=kind, label=kind.upper(), shots=tuple(
            album.shot(None, kind, index, plan.side) for index, _ in plan.scenes))

    rows = [Option(key=key, label=printable(cell.row.label),
                   note=f"seed {cell.seed}" if cell.many else "",
                   shots=tuple(_valued(album, cell, index, plan.side, columns)
                               for index, _ in plan.scenes))
            for key, cell in zip(keys([cell.row.anchor for cell in plan.cells]), plan.cells,
                                 strict=True)]
    return end("lr"), *rows, end("hr")


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
