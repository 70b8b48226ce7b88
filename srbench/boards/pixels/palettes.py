"""The row of palette clouds: LR, methods, HR, and a sentence on which lie closer to HR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from srbench.boards.board import Board, Column, Entry
from srbench.boards.pixels.cells import Cell, columns_of
from srbench.boards.pixels.clouds import (
    HEIGHT,
    WIDTH,
    Colours,
    distance,
    draw,
    read_clouds,
    variance,
)
from srbench.boards.pixels.crops import data_uri
from srbench.boards.pixels.model import Cloud, Palettes, Picture
from srbench.boards.pixels.words import listed, with_unit
from srbench.foreign.text import printable

VARIANCE, DISTANCE = "palette-variance", "palette-sw2"  # metrics that say it of all pixels
MOST_CLOUDS = 24


@dataclass
class Sides:
    """Labels by the side of the LR palette on which theirs lie."""

    closer: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    equal: list[str] = field(default_factory=list)
    how: str = ""


def make_palettes(board: Board, cells: Sequence[Cell]) -> Palettes | None:
    """Draw the clouds of the cells; None where no cell kept any.

    Folded members of sweeps are left out where there are more than `MOST_CLOUDS`, then methods
    from the end of the table.
    """
    shown, left_out = _fitting([cell for cell in cells if cell.path("palettes.parquet")])
    clouds = [(cell, read_clouds(path)) for cell in shown
              if (path := cell.path("palettes.parquet")) is not None]
    clouds = [(cell, cloud) for cell, cloud in clouds if cloud]
    if not clouds:
        return None
    columns = {column.metric: column for column in reversed(columns_of(board, clouds[0][0]))}
    spread, far = columns.get(VARIANCE), columns.get(DISTANCE)
    ends = {kind: clouds[0][1][kind] for kind in ("lr", "hr")}
    rows = [_end("LR", ends["lr"], spread, far, ends["hr"], "lr")]
    rows += [_cloud(cell, cloud["prediction"], ends["hr"], _entry(board, cell, spread), spread,
                    _entry(board, cell, far), far) for cell, cloud in clouds]
    rows.append(_end("HR", ends["hr"], spread, far, ends["hr"], "hr"))
    return Palettes(clouds=tuple(rows), finding=_finding(_sides(board, clouds, far)),
                    left_out=left_out)


def _fitting(cells: list[Cell]) -> tuple[list[Cell], str]:
    shown = cells
    if len(shown) > MOST_CLOUDS:
        shown = [cell for cell in cells if not cell.row.folded][:MOST_CLOUDS]
    missing = len(cells) - len(shown)
    return shown, f"{missing} of {len(cells)} methods have no room here: " \
        "members of sweeps first, then those at the end of the table." if missing else ""


def _entry(board: Board, cell: Cell, column: Column | None) -> Entry | None:
    return None if column is None else cell.row.entries[board.final.columns.index(column)]


def _cloud(cell: Cell, cloud: Colours, hr: Colours, spread: Entry | None, column: Column | None,
           far: Entry | None, far_column: Column | None) -> Cloud:
    facts = [_fact("variance", spread, column) or ("variance", f"{variance(cloud):.3f}"),
             _fact("distance", far, far_column)
             or ("distance to HR", f"{distance(cloud, hr):.3f}")]
    return Cloud(label=printable(cell.row.label), picture=_picture(cloud), facts=tuple(facts))


def _end(label: str, cloud: Colours, spread: Column | None, far: Column | None, hr: Colours,
         kind: str) -> Cloud:
    """The cloud of LR or HR: their values are the columns' references."""
    facts = []
    if spread is None or kind in spread.reference:
        value = variance(cloud) if spread is None else spread.reference[kind]
        facts.append(("variance", f"{value:.3f}" if spread is None else spread.show(value)))
    if far is None:
        facts.append(("distance to HR", f"{distance(cloud, hr):.3f}"))
    elif kind in far.reference or kind == "hr":
        facts.append((_name(far), far.show(far.reference.get(kind, 0.0))))
    return Cloud(label=label, picture=_picture(cloud), facts=tuple(facts))


def _fact(name: str, entry: Entry | None, column: Column | None) -> tuple[str, str] | None:
    """Value with its interval; None where the board has none."""
    if entry is None or column is None or entry.estimate is None:
        return None
    text = with_unit(column, entry.estimate.mean)
    if entry.estimate.interval is not None:
        low, high = entry.estimate.interval
        text += f" [{column.show(low)}, {column.show(high)}]"
    return (_name(column) if name == "distance" else name), text


def _name(column: Column) -> str:
    return printable(column.title)


def _picture(cloud: Colours) -> Picture:
    return Picture(uri=data_uri(draw(cloud)), width=WIDTH, height=HEIGHT)


def _sides(board: Board, clouds: Sequence[tuple[Cell, dict[str, Colours]]],
           far: Column | None) -> Sides:
    """Sort the methods by whether their palette lies closer to HR's than LR's does."""
    sides = Sides()
    if far is not None and "lr" in far.reference:
        sides.how = f"by {_name(far)} over all test images, where LR has " \
                    f"{far.show(far.reference['lr'])}"
        limit = far.reference["lr"]
        for cell, _ in clouds:
            entry = _entry(board, cell, far)
            if entry is not None and entry.estimate is not None:
                low, high = entry.estimate.interval or (entry.estimate.mean,) * 2
                same = far.show(low) == far.show(limit) == far.show(high)
                side = sides.equal if same else _side(sides, low, high, limit)
                side.append(printable(cell.row.label))
        return sides
    sides.how = "by the sliced distance of the 1,024 pixels shown"
    limit = distance(clouds[0][1]["lr"], clouds[0][1]["hr"])
    for cell, cloud in clouds:
        value = distance(cloud["prediction"], cloud["hr"])
        _side(sides, value, value, limit).append(printable(cell.row.label))
    return sides


def _side(sides: Sides, low: float, high: float, limit: float) -> list[str]:
    if high < limit:
        return sides.closer
    return sides.further if low > limit else sides.unsure


def _finding(sides: Sides) -> str:
    """One sentence; lists are cut after a few names."""
    parts = []
    if sides.closer:
        parts.append(f"the palette of {listed(sides.closer)} lies closer to HR than that of LR")
    if sides.further:
        parts.append(f"that of {listed(sides.further)} lies further away" if sides.closer else
                     f"the palette of {listed(sides.further)} lies further from HR than that of LR")
    if sides.equal:
        parts.append(f"that of {listed(sides.equal)} is as close as that of LR" if parts else
                     f"the palette of {listed(sides.equal)} is as close to HR as that of LR")
    if sides.unsure:
        parts.append(f"for {listed(sides.unsure)} this is open")
    sentence = "; ".join(parts) or "nothing says whose palette lies closer to HR"
    return f"{sentence[0].upper()}{sentence[1:]} ({sides.how})."
